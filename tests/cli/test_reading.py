from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from neuroexplain.catalogue import Catalogue
from neuroexplain.records import NeuronId
from tests.program import SMALL, neuroexplain


def test_show_json_is_the_contract(swept: Path) -> None:
    shown = neuroexplain("show", "minilm/0/3", "--catalogue", str(swept), "--json").json
    assert shown["neuron"]["subject"] == "minilm"
    assert (shown["neuron"]["layer"], shown["neuron"]["index"]) == (0, 3)
    assert {"n_tokens", "mean", "std", "min", "max", "frac_positive"} <= shown["statistics"].keys()
    for exemplar in shown["exemplars"]:
        assert len(exemplar["tokens"]) == len(exemplar["activations"])
        assert 0 < exemplar["inclusion_probability"] <= 1
    (explanation,) = shown["explanations"]
    assert {
        "id",
        "text",
        "explainer",
        "llm",
        "status",
        "scores",
        "simulations",
    } <= explanation.keys()
    score = explanation["scores"][0]
    assert {
        "scorer",
        "simulator",
        "value",
        "ci_low",
        "ci_high",
        "null_mean",
        "p_value",
        "floor",
        "n_tokens",
        "reason",
    } <= score.keys()
    assert score["ci_low"] <= score["value"] <= score["ci_high"]
    seen = {(e["document"], e["start"]) for e in shown["exemplars"] if e["split"] == "explain"}
    simulated = {(s["document"], s["start"]) for s in explanation["simulations"]}
    assert simulated and not simulated & seen, "a simulated span was never shown to the explainer"
    assert shown["ngrams"] and {"ngram", "mean_response", "count"} <= shown["ngrams"][0].keys()


def test_show_tells_quantiles_and_the_strongest_tokens(swept: Path) -> None:
    file = ("--catalogue", str(swept))
    statistics = neuroexplain("show", "minilm/0/3", *file, "--json").json["statistics"]
    levels = [float(level) for level in statistics["quantiles"]]
    values = list(statistics["quantiles"].values())
    assert levels == sorted(levels) and values == sorted(values) and 0.5 in levels
    assert statistics["min"] <= values[0] <= values[-1] <= statistics["max"]
    tokens = statistics["tokens"]
    assert tokens and all({"token", "mean", "extreme", "count"} <= t.keys() for t in tokens)
    assert all(0 < t["mean"] <= t["extreme"] <= statistics["max"] for t in tokens)
    assert all(t["count"] >= 1 for t in tokens)
    out = neuroexplain("show", "minilm/0/3", *file, COLUMNS="200").out
    assert f"50 % {statistics['quantiles']['0.5']:.2f}" in out
    first = tokens[0]
    strongest = f'"{first["token"]}" {first["mean"]:.2f} ({first["count"]})'
    assert f"strongest tokens, mean (times): {strongest}, " in out
    lower = neuroexplain("show", "minilm/0/3-", *file, "--json").json["statistics"]["tokens"]
    assert all(t["extreme"] <= t["mean"] < 0 for t in lower)


def test_similar_neurons_and_views_agree_with_each_other(swept: Path) -> None:
    with Catalogue(swept, read_only=True) as catalogue:
        (first, strength), *others = catalogue.similar(NeuronId("minilm", 0, 3), limit=5)
        assert 1 >= strength >= max(c for _, c in others) > 0
        back = dict(catalogue.similar(first, limit=2000))
        assert back[NeuronId("minilm", 0, 3)] == strength
        wanted = catalogue.show(NeuronId("minilm", 0, 3))["statistics"]
    with closing(sqlite3.connect(swept)) as connection:
        rows = connection.execute(
            "SELECT token, t.mean, extreme, count FROM v_token_responses AS t "
            "JOIN v_neurons USING (neuron_id) WHERE idx = 3 AND polarity = 1 ORDER BY rank"
        ).fetchall()
    names = ("token", "mean", "extreme", "count")
    assert rows == [tuple(t[name] for name in names) for t in wanted["tokens"]]


def test_show_draws_real_over_simulated(swept: Path) -> None:
    shown = neuroexplain("show", "minilm/0/3+", "--spans", "2", "--catalogue", str(swept))
    assert shown.code == 0
    lines = shown.out.splitlines()
    held_out = lines.index("held out, strongest")
    labels = [
        line.split()[0]
        for line in lines[held_out + 1 :]
        if line.strip() and not line.startswith("   ")
    ]
    assert labels[:2] == ["real", "ngram"]


def test_show_colours_a_terminal(swept: Path) -> None:
    shown = neuroexplain(
        "show", "minilm/0/3", "--catalogue", str(swept), FORCE_COLOR="1", COLUMNS="100"
    )
    assert "\x1b[" in shown.out
    assert ";4m" in shown.out or "\x1b[1;4" in shown.out, (
        "the peak is underlined, not only coloured"
    )


def test_search_understands_words_and_fields(swept: Path) -> None:
    def found(query: str) -> list[str]:
        return [
            r["neuron"]
            for r in neuroexplain("search", query, "--catalogue", str(swept), "--json").json
        ]

    everything = found("limit:100")
    assert 55 <= len(everything) <= 60
    good = found("score>=0.5 limit:100")
    assert 0 < len(good) < len(everything) and set(good) < set(everything)
    assert found("layer:1") == [] or found("layer:1..5") == []
    assert found("idx:3") == ["minilm/0/3+"]
    token = neuroexplain("show", "minilm/0/3", "--catalogue", str(swept), "--json").json[
        "exemplars"
    ][0]
    peak = max(zip(token["activations"], token["tokens"], strict=True))[1].strip()
    assert "minilm/0/3+" in found(f'token:"{peak}" limit:100')


def test_another_collection_does_not_mix_its_spans_in(catalogue: Path) -> None:
    file = ("--catalogue", str(catalogue))
    assert neuroexplain("collect", *SMALL, "--seq-len", "32", *file).code == 0
    shown = neuroexplain("show", "minilm/0/3", *file)
    assert shown.code == 0 and "not explained yet" in shown.out
    assert neuroexplain("sweep", *SMALL, "--neurons", "0:3", *file).code == 0
    assert "held out" in neuroexplain("show", "minilm/0/3", *file).out


def test_runs_and_plugins(swept: Path) -> None:
    (run,) = neuroexplain("runs", "--catalogue", str(swept), "--json").json
    assert (run["command"], run["state"]) == ("sweep", "done")
    table = neuroexplain("runs", "--catalogue", str(swept))
    assert "sweep" in table.out and "done" in table.out
    kinds = {(p["kind"], p["name"]) for p in neuroexplain("plugins", "--json").json}
    assert {
        ("explainer", "token-activation"),
        ("simulator", "logprob"),
        ("scorer", "correlation"),
    } <= kinds
