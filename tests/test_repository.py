"""What the code promises about itself: which way imports point, what loads when, what is in the wheel."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import neuroexplain
from neuroexplain.registry import BUILT_IN, PLUGIN_KINDS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "neuroexplain"

# What each part may import of the others; everything may import the bottom row.
BOTTOM = {"records", "calls", "recorded", "exchanged", "reviewed", "errors", "config"}
ALLOWED: dict[str, set[str]] = {
    "records": {"errors"},
    "calls": {"records"},
    "recorded": {"records"},
    "exchanged": {"records"},
    "reviewed": {"records"},
    "config": {"errors"},
    "errors": set(),
    "levels": set(),
    "resources": set(),
    "words": set(),
    "thinning": {"words"},
    "lifts": {"words"},
    "versions": {"__init__"},
    "registry": set(),
    "templates": {"levels", "resources"},
    "selection": set(),
    "heldout": {"levels"},
    "workers": set(),
    "subjects": set(),
    "corpora": set(),
    "llm": {"levels", "templates", "subjects"},
    "catalogue": {"levels", "lifts", "resources", "thinning", "words"},
    "heat": {"levels"},
    "exchange": {"heat", "levels"},
    "collectors": {"corpora", "subjects", "words"},
    "explainers": {"levels", "llm", "registry", "templates", "words"},
    "simulators": {"levels", "llm", "recent", "registry", "subjects", "templates", "words"},
    "scorers": {"levels", "llm", "registry", "templates"},
    "pipeline": {"explainers", "simulators", "scorers", "registry"},
    "rings": set(),
    "recent": set(),
    "locks": set(),
    "run": {"catalogue", "llm", "locks", "versions", "workers"},
    "collecting": {"catalogue", "collectors", "corpora", "run", "selection", "subjects"},
    "ngrams": {"catalogue", "collecting", "collectors", "corpora", "run", "subjects"},
    "preparing": {
        *("catalogue", "collecting", "collectors", "explainers", "ngrams", "run", "selection"),
        "subjects",
    },
    "matching": {
        *("catalogue", "collectors", "corpora", "llm", "registry", "run", "scorers", "subjects"),
        "words",
    },
    "comparing": {"catalogue", "matching"},
    "responding": {"collectors", "comparing", "run", "scorers", "subjects"},
    "synthesising": {
        *("catalogue", "collecting", "comparing", "llm", "matching", "ngrams", "responding", "run"),
        *("scorers", "subjects"),
    },
    "batches": {"llm", "run"},
    "models": {"batches", "llm", "registry", "run"},
    "explaining": {"catalogue", "explainers", "llm", "pipeline", "registry", "run"},
    "tracks": {"registry", "scorers"},
    "truth": {"catalogue", "heldout"},
    "judging": {
        *(
            "catalogue",
            "pipeline",
            "recent",
            "registry",
            "scorers",
            "simulators",
            "tracks",
            "truth",
        ),
    },
    "judges": {"catalogue", "judging", "workers"},
    "simulating": {
        *("catalogue", "explaining", "heldout", "llm", "pipeline", "registry", "run", "tracks"),
        "truth",
    },
    "choosing": {
        *("catalogue", "explainers", "explaining", "llm", "pipeline", "registry", "run"),
        *("simulating", "truth"),
    },
    "scoring": {
        *("catalogue", "explaining", "judging", "llm", "registry", "run", "simulating", "tracks"),
    },
    "jobs": {
        *("catalogue", "explaining", "rings", "run", "scoring", "selection", "simulating"),
    },
    "runner": {
        *("catalogue", "choosing", "collecting", "explaining", "jobs", "judges", "judging"),
        *("models", "preparing", "registry", "rings", "run", "scoring", "selection", "subjects"),
        *("synthesising", "tracks"),
    },
    "puzzles": {"levels", "pipeline", "registry", "simulators"},
    "puzzling": {"models", "puzzles", "registry", "run"},
    "retrying": {"catalogue", "llm", "run", "runner"},
    "pretending": {"catalogue", "llm", "templates"},
    "indexing": {"catalogue", "recent", "run", "subjects"},
    "searching": {
        *("catalogue", "collecting", "collectors", "indexing", "recent", "run", "subjects"),
    },
    "exporting": {"catalogue", "run", "searching", "selection"},
    "importing": {"catalogue", "exchange", "locks", "run"},
    "estimating": {
        *("batches", "catalogue", "choosing", "collecting", "explainers", "explaining", "llm"),
        *(
            "models",
            "pipeline",
            "pretending",
            "registry",
            "run",
            "runner",
            "selection",
            "simulating",
        ),
        *("tracks", "truth"),
    },
    "reporting": {"__init__", "catalogue", "levels", "registry", "selection"},
    "agreement": set(),
    "queueing": {"catalogue", "levels", "run", "searching", "words"},
    "appraising": {"agreement", "catalogue"},
    "readers": {"llm", "registry", "scoring"},
    "rescoring": {
        *("catalogue", "explainers", "explaining", "judging", "llm", "models", "readers"),
        *("registry", "run", "runner", "scorers", "scoring", "simulating", "tracks", "truth"),
    },
    "review": {
        *("__init__", "agreement", "appraising", "catalogue", "collecting", "corpora", "heat"),
        *("heldout",),
        *(
            "levels",
            "llm",
            "pipeline",
            "queueing",
            "readers",
            "registry",
            "rescoring",
            "run",
            "scorers",
            "searching",
            "subjects",
            "truth",
            "words",
        ),
    },
    "api": {
        *("catalogue", "collecting", "llm", "reporting", "run", "runner", "scoring", "subjects"),
    },
    "testing": {"catalogue", "corpora", "subjects", "words"},
    "cli": {
        *("agreement", "appraising", "exporting", "importing", "indexing", "queueing", "readers"),
        *("review", "searching"),
        *("__init__", "catalogue", "collecting", "estimating", "levels", "llm", "locks"),
        *(
            "puzzles",
            "puzzling",
            "ngrams",
            "registry",
            "reporting",
            "retrying",
            "run",
            "runner",
            "scoring",
        ),
        *("subjects", "tracks"),
    },
    "__init__": {"api", "catalogue", "errors", "records", "registry", "searching", "subjects"},
    "__main__": {"cli"},
}
TORCH = {"subjects", "collectors", "llm", "testing"}


def imports(path: Path) -> set[str]:
    """Parts of the package, and other packages, that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            if node.module == "neuroexplain":
                found |= {f"neuroexplain.{alias.name}" for alias in node.names}
                found.discard("neuroexplain")
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def part(path: Path) -> str:
    """The part of the package that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_imports_point_down(path: Path) -> None:
    here = part(path)
    used = set()
    for module in imports(path):
        root, _, rest = module.partition(".")
        if root == "neuroexplain":
            name = rest.partition(".")[0]
            exists = (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()
            used.add(name if exists else "__init__")
    assert used - {here} - BOTTOM <= ALLOWED[here], (
        f"{here} imports {used - {here} - BOTTOM - ALLOWED[here]}"
    )
    packages = {module.partition(".")[0] for module in imports(path)}
    if "torch" in packages:
        assert here in TORCH | {"collecting"}, f"{path} imports torch"
    if packages & {"sqlmodel", "sqlalchemy", "sqlite3"}:
        assert here == "catalogue", f"{path} imports the database"
    if packages & {"fastapi", "starlette", "uvicorn"}:
        assert here == "review", f"{path} imports the web framework"


@pytest.mark.parametrize("command", ["--help", "search --help", "sweep --help", "plugins"])
def test_reading_commands_load_no_torch(command: str) -> None:
    code = (
        "import sys\nfrom neuroexplain.cli import cli\n"
        f"cli(args={command.split()!r}, standalone_mode=False)\n"
        "assert not {'torch', 'transformers', 'openai'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_search_and_show_load_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom neuroexplain import Catalogue\n"
        f"Catalogue({str(tmp_path / 'c.sqlite')!r}).search('x')\n"
        "import neuroexplain.cli.heat\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_public_names() -> None:
    assert neuroexplain.__all__ == sorted(neuroexplain.__all__, key=str)
    assert all(getattr(neuroexplain, name) is not None for name in neuroexplain.__all__)
    with pytest.raises(AttributeError, match="no attribute"):
        neuroexplain.nothing  # noqa: B018


def test_every_plugin_is_in_the_readme_and_has_a_test() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for kind in PLUGIN_KINDS:
        for name in BUILT_IN[kind]:  # other tests register their own
            assert f"`{name}`" in readme, f"{kind} {name} is not in README.md"
            folder = ROOT / "tests" / f"{kind}s"
            assert (folder / f"test_{name.replace('-', '_')}.py").is_file(), (
                f"{kind} {name} has no test file"
            )


def test_wheel_holds_exactly_what_is_shipped(tmp_path: Path) -> None:
    stray = ROOT / "db" / "stray.sqlite"
    stray.touch()
    try:
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
            check=True, capture_output=True, cwd=ROOT, timeout=120,
        )  # fmt: skip
    finally:
        stray.unlink()
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
        archive.extractall(tmp_path / "site")
    expected = {f"neuroexplain/{p.relative_to(PACKAGE)}" for p in _files(PACKAGE)}
    for folder in ("prompts", "db"):
        expected |= {f"neuroexplain/_shipped/{p.relative_to(ROOT)}" for p in _files(ROOT / folder)}
    assert shipped == expected
    code = (
        "from neuroexplain import templates, Catalogue\nimport neuroexplain\n"
        "assert 'site' in neuroexplain.__file__, neuroexplain.__file__\n"
        "assert templates.render('sparse/system.jinja')\n"
        "Catalogue('new.sqlite').close()"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=60,
        env={"PYTHONPATH": str(tmp_path / "site"), "PATH": ""},
    )  # fmt: skip


def test_constraints_pin_what_the_project_names() -> None:
    lines = (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf-8").lower().splitlines()
    pinned = {line.partition("==")[0].replace("_", "-") for line in lines if "==" in line}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    named = {entry.partition(">")[0].partition("[")[0].lower() for entry in wanted}
    assert named <= pinned, f"not pinned: {sorted(named - pinned)}"


def _files(folder: Path) -> list[Path]:
    return [
        p for p in folder.rglob("*")
        if p.is_file() and "__pycache__" not in p.parts and ".sqlite" not in p.name
    ]  # fmt: skip
