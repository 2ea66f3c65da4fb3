"""Language models: `create` makes one from a spec; everything that talks to them is in this folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neuroexplain.errors import ConfigError
from neuroexplain.llm.base import LLM

__all__ = ["LLM", "create"]


def create(
    spec: str,
    *,
    base_url: str | Sequence[str] | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    threads: int | None = None,
    tries: int = 6,
    timeout: float = 300.0,
    concurrency: int = 64,
    settings: Mapping[str, Any] | None = None,
) -> LLM | None:
    """The language model that a spec names; None for `none`. `batch:DIR` is opened by a run, see `batches`.

    Args:
        spec: `openai:MODEL`, `local:SUBJECT-SPEC`, `scripted:FILE` or `none`.
        base_url: server or servers of an `openai:` model, see `addresses`; without it, `OPENAI_BASE_URL` counts.
        device: where a `local:` model runs.
        dtype: of a `local:` model's weights.
        threads: CPU threads of a `local:` model; None leaves torch's own number.
        tries: requests at most for one call of an `openai:` model.
        timeout: seconds for one of these requests.
        concurrency: requests in flight at most, at each server.
        settings: further parameters of every request to an `openai:` model.

    Raises:
        ConfigError: the spec has another form, or its file cannot be read.
        LLMPermanentError: api.openai.com is asked without a key.
        SubjectError: the `local:` model cannot be loaded.
    """
    kind, _, rest = spec.partition(":")
    match kind:
        case "none" if not rest:
            return None
        case "openai" if rest:
            from neuroexplain.llm.openai_http import OpenAIChat

            return OpenAIChat(
                rest,
                base_url=base_url,
                tries=tries,
                timeout=timeout,
                concurrency=concurrency,
                extra=settings,
            )
        case "local" if rest:
            from neuroexplain.llm.local import LocalLLM

            return LocalLLM.load(rest, device=device, dtype=dtype, threads=threads)
        case "scripted" if rest:
            from neuroexplain.llm.scripted import ScriptedLLM

            return ScriptedLLM.load(rest)
    raise no_model(spec)


def no_model(spec: str) -> ConfigError:
    """What is said of a spec that names none."""
    return ConfigError(
        f'"{spec}" is no language model; write openai:MODEL, local:SUBJECT, scripted:FILE, batch:DIR or none'
    )
