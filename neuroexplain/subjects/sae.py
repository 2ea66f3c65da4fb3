"""Encoders of sparse autoencoders, read from safetensors files: latents of a site's vectors, in float32.

    standard   relu(x' W_enc + b_enc)
    jumprelu   the same, 0 where it does not exceed its latent's threshold
    topk       the same, 0 where it is not among the k largest of the token

with x' = x - b_dec, or x where the configuration says that b_dec is not taken off. Tensor names and configurations of
SAELens (`W_enc` [input, latent], `cfg.json`) and of sparsify (`encoder.weight` [latent, input], `cfg.json`) are understood.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroexplain.errors import SubjectError
from neuroexplain.subjects.gguf import file_sha256

if TYPE_CHECKING:
    from torch import Tensor

_AT_LAYER = re.compile(r"(?P<file>.+\.safetensors)@(?P<layer>\d+)")
_HOOK = re.compile(r"(?:blocks|layers|h|layer)\.(?P<layer>\d+)(?:\.(?P<place>.+))?")
_KEYS = {
    "W_enc": "encoder",
    "encoder.weight": "encoder",
    "b_enc": "bias",
    "encoder.bias": "bias",
    "b_dec": "shift",
    "threshold": "threshold",
}
_DECODERS = ("W_dec", "decoder.weight")
"""[latent, input], and [input, latent]."""
_DECODING = {*_DECODERS, "W_skip", "scaling_factor"}
"""Tensors that no latent depends on."""
_KINDS = {"standard", "jumprelu", "topk"}


@dataclass(frozen=True)
class SparseAutoencoder:
    """What turns vectors into latents."""

    encoder: Tensor
    """[input, latent]"""
    bias: Tensor
    """[latent]"""
    shift: Tensor | None
    """[input], taken off the vectors first."""
    threshold: Tensor | None
    """[latent], of a JumpReLU."""
    k: int | None
    """Latents that stay of a token, the largest; None: all."""
    file: Path
    """That it was read from."""

    @property
    def inputs(self) -> int:
        """Components of the vectors that it takes."""
        return int(self.encoder.shape[0])

    @property
    def latents(self) -> int:
        """Latents that it gives."""
        return int(self.encoder.shape[1])

    def encode(self, vectors: Tensor) -> Tensor:
        """Latents [..., latent], float32, of vectors [..., input]."""
        vectors = vectors.float()
        if self.shift is not None:
            vectors = vectors - self.shift
        before = vectors @ self.encoder + self.bias
        latents = before.relu()
        if self.threshold is not None:
            return latents * (before > self.threshold)
        if self.k is not None:
            strongest = latents.topk(self.k, dim=-1)
            return latents.new_zeros(latents.shape).scatter(-1, strongest.indices, strongest.values)
        return latents

    def decoded(self, latents: Sequence[int]) -> Tensor | None:
        """What latents stand for, [chosen latent, input] in float32; None where the file holds no decoder for such vectors.

        Decoders are as large as encoders, and stay in the file until a few rows of them are asked for.
        """
        import torch
        from safetensors import safe_open

        with safe_open(self.file, "pt") as opened:
            name = next((name for name in _DECODERS if name in opened.keys()), None)  # noqa: SIM118
            if name is None:
                return None
            tensor = opened.get_slice(name)
            across = name == "decoder.weight"
            shape = (self.inputs, self.latents) if across else (self.latents, self.inputs)
            if tuple(tensor.get_shape()) != shape:
                return None
            rows = [tensor[:, i : i + 1].t() if across else tensor[i : i + 1] for i in latents]
        return torch.cat(rows).float().to(self.encoder.device)


@dataclass(frozen=True)
class Loaded:
    """Autoencoders by layer, with what tells them apart from others."""

    by_layer: Mapping[int, SparseAutoencoder]
    sha256: str


def load(spec: str, layers: tuple[int, ...], site: str, device: Any) -> Loaded:
    """Read the autoencoders that a spec names.

    Args:
        spec: a `.safetensors` file: with `{}` for the layer's number, else of one layer, which its configuration names
            or `@8` behind it.
        layers: those that the site has.
        site: `resid` and so on: an autoencoder that says where it was trained is used nowhere else.
        device: of the model.

    Raises:
        SubjectError: no file, a file that is no such autoencoder, or an autoencoder without a layer.
    """
    files = _files(spec, layers, site)
    digest = hashlib.sha256()
    by_layer = {}
    for layer, file in files.items():
        settings = _settings(file)
        by_layer[layer] = _read(file, settings, device)
        digest.update(f"{layer}:{file_sha256(file)}:".encode())
        digest.update(json.dumps(settings, sort_keys=True).encode())
    return Loaded(by_layer, digest.hexdigest())


def _files(spec: str, layers: tuple[int, ...], site: str) -> dict[int, Path]:
    """The file of every layer that has one.

    A file whose configuration names its layer belongs there, whatever number is in its path.
    """
    if "{}" in spec:
        # One more than there are: what goes into a block counts as the layer before.
        numbers = range(layers[0], layers[-1] + 2)
        named = {n: Path(spec.replace("{}", str(n))).expanduser() for n in numbers}
        found = {n: file for n, file in named.items() if file.is_file()}
        if not found:
            raise SubjectError(
                f"no file {spec} for any layer; looked for {named[layers[0]]} to {named[layers[-1]]}"
            )
        placed = {_layer_named(file, site, n): file for n, file in found.items()}
        return {layer: file for layer, file in sorted(placed.items()) if layer in layers}
    match = _AT_LAYER.fullmatch(spec)
    file = Path(match["file"] if match else spec).expanduser()
    if not file.is_file() or file.suffix != ".safetensors":
        raise SubjectError(
            f"no file {file}; --sae wants FILE.safetensors of one layer, with {{}} in its path for the layer's number, "
            "or with @8 behind it"
        )
    layer = int(match["layer"]) if match else _layer_named(file, site, None)
    if layer not in layers:
        raise SubjectError(
            f"{file} is for layer {layer}; the site {site} has layers {layers[0]}-{layers[-1]}"
        )
    return {layer: file}


def _layer_named(file: Path, site: str, otherwise: int | None) -> int:
    """The layer that an autoencoder's configuration names.

    Raises:
        SubjectError: it names none and there is no other, or it names another place than the site.
    """
    settings = _settings(file)
    hook = str(settings.get("hook_name") or settings.get("hookpoint") or "")
    match = _HOOK.search(hook)
    layer = settings.get("hook_layer", settings.get("layer", match and match["layer"]))
    if layer is None:
        layer = otherwise
    if layer is None:
        raise SubjectError(
            f"{file} does not say which layer it is for; write --sae {file}@8 for layer 8, "
            "or a path with {} for the layer's number"
        )
    if "resid" in hook and site != "resid":
        raise SubjectError(f"{file} reads {hook}; add --site resid")
    if "resid_pre" not in hook:
        return int(layer)
    # What goes into a block is what the one before gave out.
    if int(layer) == 0:
        raise SubjectError(f"{file} reads {hook}, the embeddings; these are no site")
    return int(layer) - 1


def _settings(file: Path) -> dict[str, Any]:
    """The configuration beside the file and its own metadata, nested parts laid flat."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt") as opened:
            found: dict[str, Any] = dict(opened.metadata() or {})
    except SafetensorError as error:
        raise SubjectError(f"{file} is no safetensors file: {error}") from error
    for name in ("config.json", "cfg.json"):
        beside = file.parent / name
        if beside.is_file():
            try:
                read = json.loads(beside.read_text(encoding="utf-8"))
            except ValueError as error:
                raise SubjectError(f"{beside} is no JSON: {error}") from error
            if isinstance(read, dict) and "model_type" not in read:
                found |= read
    flat: dict[str, Any] = {}
    for part in (found, *(v for v in found.values() if isinstance(v, dict))):
        flat = {k: v for k, v in part.items() if not isinstance(v, dict)} | flat
    return flat


def _read(file: Path, settings: Mapping[str, Any], device: Any) -> SparseAutoencoder:
    from safetensors.torch import load_file

    # A model without weights, on "meta", is looked at alone.
    tensors = load_file(file, device="cpu" if device.type == "meta" else str(device))
    foreign = sorted(tensors.keys() - _KEYS.keys() - _DECODING)
    named = {_KEYS[key]: tensor.float() for key, tensor in tensors.items() if key in _KEYS}
    if foreign or "encoder" not in named:
        raise SubjectError(
            f"{file} is no sparse autoencoder that is known here: it holds {', '.join(sorted(tensors)[:6])}; known: "
            f"W_enc or encoder.weight, and {', '.join(sorted(_KEYS.keys() - {'W_enc', 'encoder.weight'}))}"
        )
    encoder = named["encoder"]
    if "encoder.weight" in tensors and encoder.dim() == 2:
        encoder = encoder.t().contiguous()
    if encoder.dim() != 2:
        raise SubjectError(f"{file}: the encoder has {encoder.dim()} axes instead of 2")
    kind = _kind(file, settings, named)
    found = SparseAutoencoder(
        encoder,
        named.get("bias", encoder.new_zeros(encoder.shape[1])),
        named.get("shift") if _shifts(settings) else None,
        named.get("threshold") if kind == "jumprelu" else None,
        _k(file, settings, encoder.shape[1]) if kind == "topk" else None,
        file,
    )
    _check_shapes(file, found)
    return found


def _kind(file: Path, settings: Mapping[str, Any], named: Mapping[str, Any]) -> str:
    """Which of the three it is; refuse what would give other latents than its author's."""
    names = ("architecture", "activation", "activation_fn", "activation_fn_str")
    said = [str(settings[name]) for name in names if settings.get(name)]
    kinds = {"standard" if word == "relu" else word for word in said} - {"standard"}
    guess = "jumprelu" if "threshold" in named else "topk" if "k" in settings and not said else None
    kind = " with ".join(sorted(kinds)) or guess or "standard"
    strange = [
        f"{key} = {settings[key]}"
        for key in ("normalize_activations", "rescale_acts_by_decoder_norm")
        if settings.get(key) not in (None, False, "none", "None", "False")
    ]
    if kind not in _KINDS or strange:
        raise SubjectError(
            f"{file}: autoencoders with {strange[0] if strange else f'activation {kind}'} are not supported; "
            f"known activations: {', '.join(sorted(_KINDS))}"
        )
    if kind == "jumprelu" and "threshold" not in named:
        raise SubjectError(f"{file} holds no threshold, which its activation jumprelu needs")
    return kind


def _shifts(settings: Mapping[str, Any]) -> bool:
    """Whether b_dec is taken off the vectors: not in transcoders, nor where the configuration says so."""
    return str(settings.get("apply_b_dec_to_input", True)) != "False" and str(
        settings.get("transcode", False)
    ) not in ("True", "true")


def _k(file: Path, settings: Mapping[str, Any], latents: int) -> int:
    k = settings.get("k")
    if k is None or not str(k).isdigit() or not 1 <= int(k) <= latents:
        raise SubjectError(
            f"{file} keeps the k largest latents, but its configuration says k = {k}; valid: 1 to {latents}"
        )
    return int(k)


def _check_shapes(file: Path, sae: SparseAutoencoder) -> None:
    expected = {"b_enc": sae.latents, "b_dec": sae.inputs, "threshold": sae.latents}
    given = {"b_enc": sae.bias, "b_dec": sae.shift, "threshold": sae.threshold}
    for name, size in expected.items():
        tensor = given[name]
        if tensor is not None and tuple(tensor.shape) != (size,):
            raise SubjectError(
                f"{file}: {name} has the shape {tuple(tensor.shape)}; with an encoder from {sae.inputs} to "
                f"{sae.latents} it must be ({size},)"
            )
