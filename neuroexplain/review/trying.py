"""A text of the reader's own: the subject reads it, and the neuron's activation is told token by token."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Lock, Semaphore
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.errors import BusyError, ConfigError, SubjectError
from neuroexplain.heat import heats, shown
from neuroexplain.levels import MAX_LEVEL, side
from neuroexplain.recorded import token_texts
from neuroexplain.records import Floats, NeuronId
from neuroexplain.searching import Resolver

if TYPE_CHECKING:
    from neuroexplain.subjects import Subject

LONGEST = 20_000
"""Characters of a text."""
REMEMBERED = 60.0
"""Seconds for which a subject that could not be loaded is not tried again."""
WAIT = 30.0
"""Seconds for which a text waits for the one before it."""
WAITING = 8
"""Texts that may wait so; more are refused, so that some of the server's threads are left for everything else."""


@dataclass(frozen=True)
class TriedToken:
    """One token of a text."""

    text: str
    """In characters that can be seen."""
    activation: float
    """As the subject computed it, signed."""
    level: float | None
    """0 to 10, not rounded; None for a neuron that never fires on its side in what was recorded."""
    heat: int
    """0 to 20: half levels."""
    counts: bool
    """Whether the collection counts it; some leading tokens are left out."""


@dataclass(frozen=True)
class Tried:
    """What a neuron does on a text."""

    tokens: tuple[TriedToken, ...]
    scale: float
    """Activation of level 10: the largest on this side that explainers saw; 0 where it never fires."""
    peak: int | None
    """Place of the strongest token that counts; None where none counts."""
    weaker: float | None
    """Share of the corpus' tokens on which the neuron is weaker, on its side, than at the peak."""
    weaker_bound: bool
    """Whether it is a bound: the peak is beyond the outermost quantile, and the share is that or more."""


class Trying:
    """Runs texts through subjects, one at a time; a subject is loaded when it is first needed, and stays.

    Args:
        catalogue: says which subject a neuron is of.
        resolver: has the subjects.
    """

    def __init__(self, catalogue: Catalogue, resolver: Resolver) -> None:
        self._catalogue = catalogue
        self._resolver = resolver
        self._places = Semaphore(WAITING)
        self._failed: dict[str, tuple[float, str]] = {}
        self._lock = Lock()

    def activations(self, neuron: NeuronId, text: str) -> Tried:
        """What a neuron does on a text.

        Raises:
            CatalogueError: the neuron was not recorded.
            ConfigError: the text is empty or too long.
            BusyError: others have not done with the subject, or too many wait for one.
            SubjectError: the subject cannot be loaded, or is another model than was recorded.
        """
        if len(text) > LONGEST:
            raise ConfigError(f"the text has {len(text):,} characters; {LONGEST:,} are the most")
        collection = self._catalogue.collection(neuron.subject)
        evidence = self._catalogue.evidence(collection, neuron)
        with ExitStack() as held:
            if not self._places.acquire(blocking=False):
                raise BusyError(f"{WAITING} texts wait for their subjects already; try again")
            held.callback(self._places.release)
            subject = self._subject(held, collection)
            tokens, values = read(subject, text, neuron)
        first = collection.corpus.first
        counted = (values * neuron.polarity)[first:]
        peak = first + int(counted.argmax()) if len(counted) else None
        weaker, bound = (
            (None, False)
            if peak is None
            else weaker_share(float(values[peak]), evidence.statistics.quantiles, neuron.polarity)
        )
        return Tried(
            _tokens(tokens, values, evidence.scale, neuron.polarity, first),
            *(evidence.scale, peak, weaker, bound),
        )

    def _subject(self, held: ExitStack, collection: Collection) -> Subject:
        name = collection.subject.name
        with self._lock:
            until, why = self._failed.get(name, (0.0, ""))
        if monotonic() < until:
            raise SubjectError(why)
        running = self._resolver.running(collection, wait=WAIT)
        try:
            return held.enter_context(running)
        except BusyError:
            raise
        except SubjectError as error:
            why = f"the subject cannot be used: {error}"
            with self._lock:
                self._failed[name] = (monotonic() + REMEMBERED, why)
            raise SubjectError(why) from error


def read(subject: Subject, text: str, neuron: NeuronId) -> tuple[tuple[str, ...], Floats]:
    """Texts and activations of a text's tokens, [token], without special tokens; one that the text spells is plain text.

    Raises:
        ConfigError: the text has no token, or more than the subject takes.
        SubjectError: the subject's numbers are not finite.
    """
    from neuroexplain.corpora.encoding import Encoder

    (encoding,) = Encoder.of(subject.tokenizer).encode([text])
    most = subject.max_positions - len(subject.prefix) - len(subject.suffix)
    if not 1 <= len(encoding) <= most:
        raise ConfigError(
            f"the text has {len(encoding):,} tokens; {subject.name} takes 1 to {most:,}"
        )
    kept: list[Floats] = []
    subject.run(
        [encoding.ids.tolist()],
        [neuron.layer],
        lambda seen: kept.append(seen.neurons[0, seen.content, neuron.index].float().cpu().numpy()),
    )
    if not np.isfinite(kept[0]).all():
        raise SubjectError(f"{subject.name} gives numbers that are not finite on this text")
    return token_texts(text, encoding.offsets), kept[0]


def weaker_share(
    value: float, quantiles: Sequence[tuple[float, float]], polarity: int
) -> tuple[float | None, bool]:
    """Share of tokens that are weaker on a side than a value, by interpolation between quantiles.

    Args:
        value: signed.
        quantiles: shares of tokens with their quantiles, ascending; none where no tokens were sampled.
        polarity: the side.

    Returns:
        The share, and whether it is a bound; None without quantiles.
    """
    if not quantiles:
        return None, False
    shares, values = np.array(quantiles, np.float64).T
    below = float(np.interp(value, values, shares))
    share = below if polarity > 0 else 1 - below
    outermost = float(shares[-1] if polarity > 0 else 1 - shares[0])
    return share, share >= outermost


def _tokens(
    tokens: Sequence[str], values: Floats, scale: float, polarity: int, first: int
) -> tuple[TriedToken, ...]:
    fires = scale > 0
    fired = side(values, polarity).astype(np.float64)
    levels = np.minimum(MAX_LEVEL * fired / scale, MAX_LEVEL) if fires else np.zeros(len(values))
    warmth = heats(levels.astype(np.float32))
    return tuple(
        TriedToken(
            text=shown(token),
            activation=float(values[place]),
            level=float(levels[place]) if fires else None,
            heat=warmth[place],
            counts=place >= first,
        )
        for place, token in enumerate(tokens)
    )
