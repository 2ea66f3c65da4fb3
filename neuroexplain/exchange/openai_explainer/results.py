"""Explanations, predictions and scores of neuron-explainer, and of Transluce's variant of it.

Transluce (github.com/TransluceAI/observatory) keys explanations by sign, and of an explanation simulations by split and
sequences by rank; counts of refused and malformed replies become settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from neuroexplain.exchange import pieces
from neuroexplain.exchange.fields import Fields
from neuroexplain.exchange.notes import noted
from neuroexplain.exchange.openai_explainer.beside import Beside
from neuroexplain.exchange.openai_explainer.layout import LEVELS, SCORES
from neuroexplain.exchange.scores import bare_score
from neuroexplain.exchanged import ExplanationRecord, ScoreRecord, SimulationRecord, SpanLevels
from neuroexplain.records import Split

NAME = "neuron-explainer"
"""Explainer and simulator where the file does not tell."""
_COUNTS = ("num_refusals", "num_format_failures")


def explanations(
    row: Fields, polarity: int, beside: Beside | None
) -> dict[int, list[ExplanationRecord]]:
    """Explanations of a NeuronSimulationResults, or of Transluce's NeuronExplanations, by polarity.

    Raises:
        ExchangeError: a key is missing or has another type; or our file tells of other explanations.
    """
    if isinstance(row.values.get("explanations"), dict):
        return dict(_by_sign(row))
    rows = list(row.objects("scored_explanations"))
    if beside is not None:
        if len(rows) != len(beside.scored):
            raise beside.row.wrong("scored", f"{len(rows)} of them, as {row.where.file} has")
        return {polarity: _ours(rows, polarity, beside)}
    found: dict[str, ExplanationRecord] = {}
    for scored in rows:
        own = _plain(scored, polarity)
        known = found.get(own.text)
        found[own.text] = own if known is None else _more(known, own)
    return {polarity: list(found.values())}


def _ours(rows: list[Fields], polarity: int, beside: Beside) -> list[ExplanationRecord]:
    """Explanations that this package wrote: all of it but the predictions stands beside."""
    found = [
        noted(ExplanationRecord("", row.text("explainer"), row.maybe_text("llm")), row)
        for row in beside.explanations
    ]
    for row, entry in zip(rows, beside.scored, strict=True):
        own = replace(found[entry.explanation], text=_text(row))
        places = entry.places()
        sequences = list(_sequences(row.object("scored_simulation")))
        if len(places) != len(sequences):
            raise entry.row.wrong("places", f"{len(sequences)} of them, as {row.where.file} has")
        if entry.of is not None and sequences:
            simulator, split, llm = entry.of
            spans = tuple(
                replace(_levels(s, polarity, plain=True), document=document, start=start)
                for s, (document, start) in zip(sequences, places, strict=True)
            )
            settings, key = entry.row.mapping("settings"), entry.row.maybe_text("key")
            made = SimulationRecord(simulator, split, spans, llm, settings, key)
            own = replace(own, simulations=(*own.simulations, made))
        found[entry.explanation] = own
    return found


def _plain(row: Fields, polarity: int) -> ExplanationRecord:
    """A ScoredExplanation: published scores are on split valid, which its author never saw, as none of our test split."""
    simulation = row.object("scored_simulation")
    return _scored(_text(row), simulation, _sequences(simulation), polarity, "test")


def _by_sign(row: Fields) -> Iterator[tuple[int, list[ExplanationRecord]]]:
    signs = row.object("explanations")
    counts = dict(row.items("explanation_generation_metadata"))
    for sign, values in signs.values.items():
        polarity = {"pos": 1, "neg": -1}.get(sign[:3])
        if polarity is None:
            raise signs.wrong(sign, "a sign: pos or neg")
        if values is None:
            continue
        said = counts.get(sign)
        settings = {} if said is None else {n: said.values[n] for n in _COUNTS if n in said}
        yield (
            polarity,
            [
                replace(_several(entry, polarity), settings=settings)
                for entry in signs.objects(sign)
            ],
        )


def _several(row: Fields, polarity: int) -> ExplanationRecord:
    """An explanation with simulations of several splits; activations are signed there."""
    own = ExplanationRecord(_text(row), NAME)
    for name, simulation in row.items("simulations"):
        rank = [sequence for _, sequence in simulation.items("simulation_data")]
        random = name.startswith("random_")
        splits: dict[str, Split] = {"train": "explain", "valid": "select", "test": "test"}
        split = splits.get(name.removeprefix("random_"))
        if split is None:
            raise row.wrong(f"simulations.{name}", f"a split: {', '.join(splits)}, or random_ before it")  # fmt: skip
        made = _scored(own.text, simulation, rank, polarity, split, signed=True, random=random)
        own = _more(own, made)
    return own


def _scored(
    text: str,
    simulation: Fields,
    sequences: Iterable[Fields],
    polarity: int,
    split: Split,
    *,
    signed: bool = False,
    random: bool = False,
) -> ExplanationRecord:
    """An explanation with one simulation, if it has any sequence, and its scores."""
    spans = tuple(_levels(row, polarity, signed=signed) for row in sequences)
    truths = [span.activations for span in spans if span.activations is not None]
    n_tokens = sum(map(len, truths))
    n_nonzero = int(sum((polarity * truth > 0).sum() for truth in truths))
    scores = []
    for scorer, key in SCORES.items():
        value = simulation.maybe_number(key, nan=True)
        if value is not None or (spans and scorer == "correlation"):
            name = f"{scorer}_random" if random else scorer
            score = bare_score(name, value, n_tokens=n_tokens, n_nonzero=n_nonzero)
            scores.append(ScoreRecord(score, NAME, split))
    made = (SimulationRecord(NAME, split, spans),) if spans else ()
    return ExplanationRecord(text, NAME, scores=tuple(scores), simulations=made)


def _sequences(simulation: Fields) -> Iterator[Fields]:
    return simulation.objects("scored_sequence_simulations")


def _levels(row: Fields, polarity: int, *, plain: bool = False, signed: bool = False) -> SpanLevels:
    """A ScoredSequenceSimulation. Calibrated predictions are in the neuron's units: their levels are those before it."""
    simulation = row.object("simulation")
    tokens = simulation.texts("tokens")
    truth = row.floats("true_activations")
    uncalibrated = simulation.maybe_object("uncalibrated_simulation")
    told = simulation if uncalibrated is None else uncalibrated
    expected = told.floats("expected_activations")
    for of, key, values in ((told, "expected_activations", expected), (row, "true_activations", truth)):  # fmt: skip
        if len(values) != len(tokens):
            raise of.wrong(key, f"{len(tokens)} numbers, as many as tokens, not {len(values)}")
    levels = told.text("activation_scale") == LEVELS
    return SpanLevels(
        tokens if plain else pieces.texts(tokens),
        expected if levels else None,
        truth if signed or polarity > 0 else -truth,
        reason=None if levels else "other_scale",
    )


def _text(row: Fields) -> str:
    text = row.text("explanation")
    if not text.strip():
        raise row.wrong("explanation", "a text")
    return text


def _more(known: ExplanationRecord, other: ExplanationRecord) -> ExplanationRecord:
    """The same explanation, scored once more; spans of one split stand together."""
    made = {s.split: s for s in known.simulations}
    for simulation in other.simulations:
        spans = made[simulation.split].spans if simulation.split in made else ()
        made[simulation.split] = replace(simulation, spans=(*spans, *simulation.spans))
    known_by = {(s.score.scorer, s.split) for s in known.scores}
    scores = [s for s in other.scores if (s.score.scorer, s.split) not in known_by]
    return replace(known, scores=(*known.scores, *scores), simulations=tuple(made.values()))
