"""The README's code runs, its commands exist, and the worked examples in docstrings hold."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import shlex
from pathlib import Path

import click
import pytest

import neuroexplain
from neuroexplain.cli import cli

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^neuroexplain (.+)$", README.replace("\\\n", ""), flags=re.MULTILINE)
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(neuroexplain.__path__, "neuroexplain.")
    if not module.name.endswith("__main__")
)


def test_python_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL):
        exec(compile(code, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "minilm/" in printed
    assert "(4, 1536)" in printed


@pytest.mark.parametrize("line", COMMANDS)
def test_command_parses(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "work").mkdir()  # the folder of batches
    name, *arguments = shlex.split(line, comments=True)
    command = cli.commands[name]
    while isinstance(command, click.Group) and arguments:
        name, *arguments = arguments
        command = command.commands[name]
    known = {flag for p in command.params for flag in p.opts}
    flags = [argument for argument in arguments if argument.startswith("--")]
    assert set(flags) <= known
    if not any(argument.endswith(".toml") for argument in arguments):
        assert isinstance(command.make_context(name, arguments), click.Context)


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_help_and_environment_variables(name: str) -> None:
    command = cli.commands[name]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.name} has no help"
            assert str(parameter.envvar).startswith("NEUROEXPLAIN_")


@pytest.mark.parametrize("module", MODULES)
def test_worked_examples(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0
