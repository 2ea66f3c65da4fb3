"""Explanations that people have edited: saved, simulated and scored beside the ones that they came from.

    old text ─┬─ simulator ─▶ Simulation ─ scorers ─▶ before ─┐
    new text ─┴─ (the same) ▶ Simulation ─ (the same) ▶ after ─┴─▶ Change

The edited text is an explanation of its own, of the explainer `human`, with the old one as its parent. Both are simulated by
the same simulator on the same held-out spans and stand beside the same null, so that what lies between them is the edit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from neuroexplain.catalogue import Catalogue, Collection, NewExplanation
from neuroexplain.config import ExplainConfig, ScoreConfig, as_dict, score_config
from neuroexplain.errors import RescoringError
from neuroexplain.explainers.base import dead
from neuroexplain.explaining import Explained, ExplanationKeys
from neuroexplain.judging import OwnJudge
from neuroexplain.llm.base import LLM
from neuroexplain.readers import HUMAN, Reader, check_reader, simulator_of
from neuroexplain.records import Evidence, Explanation, HeldOut, Score
from neuroexplain.registry import create, find, needs_llm
from neuroexplain.reviewed import Target
from neuroexplain.run import Execution, Run
from neuroexplain.scorers.paired import Difference, differences
from neuroexplain.scoring import Scoring
from neuroexplain.simulating import Simulated
from neuroexplain.tracks import asks, is_staged, needs_calibration, score_names
from neuroexplain.truth import truth_of

LONGEST = 2_000
"""Characters of an edited text."""
Report = Callable[[str], None]


@dataclass(frozen=True)
class Rescoring:
    """An edit that is to be scored."""

    parent: Target
    """The explanation that was edited."""
    text: str
    author: str
    reader: Reader = field(default_factory=Reader)


@dataclass(frozen=True)
class Change:
    """One score before and after."""

    before: Score
    after: Score
    difference: Difference
    """With its own interval: that of a paired bootstrap."""


@dataclass(frozen=True)
class Rescored:
    """What became of an edit."""

    explanation: int
    """Row of the edited explanation."""
    parent: int
    """Row of the old one."""
    simulator: str
    llm: str | None
    n_spans: int
    """Held-out spans that both were simulated on."""
    changes: tuple[Change, ...]
    """One for each score."""


def scored_as(
    catalogue: Catalogue, explanation: int, simulator: str | None = None
) -> ScoreConfig | None:
    """How an explanation was scored the last time; None where no run here did.

    Args:
        catalogue: where.
        explanation: its row.
        simulator: whose scores are looked at first.
    """
    runs = sorted(catalogue.scored_by(explanation), key=lambda s: s.simulator != simulator)
    for found in runs:
        _, values = catalogue.run_config(found.run)
        if values.get("score"):  # an import has none
            return score_config(values["score"])
    return None


def rescore(
    catalogue: Catalogue,
    wanted: Rescoring,
    execution: Execution | None = None,
    report: Report = lambda _: None,
) -> Rescored:
    """Save an edited explanation, simulate and score it, and say what the edit has changed.

    The same text by the same author is the same explanation, however often it is scored. What the catalogue has of the old
    one is used; what it lacks is made.

    Args:
        catalogue: open for writing; another process may write to it meanwhile.
        wanted: the edit, and who reads it.
        execution: how the simulator runs.
        report: is told in a few words what is being done.

    Raises:
        RescoringError: there is nothing that it was edited from, nothing to score it on, or nothing was changed.
        PluginError: the simulator does not exist, or cannot read it.
        LLMError: the language model refuses the calls, or does not answer.
        CatalogueError: the neuron was not recorded, or the catalogue cannot be written to.
        HeldError: the same edit is being scored by another process.
    """
    from neuroexplain.models import language_models  # takes a second

    case = _Case.of(catalogue, wanted)
    edit = {
        "neuron": str(wanted.parent.neuron),
        "parent": wanted.parent.text,
        "text": wanted.text.strip(),
        "author": wanted.author.strip(),
    }
    config = {"edit": edit, "score": case.config}
    with (
        Run(catalogue, "review", config, execution) as run,
        language_models(run, None, case.config) as (_, llm),
    ):
        return run.drive(_scored(run, case, llm, report))


@dataclass(frozen=True)
class _Case:
    """An edit with all that its scoring takes."""

    collection: Collection
    config: ScoreConfig
    parent: Explained
    origin: Explained
    """Where the edits began: among explanations of its kind the null is found."""
    evidence: Evidence
    truth: HeldOut
    wanted: Rescoring

    @classmethod
    def of(cls, catalogue: Catalogue, wanted: Rescoring) -> _Case:
        """Look everything up, and refuse what cannot be scored."""
        check_edit(wanted)
        neuron = wanted.parent.neuron
        collection = catalogue.collection(neuron.subject)
        parent, origin = _parents(catalogue, collection, wanted.parent)
        config = _config(catalogue, parent.number, wanted.reader)
        evidence = catalogue.evidence(collection, neuron)
        if dead(evidence) is not None:
            raise RescoringError(f"{neuron} never fires on this side: there is nothing to score")
        truth = truth_of(catalogue, collection, neuron, "test", config, evidence.scale)
        if not truth.spans:
            raise RescoringError(
                f"{neuron} has no held-out spans: there is nothing to score an explanation on"
            )
        return cls(collection, config, parent, origin, evidence, truth, wanted)


async def _scored(run: Run, case: _Case, llm: LLM | None, report: Report) -> Rescored:
    catalogue, config = run.catalogue, case.config
    judge = OwnJudge(catalogue, case.collection, config)
    scoring = Scoring(run, case.collection, config, llm, judge)
    own = await _saved(run, case)
    report(f"{config.simulator} reads the edited text")
    # This one first: a run ends where its first call has no answer.
    after = await _simulated(scoring, own)
    report(f"{config.simulator} reads the old text")
    before = await _simulated(scoring, case.parent)
    report("scoring")
    # Both stand beside the same kind of null: other neurons' explanations of the kind that was edited.
    kind = replace(before, explained=case.origin)
    others = scoring.others_of(kind, {case.parent.neuron})[: config.null]
    if set(score_names(config)) - catalogue.scores_of(before.number).keys():
        await scoring.score(before, others)
    await scoring.score(after, others)
    return Rescored(
        explanation=own.number,
        parent=case.parent.number,
        simulator=config.simulator,
        llm=scoring.llm.spec if scoring.llm else None,
        n_spans=len(case.truth.spans),
        changes=_changes(catalogue, case, before, after),
    )


async def _simulated(scoring: Scoring, explained: Explained) -> Simulated:
    key = scoring.keys.of(explained.key)
    return await scoring.simulated(explained, scoring.catalogue.known_simulations([key]).get(key))


async def _saved(run: Run, case: _Case) -> Explained:
    """The edited explanation in the catalogue; one that is there already is not saved again."""
    settings = {"text": case.wanted.text.strip(), "author": case.wanted.author.strip()}
    human = create("explainer", HUMAN, settings)
    keys = ExplanationKeys(case.collection, ExplainConfig(HUMAN, settings), human, None)
    neuron = case.parent.neuron
    key = keys.of(neuron)
    number = run.catalogue.known_explanations([key]).get(key)
    if number is not None:
        return Explained(neuron, number, key)
    made: Explanation = await human.explain(case.evidence, seed=0)
    number = await run.saver.explanation(
        NewExplanation(case.collection, key, made, case.parent.number)
    )
    return Explained(neuron, number, key, made)


def _changes(
    catalogue: Catalogue, case: _Case, before: Simulated, after: Simulated
) -> tuple[Change, ...]:
    calibration = None
    if needs_calibration(case.config):
        neuron, scale = case.parent.neuron, case.evidence.scale
        calibration = truth_of(catalogue, case.collection, neuron, "select", case.config, scale)
    earlier, later = (catalogue.scores_of(each.number) for each in (before, after))
    found = differences(
        [create("scorer", name, {}) for name in case.config.scorers],
        catalogue.simulation(before.number),
        catalogue.simulation(after.number),
        case.truth,
        config=case.config,
        calibration=calibration,
    )
    return tuple(Change(earlier[d.scorer], later[d.scorer], d) for d in found)


def check_edit(wanted: Rescoring) -> None:
    """Refuse an edit that no catalogue could score.

    Raises:
        RescoringError: the text is empty, too long or unchanged, or nobody has written it.
    """
    text = wanted.text.strip()
    if not text:
        raise RescoringError("the text is empty")
    if len(text) > LONGEST:
        raise RescoringError(f"the text has {len(text):,} characters; {LONGEST:,} are the most")
    if text == wanted.parent.text.strip():
        raise RescoringError("the text is as it was: there is nothing to score anew")
    if not wanted.author.strip():
        raise RescoringError("an edit needs the name of its author")


def _parents(
    catalogue: Catalogue, collection: Collection, target: Target
) -> tuple[Explained, Explained]:
    """The newest explanation from a collection that says what was edited, and what it goes back to."""
    numbers = catalogue.explanations_saying(target)
    refs = catalogue.explanation_refs(collection, target.neuron.layer) if numbers else []
    known = {ref.number: Explained(ref.neuron, ref.number, ref.key) for ref in refs}
    found = [known[number] for number in numbers if number in known]
    if not found:
        raise RescoringError(
            f"this catalogue has no such explanation of {target.neuron}; load the page again"
        )
    parent = found[-1]
    return parent, known.get(catalogue.origin(parent.number, HUMAN), parent)


def _config(catalogue: Catalogue, parent: int, reader: Reader) -> ScoreConfig:
    """The old explanation's scoring with another reader: the same spans, statistics and null.

    Scorers that ask a language model themselves are left out: they are tracks of their own.

    Raises:
        RescoringError: the language model answers in batches.
        PluginError: the simulator does not exist, needs a language model, or cannot read what people write.
    """
    from neuroexplain.runner import check_scoring

    check_reader(reader)
    name = simulator_of(reader)
    known = scored_as(catalogue, parent, name) or ScoreConfig()
    same = known.simulator == name
    plain = tuple(s for s in known.scorers if not asks(s) and not is_staged(s))
    found = replace(
        known,
        simulator=name,
        settings=as_dict(reader.settings) or (known.settings if same else {}),
        llm=reader.llm if needs_llm(find("simulator", name)) else "none",
        model=None,
        base_url=reader.base_url,
        llm_settings=as_dict(reader.llm_settings),
        scorers=plain or ScoreConfig.scorers,
        scorer_settings={},
    )
    check_scoring(found)
    return found
