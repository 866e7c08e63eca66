"""Packed rows of any decoder give the losses and gradients of its documents one by one."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM, GPTJForCausalLM

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.recipe import LoraTuning
from instruct_scaling.models.packed import decoders
from instruct_scaling.models.packed import padded as padded_rows
from instruct_scaling.models.packed.decoders import PackedDecoder
from instruct_scaling.models.packed.engine import (
    TESTED_DECODERS,
    choose_execution,
    pack_model,
    refuse_longer,
    restore,
)
from instruct_scaling.models.packed.execution import PackedExecution
from instruct_scaling.models.packed.head import LogitShape
from instruct_scaling.models.packed.packing import packed_batch
from instruct_scaling.models.packed.padded import PaddedForCausalLM, document_batches
from instruct_scaling.models.packed.tuning import apply_tuning, linear_names

from .documents import CPU, MIXED, VOCABULARY, documents, error, gradients, one_by_one, packed
from .families import EVERY_FAMILY, FAMILIES, MORE_FAMILIES, PADDED_FAMILIES, tiny


def reference_type(model):
    """Mixture-of-experts layers have no float64 product."""
    experts = any("experts" in name for name, _ in model.named_parameters())
    return torch.float32 if experts else torch.float64


@pytest.mark.parametrize("name", FAMILIES)
def test_losses_and_gradients_are_those_of_stock_one_by_one(name):
    model = tiny(name)
    losses, wanted = one_by_one(model, MIXED)
    pack_model(model)
    assert isinstance(model, PackedDecoder)
    found, packed_gradients = packed(model, MIXED)
    assert error(found, losses) < 1e-5
    assert error(packed_gradients, wanted) < 1e-5
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    assert model.is_gradient_checkpointing
    _, recomputed = packed(model, MIXED)
    assert error(recomputed, wanted) < 1e-5


ONE_OF_EACH = {model_type: name for name, (model_type, _) in reversed(FAMILIES.items())}


@pytest.mark.parametrize("name", ONE_OF_EACH.values())
def test_adapters_on_every_linear_layer_have_exact_gradients(name):
    model = tiny(name)
    layers = linear_names(model)
    apply_tuning(model, LoraTuning(method="lora", rank=2))
    adapted = {part.rpartition(".lora_A")[0] for part, _ in model.named_parameters()} - {""}
    assert {part.rpartition(".")[2] for part in adapted} == set(layers)
    with torch.no_grad():
        for part, parameter in model.named_parameters():
            if "lora_B" in part:  # zero at first, which would hide the gradient of lora_A
                parameter.normal_(0, 0.1)
    losses, wanted = one_by_one(model, MIXED)
    assert all("lora_" in part for part in wanted)
    pack_model(model)
    found, packed_gradients = packed(model, MIXED)
    assert error(found, losses) < 1e-5
    assert error(packed_gradients, wanted) < 1e-5


@pytest.mark.parametrize("name", MORE_FAMILIES)
def test_more_families_are_packed_exactly(name):
    model = tiny(name)
    losses, wanted = one_by_one(model, MIXED, reference_type(model))
    pack_model(model)
    assert isinstance(model, PackedDecoder)
    found, packed_gradients = packed(model, MIXED)
    assert error(found, losses) < 1e-5
    assert error(packed_gradients, wanted) < 1e-5


@pytest.mark.parametrize("name", PADDED_FAMILIES)
def test_others_are_padded_exactly(name, caplog):
    """No document leaks into another through a state, a convolution or a sink."""
    model = tiny(name)
    losses, wanted = one_by_one(model, MIXED, reference_type(model))
    execution = choose_execution(model, CPU)
    assert "documents are padded, which is slower" in caplog.text
    pack_model(model, execution)
    assert isinstance(model, PaddedForCausalLM)
    found, padded_gradients = packed(model, MIXED)
    assert error(found, losses) < 1e-5
    assert error(padded_gradients, wanted) < 1e-5
    restore(model)
    again, _ = one_by_one(model, MIXED, reference_type(model))
    assert error(again, losses) < 1e-7


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2", "falcon, grouped", "granite"])
def test_bf16_is_as_near_to_float64_as_stock_is(name):
    model = tiny(name, scale=2.0).bfloat16()
    losses, wanted = one_by_one(model, MIXED)
    model.bfloat16()
    stock_losses, stock = one_by_one(model, MIXED, torch.bfloat16)
    model.bfloat16()
    pack_model(model)
    batch = packed_batch(MIXED, CPU)
    found = model.target_losses(batch).double()
    model(batch=batch).backward()
    assert error(found, losses) < 1.1 * error(stock_losses, losses)
    assert error(gradients(model), wanted) < 1.1 * error(stock, wanted)


def test_every_family_that_is_packed_is_tested():
    assert {EVERY_FAMILY[name][0] for name in (FAMILIES | MORE_FAMILIES)} == TESTED_DECODERS


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2", "falcon, grouped", "gptj"])
def test_swapping_back_leaves_the_stock_model(name):
    model = tiny(name).eval()
    before = {part: (type(module), set(vars(module))) for part, module in model.named_modules()}
    attention = model.config._attn_implementation
    ids = torch.arange(9)[None]
    logits = model(input_ids=ids).logits
    pack_model(model)
    restore(model)
    after = {part: (type(module), set(vars(module))) for part, module in model.named_modules()}
    assert after == before
    assert model.config._attn_implementation == attention
    assert torch.equal(model(input_ids=ids).logits, logits)


def test_a_saved_model_is_a_stock_one(tmp_path):
    model = tiny("gemma2")
    losses, _ = one_by_one(model, MIXED)
    pack_model(model)
    restore(model)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert error(one_by_one(loaded, MIXED)[0], losses) < 1e-12
    assert decoders.ATTENTION not in (tmp_path / "config.json").read_text("utf-8")


def test_an_empty_row_takes_part_and_adds_nothing():
    for name in ("llama", "gptj"):
        model = tiny(name)
        pack_model(model)
        loss = model(batch=packed_batch([], CPU))
        loss.backward()
        assert loss.item() == 0.0
        assert all(not gradient.any() for gradient in gradients(model).values())


def test_filling_a_row_changes_nothing():
    model = tiny("mistral")
    pack_model(model)
    losses, plain = packed(model, MIXED)
    filled, again = packed(model, MIXED, fill_to=256)
    assert error(filled, losses) < 1e-6
    assert error(again, plain) < 1e-6


def test_flex_gives_the_losses_of_sdpa(monkeypatch):
    """Uncompiled on a CPU, which has no backward pass: windows, caps, groups, documents."""
    for name in ("gemma2", "falcon, grouped"):
        model = tiny(name)
        batch = packed_batch(MIXED[:2], CPU)
        found = []
        for backend in ("sdpa", "flex"):
            pack_model(model, PackedExecution(backend))
            with torch.no_grad():
                found.append(model.target_losses(batch).double())
            restore(model)
        assert error(found[1], found[0]) < 1e-5


def test_neftune_acts_in_training_alone_and_needs_packed_documents():
    model = tiny("llama")
    pack_model(model, PackedExecution(neftune_alpha=5.0))
    row = packed_batch(MIXED, CPU)
    assert model.train()(batch=row).item() != model(batch=row).item()
    assert model.eval()(batch=row).item() == model(batch=row).item()
    with pytest.raises(InputError, match="NEFTune needs packed documents"):
        choose_execution(tiny("gptj"), CPU, neftune_alpha=5.0)


def test_a_router_loss_is_refused():
    model = tiny("mixtral", output_router_logits=True)
    with pytest.raises(InputError, match="router"):
        pack_model(model)


def test_attention_to_later_tokens_is_refused():
    with pytest.raises(InputError, match="later tokens"):
        pack_model(tiny("gemma3", use_bidirectional_attention=True))


def test_frequencies_that_depend_on_the_longest_text_bound_examples():
    longrope = {
        "rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4,
        "long_factor": [2.0] * 4, "partial_rotary_factor": 1.0,
        "original_max_position_embeddings": 128,
    }  # fmt: skip
    dynamic = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    bounds = {
        128: tiny("phi3", rope_parameters=longrope, original_max_position_embeddings=128),
        512: tiny("llama", rope_parameters=dynamic),
    }
    for limit, model in bounds.items():
        refuse_longer(model.config, limit)
        with pytest.raises(InputError, match=f"set it to {limit} or less"):
            refuse_longer(model.config, limit + 1)
    refuse_longer(tiny("gemma3").config, 10**6)


def test_padded_batches_hold_every_document_and_stay_within_their_size(monkeypatch):
    monkeypatch.setattr(padded_rows, "PADDED_TOKENS", 64)
    lengths = (5, 40, 3, 3, 39, 12, 90, 7)
    groups = document_batches(lengths)
    assert sorted(number for group in groups for number in group) == list(range(8))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[n] for n in group) <= 64


def test_the_padded_head_is_fused_only_where_it_is_seen_to_be_the_models_own(monkeypatch):
    """A model that changes its logits in a way that its configuration does not say keeps them."""
    plain = tiny("gptj")
    pack_model(plain)
    assert plain.logit_shape == LogitShape()
    own = GPTJForCausalLM.forward

    def scaled(self, *args, **kwargs):
        output = own(self, *args, **kwargs)
        output.logits = output.logits * 0.7
        return output

    monkeypatch.setattr(GPTJForCausalLM, "forward", scaled)
    model = tiny("gptj")
    losses, wanted = one_by_one(model, MIXED)
    pack_model(model)
    assert model.logit_shape is None
    found, padded_gradients = packed(model, MIXED)
    assert error(found, losses) < 1e-5
    assert error(padded_gradients, wanted) < 1e-5


def test_padded_logits_of_a_whole_row_never_exist():
    """Those of this row would be [6400, 320]."""
    model = tiny("gptj")
    pack_model(model)
    batch = packed_batch(documents(*[(101, 1)] * 64), CPU)
    with MostLogits() as most:
        model(batch=batch).backward()
    assert 0 < most.rows <= 1024


class MostLogits(TorchDispatchMode):
    """Rows of the largest result as wide as the vocabulary, of any operation in the body."""

    rows = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.shape[-1:] == (VOCABULARY,):
            self.rows = max(self.rows, result.numel() // VOCABULARY)
        return result
