from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from neuroexplain.collectors.ngram_part import NgramHeader, NgramPart
from neuroexplain.collectors.ngram_pass import batches, record_ngrams
from neuroexplain.collectors.ngram_set import Reading, build
from neuroexplain.corpora.encoding import Encoder
from neuroexplain.errors import CollectError
from neuroexplain.recorded import AGGREGATORS, Aggregator, LayerNgrams, NgramSet
from neuroexplain.records import POLARITIES, Floats
from neuroexplain.subjects import LayerActivations, Subject
from tests.collectors.recording import assert_same
from tests.collectors.test_ngram_topk import expected
from tests.collectors.test_runs import counting_files, in_a_child, needs_fork
from tests.program import TEXT

TOP = 200


def ngrams_of(lengths: Sequence[int], seed: int = 0) -> NgramSet:
    """N-grams of so many random tokens."""
    random = np.random.default_rng(seed)
    return NgramSet(
        sha256="5e7" * 8,
        corpus_sha256="c",
        texts=tuple(f"phrase {n}" for n in range(len(lengths))),
        counts=np.arange(len(lengths), 0, -1),
        lengths=np.array(lengths, dtype=np.int64),
        token_ids=random.integers(10, 120, sum(lengths)).astype(np.uint32),
    )


def part_of(subject: Subject, parent: Path, ngrams: NgramSet) -> NgramPart:
    widths = {layer: site.width for layer, site in subject.sites.items()}
    return NgramPart(parent, NgramHeader("k" * 64, ngrams.sha256, widths))


def recorded(
    subject: Subject,
    ngrams: NgramSet,
    parent: Path,
    *,
    lead: tuple[int, ...] = (),
    top: int = TOP,
    advance: Callable[[int], None] | None = None,
    checkpoint: float = 60.0,
) -> list[LayerNgrams]:
    """A part, from where it is to its end."""
    with part_of(subject, parent, ngrams) as part:
        record_ngrams(
            subject, ngrams, part, lead=lead, top=top, advance=advance, checkpoint=checkpoint
        )
        return list(part.layers())


def phrase(ngrams: NgramSet, number: int) -> list[int]:
    stop = int(ngrams.lengths[: number + 1].sum())
    return list(map(int, ngrams.token_ids[stop - int(ngrams.lengths[number]) : stop]))


class Whole:
    """What no pass may keep: the extremes and means of all texts, [n-gram, quantity, neuron] by layer."""

    def __init__(
        self,
        subject: Subject,
        ngrams: NgramSet,
        plan: Sequence[NDArray[np.int64]],
        lead: tuple[int, ...] = (),
    ) -> None:
        def empty(quantities: int) -> dict[int, Floats]:
            return {
                layer: np.full((len(ngrams), quantities, site.width), np.nan, np.float32)
                for layer, site in subject.sites.items()
            }

        self._first = subject.first
        self.inside = empty(3)
        """Mean, maximum and minimum of the tokens that count."""
        self.outside = empty(2)
        """Maximum and minimum of the others."""
        for batch in plan:
            rows = [[*lead, *phrase(ngrams, int(n))] for n in batch]
            subject.run(rows, list(subject.sites), partial(self._take, batch))

    def _take(self, batch: NDArray[np.int64], seen: LayerActivations) -> None:
        values = seen.neurons.numpy()
        counts = np.zeros(values.shape[1], dtype=bool)
        counts[seen.content] = True
        counts[seen.content.start : seen.content.start + self._first] = False
        inside, others = values[:, counts], values[:, ~counts]
        kept = self.inside[seen.layer]
        kept[batch, 0] = inside.mean(axis=1, dtype=np.float32)
        kept[batch, 1], kept[batch, 2] = inside.max(axis=1), inside.min(axis=1)
        if others.shape[1]:
            self.outside[seen.layer][batch, 0] = others.max(axis=1)
            self.outside[seen.layer][batch, 1] = others.min(axis=1)

    def on_side(self, layer: int, polarity: int) -> dict[Aggregator, Floats]:
        """[n-gram, neuron] by aggregator, the sign turned for -1."""
        mean, highest, lowest = self.inside[layer].swapaxes(0, 1)
        return {"mean": mean * polarity, "max": highest if polarity > 0 else -lowest}


def assert_lists(found: LayerNgrams, whole: Whole, top: int) -> None:
    """The same n-grams in the same order, and both responses of each."""
    for polarity in POLARITIES:
        truth = whole.on_side(found.layer, polarity)
        for aggregator in AGGREGATORS:
            numbers, *responses = found.of(polarity, aggregator)
            np.testing.assert_array_equal(numbers, expected(truth[aggregator], top))
            for name, values in zip(AGGREGATORS, responses, strict=True):
                exact = np.take_along_axis(truth[name].T, numbers, axis=1)
                np.testing.assert_allclose(values[numbers >= 0], exact[numbers >= 0], atol=1e-5)


def assert_moments(found: LayerNgrams, whole: Whole) -> None:
    for polarity in POLARITIES:
        for aggregator, values in whole.on_side(found.layer, polarity).items():
            exact = values.astype(np.float64)
            mean, std = (f(aggregator, polarity) for f in (found.moments.mean, found.moments.std))
            np.testing.assert_allclose(mean, exact.mean(axis=0), atol=1e-6)
            np.testing.assert_allclose(std, exact.std(axis=0), rtol=1e-5, atol=1e-7)
    assert found.moments.n == len(whole.inside[found.layer])


@cache
def minilm() -> tuple[Subject, NgramSet]:
    """With 2,000 n-grams of real text, of every length that there is."""
    subject = Subject.load("minilm")
    encoder = Encoder.of(subject.tokenizer)
    whole = build(
        [TEXT.read_text(encoding="utf-8")], encoder, Reading.of(subject, encoder),
        corpus_sha256="c", orders=3, min_count=1,
    )  # fmt: skip
    chosen = np.sort(np.random.default_rng(0).permutation(len(whole))[:2000])
    ids = [phrase(whole, int(n)) for n in chosen]
    return subject, replace(
        whole,
        texts=tuple(whole.texts[n] for n in chosen),
        counts=whole.counts[chosen],
        lengths=whole.lengths[chosen],
        token_ids=np.concatenate(ids).astype(np.uint32),
    )


def test_all_neurons_of_minilm_as_by_brute_force(tmp_path: Path) -> None:
    subject, ngrams = minilm()
    plan = batches(ngrams.lengths)
    whole = Whole(subject, ngrams, plan)
    layers = recorded(subject, ngrams, tmp_path)
    assert [layer.numbers.shape for layer in layers] == [(2, 2, 1536, TOP)] * 6
    for found in layers:
        assert_lists(found, whole, TOP)
        assert_moments(found, whole)


def test_responses_are_those_of_every_ngram_by_itself(tmp_path: Path) -> None:
    subject, ngrams = minilm()
    few = replace(
        ngrams,
        texts=ngrams.texts[:300],
        lengths=ngrams.lengths[:300],
        token_ids=ngrams.token_ids[: ngrams.lengths[:300].sum()],
    )
    layers = recorded(subject, few, tmp_path, top=5)
    checked = 0
    for found in layers[::2]:
        for neuron in range(0, 1536, 500):
            for aggregator in AGGREGATORS:
                numbers, means, maxima = found.of(1, aggregator)
                for rank, number in enumerate(numbers[neuron].tolist()):
                    if number < 0:
                        continue
                    values = subject.activations(few.texts[number], found.layer)[:, neuron]
                    assert means[neuron, rank] == pytest.approx(values.mean(), abs=1e-5)
                    assert maxima[neuron, rank] == pytest.approx(values.max(), abs=1e-5)
                    checked += 1
    assert checked > 50


KINDS = {"bert": (), "opt": (7,), "gpt2": (), "mixtral": (7,)}
"""Tiny subjects, with what stands before a text. `gpt2` has nothing there, so that its first token counts for nothing."""


@pytest.mark.parametrize("kind", KINDS)
def test_encoders_decoders_and_experts(
    kind: str, make_subject: Callable[[str], Subject], tmp_path: Path
) -> None:
    subject, lead = make_subject(kind), KINDS[kind]
    ngrams = ngrams_of([5, 2, 2, 3, 9, 2] * 60)
    whole = Whole(subject, ngrams, batches(ngrams.lengths), lead)
    for found in recorded(subject, ngrams, tmp_path, lead=lead, top=30):
        assert_lists(found, whole, 30)
        assert_moments(found, whole)


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_that_do_not_count_are_nowhere_but_in_their_own_number(
    kind: str, make_subject: Callable[[str], Subject], tmp_path: Path
) -> None:
    subject, lead = make_subject(kind), KINDS[kind]
    ngrams = ngrams_of([4, 2, 3] * 50)
    whole = Whole(subject, ngrams, batches(ngrams.lengths), lead)
    over = 0
    for found in recorded(subject, ngrams, tmp_path, lead=lead):
        _, highest, lowest = whole.inside[found.layer].swapaxes(0, 1)
        above, below = whole.outside[found.layer].swapaxes(0, 1)
        np.testing.assert_array_equal(found.moments.peaks_excluded, (above > highest).sum(axis=0))
        np.testing.assert_array_equal(found.moments.troughs_excluded, (below < lowest).sum(axis=0))
        over += int(found.moments.peaks_excluded.sum())
    assert over > 0, "else the lists could not show that they are left out"


def test_a_huge_activation_on_special_tokens_changes_nothing(
    make_subject: Callable[[str], Subject], tmp_path: Path
) -> None:
    ngrams = ngrams_of([4, 2, 3] * 50)
    plain = recorded(make_subject("bert"), ngrams, tmp_path / "plain")[0]
    loud = make_subject("bert")
    before = loud.sites[0].module.register_forward_pre_hook(_raise_ends)
    found = recorded(loud, ngrams, tmp_path / "loud")[0]
    before.remove()
    np.testing.assert_array_equal(found.numbers, plain.numbers)
    np.testing.assert_array_equal(found.moments.max_std, plain.moments.max_std)
    assert found.moments.peaks_excluded.tolist() == [len(ngrams)] * 48


def _raise_ends(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Make the activations of [CLS] and [SEP] huge, before anybody looks."""
    raised = given[0].clone()
    raised[:, 0] += 1000
    raised[:, -1] += 1000
    return (raised, *given[1:])


def test_batches_are_of_one_length_and_follow_from_the_set_alone() -> None:
    lengths = np.array([2, 5, 2, 2, 31, 5] * 400)
    plan = batches(lengths)
    assert np.sort(np.concatenate(plan)).tolist() == list(range(len(lengths)))
    assert all(len(set(lengths[batch].tolist())) == 1 for batch in plan)
    of_batch = [int(lengths[batch[0]]) for batch in plan]
    assert of_batch == sorted(of_batch, reverse=True)
    assert all((np.diff(batch) > 0).all() for batch in plan)
    assert max(len(b) * n for b, n in zip(plan, of_batch, strict=True)) <= 1536


class Killed(Exception):
    """As if the process had ended."""


def dying(n: int) -> Callable[[int], None]:
    """Ends a pass behind its n-th batch; the first call tells what had been done before."""
    calls = iter(range(n + 1))

    def advance(_: int) -> None:
        if next(calls, None) is None:
            raise Killed

    return advance


def lives(subject: Subject, ngrams: NgramSet, parent: Path, each: int) -> Iterator[int]:
    """Passes that end after so many batches each, until there are none left; yields what each found done."""
    while True:
        with part_of(subject, parent, ngrams) as part:
            yield part.n_batches
            try:
                record_ngrams(
                    subject, ngrams, part, lead=(), top=20, advance=dying(each), checkpoint=0
                )
            except Killed:
                continue
            return


@pytest.mark.parametrize("each", [1, 2, 3])
def test_ended_behind_any_batch_it_comes_to_the_same(
    each: int, make_subject: Callable[[str], Subject], tmp_path: Path
) -> None:
    subject = make_subject("bert")
    ngrams = ngrams_of([2, 3, 4, 5, 6, 7, 8] * 40)
    undisturbed = recorded(subject, ngrams, tmp_path / "whole", top=20)
    found_done = list(lives(subject, ngrams, tmp_path / "killed", each))
    # The batch that was cut off had not been saved.
    assert found_done == sorted(set(found_done)) and len(found_done) >= 7 // each
    with part_of(subject, tmp_path / "killed", ngrams) as part:
        assert_same(list(part.layers()), undisturbed)


@needs_fork
def test_killed_between_any_two_operations_on_files(
    make_subject: Callable[[str], Subject], tmp_path: Path
) -> None:
    subject, ngrams = make_subject("bert"), ngrams_of([2, 3, 4, 5] * 40)
    undisturbed = recorded(subject, ngrams, tmp_path / "whole", top=20)

    def go_on(name: str, last: int = -1) -> str | None:
        def run() -> None:
            recorded(subject, ngrams, tmp_path / name, top=20, checkpoint=0)

        return in_a_child(lambda: counting_files(run, last=last))

    operations = int(go_on("counted") or 0)
    assert operations > 10
    for last in range(1, operations + 1):
        name = f"killed-{last}"
        assert go_on(name, last) is None
        assert_same(recorded(subject, ngrams, tmp_path / name, top=20), undisturbed)


@needs_fork
def test_a_disk_that_fills_up(make_subject: Callable[[str], Subject], tmp_path: Path) -> None:
    import resource

    subject, ngrams = make_subject("bert"), ngrams_of([2, 3, 4] * 40)

    def go_on() -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))
        with pytest.raises(CollectError) as caught:
            recorded(subject, ngrams, tmp_path / "full", top=20, checkpoint=0)
        return str(caught.value)

    message = in_a_child(go_on)
    assert message is not None
    assert "is full; free some space, and the same command goes on" in message
    whole = recorded(subject, ngrams, tmp_path / "whole", top=20)
    assert_same(recorded(subject, ngrams, tmp_path / "full", top=20), whole)


def test_a_finished_part_is_not_run_again(
    make_subject: Callable[[str], Subject], tmp_path: Path
) -> None:
    subject, ngrams = make_subject("bert"), ngrams_of([3] * 20)
    first = recorded(subject, ngrams, tmp_path)
    seen: list[int] = []
    subject.run = None  # type: ignore[assignment, method-assign]  # nothing may run
    assert_same(recorded(subject, ngrams, tmp_path, advance=seen.append), first)
    assert seen == [20]


def test_two_processes_do_not_share_a_part(
    make_subject: Callable[[str], Subject], tmp_path: Path
) -> None:
    subject, ngrams = make_subject("bert"), ngrams_of([3])
    with part_of(subject, tmp_path, ngrams):
        other = part_of(subject, tmp_path, ngrams)
        with pytest.raises(CollectError, match="another process is recording n-grams"), other:
            pass


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_an_activation_that_is_no_number_is_named(
    bad: float, make_subject: Callable[[str], Subject], tmp_path: Path
) -> None:
    subject, ngrams = make_subject("bert"), ngrams_of([3, 2, 3])

    def spoil(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        spoiled = given[0].clone()
        spoiled[-1, 2, 17] = bad
        return (spoiled, *given[1:])

    subject.sites[1].module.register_forward_pre_hook(spoil)
    with pytest.raises(CollectError, match=r"layer 1, neuron 17: .*“phrase 2” is NaN or infinite"):
        recorded(subject, ngrams, tmp_path)


def test_a_constant_and_a_dead_neuron_have_no_spread_and_no_list(
    make_subject: Callable[[str], Subject], tmp_path: Path
) -> None:
    subject, ngrams = make_subject("bert"), ngrams_of([3, 2, 3, 4] * 20)

    def flatten(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        flat = given[0].clone()
        flat[..., 0], flat[..., 1] = 0.0, 0.3
        return (flat, *given[1:])

    subject.sites[0].module.register_forward_pre_hook(flatten)
    found = recorded(subject, ngrams, tmp_path, top=10)[0]
    for name in ("mean_std", "max_std", "min_std"):
        dead, constant = getattr(found.moments, name)[:2].tolist()
        assert dead == 0 and constant < 1e-6
    assert (found.numbers[:, :, 0] == -1).all()
    assert (found.numbers[0, :, 1] == np.arange(10)).all(), (
        "the commonest n-grams where all are equal"
    )
    assert (found.numbers[1, :, 1] == -1).all()
    assert all(np.isfinite(getattr(found.moments, f.name)).all() for f in fields(found.moments))
