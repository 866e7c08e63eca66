"""Generating with swapped classes gives stock transformers' answers, and a smaller bf16 error."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from instruct_scaling.models.packed.generation import Prompts, patch_for_generation, step_bias
from instruct_scaling.models.packed.linear import FastLinear
from tests.training.conftest import VOCABULARY, tiny_model

PAD, END = 3, 2


def pair(**changes):
    """A stock BLOOM and the same one, patched for generation."""
    stock = tiny_model(hidden_dropout=0.0, attention_dropout=0.0, **changes).eval()
    ours = copy.deepcopy(stock)
    patch_for_generation(ours)
    return stock, ours


@pytest.fixture(scope="module")
def models():
    return pair()


def prompts(lengths, seed=0):
    """Left-padded random prompts as generate() takes them."""
    torch.manual_seed(seed)
    width = max(lengths)
    mask = (torch.arange(width) >= width - torch.tensor(lengths)[:, None]).long()
    ids = torch.randint(4, VOCABULARY, mask.shape)
    return {"input_ids": ids.where(mask.bool(), PAD), "attention_mask": mask}


def generate(model, inputs, **options):
    with torch.inference_mode():
        return model.generate(
            **inputs, max_new_tokens=12, pad_token_id=PAD, eos_token_id=END, **options
        )


def logits(model, inputs):
    with torch.inference_mode():
        return model(**inputs).logits[inputs["attention_mask"].bool()]


def first_context_and_logits(model, inputs):
    """What the first block's attention gives, before its output projection, and the logits."""
    seen = []
    dense = model.transformer.h[0].self_attention.dense
    hook = dense.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    found = logits(model, inputs)
    hook.remove()
    return seen[0][0], found


def relative_error(found, wanted):
    return float((found.double() - wanted).norm() / wanted.norm())


@settings(deadline=None, max_examples=15)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    heads=st.sampled_from([1, 3, 4, 6]),
    seed=st.integers(0, 99),
)
def test_logits_and_greedy_tokens_are_stocks(lengths, heads, seed):
    stock, ours = pair(seed=seed, n_head=heads)
    inputs = prompts(lengths, seed)
    assert (logits(ours, inputs) - logits(stock, inputs)).abs().max() < 1e-5
    options = {"do_sample": False, "output_scores": True, "return_dict_in_generate": True}
    wanted, found = (generate(model, inputs, **options) for model in (stock, ours))
    assert torch.equal(found.sequences, wanted.sequences)
    for step, right in zip(found.scores, wanted.scores, strict=True):
        assert (step - right).abs().max() < 1e-5


@pytest.mark.parametrize(
    "options",
    [
        {"do_sample": True, "temperature": 0.8, "top_p": 0.9, "top_k": 0},
        {"do_sample": False, "num_beams": 3},
        {"do_sample": False, "cache_implementation": "static"},
        {"do_sample": False, "use_cache": False},
    ],
    ids=["sampled", "beams", "static cache", "no cache"],
)
def test_every_variant_of_generating_stays_transformers_own(models, options):
    inputs = prompts([1, 30, 7])
    found = []
    for model in models:
        torch.manual_seed(5)
        found.append(generate(model, inputs, **options))
    assert torch.equal(*found)


def test_prompts_may_be_given_in_parts(models):
    stock, ours = models
    ids = prompts([24])["input_ids"]
    with torch.inference_mode():
        wanted = stock(input_ids=ids).logits
        first = ours(input_ids=ids[:, :9], use_cache=True)
        second = ours(input_ids=ids[:, 9:], past_key_values=first.past_key_values)
    assert (torch.cat([first.logits, second.logits], 1) - wanted).abs().max() < 1e-5


def test_a_row_without_tokens_leaves_the_others_alone(models):
    _, ours = models
    inputs = prompts([6, 4])
    alone = logits(ours, {name: part[:1] for name, part in inputs.items()})
    inputs["attention_mask"][1] = 0
    with torch.inference_mode():
        found = ours(**inputs).logits
    assert found.isfinite().all()
    assert (found[0] - alone).abs().max() < 1e-5


def test_spreading_undoes_packing():
    mask = prompts([2, 5, 1])["attention_mask"]
    packed = Prompts.of(mask)
    assert packed.documents.lengths == (2, 5, 1)
    row = torch.arange(1.0, 9.0)[:, None]
    spread = packed.spread(row)[..., 0]
    assert torch.equal(spread[mask.bool()], row[:, 0])
    assert spread[~mask.bool()].eq(0).all()


def test_the_bias_of_a_step_is_relative_and_hides_padding_and_the_future():
    mask = torch.tensor([[0, 1, 1, 1, 0]])  # one of padding, three tokens, one unused
    (bias,) = step_bias(mask, 2, past=2, length=2, dtype=torch.float32)
    lowest = torch.finfo(torch.float32).min
    slope = 2**-4
    assert bias[0].tolist() == [
        [lowest, -slope, 0.0, lowest, lowest],
        [lowest, -2 * slope, -slope, 0.0, lowest],
    ]


def test_bf16_error_against_fp64_is_several_times_smaller():
    stock, ours = (model.bfloat16() for model in pair(hidden_size=128, n_head=4))
    inputs = prompts([1024])
    exact = first_context_and_logits(copy.deepcopy(stock).double(), inputs)
    wrong, found = (
        [
            relative_error(*both)
            for both in zip(first_context_and_logits(model, inputs), exact, strict=True)
        ]
        for model in (stock, ours)
    )
    assert found[0] < 0.005  # attention's output; stock: 0.17
    assert found[1] < 0.01  # logits; stock: 0.05
    assert wrong[0] > 20 * found[0]
    assert wrong[1] > 4 * found[1]


def test_of_other_architectures_the_linear_layers_alone_are_swapped():
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, num_attention_heads=2, **shape))
    before = {name: type(module) for name, module in model.named_modules()}
    patch_for_generation(model)
    swapped = {kind: FastLinear if kind is nn.Linear else kind for kind in before.values()}
    for name, module in model.named_modules():
        assert type(module) is swapped[before[name]], name


def test_weights_keep_their_names(models):
    stock, ours = models
    assert list(stock.state_dict()) == list(ours.state_dict())
