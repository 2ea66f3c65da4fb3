"""Every setting that changes a result, in frozen dataclasses; `run_key` hashes them.

How a run is carried out (device, batch size, concurrency) is not here: it must not change what comes out.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from neuroexplain.errors import ConfigError

NEAR_DUPLICATES = ("keep", "drop")
_SPLITS = ("explain", "select", "test")
MIN_NULL = 20
"""Other explanations that a null takes at least."""
MIN_OTHERS = 50
"""The same for scores by texts about explanations, where a null costs nothing."""


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ConfigError(f"{name} must be at least {least}, not {value}")


def _checked_url(url: str | None) -> None:
    """Refuse what may hold a secret: a configuration is stored with its run."""
    parts = urlsplit(url or "")
    if parts.username or parts.password or parts.query:
        raise ConfigError(
            f"the base URL of {parts.hostname} holds a user, a password or a query; "
            "give the plain address, and the key in OPENAI_API_KEY"
        )


@dataclass(frozen=True)
class CollectConfig:
    """What a collection records."""

    subject: str
    """Spec of the subject model: `minilm`, `smollm2`, a hub id, a directory or a `.gguf` file."""
    corpus: str = "docs"
    """Spec of the corpus: `docs`, a file, a directory, or `hf:NAME[:CONFIG][:SPLIT]`."""
    tokens: int = 100_000
    """Read documents until this many tokens."""
    seq_len: int = 64
    """Tokens in a span, special tokens not counted."""
    layers: str = "*"
    """Layers to record: `*`, or numbers and ranges such as `0-5,8`."""
    top_k: int = 20
    """Strongest spans of the explain split kept per neuron and polarity, at most one of a document."""
    held_out_top_k: int = 10
    """The same for the splits select and test."""
    random: int = 10
    """Spans kept of every split as a uniform random sample, the same for all neurons."""
    quantile_bands: int = 5
    """Bands of equal size by peak activation, from each of which spans are kept."""
    per_band: int = 1
    """Spans kept of each band."""
    sample_tokens: int = 8192
    """Tokens drawn uniformly for quantiles, token responses and similar neurons, at most one in 32; 0 for none."""
    text_field: str = "text"
    """Field that holds the text in `.jsonl`, `.parquet` and `hf:` corpora."""
    chat_template: bool = False
    """Take documents that are lists of messages, written out by the subject's chat template."""
    near_duplicates: Literal["keep", "drop"] = "keep"
    """What becomes of documents that nearly repeat an earlier one: `keep`, in one split with it, or `drop`."""
    include_first: bool = False
    """Count position 0 too. Many decoders have a huge activation there whatever the text."""
    seed: int = 0
    """Of the uniform random sample."""
    dtype: str = "float32"
    """Number type of the subject's weights; statistics are float32 and float64 whatever it is."""
    site: str = "mlp"
    """What a neuron is: `mlp`, `resid`, `attention`, or the input or output of a module, `PATH.{}.TO.MODULE:input`."""
    sae: str | None = None
    """Sparse autoencoder whose latents of the site's vectors are the neurons: a `.safetensors` file, `{}` for the layer."""
    name: str | None = None
    """The subject's name in the catalogue; None takes that of its spec, and of its site where that is not `mlp`."""

    def __post_init__(self) -> None:
        for name in ("tokens", "top_k", "held_out_top_k"):
            _at_least(name, getattr(self, name), 1)
        _at_least("seq_len", self.seq_len, 2)
        if self.near_duplicates not in NEAR_DUPLICATES:
            raise ConfigError(
                f'near_duplicates is one of {", ".join(NEAR_DUPLICATES)}, not "{self.near_duplicates}"'
            )
        for name in ("random", "quantile_bands", "per_band", "sample_tokens"):
            _at_least(name, getattr(self, name), 0)


@dataclass(frozen=True)
class ExplainConfig:
    """How explanations are written."""

    explainer: str = "ngram"
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the explainer."""
    llm: str = "none"
    """Spec of the language model."""
    model: str | None = None
    """That the requests of `batch:DIR` ask for."""
    base_url: str | None = None
    """What the ledger knows the servers of an `openai:` model by: a base URL, or the name given to them."""
    llm_settings: Mapping[str, Any] = field(default_factory=dict)
    """Further parameters of every request, such as `reasoning_effort`."""
    seed: int = 0
    candidates: int = 1
    """Explanations written for each neuron; the best on the split `select` is scored on `test`."""
    revise: int = 0
    """Times at most that an explanation is written anew from where it failed on `select`, and kept if it is better there."""

    def __post_init__(self) -> None:
        _at_least("candidates", self.candidates, 1)
        _at_least("revise", self.revise, 0)
        _checked_url(self.base_url)


@dataclass(frozen=True)
class EvidenceConfig:
    """The parts of the evidence that take a pass of their own; made for the explainers that want them."""

    look_alikes: int = 5
    """Spans kept per neuron and polarity that look like its strongest ones, and on which it stays quiet."""
    quiet: float = 0.2
    """Share of the neuron's largest activation in the explain split that it stays below there: 0.2 is level 2."""
    output_tokens: int = 50
    """Token ids that a neuron promotes most, and as many that it suppresses most."""

    def __post_init__(self) -> None:
        for name in ("look_alikes", "output_tokens"):
            _at_least(name, getattr(self, name), 1)
        if not 0 < self.quiet <= 1:
            raise ConfigError(f"quiet must be above 0 and at most 1, not {self.quiet}")


@dataclass(frozen=True)
class NgramConfig:
    """What an n-gram pass runs through the subject, and what it keeps."""

    orders: int = 3
    """Longest n-gram, in words."""
    min_count: int = 1
    """Occurrences that an n-gram needs."""
    top: int = 200
    """Strongest n-grams kept per neuron, polarity and aggregator."""
    splits: tuple[Literal["explain", "select", "test"], ...] = ("explain",)
    """Splits of the corpus that the n-grams are from. Explanations are scored on `test`, which they must not have seen."""

    def __post_init__(self) -> None:
        for name in ("orders", "min_count", "top"):
            _at_least(name, getattr(self, name), 1)
        unknown = [split for split in self.splits if split not in _SPLITS]
        if unknown or not self.splits:
            raise ConfigError(
                f"splits are some of {', '.join(_SPLITS)}, not {', '.join(unknown) or 'none'}"
            )


@dataclass(frozen=True)
class ScoreConfig:
    """How explanations are simulated and scored."""

    simulator: str = "ngram"
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the simulator."""
    llm: str = "none"
    model: str | None = None
    base_url: str | None = None
    llm_settings: Mapping[str, Any] = field(default_factory=dict)
    scorers: tuple[str, ...] = ("correlation", "correlation_top_random")
    scorer_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings of scorers, by name."""
    top: int = 5
    """Strongest spans of the test split that are scored."""
    random: int = 5
    """Uniform random spans of the test split that are scored; the same for all neurons."""
    quantile: int = 1
    """Spans of each quantile band of the test split that are scored."""
    null: int = 20
    """Explanations of other neurons of the layer, whose scores make the null: 0 for none, else at least 20."""
    bootstrap: int = 1000
    """Resamples of the spans for the interval."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("top", "random", "quantile", "null", "bootstrap"):
            _at_least(name, getattr(self, name), 0)
        _checked_url(self.base_url)
        if 0 < self.null < MIN_NULL:
            raise ConfigError(
                f"null must be 0 or at least {MIN_NULL}: fewer other explanations allow no p below 0.05"
            )
        if not self.scorers:
            raise ConfigError("scorers is empty; name at least one, for example correlation")
        idle = sorted(self.scorer_settings.keys() - set(self.scorers))
        if idle:
            raise ConfigError(f"there are settings of the scorer {idle[0]}, which is not asked for")
        if self.top + self.random + self.quantile == 0:
            raise ConfigError(
                "no spans to score: set at least one of top, random and quantile above 0"
            )


@dataclass(frozen=True)
class SyntheticConfig:
    """How explanations are scored by texts about them, on which the subject runs."""

    aggregator: Literal["mean", "max"] = "mean"
    """What the activations of a text's tokens come down to. The largest grows with the length of a text."""
    texts: int = 20
    """Texts about each explanation: written to it, or found in the corpus where it is a list of words."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further settings of the scorer `synthetic`, by which texts are written."""
    others: int = 256
    """Neurons whose explanations make the null and the texts for comparison; more of them are drawn by lot."""
    bootstrap: int = 1000
    """Resamples of the texts for the interval."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.aggregator not in ("mean", "max"):
            raise ConfigError(f'aggregator is one of mean, max, not "{self.aggregator}"')
        _at_least("texts", self.texts, 2)
        _at_least("others", self.others, MIN_OTHERS)
        _at_least("bootstrap", self.bootstrap, 0)


@dataclass(frozen=True)
class SweepConfig:
    """A whole sweep: collect, explain, score."""

    collect: CollectConfig
    explain: ExplainConfig = ExplainConfig()
    score: ScoreConfig = ScoreConfig()
    neurons: str = "random:200"
    """Which neurons to explain."""


def explain_config(values: Mapping[str, Any]) -> ExplainConfig:
    """An explainer's configuration from JSON values, as a run keeps them."""
    return ExplainConfig(**values)


def score_config(values: Mapping[str, Any]) -> ScoreConfig:
    """A scoring configuration from JSON values, as a run keeps them."""
    return ScoreConfig(**{**values, "scorers": tuple(values["scorers"])})


def as_dict(config: Any) -> dict[str, Any]:
    """A config, or a mapping of configs, as JSON values."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        config = dataclasses.asdict(config)
    plain: dict[str, Any] = json.loads(json.dumps(config, default=dataclasses.asdict))
    return plain


def run_key(*parts: Any) -> str:
    """SHA-256 over configs and JSON values; equal keys mean equal results."""
    text = json.dumps(parts, sort_keys=True, default=dataclasses.asdict)
    return hashlib.sha256(text.encode()).hexdigest()
