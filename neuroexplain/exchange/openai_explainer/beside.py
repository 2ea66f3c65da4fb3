"""The JSON file that this package puts beside a neuron's files of another format, read back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from neuroexplain.errors import ConfigError
from neuroexplain.exchange.fields import Fields
from neuroexplain.exchange.places import Place
from neuroexplain.records import NeuronId, Split, Statistics


class Predicted(NamedTuple):
    """What a scored explanation of the file is of."""

    explanation: int
    """Its place among the explanations."""
    of: tuple[str, Split, str | None] | None
    """Simulator, split and language model; None where nothing predicted."""
    row: Fields
    """With `settings`, and the `places` of its spans."""

    def places(self) -> list[tuple[int | None, int | None]]:
        """Document and first token of every span."""
        found = []
        for place in self.row.lists("places"):
            if len(place) != 2 or not all(p is None or type(p) is int for p in place):
                raise self.row.wrong("places", "pairs of document and first token")
            found.append((place[0], place[1]))
        return found


@dataclass(frozen=True)
class Beside:
    """What the file tells."""

    row: Fields
    subject: str
    site: str | None
    width: int | None
    statistics: Statistics | None
    places: tuple[Place, ...]
    """[span]; in the order of the neuron's file."""
    explanations: tuple[Fields, ...]
    """With `explainer`, `llm` and notes."""
    scored: tuple[Predicted, ...]
    """In the order of the explanations' file."""

    @classmethod
    def read(cls, row: Fields) -> Beside:
        """Read the object.

        Raises:
            ExchangeError: a key is missing, or has another type.
        """
        try:
            subject = NeuronId.parse(row.text("neuron")).subject
        except ConfigError as error:
            raise row.wrong("neuron", str(error)) from error
        statistics = row.maybe_object("statistics")
        places = [Place.parse(text) for text in row.texts("spans")]
        if None in places:
            raise row.wrong("spans", f"a place, not {row.values['spans'][places.index(None)]!a}")
        explanations = tuple(row.objects("explanations"))
        return cls(
            row,
            subject,
            row.maybe_text("site"),
            row.maybe_integer("width", least=1),
            None if statistics is None else _statistics(statistics),
            tuple(place for place in places if place is not None),
            explanations,
            tuple(_predicted(scored, len(explanations)) for scored in row.objects("scored")),
        )


def _predicted(row: Fields, n: int) -> Predicted:
    place = row.integer("explanation", least=0, below=n)
    of = row.values.get("of")
    if of is None:
        return Predicted(place, None, row)
    if not (isinstance(of, list) and len(of) == 3 and isinstance(of[0], str)):
        raise row.wrong("of", "simulator, split and language model")
    split = Fields({"split": of[1]}, row.where.within("of")).choice("split", Split)
    return Predicted(place, (of[0], split, None if of[2] is None else str(of[2])), row)


def _statistics(row: Fields) -> Statistics:
    pairs = []
    for pair in row.lists("quantiles"):
        if len(pair) != 2 or not all(isinstance(x, int | float) for x in pair):
            raise row.wrong("quantiles", "pairs of level and activation")
        pairs.append((float(pair[0]), float(pair[1])))
    return Statistics(
        n_tokens=row.maybe_integer("n_tokens", least=0),
        mean=row.maybe_number("mean"),
        std=row.maybe_number("std"),
        min=row.maybe_number("min"),
        max=row.maybe_number("max"),
        frac_positive=row.maybe_number("frac_positive"),
        n_spans=row.maybe_integer("n_spans", least=0),
        peaks_excluded=row.integer("peaks_excluded", least=0),
        troughs_excluded=row.integer("troughs_excluded", least=0),
        quantiles=tuple(pairs),
    )
