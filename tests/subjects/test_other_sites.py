"""The residual stream, attention, modules that a user names, and both stacks of encoder-decoders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from neuroexplain.errors import SubjectError
from neuroexplain.subjects import LayerActivations, Subject

Make = Callable[..., Any]
Save = Callable[..., Path]

IDS = [[5, 40, 7, 300, 12, 260], [9, 9, 100, 2, 31, 8]]


def shown(subject: Subject) -> dict[int, LayerActivations]:
    found: dict[int, LayerActivations] = {}
    subject.run(IDS, subject.layers, lambda seen: found.__setitem__(seen.layer, seen))
    return found


@pytest.mark.parametrize(
    "kind", ["gpt2", "gpt_neox", "llama", "bert", "albert", "opt", "falcon", "mixtral"]
)
def test_the_residual_stream_is_what_the_model_says(kind: str, make: Make, tokenizer: Any) -> None:
    subject = Subject(kind, kind, make(kind), tokenizer, "0", site="resid")
    subject.verify()
    with torch.inference_mode():
        states = subject.model(**subject.inputs(IDS)[0], output_hidden_states=True).hidden_states
    seen = shown(subject)
    assert len(seen) == len(states) - 1
    for layer in subject.layers[:-1]:  # the last is given behind the final norm
        assert torch.equal(seen[layer].neurons, states[layer + 1])


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_both_stacks_of_an_encoder_decoder(kind: str, make: Make, cls_tokenizer: Any) -> None:
    subject = Subject(kind, kind, make(kind), cls_tokenizer, "0", site="resid")
    subject.verify()
    inputs, _ = subject.inputs(IDS)
    assert inputs["input_ids"][0].tolist() == [0, *IDS[0], 1]
    start = 2 if kind == "bart" else 1
    assert inputs["decoder_input_ids"][1].tolist() == [start, 0, *IDS[1]]
    with torch.inference_mode():
        output = subject.model(**inputs, output_hidden_states=True)
    seen = shown(subject)
    assert list(seen) == [0, 1, 2, 3, 4]
    assert torch.equal(seen[0].neurons, output.encoder_hidden_states[1])
    for layer in (2, 3):
        assert torch.equal(seen[layer].neurons, output.decoder_hidden_states[layer - 1])
    assert (seen[1].content, seen[2].content) == (slice(1, 7), slice(2, 8))


def test_a_text_in_the_decoder(make: Make, save: Save, cls_tokenizer: Any) -> None:
    subject = Subject.load(str(save(make("bart"), cls_tokenizer)))
    ids = cls_tokenizer("the river froze", add_special_tokens=False)["input_ids"]
    values = subject.activations("the river froze", layer=4)
    assert values.shape == (len(ids), 80)
    seen: list[LayerActivations] = []
    subject.run([ids], [4], seen.append)
    np.testing.assert_array_equal(values, seen[0].neurons[0, 2 : 2 + len(ids)])


@pytest.mark.parametrize(("kind", "most"), [("t5", 2000), ("bart", 64)])
def test_longest_sequence(
    kind: str, most: int, make: Make, cls_tokenizer: Any, tokenizer: Any
) -> None:
    for own, special in ((cls_tokenizer, 2), (tokenizer, 0)):
        subject = Subject(kind, kind, make(kind), own, "0")
        longest = most if kind == "t5" else subject.max_positions
        assert kind == "t5" or longest == (most if special else most - 1)
        seen: list[LayerActivations] = []
        subject.run([[7] * (longest - special)], [4], seen.append)
        assert [one.layer for one in seen] == [4]
    if kind == "bart":
        with pytest.raises(SubjectError, match="choose a smaller --seq-len"):
            subject.run([[7] * most], [4], lambda _: None)


def attended(query: Tensor, key: Tensor, value: Tensor, heads: int, causal: bool) -> Tensor:
    """Heads side by side, [position, head * component], one position at a time."""
    length, width = query.shape
    size = width // heads
    out = torch.zeros(length, width, dtype=torch.float64)
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for i in range(length):
            until = i + 1 if causal else length
            weights = (key[:until, part] @ query[i, part] / size**0.5).softmax(0)
            out[i, part] = weights @ value[:until, part]
    return out


@pytest.mark.parametrize("kind", ["gpt2", "bert", "opt"])
def test_attention_is_the_heads_side_by_side(kind: str, make: Make, tokenizer: Any) -> None:
    model = make(kind)
    subject = Subject(kind, kind, model, tokenizer, "0", site="attention")
    names = {
        "gpt2": ["h.1.attn.c_attn"],
        "bert": [f"encoder.layer.1.attention.self.{n}" for n in ("query", "key", "value")],
        "opt": [f"decoder.layers.1.self_attn.{n}_proj" for n in ("q", "k", "v")],
    }[kind]
    parts: list[Tensor] = []
    for name in names:
        model.get_submodule(name).register_forward_hook(lambda *a: parts.append(a[2].double()))
    seen = shown(subject)
    query, key, value = parts[0].chunk(3, dim=-1) if kind == "gpt2" else parts
    for text in range(2):
        expected = attended(query[text], key[text], value[text], 4, causal=kind != "bert")
        np.testing.assert_allclose(seen[1].neurons[text], expected, rtol=1e-5, atol=1e-5)
    assert (subject.sites[1].heads, subject.sites[1].width) == (4, 32)


def test_cross_attention_is_no_site_of_its_own(make: Make, tokenizer: Any) -> None:
    subject = Subject("t5", "t5", make("t5"), tokenizer, "0", site="attention")
    assert [site.module_name for site in subject.sites.values()][-2:] == [
        "decoder.block.1.layer.0.SelfAttention.o",
        "decoder.block.2.layer.0.SelfAttention.o",
    ]


@pytest.mark.parametrize(
    ("site", "widths", "name"),
    [
        ("layers.{}.mlp.down_proj:input", (96, 96), "river.mlp-down_proj-input"),
        ("model.layers.{}.mlp.down_proj:input", (96, 96), "river.mlp-down_proj-input"),
        ("layers.{}.mlp:output", (32, 32), "river.mlp-output"),
        ("layers.{}.self_attn.k_proj:output", (16, 16), "river.self_attn-k_proj-output"),
        ("layers.{}:input", (32, 32), "river.layers-input"),
        ("layers.1.mlp.act_fn:output", (96,), "river.layers-1-mlp-act_fn-output"),
        ("embed_tokens:output", (32,), "river.embed_tokens-output"),
        ("resid", (32, 32), "river.resid"),
        ("attention", (32, 32), "river.attention"),
        ("mlp", (96, 96), "river"),
    ],
)
def test_a_site_by_path(
    site: str, widths: tuple[int, ...], name: str, make: Make, save: Save
) -> None:
    folder = str(save(make("llama", num_key_value_heads=2)))
    subject = Subject.load(folder, site=site)
    subject.verify()
    assert (subject.info.widths, subject.name, subject.info.site) == (widths, name, site)
    assert Subject.load(folder, site=site, name="mine").name == "mine"


def test_a_path_shows_what_the_rule_finds(make: Make, tokenizer: Any) -> None:
    model = make("llama")
    by_path = Subject("a", "a", model, tokenizer, "0", site="layers.{}.mlp.down_proj:input")
    by_rule = Subject("a", "a", model, tokenizer, "0")
    for layer, seen in shown(by_rule).items():
        assert torch.equal(seen.neurons, shown(by_path)[layer].neurons)


@pytest.mark.parametrize(
    ("kind", "site", "message"),
    [
        ("llama", "mpl", 'unknown site "mpl"; known: mlp, resid, attention, or \'PATH'),
        ("llama", "layers.{}.mlp.down_proj", "unknown site"),
        ("llama", "a.{}.b.{}:input", "unknown site"),
        ("llama", "layers.{}.mlp.dwn_proj:input", 'did you mean "layers.{}.mlp.down_proj"?'),
        ("llama", "layers.7.mlp.down_proj:input", "has no module"),
        ("gpt2", "wpe.{}:input", "has no module"),
        ("llama", "rotary_emb:output", "not one vector per token"),
    ],
)
def test_a_path_that_leads_nowhere(
    kind: str, site: str, message: str, make: Make, tokenizer: Any
) -> None:
    with pytest.raises(SubjectError) as caught:
        Subject(kind, kind, make(kind), tokenizer, "0", site=site).verify()
    text = str(caught.value)
    assert text.count("\n") == 0
    assert message in text


def test_what_reads_the_other_text_is_refused(make: Make, cls_tokenizer: Any) -> None:
    site = "decoder.layers.{}.encoder_attn.k_proj:input"
    subject = Subject("bart", "bart", make("bart"), cls_tokenizer, "0", site=site)
    with pytest.raises(SubjectError, match="not one vector per token"):
        subject.verify()


@pytest.mark.parametrize("kind", ["gpt2", "albert", "t5", "mixtral"])
@pytest.mark.parametrize("site", ["mlp", "resid", "attention"])
def test_sites_without_weights(kind: str, site: str, make: Make, save: Save) -> None:
    folder = str(save(make(kind)))
    bare = Subject.load(folder, site=site, weights=False)
    full = Subject.load(folder, site=site)
    assert next(bare.model.parameters()).is_meta
    assert bare.info.widths == full.info.widths
    assert [s.module_name for s in bare.sites.values()] == [
        s.module_name for s in full.sites.values()
    ]
    assert bare.max_positions == full.max_positions
