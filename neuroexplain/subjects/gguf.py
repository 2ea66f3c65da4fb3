"""GGUF files, converted once to a directory of safetensors in the user's cache folder.

Decoding the quantised tensors takes far longer than reading the result, so it is kept, keyed by the file's hash.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from neuroexplain.errors import SubjectError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def converted(path: Path) -> Path:
    """A directory with the file's model as safetensors, its configuration and tokenizer; made when missing.

    Raises:
        SubjectError: the packages that read GGUF are missing, or the file cannot be read.
    """
    target = user_cache_path("neuroexplain") / "gguf" / file_sha256(path)
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        # Another process may convert the same file: each writes a folder of its own, the first to rename wins.
        scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=".converting-"))
        try:
            _convert(path, scratch)
            try:
                scratch.replace(target)
            except OSError:
                if not target.is_dir():
                    raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return target


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _convert(path: Path, folder: Path) -> None:
    try:
        import accelerate  # noqa: F401  transformers asks for it only after minutes of work
        import gguf  # noqa: F401
    except ImportError as error:
        raise SubjectError(
            f"reading {path.name} needs the package {error.name}: pip install 'neuroexplain[gguf]'"
        ) from None
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
        model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name)
    except (ValueError, OSError, KeyError, NotImplementedError) as error:
        raise SubjectError(
            f"{path} cannot be read as a GGUF model: {_first_line(error)}"
        ) from error
    tokenizer.save_pretrained(folder)
    save_file(_untied(model), folder / "model.safetensors", metadata={"format": "pt"})
    # save_pretrained refuses a model that was read from GGUF, so its configuration is written without that mark.
    config = model.config.to_dict()
    config.pop("quantization_config", None)
    config["architectures"] = [type(model).__name__]
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def _untied(model: PreTrainedModel) -> dict[str, Tensor]:
    """The weights under one name each: of tied ones the first, the embedding, which a model without a head has too."""
    seen: set[int] = set()
    kept = {}
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            kept[name] = tensor.contiguous()
    return kept


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
