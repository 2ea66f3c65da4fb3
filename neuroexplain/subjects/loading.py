"""Models and tokenizers from a subject spec, safetensors only unless asked otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroexplain.errors import SubjectError
from neuroexplain.subjects.gguf import converted, file_sha256
from neuroexplain.subjects.specs import FORMS, Location, locate

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Loaded:
    """A model in evaluation mode, with what tells it apart from others."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    weights_sha256: str


def load(
    spec: str,
    *,
    head: bool,
    device: str = "cpu",
    dtype: str = "float32",
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
    weights: bool = True,
) -> Loaded:
    """Load a subject's model, with its language-modelling head or without.

    Without its weights the model has shapes alone, and no hash.

    Raises:
        SubjectError: it cannot be found or loaded; the message says what to do.
    """
    import torch
    from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

    if dtype not in DTYPES:
        raise SubjectError(f"unknown dtype {dtype}; known: {', '.join(DTYPES)}")
    target = _device(device)
    location = locate(spec)
    source = _source(location)
    auto = AutoModelForCausalLM if head else AutoModel
    common = {"trust_remote_code": trust_remote_code}
    with _quiet(), _explained(spec, location, allow_pickle):
        tokenizer = AutoTokenizer.from_pretrained(source, **common)
        if not weights:
            return Loaded(location.name, _shapes(auto, source, common), tokenizer, "")
        model, report = auto.from_pretrained(
            source,
            dtype=getattr(torch, dtype),
            use_safetensors=None if allow_pickle else True,
            output_loading_info=True,
            **common,
        )
    _require_weights(spec, report["missing_keys"])
    model.eval()
    model.to(target)
    model.requires_grad_(False)
    return Loaded(location.name, model, tokenizer, _weights_sha256(location, source, model))


def _shapes(auto: Any, source: str | Path, common: dict[str, Any]) -> Any:
    """The model without memory for its weights."""
    import torch
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(source, **common)
    with torch.device("meta"):
        return auto.from_config(config, **common).eval()


def head_shapes(model: PreTrainedModel, *, trust_remote_code: bool = False) -> Any:
    """A model without a head as it is with one, as shapes alone: no memory, no weights.

    Raises:
        SubjectError: there is no such model.
    """
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with _quiet(), torch.device("meta"):
            return AutoModelForCausalLM.from_config(
                model.config, trust_remote_code=trust_remote_code
            )
    except ValueError as error:
        raise SubjectError(
            f"{type(model).__name__} has no language-modelling head: {_first_line(error)}"
        ) from error


def load_causal_lm(
    spec: str, *, device: str = "cpu", dtype: str = "float32"
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast, str]:
    """A subject as a language model: model with head, tokenizer, hash of the weights.

    Raises:
        SubjectError: as `load`; also for a model that generates no text.
    """
    loaded = load(spec, head=True, device=device, dtype=dtype)
    return loaded.model, loaded.tokenizer, loaded.weights_sha256


def _device(name: str) -> Any:
    import torch

    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SubjectError(
            f'device "{name}" cannot be used here ({str(error).partition(chr(10))[0]}); try cpu, cuda or mps'
        ) from None
    return device


def _source(location: Location) -> str | Path:
    if location.path is None:
        assert location.hub_id is not None
        return location.hub_id
    return converted(location.path) if location.path.suffix == ".gguf" else location.path


def _require_weights(spec: str, missing: Iterable[str]) -> None:
    """Refuse a model some of whose weights would be random; nothing here reads a pooler."""
    absent = sorted(name for name in missing if "pooler" not in name)
    if absent:
        raise SubjectError(
            f"{spec} holds no weights for {absent[0]} ({len(absent)} missing in all); "
            "it is another kind of model, or its files are incomplete"
        )


@contextmanager
def _explained(spec: str, location: Location, allow_pickle: bool) -> Iterator[None]:
    """Turn the many errors of loading into one line."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        detail = _first_line(error)
        if "custom code" in detail:
            raise SubjectError(
                f"{spec} comes with Python code of its own, which would run here: "
                "add --trust-remote-code if you trust it"
            ) from error
        if location.path is None:
            raise SubjectError(
                f'subject "{spec}" cannot be loaded from the model hub; valid: {FORMS} ({detail})'
            ) from error
        if not allow_pickle and not _has_safetensors(location.path):
            raise SubjectError(
                f"{spec} holds no .safetensors file; pickled weights can run code when read: "
                "add --allow-pickle if you trust them"
            ) from error
        raise SubjectError(f"{spec} cannot be loaded: {detail}") from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _has_safetensors(path: Path) -> bool:
    return path.is_file() or any(path.glob("*.safetensors"))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the loader's progress bars and advice off the terminal; errors still come as exceptions."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _weights_sha256(location: Location, source: str | Path, model: Any) -> str:
    if location.path is None:
        # A hub commit names the weights exactly, and hashing a large model would take minutes.
        commit = getattr(model.config, "_commit_hash", None) or "unknown"
        return hashlib.sha256(f"{location.hub_id}@{commit}".encode()).hexdigest()
    digest = hashlib.sha256()
    files = [*Path(source).glob("*.safetensors"), *Path(source).glob("*.bin")]
    for file in sorted(files):
        digest.update(bytes.fromhex(file_sha256(file)))
    return digest.hexdigest()
