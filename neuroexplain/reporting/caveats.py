"""What to mind when a report's numbers are read: everything that makes them say less than they seem to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from neuroexplain.catalogue.results.scored import Scored
from neuroexplain.reporting.distribution import Q_BELOW
from neuroexplain.reporting.results import Repeats, Section
from neuroexplain.reporting.words import plugin, share

ENOUGH = 199
"""Explanations in a null that let a small share of good explanations reach q < .1."""
_COVERED = 0.9
_REPEATED = 0.1
_SAME = 1e-9
_ROUNDING = 1e-3
"""Of a score: simulations are stored as float16, the floor's is not stored."""


def caveats(
    scored: Scored,
    sections: Sequence[Section],
    runs: Sequence[Mapping[str, Any]],
    repeats: Sequence[Repeats],
    absent: tuple[int, int],
) -> Iterator[str]:
    """What to mind, in plain words.

    Args:
        scored: explanations and scores.
        sections: these by scorer and method.
        runs: that they are of.
        repeats: texts that several neurons share.
        absent: neurons that the runs were given and have no row of, and how many they were given.
    """
    yield from _unfinished(runs)
    yield from _missing(*absent)
    yield from _of_sections(scored, sections)
    yield from _coarse(sections)
    yield from _several(scored, sections)
    yield from _data(sections)
    for found in repeats:
        if found.shared >= _REPEATED * found.n:
            yield (
                f"{share(found.shared / found.n)} of the explanations by {found.explainer} are a text that other neurons have "
                "too: words that fit many neurons explain none."
            )


def _unfinished(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    newest = {run["run_key"]: run for run in runs}
    for run in newest.values():
        if run["state"] != "done":
            yield f"Run {run['run_id']} is {run['state']}: what is here may be a part of what it would find."


def _missing(absent: int, given: int) -> Iterator[str]:
    if absent:
        yield (
            f"{absent:,} of the {given:,} neurons that were asked for are not here: not reached, never explained, or taken as "
            "they were from an earlier run; --neurons reports on them whatever run it was."
        )


def _of_sections(scored: Scored, sections: Sequence[Section]) -> Iterator[str]:
    """What concerns some methods and scorers, once for all of them."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for section in sections:
        for caveat in _of_section(scored, section):
            found[caveat][str(section.method)].append(section.scorer)
    for caveat, methods in found.items():
        shown = "; ".join(f"{method} ({', '.join(by)})" for method, by in methods.items())
        yield f"{shown}: {caveat}."


def _of_section(scored: Scored, section: Section) -> Iterator[str]:
    scores, total = scored.scores, section.total
    rows = section.rows[~np.isnan(scores.value[section.rows])]
    if total.n_scored < total.n:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in total.undefined.items())
        yield (
            f"{share(1 - total.n_scored / total.n)} of the scores are undefined ({reasons}); the quantiles are those of the others"
        )
    without = total.n_scored - total.n_p
    if without:
        reasons = "; ".join(total.no_null)
        yield f"{without:,} of {total.n_scored:,} scores have no p-value{f' ({reasons})' if reasons else ''}"
    apart = np.abs(scores.null_own[rows] - scores.value[rows]) > _SAME
    if apart.any():
        yield (
            f"the null of {int(apart.sum()):,} scores is taken on a part of the spans; over null, p and q compare like with like there"
        )
    thin = int((scores.coverage[rows] < _COVERED).sum())
    if thin:
        yield f"{thin:,} scores leave out more than {share(1 - _COVERED)} of what they were to rest on: tokens without a simulation, or texts that could not be had"
    floor = scores.floor[rows]
    if len(rows) and (np.abs(floor - scores.value[rows]) < _ROUNDING).all():
        yield "every score is its own floor, so that none lies above it but by rounding"


def _coarse(sections: Sequence[Section]) -> Iterator[str]:
    """Few explanations in the null: no p can be small, and q hardly."""
    for p in sorted({s.total.smallest_p for s in sections if s.total.smallest_p is not None}):
        if p > 1 / (1 + ENOUGH):
            yield (
                f"With {round(1 / p) - 1} other explanations in the null, p is never below {p:.3f}: q < {Q_BELOW:g} takes at least "
                f"{share(min(1, p / Q_BELOW))} of the explanations at that value; --null {ENOUGH} tells more apart."
            )


def _several(scored: Scored, sections: Sequence[Section]) -> Iterator[str]:
    """Neurons whose explanations compete on the split that they are reported on."""
    explanations = scored.explanations
    side = explanations.neuron * 2 + (explanations.polarity > 0)
    for method, rows in {s.method: s.rows for s in sections}.items():
        _, n = np.unique(side[scored.scores.explanation[rows]], return_counts=True)
        several = int((n > 1).sum())
        if several:
            yield (
                f"{method}: {several:,} neurons have up to {int(n.max())} explanations scored on the test split; the best of them, "
                "if chosen by these scores, scores too well, because choice and report share a split."
            )


def _data(sections: Sequence[Section]) -> Iterator[str]:
    """Simulators that read what a program found, and not the words."""
    for name in dict.fromkeys(section.method.simulator for section in sections):
        reads = getattr(plugin("simulator", name), "reads", None)
        if reads is not None:
            yield f"The simulator {name} reads the data that the explainer {reads} keeps, not its words."
