"""How a model takes packed rows: `pack_model` swaps the classes of a loaded one, `restore` undoes.

Three ways: BLOOM's own (`bloom`), transformers' seam for the decoders that a test compares with
their stock forward (`decoders`), padded batches for the others (`padded`).
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from instruct_scaling.common.errors import InputError
from instruct_scaling.models.packed.backends import Needs, choose_backend
from instruct_scaling.models.packed.bloom import (
    PackedBloomForCausalLM,
    pack_bloom,
    restore_bloom,
)
from instruct_scaling.models.packed.decoders import PackedDecoder, pack_decoder, restore_decoder
from instruct_scaling.models.packed.execution import PackedExecution
from instruct_scaling.models.packed.padded import (
    PaddedForCausalLM,
    pad_model,
    restore_padded,
)

log = logging.getLogger(__name__)

# model_type of the decoders whose packed gradients and losses tests/models/packed/test_decoders.py
# compares with those of stock transformers, document by document.
TESTED_DECODERS = frozenset(
    {
        "arcee",
        "cohere",
        "cohere2",
        "ernie4_5",
        "exaone4",
        "falcon",
        "gemma",
        "gemma2",
        "gemma3_text",
        "glm",
        "glm4",
        "gpt2",
        "gpt_bigcode",
        "gpt_neox",
        "granite",
        "granitemoe",
        "helium",
        "llama",
        "mistral",
        "mixtral",
        "nemotron",
        "olmo",
        "olmo2",
        "olmo3",
        "olmoe",
        "opt",
        "phi",
        "phi3",
        "qwen2",
        "qwen2_moe",
        "qwen3",
        "qwen3_moe",
        "seed_oss",
        "smollm3",
        "stablelm",
        "starcoder2",
    }
)


def why_padded(model: PreTrainedModel) -> str | None:
    """Why the documents of a model are padded, not packed; None where they are packed."""
    config = model.config
    if config.model_type == "bloom":
        return None
    if config.model_type not in TESTED_DECODERS:
        return f"no test shows that {config.model_type} is exact on packed rows"
    if getattr(config, "alibi", False):
        return f"ALiBi of {config.model_type} is not packed"
    if type(model.get_output_embeddings()) is not nn.Linear:
        return "its output layer is no plain linear one"
    return None


def refuse_untrainable(config: Any) -> None:
    """Refuse what would train another loss than the model's own.

    Raises:
        InputError: the model adds a router loss, or its attention sees later tokens.
    """
    causal = getattr(config, "is_causal", True)
    if getattr(config, "use_bidirectional_attention", False) or not causal:
        raise InputError(
            "the base's attention sees later tokens, so it is no causal language model",
            where="base",
            fix="take a base whose attention is causal",
        )
    if getattr(config, "output_router_logits", False):
        raise InputError(
            "the base adds a loss of its router (output_router_logits), which is a mean over a "
            "batch and is not computed here",
            where="base",
            fix="set output_router_logits to false in the base's config.json; transformers' "
            "default is false too",
        )


def refuse_longer(config: Any, tokens: int) -> None:
    """Refuse examples that would change the rotation of their neighbors in a row.

    Raises:
        InputError: rotary frequencies depend on the longest example beyond a length, and `tokens`
            are longer.
    """
    limit = rotary_limit(config)
    if limit is not None and tokens > limit:
        raise InputError(
            f"this base turns its positions otherwise where a text exceeds {limit} tokens "
            "(dynamic or longrope), so a long example would change the short ones beside it",
            where="recipe.max_length",
            fix=f"set it to {limit} or less",
        )


def rotary_limit(config: Any) -> int | None:
    """Tokens up to which rotary frequencies do not depend on the length; None is without limit."""
    given = getattr(config, "rope_parameters", None) or {}
    parameters = [given] if "rope_type" in given else list(given.values())
    limits = []
    for one in parameters:
        kind = one.get("rope_type", "default")
        if kind == "longrope":
            limits.append(one["original_max_position_embeddings"])
        elif "dynamic" in kind:
            limits.append(config.max_position_embeddings)
    return min(limits, default=None)


def needs_of(model: PreTrainedModel, *, deterministic: bool) -> Needs:
    """What a model asks of an attention back-end."""
    config = model.config
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return Needs(
        dtype=model.dtype,
        head_dim=width,
        alibi=config.model_type == "bloom",
        softcap=getattr(config, "attn_logit_softcapping", None) is not None,
        dropout=any(getattr(config, name, 0.0) for name in ("attention_dropout", "attn_pdrop")),
        deterministic=deterministic,
    )


def choose_execution(
    model: PreTrainedModel,
    device: torch.device,
    *,
    attention: str | None = None,
    deterministic: bool = True,
    neftune_alpha: float = 0.0,
) -> PackedExecution:
    """How a model's rows are run on a device; warns where its documents are padded.

    Args:
        model: a loaded model with its stock classes.
        device: where it will run.
        attention: a back-end that is forced; None takes the best that is installed.
        deterministic: whether a repeated backward pass must give the same bits.
        neftune_alpha: strength of NEFTune's noise.

    Raises:
        InputError: the back-end cannot run the model here, or padded documents cannot have noise.
    """
    reason = why_padded(model)
    if reason is None:
        needs = needs_of(model, deterministic=deterministic)
        backend = choose_backend(device, attention, needs)
        return PackedExecution(backend, deterministic, neftune_alpha)
    if neftune_alpha:
        raise InputError(
            f"NEFTune needs packed documents: {reason}",
            where="recipe.neftune_alpha",
            fix="set it to 0",
        )
    log.warning("documents are padded, which is slower: %s", reason)
    return PackedExecution()


def attention_name(model: PreTrainedModel, execution: PackedExecution) -> str:
    """What train.json says of a packed model's attention."""
    return "stock, padded" if isinstance(model, PaddedForCausalLM) else execution.backend


def pack_model(model: PreTrainedModel, execution: PackedExecution | None = None) -> None:
    """Let a loaded model (also with LoRA layers inside it) take packed rows, in place.

    Raises:
        InputError: see `refuse_untrainable`.
    """
    execution = execution or PackedExecution()
    refuse_untrainable(model.config)
    if model.config.model_type == "bloom":
        pack_bloom(model, execution)
    elif why_padded(model) is None:
        pack_decoder(model, execution)
    else:
        pad_model(model)


def restore(model: PreTrainedModel) -> None:
    """Undo `pack_model`."""
    if isinstance(model, PackedBloomForCausalLM):
        restore_bloom(model)
    elif isinstance(model, PackedDecoder):
        restore_decoder(model)
    else:
        restore_padded(model)
