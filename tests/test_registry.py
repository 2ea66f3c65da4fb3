from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from neuroexplain import registry
from neuroexplain.errors import PluginError
from neuroexplain.llm.base import LLM
from neuroexplain.registry import PluginKind

Build = Any  # of conftest.py, which cannot be imported

BUILT_IN = [(kind, name) for kind in registry.PLUGIN_KINDS for name in registry.BUILT_IN[kind]]


@dataclass(frozen=True)
class Sample:
    """A plug-in with a setting of every type.

    More of it.
    """

    llm: LLM
    word: str
    count: int = 3
    share: float = 0.5
    loud: bool = False
    extra: Mapping[str, int] = field(default_factory=dict)
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError("count must be at least 1")


@pytest.fixture
def sample() -> Iterator[str]:
    known = dict(registry._registered)
    registry.register("scorer", "a-sample")(Sample)
    yield "a-sample"
    registry._registered.clear()
    registry._registered.update(known)


@pytest.mark.parametrize(("kind", "name"), BUILT_IN)
def test_built_ins_are_complete(build: Build, kind: PluginKind, name: str) -> None:
    cls = registry.find(kind, name)
    assert name in registry.names(kind)
    assert cls.__module__ == registry.BUILT_IN[kind][name]
    assert cls.__dataclass_params__.frozen
    assert registry.summary(cls).endswith(".")
    required = {k: "text" for k, default in registry.settings(cls).items() if default is ...}
    llm = build.scripted("a reply")
    if name == "logprob":  # a scripted model has no probabilities
        with pytest.raises(
            PluginError, match=r'simulator "logprob": scripted:test gives no prob.*local:'
        ):
            registry.create(kind, name, required, llm)
        return
    made = registry.create(kind, name, required, llm)
    assert registry.chosen(made) == registry.settings(cls) | required
    assert getattr(made, "name", name) == name


@pytest.mark.parametrize("kind", registry.PLUGIN_KINDS)
def test_unknown_names_list_the_known(kind: PluginKind) -> None:
    known = registry.names(kind)
    assert known == sorted(known)
    wrong = f"{known[0]}x"
    with pytest.raises(PluginError) as caught:
        registry.find(kind, wrong)
    expected = f'unknown {kind} "{wrong}"; known: {", ".join(known)}; did you mean "{known[0]}"?'
    assert str(caught.value) == expected


def test_unknown_settings_list_the_valid() -> None:
    with pytest.raises(PluginError) as caught:
        registry.check("explainer", "ngram", {"order": 2})
    assert str(caught.value) == (
        'explainer "ngram": unknown setting "order"; known: orders, prior, size; did you mean "orders"?'
    )


def test_the_language_model_is_no_setting(sample: str) -> None:
    assert list(registry.settings(Sample)) == ["word", "count", "share", "loud", "extra", "limit"]
    assert registry.settings(Sample)["word"] is ...
    assert registry.settings(Sample)["extra"] == {}
    assert registry.needs_llm(Sample)
    assert registry.summary(Sample) == "A plug-in with a setting of every type."
    with pytest.raises(PluginError, match='unknown setting "llm"'):
        registry.check("scorer", sample, {"llm": "x", "word": "y"})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"count": "7"}, {"count": 7}),
        ({"count": 7.0}, {"count": 7}),
        ({"share": "1e-3"}, {"share": 0.001}),
        ({"share": 1}, {"share": 1.0}),
        ({"loud": "True"}, {"loud": True}),
        ({"loud": False}, {"loud": False}),
        ({"extra": '{"a": 1}'}, {"extra": {"a": 1}}),
        ({"extra": {"a": 1}}, {"extra": {"a": 1}}),
        ({"limit": "4"}, {"limit": 4}),
        ({"limit": "null"}, {"limit": None}),
        ({"word": "12"}, {"word": "12"}),
    ],
)
def test_settings_are_converted(
    sample: str, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = registry.check("scorer", sample, {"word": "w", **given})
    assert found == {"word": "w", **expected}
    assert {k: type(v) for k, v in found.items()} == {
        k: type(v) for k, v in {"word": "w", **expected}.items()
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"count": "3.5"}, "setting count must be int, not '3.5'"),
        ({"count": 3.5}, "setting count must be int, not 3.5"),
        ({"count": True}, "setting count must be int, not True"),
        ({"count": float("inf")}, "setting count must be int, not inf"),
        ({"count": None}, "setting count must be int, not None"),
        ({"share": "nan"}, "setting share must be float, not 'nan'"),
        ({"share": float("inf")}, "setting share must be float, not inf"),
        ({"share": [1]}, "setting share must be float, not [1]"),
        ({"share": 10**400}, f"setting share must be float, not {10**400}"),
        ({"loud": "yes"}, "setting loud must be bool, not 'yes'"),
        ({"loud": 1}, "setting loud must be bool, not 1"),
        ({"word": 12}, "setting word must be str, not 12"),
        ({"count": 0}, "count must be at least 1"),
    ],
)
def test_wrong_values_are_named(
    build: Build, sample: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(PluginError) as caught:
        registry.create("scorer", sample, {"word": "w", **given}, build.scripted())
    assert str(caught.value) == f'scorer "a-sample": {message}'


def test_what_is_missing_is_named(build: Build, sample: str) -> None:
    with pytest.raises(PluginError, match='"a-sample" needs the setting word: --set word=VALUE'):
        registry.create("scorer", sample, {}, build.scripted())
    with pytest.raises(PluginError, match='"a-sample" needs a language model: --llm openai:MODEL'):
        registry.create("scorer", sample, {"word": "w"})
    with pytest.raises(PluginError, match='"fixed" needs the setting text: --set text=VALUE'):
        registry.check("explainer", "fixed", {})


def test_a_model_is_not_forced_on_a_plugin_that_takes_none(build: Build) -> None:
    made = registry.create("explainer", "token-table", {"size": "9"}, build.scripted())
    assert dataclasses.asdict(made) == {"size": 9}


def test_duplicates_are_refused(sample: str) -> None:
    @dataclass(frozen=True)
    class Other:
        """Another."""

    message = rf'two scorers are called "a-sample": {__name__}\.Sample and .*Other; rename'
    with pytest.raises(PluginError, match=message):
        registry.register("scorer", sample)(Other)
    # The same class again is what a reloaded module does; another kind is another name.
    assert registry.register("scorer", sample)(Sample) is Sample
    assert registry.register("explainer", sample)(Other) is Other


def test_nobody_takes_the_name_of_a_built_in() -> None:
    @dataclass(frozen=True)
    class Mine:
        """Mine."""

    with pytest.raises(PluginError, match=r'two simulators are called "ngram": neuroexplain\.sim'):
        registry.register("simulator", "ngram")(Mine)
    assert registry.find("simulator", "ngram").__module__ == "neuroexplain.simulators.ngram"


OUTSIDE = '''
from dataclasses import dataclass
from neuroexplain.registry import register

@register("scorer", "rank")
@dataclass(frozen=True)
class Rank:
    """Spearman's rank correlation."""
    ties: str = "average"
'''


def install(
    folder: Path, project: str, module: str, source: str, points: Mapping[str, str]
) -> None:
    """A package as an installer leaves it: a module and its `.dist-info`."""
    info = folder / f"{project}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    metadata = f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    lines = ["[neuroexplain.scorers]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


def ask(folder: Path, code: str) -> str:
    """What a fresh interpreter that sees the packages prints; a PluginError is printed as its message."""
    program = (
        "from neuroexplain import registry\nfrom neuroexplain.errors import PluginError\n"
        f"try:\n    {code}\nexcept PluginError as error:\n    print(error)\n"
    )
    root = Path(registry.__file__).parents[1]
    path = os.pathsep.join([str(folder), str(root)])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_plugins_of_other_packages(tmp_path: Path) -> None:
    install(tmp_path, "ranks", "ranks", OUTSIDE, {"rank": "ranks:Rank"})
    code = 'print(registry.names("scorer"), registry.create("scorer", "rank", {"ties": "min"}))'
    every = sorted({*registry.BUILT_IN["scorer"], "rank"})
    assert ask(tmp_path, code) == f"{every} Rank(ties='min')"


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (
            {"rank": "nowhere:Rank"},
            'scorer "rank" (nowhere:Rank) cannot be imported: No module named',
        ),
        ({"rank": "ranks:Nothing"}, 'scorer "rank" (ranks:Nothing) cannot be imported: module'),
        (
            {"other": "ranks:Rank"},
            'ranks:Rank registers no scorer "other"; its class needs @register("scorer", "other")',
        ),
        (
            {"correlation": "ranks:Rank"},
            'two scorers are called "correlation", in neuroexplain.scorers.correlation and in ranks:Rank; '
            "uninstall the package of one of them",
        ),
    ],
)
def test_broken_plugins_of_other_packages(
    tmp_path: Path, points: dict[str, str], message: str
) -> None:
    install(tmp_path, "ranks", "ranks", OUTSIDE, points)
    (name,) = points
    code = f'registry.names("scorer"); registry.find("scorer", "{name}")'
    answer = ask(tmp_path, code)
    assert answer.startswith(message)
    assert "\n" not in answer


def test_two_packages_with_one_name(tmp_path: Path) -> None:
    install(tmp_path / "a", "ranks", "ranks", OUTSIDE, {"rank": "ranks:Rank"})
    install(tmp_path / "b", "ranks2", "ranks2", OUTSIDE, {"rank": "ranks2:Rank"})
    path = Path(os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b")]))
    answer = ask(path, 'registry.names("scorer")')
    assert answer.startswith('two scorers are called "rank", in ranks')
