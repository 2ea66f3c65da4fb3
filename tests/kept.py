"""Sweeps with replies that are of no use, and what their catalogues have kept."""

from __future__ import annotations

import math
import re
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import neuroexplain as nx
from neuroexplain.registry import BUILT_IN
from neuroexplain.testing import serve
from tests import lives
from tests.hostile import Sent, good
from tests.program import Result, neuroexplain
from tests.sweeps import Sweeps

NEURONS = 80
SPARE = 8
"""Neurons beside those that are answered badly, at least."""


class Explanation(NamedTuple):
    """A row about one neuron."""

    neuron: int
    """Its index."""
    number: int
    text: bytes
    status: str
    reason: str | None
    message: str | None
    raw: bytes | None
    prompt_sha256: str | None


class FailedSpan(NamedTuple):
    """A span of one neuron that has no prediction."""

    neuron: int
    simulation: int
    span: int
    reason: str
    message: str
    raw: bytes | None


class Score(NamedTuple):
    """A score of one neuron."""

    neuron: int
    scorer: str
    value: float | None
    reason: str | None
    coverage: float
    n_tokens: int


# As bytes: what is no UTF-8, or ends at a NUL for some function, would show.
_EXPLANATIONS = """
    SELECT n.idx, e.id, CAST(e.text AS BLOB), e.status, e.reason, e.message, CAST(e.raw_reply AS BLOB), lower(hex(e.prompt_sha256))
    FROM explanation e JOIN neuron n ON n.id = e.neuron_id ORDER BY n.idx, e.id
"""
_FAILED = """
    SELECT n.idx, s.id, f.span, f.reason, f.message, CAST(f.raw_reply AS BLOB) FROM simulation_failure f
    JOIN simulation s ON s.id = f.simulation_id JOIN explanation e ON e.id = s.explanation_id
    JOIN neuron n ON n.id = e.neuron_id ORDER BY n.idx, s.id, f.span
"""
_SCORES = """
    SELECT n.idx, s.scorer, s.value, s.reason, s.coverage, s.n_tokens FROM v_scores s
    JOIN explanation e ON e.id = s.explanation_id JOIN neuron n ON n.id = e.neuron_id
    WHERE s.split = 'test' ORDER BY n.idx, s.scorer, s.score_id
"""
_SIMULATIONS = """
    SELECT n.idx, s.id FROM simulation s JOIN explanation e ON e.id = s.explanation_id
    JOIN neuron n ON n.id = e.neuron_id ORDER BY s.id
"""


_NEWEST = """
    SELECT n.idx, max(s.id) FROM simulation s JOIN explanation e ON e.id = s.explanation_id
    JOIN neuron n ON n.id = e.neuron_id GROUP BY n.idx
"""


@dataclass(frozen=True)
class Catalogue:
    """What a catalogue holds, read by SQL; the file is found sound first."""

    path: Path

    def __post_init__(self) -> None:
        lives.content(self.path)

    @property
    def explanations(self) -> list[Explanation]:
        return [Explanation(*row) for row in self.rows(_EXPLANATIONS)]

    @property
    def failed_spans(self) -> list[FailedSpan]:
        return [FailedSpan(*row) for row in self.rows(_FAILED)]

    @property
    def scores(self) -> list[Score]:
        return [Score(*row) for row in self.rows(_SCORES)]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query).fetchall()

    def levels(self) -> dict[int, dict[int, np.ndarray | None]]:
        """Predicted levels of every span of every neuron's newest simulation; None where it failed."""
        with nx.Catalogue(self.path, read_only=True) as opened:
            return {
                neuron: {s.span.span: s.expected for s in opened.simulation(number).spans}
                for neuron, number in self.rows(_SIMULATIONS)
            }

    def about(self, neurons: set[int]) -> dict[str, list[tuple[Any, ...]]]:
        """Explanations, simulations and scores of some neurons."""
        places = dict(self.rows("SELECT id, idx FROM neuron"))
        content = lives.content(self.path)
        del content["calls"]
        return {
            name: [row for row in rows if places[row[0]] in neurons]
            for name, rows in content.items()
        }


class Sweep:
    """Sweeps of the tiny subject by the command line.

    Args:
        sweeps: has the subject, and has collected it.
        options: of all these sweeps.
        probe: whether they find out first what the server can do.
    """

    def __init__(self, sweeps: Sweeps, *options: str, probe: bool = False) -> None:
        self._command = (
            *("sweep", *sweeps.collecting, "--llm", "openai:test-model"),
            *(options if probe else ("--no-probe", *options)),
        )

    def __call__(self, path: Path, url: str, *more: str) -> Result:
        """Such a sweep; no call is tried twice."""
        server = ("--base-url", f"{url},name=here", "--tries", "1")
        return neuroexplain(
            *self._command, *server, "--catalogue", str(path), *more, OPENAI_API_KEY="none"
        )


def reasons(result: Result) -> dict[str, int]:
    """Failures by reason as a command has printed them."""
    lines = re.findall(r"^  (\d+) failed: (\w+)$", result.err, re.MULTILINE)
    return {reason: int(n) for n, reason in lines}


def explain(sweeps: Sweeps, path: Path) -> Path:
    """A catalogue with good explanations of some neurons."""
    sweeps.copy(path)
    with serve(good) as server:
        made = neuroexplain(
            *("explain", "--explainer", "token-activation", "--llm", "openai:test-model"),
            *("--base-url", f"{server.base_url},name=here", "--no-probe"),
            *("--neurons", f"0:0-{NEURONS - 1}", "--catalogue", str(path)),
            OPENAI_API_KEY="none",
        )
    assert made.code == 0, made.err
    return path


class Place:
    """Two catalogues with the same explanations: by one they are predicted well, the other is for bad replies.

    Args:
        sweeps: has the subject.
        explained: the explanations.
        folder: takes the catalogues.
        options: of the predictions.
    """

    def __init__(
        self, sweeps: Sweeps, explained: Path, folder: Path, options: Sequence[str]
    ) -> None:
        self.path, true = folder / "hostile.sqlite", folder / "true.sqlite"
        shutil.copy(explained, self.path)
        shutil.copy(explained, true)
        self.sweep = Sweep(
            *(sweeps, "--explainer", "token-activation", "--neurons", f"0:0-{NEURONS - 1}"),
            *("--null", "0", "--bootstrap", "10", "--score-quantile", "0", *options),
            probe="logprob" in options,
        )
        with serve(good, complete=good) as server:
            done = self.sweep(true, server.base_url)
        assert done.code == 0, done.err
        self.true = Catalogue(true)

    @property
    def found(self) -> Catalogue:
        """What has come of the bad replies."""
        return Catalogue(self.path)

    @property
    def neurons(self) -> dict[str, int]:
        """Whose explanation a text is."""
        return {row.text.decode(): row.neuron for row in self.true.explanations}

    def assign(self, replies: Mapping[str, Sent]) -> dict[int, Sent]:
        """Give every reply to a neuron that can be scored."""
        scored = sorted({s.neuron for s in self.true.scores if s.value is not None})
        assert len(scored) >= len(replies) + SPARE
        return dict(zip(scored, replies.values(), strict=False))

    def retry(self, url: str, run: int) -> Result:
        """Ask again for what failed."""
        server = ("--base-url", f"{url},name=here", "--no-probe", "--catalogue", str(self.path))
        return neuroexplain("runs", "retry", str(run), *server, "--json", OPENAI_API_KEY="none")


def scoring(name: str, top: int, random: int, *more: str) -> tuple[str, ...]:
    """Options of a simulator, or of a scorer that asks."""
    spans = ("--score-top", str(top), "--score-random", str(random))
    if name in BUILT_IN["simulator"]:
        return (*spans, "--simulator", name, "--scorer", "correlation", *more)
    return (*spans, "--simulator", "sparse", "--scorer", name, *more)


def check_spans(found: Catalogue, true: Catalogue, sent: Mapping[int, Sent]) -> None:
    """Every span is predicted or failed; a failure keeps its reply, and what failed has no score."""
    levels, lengths = found.levels(), true.levels()
    assert levels.keys() == lengths.keys()
    newest = dict(found.rows(_NEWEST))
    for row in found.failed_spans:
        expected = sent[row.neuron]
        kept = None if expected.raw is None else expected.raw.encode()
        assert (row.reason, row.raw) == (expected.reason, kept)
        assert row.message and row.message.isprintable()
    failed = {
        (row.neuron, row.span) for row in found.failed_spans if row.simulation == newest[row.neuron]
    }
    coverage: dict[int, float] = {}
    for neuron, spans in levels.items():
        whole = {
            span: values.size for span, values in lengths[neuron].items() if values is not None
        }
        assert spans.keys() == whole.keys() == lengths[neuron].keys()
        assert {span for span, values in spans.items() if values is None} == {
            span for of, span in failed if of == neuron
        }
        for span, values in spans.items():
            assert values is None or (values.size == whole[span] and in_bounds(values))
        covered = sum(whole[span] for span, values in spans.items() if values is not None)
        coverage[neuron] = covered / sum(whole.values())
    for score in found.scores:
        assert score.coverage == pytest.approx(coverage[score.neuron])
        assert score.value is None or math.isfinite(score.value)
        assert (score.value is None) == (score.reason is not None)
        if coverage[score.neuron] == 0:
            assert (score.reason, score.n_tokens) == (sent[score.neuron].reason, 0)
    assert {s.neuron for s in found.scores} == {s.neuron for s in true.scores}
    untouched = levels.keys() - {neuron for neuron, one in sent.items() if one.reason}
    assert found.about(untouched) == true.about(untouched)
    assert len(untouched) >= SPARE


def in_bounds(levels: np.ndarray) -> bool:
    return bool(np.isfinite(levels).all() and (levels >= 0).all() and (levels <= 10).all())
