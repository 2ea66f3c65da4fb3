"""Which versions of which packages made a result; stored with every run."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from neuroexplain import __version__

_PACKAGES = (
    "numpy",
    "openai",
    "safetensors",
    "scipy",
    "sqlmodel",
    "tokenizers",
    "torch",
    "transformers",
)


@cache
def versions() -> dict[str, str]:
    """Name to version, for this package, Python and what results depend on."""
    found = {"neuroexplain": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
