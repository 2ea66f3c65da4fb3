"""However a collection is carried out, the same comes out, bit for bit: stopped, killed, in shards, layer by layer."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroexplain.collectors.collect import Advance, run_batch
from neuroexplain.collectors.layer import LayerState
from neuroexplain.collectors.merge import merged
from neuroexplain.collectors.part import Part, complete, read_parts
from neuroexplain.collectors.plan import Plan, steps
from neuroexplain.errors import CollectError
from neuroexplain.recorded import LayerCollection, TokenCorpus
from neuroexplain.subjects import Subject
from tests.collectors.recording import CONFIG, LENGTHS, assert_same, part_of, run

MakeSubject = Callable[[str], Subject]
MakeCorpus = Callable[..., TokenCorpus]

BATCH = 3


@dataclass(frozen=True)
class Setting:
    """A subject and a plan, with what comes out of a pass that nothing disturbs."""

    subject: Subject
    plan: Plan
    whole: list[LayerCollection]

    def part(self, parent: Path, **options: Any) -> Part:
        return part_of(self.subject, parent, self.plan, batch_size=BATCH, **options)

    def run(self, part: Part, advance: Advance | None = None, checkpoint: float = 60.0) -> None:
        run(self.subject, self.plan, part, advance=advance, checkpoint=checkpoint)

    def interrupt(self, part: Part, after: int, number: int = signal.SIGINT) -> None:
        """Run so many batches, then Ctrl-C: the last thing done is a checkpoint."""
        with pytest.raises(KeyboardInterrupt):
            self.run(part, At(after, lambda: signal.raise_signal(number)))

    def crash(self, part: Part, after: int, checkpoint: float = 60.0) -> None:
        """Run so many batches, then stop without a checkpoint."""
        with pytest.raises(Crash):
            self.run(part, At(after, _crash), checkpoint)

    def assert_whole(self, parts: Sequence[Part]) -> None:
        """The parts make the whole."""
        assert_same(list(merged(parts, self.plan)), self.whole)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


class Crash(BaseException):
    """Nothing that anyone would catch."""


def _crash() -> None:
    raise Crash


class At:
    """Progress that does something after so many batches; the first call tells what was done before."""

    def __init__(self, batches: int, do: Callable[[], None]) -> None:
        self._left = batches + 1
        self._do = do

    def __call__(self, tokens: int, note: str) -> None:
        self._left -= 1
        if self._left == 0:
            self._do()


@pytest.fixture
def make_setting(
    make_subject: MakeSubject, make_corpus: MakeCorpus, tmp_path: Path
) -> Callable[[str], Setting]:
    def make(kind: str) -> Setting:
        subject = make_subject(kind)
        plan = Plan.of(make_corpus(first=subject.first, **LENGTHS), CONFIG, BATCH)
        assert len(plan.batches) > 25
        part = part_of(subject, tmp_path / "whole", plan, batch_size=BATCH)
        run(subject, plan, part)
        return Setting(subject, plan, list(merged([part], plan)))

    return make


@pytest.fixture
def setting(make_setting: Callable[[str], Setting]) -> Setting:
    return make_setting("gpt2")


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != ".lock"
    }


@pytest.mark.parametrize("kind", ["gpt2", "bert"])
def test_two_halves_are_the_whole(
    kind: str, make_setting: Callable[[str], Setting], tmp_path: Path
) -> None:
    setting = make_setting(kind)
    half = len(setting.plan.batches) // 2
    part = setting.part(tmp_path / "halves")
    setting.interrupt(part, half, signal.SIGINT if kind == "gpt2" else signal.SIGTERM)
    assert [p.name for p in part.folder.glob("at-*")] == [f"at-{half}"]
    again = setting.part(tmp_path / "halves")
    batches: list[int] = []
    setting.run(again, lambda tokens, note: batches.append(tokens))
    assert len(batches) == 1 + len(setting.plan.batches) - half
    assert sum(batches) == setting.plan.corpus.span_length.sum()
    assert not list(again.folder.glob("at-*")) and again.finished
    setting.assert_whole([again])


def test_a_checkpoint_holds_the_same_bytes_after_an_interruption(
    setting: Setting, tmp_path: Path
) -> None:
    one, two = setting.part(tmp_path / "one"), setting.part(tmp_path / "two")
    setting.interrupt(one, 10)
    setting.interrupt(two, 5)
    setting.interrupt(two, 5)
    assert (two.folder / "at-10").is_dir()
    first, second = files(one.folder), files(two.folder)
    assert list(first) == list(second)
    assert [name for name in first if first[name] != second[name]] == []
    for part in (one, two):
        setting.run(part)
    assert files(one.folder) == files(two.folder)


@pytest.mark.parametrize("seed", range(20))
def test_stopped_anywhere_and_resumed(seed: int, setting: Setting, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    left = len(setting.plan.batches)
    folder = tmp_path / "stopped"
    for _ in range(3):
        batches = int(rng.integers(1, left // 3 + 1))
        if rng.random() < 0.5:
            setting.interrupt(setting.part(folder), batches)
            left -= batches
        else:
            setting.crash(setting.part(folder), batches)
    part = setting.part(folder)
    setting.run(part)
    setting.assert_whole([part])


def test_what_was_written_beyond_the_checkpoint_is_written_again(
    setting: Setting, tmp_path: Path
) -> None:
    part = setting.part(tmp_path / "further")
    setting.interrupt(part, 3)
    saved = files(part.folder)
    setting.crash(part, 12)
    beyond = files(part.folder)
    spools = [name for name in saved if name.startswith(("spans", "tokens"))]
    assert len(spools) == 6
    assert sum(len(beyond[name]) > len(saved[name]) for name in spools) == 6
    for name in spools:
        # What a power cut left behind the checkpoint may be anything.
        size = len(beyond[name]) - len(saved[name])
        (part.folder / name).write_bytes(saved[name] + b"\xff" * size)
    setting.run(part)
    setting.assert_whole([part])


def in_a_child(do: Callable[[], str]) -> str | None:
    """What something in a process of its own says; None where it was killed."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        with os.fdopen(reading) as pipe:
            told = pipe.read()
        killed = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
        assert "Traceback" not in told, told
        return None if killed else told
    try:
        told = do()
    except BaseException:  # noqa: BLE001  told to the other process
        told = traceback.format_exc()
    os.write(writing, told.encode())
    os._exit(0)


def counting_files(do: Callable[[], None], last: int = -1) -> str:
    """How many times files were opened, moved or removed; at the last the process dies."""
    count = 0

    def audit(event: str, _: Any) -> None:
        nonlocal count
        if event in ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove"):
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)
    do()
    return str(count)


@needs_fork
def test_killed_between_any_two_operations_on_files(setting: Setting, tmp_path: Path) -> None:
    def begun(name: str) -> Part:
        part = setting.part(tmp_path / name)
        setting.interrupt(part, 4)
        return part

    def go_on(part: Part, last: int = -1) -> str | None:
        return in_a_child(
            lambda: counting_files(
                lambda: setting.run(Part.read(part.folder), checkpoint=0), last=last
            )
        )

    operations = int(go_on(begun("counted")) or 0)
    assert operations > 40
    for last in np.linspace(1, operations, 20).round().astype(int).tolist():
        part = begun(f"killed-{last}")
        assert go_on(part, last) is None
        setting.run(part)
        setting.assert_whole([part])


@needs_fork
@pytest.mark.parametrize("limit", [100, 5_000, 30_000])
def test_a_disk_that_fills_up(limit: int, setting: Setting, tmp_path: Path) -> None:
    """No file may grow beyond a limit: in the spools, or in a checkpoint."""
    import resource

    part = setting.part(tmp_path / "full")
    setting.interrupt(part, 4)

    def go_on() -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        with pytest.raises(CollectError) as caught:
            setting.run(Part.read(part.folder), checkpoint=0)
        return str(caught.value)

    message = in_a_child(go_on)
    assert message is not None and str(part.folder) in message
    assert "is full; free some space, and the same command goes on" in message
    assert len([path for path in part.folder.glob("at-*") if path.suffix != ".tmp"]) == 1
    setting.run(part)
    setting.assert_whole([part])


@pytest.mark.parametrize("shards", [1, 2, 7, 60])
def test_shards_make_the_whole(shards: int, setting: Setting, tmp_path: Path) -> None:
    """60 shards are more than there are batches."""
    for number in range(1, shards + 1):
        setting.run(setting.part(tmp_path / "shards", shard=number, shards=shards))
    parts = complete(read_parts(tmp_path / "shards"))
    assert len(parts) == shards
    setting.assert_whole(parts)
    setting.assert_whole(parts[::-1])


def test_a_shard_is_resumed(setting: Setting, tmp_path: Path) -> None:
    parts = [setting.part(tmp_path / "shards", shard=n, shards=3) for n in (1, 2, 3)]
    for part in parts:
        setting.interrupt(part, 2)
        setting.crash(part, 3)
        setting.run(part)
    setting.assert_whole(parts)


def test_layers_of_their_own_make_the_whole(setting: Setting, tmp_path: Path) -> None:
    parts = [setting.part(tmp_path / "layers", layers=[layer]) for layer in (1, 0)]
    for part in parts:
        setting.run(part)
    setting.assert_whole(parts)


def test_a_finished_part_is_not_run_again(setting: Setting, tmp_path: Path) -> None:
    part = setting.part(tmp_path / "done")
    setting.run(part)
    before = files(part.folder)
    told: list[tuple[int, str]] = []
    setting.run(part, lambda tokens, note: told.append((tokens, note)))
    assert told == [(setting.plan.corpus.span_length.sum(), "done before")]
    assert files(part.folder) == before


def test_a_part_is_one_process_s_alone(setting: Setting, tmp_path: Path) -> None:
    part, other = (setting.part(tmp_path / "mine") for _ in range(2))
    with part, pytest.raises(CollectError, match=r"another process .* wait for it, or stop it"):
        setting.run(other)
    setting.run(other)
    setting.assert_whole([other])


def test_a_second_interruption_ends_it_at_once(setting: Setting, tmp_path: Path) -> None:
    part = setting.part(tmp_path / "twice")
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def both() -> None:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        setting.run(part, At(3, both))
    assert not list(part.folder.glob("at-*"))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_threads_that_sort_change_nothing(setting: Setting, tmp_path: Path) -> None:
    """As beside an accelerator."""
    states: list[dict[int, LayerState]] = []
    for name, pool in (("plain", None), ("threads", ThreadPoolExecutor(2))):
        with setting.part(tmp_path / name) as part:
            made = {
                layer: LayerState(layer, 48, setting.plan, part.spools[layer], pool=pool)
                for layer in (0, 1)
            }
            for step in _first_split(setting.plan):
                run_batch(
                    setting.subject,
                    setting.plan,
                    (0, 1),
                    step,
                    lambda seen: made[seen.layer].update(seen, step),  # noqa: B023  called at once
                )
            arrays = {layer: state.arrays() for layer, state in made.items()}
        if pool is not None:
            pool.shutdown()
        states.append(made)
        for layer in (0, 1):
            for key, array in states[0][layer].arrays().items():
                np.testing.assert_array_equal(arrays[layer][key], array, err_msg=key)


def _first_split(plan: Plan) -> Iterator[Any]:
    return (step for step in steps(plan, plan.batches) if step.batch.split == 0)
