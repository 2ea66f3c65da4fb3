"""Conversion of a tiny GGUF file that is written here, into a cache folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroexplain.errors import SubjectError
from neuroexplain.subjects import Subject
from neuroexplain.subjects import gguf as conversion
from neuroexplain.subjects.loading import load_causal_lm

gguf = pytest.importorskip("gguf")
pytest.importorskip("accelerate")

HIDDEN, WIDTH, LAYERS = 32, 96, 2
VOCABULARY = 260
TEXT = "the river"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, wherever this platform has its own."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(conversion, "user_cache_path", lambda name: folder / name)
    return folder / "neuroexplain" / "gguf"


def tensors(tied: bool = False) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return rng.normal(0, 0.2, shape).astype(np.float32)

    named = {
        "token_embd.weight": weights(VOCABULARY, HIDDEN),
        "output.weight": weights(VOCABULARY, HIDDEN),
        "output_norm.weight": np.ones(HIDDEN, np.float32),
    }
    for layer in range(LAYERS):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            named[f"blk.{layer}.{part}.weight"] = weights(HIDDEN, HIDDEN)
        for part in ("ffn_gate", "ffn_up"):
            named[f"blk.{layer}.{part}.weight"] = weights(WIDTH, HIDDEN)
        named[f"blk.{layer}.ffn_down.weight"] = weights(HIDDEN, WIDTH)
        for part in ("attn_norm", "ffn_norm"):
            named[f"blk.{layer}.{part}.weight"] = np.ones(HIDDEN, np.float32)
    if tied:
        del named["output.weight"]
    return named


def write(path: Path, named: dict[str, np.ndarray[Any, np.dtype[np.float32]]]) -> Path:
    """A Llama with a byte-level vocabulary."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    tokens = ["<s>", "</s>", *letters, "th", "the"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // 4)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_merges(["t h", "th e"])
    writer.add_token_types([3, 3, *[1] * (VOCABULARY - 2)])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    for name, values in named.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    return write(tmp_path / "brook.gguf", tensors())


@pytest.mark.parametrize("tied", [False, True])
def test_a_gguf_file_is_converted_once(
    tied: bool, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tensors(tied)
    model_file = write(tmp_path / "brook.gguf", written)
    subject = Subject.load(str(model_file))
    subject.verify()
    assert (subject.name, subject.info.widths) == ("brook", (WIDTH,) * LAYERS)
    embedding: Any = subject.model.get_input_embeddings().weight
    np.testing.assert_array_equal(embedding.numpy(), written["token_embd.weight"])
    for layer, site in subject.sites.items():
        expected = written[f"blk.{layer}.ffn_down.weight"]
        weight: Any = site.module.weight
        np.testing.assert_array_equal(weight.numpy(), expected)
    assert [p.name for p in cache.iterdir()] == [conversion.file_sha256(model_file)]

    def never(path: Path, folder: Path) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr(conversion, "_convert", never)
    again = Subject.load(str(model_file))
    assert again.weights_sha256 == subject.weights_sha256
    np.testing.assert_array_equal(again.activations(TEXT, 1), subject.activations(TEXT, 1))
    head: Any = load_causal_lm(str(model_file))[0].get_output_embeddings().weight
    np.testing.assert_array_equal(
        head.numpy(), written.get("output.weight", written["token_embd.weight"])
    )


def failing(path: Path, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"half")
    raise OSError("no space left")


def interrupted(path: Path, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"half")
    raise KeyboardInterrupt


@pytest.mark.parametrize("convert", [failing, interrupted])
def test_a_conversion_that_fails_leaves_nothing(
    convert: Callable[[Path, Path], None],
    cache: Path,
    model_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(conversion, "_convert", convert)
        with pytest.raises((OSError, KeyboardInterrupt)):
            conversion.converted(model_file)
    assert list(cache.iterdir()) == []
    assert Subject.load(str(model_file)).activations(TEXT, 0).shape[1] == WIDTH


def test_another_process_may_be_first(
    cache: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = cache / conversion.file_sha256(model_file)

    def overtaken(path: Path, folder: Path) -> None:
        (folder / "config.json").write_text("ours")
        target.mkdir()
        (target / "config.json").write_text("theirs")

    monkeypatch.setattr(conversion, "_convert", overtaken)
    assert conversion.converted(model_file) == target
    assert (target / "config.json").read_text() == "theirs"
    assert list(cache.iterdir()) == [target]


@pytest.mark.parametrize("content", [b"hello" * 50, b"GGUF" + bytes(60), b""])
def test_a_file_that_is_no_gguf(content: bytes, cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "no.gguf"
    path.write_bytes(content)
    with pytest.raises(SubjectError, match=r"no\.gguf cannot be read as a GGUF model"):
        Subject.load(str(path))
    assert list(cache.iterdir()) == []


def test_a_cut_gguf_file(cache: Path, model_file: Path) -> None:
    model_file.write_bytes(model_file.read_bytes()[:-5000])
    with pytest.raises(SubjectError, match=r"brook\.gguf cannot be read as a GGUF model"):
        Subject.load(str(model_file))
    assert list(cache.iterdir()) == []
