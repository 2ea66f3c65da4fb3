"""A small real catalogue."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.program import SMALL, neuroexplain


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue with 60 neurons of minilm's layer 0, explained by n-grams; not to be written to."""
    path = tmp_path_factory.mktemp("swept") / "catalogue.sqlite"
    result = neuroexplain("sweep", *SMALL, "--neurons", "0:0-59", "--catalogue", str(path))
    assert result.code == 0, result.err
    return path


@pytest.fixture
def catalogue(swept: Path, tmp_path: Path) -> Path:
    """A copy of it to write to."""
    return Path(shutil.copy(swept, tmp_path / "catalogue.sqlite"))
