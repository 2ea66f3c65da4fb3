"""`neuroexplain sites`: what is found in a packaged model, and what is said where nothing is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.program import neuroexplain


def autoencoder(folder: Path, inputs: int = 384) -> Path:
    path = folder / "sae.safetensors"
    save_file({"W_enc": torch.ones(inputs, 1000), "b_enc": torch.zeros(1000)}, path)
    return path


def test_a_table_with_totals() -> None:
    shown = neuroexplain("sites", "minilm")
    assert shown.code == 0
    lines = shown.out.splitlines()
    assert lines[0].split() == ["layer", "module", "what", "neurons"]
    assert lines[1].split() == ["0", "encoder.layer.0.output.dense", "input", "1,536"]
    assert "minilm (bert), site mlp: 9,216 neurons in 6 layers" in shown.out
    assert "reads [CLS] TEXT [SEP], 512 tokens at most" in shown.out


def test_json() -> None:
    found = neuroexplain("sites", "minilm", "--site", "attention", "--json").json
    layers = found.pop("layers")
    assert found == {
        "subject": "minilm.attention",
        "architecture": "bert",
        "site": "attention",
        "n_neurons": 6 * 384,
        "prefix": ["[CLS]"],
        "suffix": ["[SEP]"],
        "max_positions": 512,
    }
    assert layers[5] == {
        "layer": 5,
        "stack": None,
        "module": "encoder.layer.5.attention.output.dense",
        "side": "input",
        "latents": False,
        "neurons": 384,
        "experts": None,
        "heads": 12,
    }


@pytest.mark.parametrize(
    ("site", "line"),
    [
        ("attention", "1  encoder.layer.1.attention.output.dense  input, 12 heads x 32      384"),
        ("resid", "1  encoder.layer.1  output      384"),
        ("bert.encoder.layer.{}.attention:output", "1  encoder.layer.1.attention  output      384"),
    ],
)
def test_other_sites(site: str, line: str) -> None:
    assert line in neuroexplain("sites", "minilm", "--site", site).out


def test_an_autoencoder(tmp_path: Path) -> None:
    spec = f"{autoencoder(tmp_path)}@3"
    shown = neuroexplain("sites", "minilm", "--site", "resid", "--sae", spec).out
    assert "3  encoder.layer.3  latents of the output    1,000" in shown
    assert "minilm.sae (bert), site resid sae: 1,000 neurons in 1 layers" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("minilm", "--site", "neurons"), 'unknown site "neurons"; known: mlp, resid, attention'),
        (
            ("minilm", "--site", "encoder.layer.{}.outptu.dense:input"),
            'did you mean "encoder.layer.{}.output.dense"?',
        ),
        (("minilm", "--sae", "none.safetensors"), "no file none.safetensors; --sae wants"),
        (("nowhere/", "--json"), "a subject is one of: minilm"),
    ],
)
def test_one_line_says_what_to_do(arguments: tuple[str, ...], message: str) -> None:
    failed = neuroexplain("sites", *arguments)
    assert (failed.code, failed.out) == (1, "")
    assert message in failed.err
    assert failed.err.count("\n") == 1


def test_help_loads_no_torch() -> None:
    code = (
        "import sys, json\nfrom click.testing import CliRunner\nfrom neuroexplain.cli import cli\n"
        "done = CliRunner().invoke(cli, ['sites', '--help'])\n"
        "print(json.dumps([done.exit_code, 'torch' in sys.modules, 'transformers' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [0, False, False]
