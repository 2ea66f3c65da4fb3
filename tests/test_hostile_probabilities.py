"""Replies of no use to simulators that read probabilities: alternatives to a token, or those of a whole text's tokens."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from neuroexplain.errors import NO_ANSWER as ASKED_AGAIN
from neuroexplain.testing import Response, serve
from tests.hostile import NO_ANSWER, NO_REPLY, Body, Made, Sent, Spoilt, echoed, sent
from tests.kept import Place, check_spans, explain, reasons, scoring
from tests.sweeps import Sweeps

SEQ_LEN = 16
"""Tokens of a span at most, see `Sweeps`."""


def listing(listed: str, reason: str, raw: str | None = None) -> Sent:
    """Alternatives to a reply's first token, as a server sends them; `raw` is what is read of them, if anything is."""
    token = f'{{"token": "7", "logprob": -0.1, "top_logprobs":\t{listed}}}'
    body = f'{{"choices": [{{"message": {{"content": "7"}}, "logprobs": {{"content": [{token}]}}}}]}}\r\n'
    if raw is None:
        return sent(body, reason)
    return Sent(lambda *_: Response(body), reason, raw=raw)


TOO_LARGE = "9" * 400
"""For a float."""
ALTERNATIVES: dict[str, Sent] = {
    "no list": listing("[]", "no_logprobs"),
    "null": listing("null", "no_logprobs"),
    "texts": listing('["7", "é"]', "no_logprobs"),
    "no probability": listing('[{"token": "7"}]', "no_logprobs"),
    "no token": listing('[{"logprob": -0.1}]', "no_logprobs"),
    "a probability in quotes": listing('[{"token": "7", "logprob": "-0.1"}]', "no_logprobs"),
    "not a number": listing('[{"token": "7", "logprob": NaN}]', "no_logprobs"),
    "infinite": listing('[{"token": "7", "logprob": -Infinity}]', "no_logprobs"),
    "too large": listing(f'[{{"token": "7", "logprob": -{TOO_LARGE}}}]', "no_logprobs"),
    "above 0": listing('[{"token": "7", "logprob": 5.0}]', "parse_failed", '[["7",5.0]]'),
    "far above 0": listing('[{"token": "7", "logprob": 1e308}]', "parse_failed", '[["7",1e+308]]'),
    "words": listing('[{"token": "The", "logprob": -0.1}]', "off_scale", '[["The",-0.1]]'),
    "1990s": listing('[{"token": "1990s", "logprob": 0}]', "off_scale", '[["1990s",0]]'),
    "half a pair": listing('[{"token": "\\ud83e", "logprob": -0.1}]', "off_scale", '[["\\ud83e",-0.1]]'),
    "none at all": sent('{"choices": [{"message": {"content": "7"}, "logprobs": null}]}', "llm_refused"),
    **{n: NO_REPLY[n] for n in ("a refusal", "a filter", "no choices", "null choices", "a long prompt", "a filtered prompt")},
    **{n: NO_ANSWER[n] for n in ("broken JSON", "too deep JSON", "an error")},
}  # fmt: skip


def echo(tokens: str, own: str, listed: str) -> str:
    return f'{{"choices": [{{"logprobs": {{"tokens": {tokens}, "token_logprobs": {own}, "top_logprobs": {listed}}}}}]}}'


def few_listed(body: Body, _: str) -> Made:
    """A server that lists three tokens, and so hides what most levels have."""
    made = echoed(body)
    for top in made["choices"][0]["logprobs"]["top_logprobs"]:
        for level in range(3, 11):
            top.pop(str(level), None)
    return made


ECHOES: dict[str, Sent] = {
    "no text": sent('{"choices": [{"text": "é", "logprobs": null}]}', "no_logprobs"),
    "no choices": sent('{"choices": []}\r\n', "no_logprobs"),
    "null": sent("null", "no_logprobs"),
    "a list": sent("[1990, 4.5]", "no_logprobs"),
    "prose": sent("I’m sorry, but I can’t help with that.", "no_logprobs"),
    "nothing": sent("", "no_logprobs"),
    "half": sent('{"choices": [{"logprobs": {"tok', "no_logprobs"),
    "too deep": sent('{"choices": ' + "[" * 100_000, "no_logprobs"),
    "fewer than tokens": sent(echo('["a", "b"]', "[-1]", "null"), "no_logprobs"),
    "not a number": sent(echo('["a"]', "[-1]", '[{"7": NaN}]'), "no_logprobs"),
    "not a number of its own": sent(echo('["a"]', "[NaN]", "[null]"), "no_logprobs"),
    "above 0": sent(echo('["a"]', "[-1]", '[{"7": 5.0}]'), "no_logprobs"),
    "infinite": sent(echo('["a"]', "[-1]", '[{"7": Infinity}]'), "no_logprobs"),
    "too large": sent(echo('["a"]', "[-1]", f'[{{"7": {TOO_LARGE}}}]'), "no_logprobs"),
    "texts": sent(echo('["a"]', '["-1"]', '[{"7": "é"}]'), "no_logprobs"),
    "another text": replace(sent(echo('["a"]', "[-1]", "null"), "no_logprobs"), raw=None),
    "a few": Sent(few_listed, "no_logprobs", raw=None),
    **{n: NO_REPLY[n] for n in ("a long prompt", "a filtered prompt")},
    "an error": NO_ANSWER["an error"],
}
SOLE = {"per-token": ALTERNATIVES, "logprob": ECHOES}
SHORT = {
    "per-token": scoring("per-token", 1, 1, "--neurons", "0:0-39"),
    "logprob": scoring("logprob", 1, 1, "--neurons", "0:0-39", "--simulator-set", "examples=0"),
}
"""Sixteen calls a span are enough."""


@pytest.fixture(scope="module")
def explained(sweeps: Sweeps, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue with good explanations; not to be written to."""
    return explain(sweeps, tmp_path_factory.mktemp("explained") / "c.sqlite")


@pytest.mark.parametrize("name", SHORT)
def test_what_reads_probabilities_fails_where_there_are_none(
    name: str, sweeps: Sweeps, explained: Path, tmp_path: Path
) -> None:
    place = Place(sweeps, explained, tmp_path, SHORT[name])
    chosen = place.assign(SOLE[name])
    spoilt = Spoilt(place.neurons, chosen, explaining=False)
    with serve(spoilt, complete=spoilt) as server:
        done = place.sweep(place.path, server.base_url)
    check_spans(place.found, place.true, chosen)
    assert done.code == 3, done.err
    assert reasons(done) == Counter(one.reason for one in chosen.values())


@pytest.mark.parametrize("name", SHORT)
def test_one_text_without_probabilities_fails_alone(
    name: str, sweeps: Sweeps, explained: Path, tmp_path: Path
) -> None:
    place = Place(sweeps, explained, tmp_path, SHORT[name])
    chosen = place.assign(
        {n: one for n, one in SOLE[name].items() if one.reason not in ASKED_AGAIN}
    )
    first = {"per-token": SEQ_LEN, "logprob": 1}[name]
    spoilt = Spoilt(place.neurons, chosen, explaining=False, from_=first)
    with serve(spoilt, complete=spoilt) as server:
        done = place.sweep(place.path, server.base_url, "--json")
    check_spans(place.found, place.true, chosen)
    assert (done.code, reasons(done)) == (0, {})
    assert done.json["counts"]["simulated in part"] == len(chosen)
    assert Counter(row.neuron for row in place.found.failed_spans) == dict.fromkeys(chosen, 1)
