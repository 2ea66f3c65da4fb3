"""Files bear their names only when they are whole, and the same content gives the same bytes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from neuroexplain.errors import ExchangeError
from neuroexplain.exchange.files import Growing, line, write_lines
from neuroexplain.exchange.lines import objects
from tests.disks import small_disk


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_file_has_its_name_when_it_is_finished(name: str, tmp_path: Path) -> None:
    path = tmp_path / "below" / name
    file = Growing(path)
    file.write(b"{}\n" * 10_000)
    assert not path.exists()
    file.finish()
    assert [p.name for p in path.parent.iterdir()] == [name]
    assert sum(1 for _ in objects(path, name)) == 10_000


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_file_that_breaks_off_leaves_the_one_before_it(name: str, tmp_path: Path) -> None:
    write_lines(tmp_path / name, [{"first": 1}])
    before = (tmp_path / name).read_bytes()
    with pytest.raises(RuntimeError), Growing(tmp_path / name) as file:
        file.write(b"half")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == before


def test_gzip_has_neither_time_nor_name(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_lines(tmp_path / name, [{"text": "氷 🧊 \udc80"}])
    one, other = ((tmp_path / name).read_bytes() for name in ("a.jsonl.gz", "b.jsonl.gz"))
    assert one == other
    assert one[4:8] == bytes(4)
    assert json.loads(gzip.decompress(one)) == {"text": "氷 🧊 \udc80"}


def test_nan_never_reaches_a_file() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        line({"value": float("nan")})


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_full_disk_is_one_line_and_leaves_no_part(name: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(100_000).hex()
    with small_disk(tmp_path, 0.25) as disk:
        with pytest.raises(ExchangeError, match=rf"{name}: cannot be written: No space left"):
            write_lines(disk / name, ({"noise": noise[n:]} for n in range(100)))
        assert list(disk.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExchangeError, match=r"a\.jsonl: cannot be written: "):
        write_lines(tmp_path / "file" / "a.jsonl", [{}])
