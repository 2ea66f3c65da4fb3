from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from neuroexplain.errors import ConfigError, SubjectError
from neuroexplain.llm import create


def test_the_forms(tmp_path: Path) -> None:
    script = tmp_path / "s.jsonl"
    script.write_text('{"reply": "a"}\n')
    assert create("none") is None
    scripted, server = create(f"scripted:{script}"), create("openai:a:b", base_url="http://h/v1")
    assert scripted is not None
    assert scripted.spec == f"scripted:{script}"
    assert server is not None
    assert server.identity == "openai:a:b@http://h/v1"


@pytest.mark.parametrize("spec", ["", "gpt-5", "openai:", "local:", "scripted:", "none:x", "batch"])
def test_a_wrong_spec_names_the_forms(spec: str) -> None:
    with pytest.raises(
        ConfigError, match="write openai:MODEL, local:SUBJECT, scripted:FILE, batch:DIR or none"
    ):
        create(spec)


def test_an_unknown_local_model(tmp_path: Path) -> None:
    with pytest.raises(SubjectError):
        create(f"local:{tmp_path}")


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, neuroexplain.llm, neuroexplain.llm.local, neuroexplain.llm.ledger;"
        "heavy = {'torch', 'transformers', 'openai', 'tenacity', 'httpx2'} & sys.modules.keys();"
        "sys.exit(str(sorted(heavy)) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
