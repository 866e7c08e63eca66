"""The models of the GPU benchmark: their shapes, how stock transformers is given its rows, and the
two switches: compiled blocks, and what is computed again in the backward pass."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

from instruct_scaling.models.packed.attention import Scores, alibi_slopes
from instruct_scaling.models.packed.backends import Needs

Recompute = Literal["nothing", "cheap", "all"]

# What takes long in a block, and is kept where the cheap rest is computed again.
COSTLY = (
    "aten::mm",
    "aten::addmm",
    "aten::bmm",
    "mkldnn::_linear_pointwise",
    "aten::_scaled_dot_product_flash_attention",
    "aten::_scaled_dot_product_flash_attention_for_cpu",
    "aten::_scaled_dot_product_efficient_attention",
    "aten::_scaled_dot_product_cudnn_attention",
    "flash_attn::_flash_attn_forward",
    "flash_attn::_flash_attn_varlen_forward",
    "torch_attn::_varlen_attn",
    "flex_attention",
)


@dataclass(frozen=True)
class Shape:
    """The model and the rows that are measured."""

    family: str  # bloom, llama or qwen2
    hidden: int
    layers: int
    heads: int
    key_heads: int
    feedforward: int
    vocabulary: int
    row: int  # tokens of a packed row
    longest: int  # tokens of the longest example
    batch: int  # examples per optimizer step
    few_layers: int  # of the layer phase
    repeats: int
    tied: bool = False

    @property
    def head_dim(self) -> int:
        """Width of a head."""
        return self.hidden // self.heads

    @property
    def needs(self) -> Needs:
        """What the model asks of an attention back-end; varlen takes part, repeatable or not."""
        return Needs(head_dim=self.head_dim, alibi=self.family == "bloom", deterministic=False)

    def scores(self, device: torch.device) -> Scores:
        """How a query scores a key."""
        if self.family == "bloom":
            return Scores(slopes=alibi_slopes(self.heads, device))
        return Scores()

    def config(self, layers: int | None = None) -> Any:
        """transformers' configuration; none has dropout."""
        from transformers import BloomConfig, LlamaConfig, Qwen2Config

        if self.family == "bloom":
            return BloomConfig(
                vocab_size=self.vocabulary,
                hidden_size=self.hidden,
                n_layer=layers or self.layers,
                n_head=self.heads,
                hidden_dropout=0.0,
                attention_dropout=0.0,
                use_cache=False,
            )
        kind = {"llama": LlamaConfig, "qwen2": Qwen2Config}[self.family]
        return kind(
            vocab_size=self.vocabulary,
            hidden_size=self.hidden,
            num_hidden_layers=layers or self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_heads,
            intermediate_size=self.feedforward,
            max_position_embeddings=32_768,
            tie_word_embeddings=self.tied,
            use_cache=False,
        )


# Those of BLOOM-7.1B, Llama-2-7B and Qwen2.5-7B.
SHAPES = {
    "bloom-7b1": Shape("bloom", 4096, 30, 32, 32, 16_384, 250_880, 2048, 1024, 64, 4, 5, tied=True),
    "llama-7b": Shape("llama", 4096, 32, 32, 32, 11_008, 32_000, 2048, 1024, 64, 4, 5),
    "qwen2.5-7b": Shape("qwen2", 3584, 28, 28, 4, 18_944, 152_064, 2048, 1024, 64, 4, 5),
}
TOYS = {
    "bloom-7b1": Shape("bloom", 64, 3, 4, 4, 256, 1000, 256, 128, 8, 2, 2, tied=True),
    "llama-7b": Shape("llama", 64, 3, 4, 4, 128, 1000, 256, 128, 8, 2, 2),
    "qwen2.5-7b": Shape("qwen2", 64, 3, 4, 2, 128, 1000, 256, 128, 8, 2, 2),
}


@cache
def model_sizes(shape: Shape) -> tuple[int, int]:
    """Weights of the blocks and of the output layer; an input embedding of its own is in neither,
    for it multiplies nothing."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(shape.config())
    head = shape.vocabulary * shape.hidden
    total = sum(p.numel() for p in model.parameters())
    return total - head * (1 if shape.tied else 2), head


def blocks_of(model: Any) -> nn.ModuleList:
    """The decoder's blocks."""
    base = model.base_model
    return base.h if hasattr(base, "h") else base.layers


# --- stock transformers ----------------------------------------------------------------------


def stock_attention_name(shape: Shape, device: torch.device) -> str:
    """The best attention that transformers has for the model: BLOOM is eager alone."""
    if shape.family == "bloom":
        return "eager"
    flash = device.type == "cuda" and importlib.util.find_spec("flash_attn") is not None
    return "flash_attention_2" if flash else "sdpa"


def padded_inputs(
    examples: list[tuple[np.ndarray, int]], device: torch.device
) -> dict[str, torch.Tensor]:
    """Input ids, attention mask and labels [examples, longest]."""
    longest = max(len(tokens) for tokens, _ in examples)
    ids = torch.zeros(len(examples), longest, dtype=torch.int64)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for row, (tokens, prompt) in enumerate(examples):
        whole = torch.from_numpy(tokens.astype(np.int64))
        ids[row, : len(whole)], mask[row, : len(whole)] = whole, 1
        labels[row, prompt : len(whole)] = whole[prompt:]
    found = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    return {name: value.to(device) for name, value in found.items()}


def padding_free_inputs(
    examples: list[tuple[np.ndarray, int]], device: torch.device
) -> dict[str, Any]:
    """One row without padding as TRL's padding_free gives it to a model: positions that start again
    with each document, and the documents' borders for flash attention; labels [1, tokens]."""
    lengths = [len(tokens) for tokens, _ in examples]
    labels = [
        np.where(np.arange(len(tokens)) < max(prompt, 1), -100, tokens)
        for tokens, prompt in examples
    ]
    borders = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32, device=device)
    rows = {
        "input_ids": np.concatenate([tokens for tokens, _ in examples]),
        "labels": np.concatenate(labels),
        "position_ids": np.concatenate([np.arange(length) for length in lengths]),
    }
    return {
        **{
            name: torch.tensor(row[None], dtype=torch.int64).to(device)
            for name, row in rows.items()
        },
        "cu_seq_lens_q": borders,
        "cu_seq_lens_k": borders,
        "max_length_q": max(lengths),
        "max_length_k": max(lengths),
    }


def stock_loss(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """transformers' own forward with labels; summed over the supervised tokens."""
    count = (inputs["labels"][:, 1:] != -100).sum()
    return model(**inputs).loss * count


@contextlib.contextmanager
def trl_head(model: Any) -> Iterator[Callable[[dict[str, Any]], torch.Tensor]]:
    """Gives the model TRL's head in chunks for the length of the body, and its summed loss."""
    from trl.trainer.utils import add_fused_lm_head

    add_fused_lm_head(model)
    try:
        yield lambda inputs: model(**inputs, fused_lm_head=True, num_items_in_batch=1).loss
    finally:
        del model.forward


# --- switches --------------------------------------------------------------------------------


@contextlib.contextmanager
def compiled_blocks(model: Any, compiler: str) -> Iterator[None]:
    """Each block compiled by itself. Attention is left out of it: it is one kernel already, and its
    documents differ from row to row, for each of which a block would be compiled again."""
    from transformers import AttentionInterface

    from instruct_scaling.models.packed import bloom, decoders

    attend = bloom.attend
    bloom.attend = torch.compiler.disable(attend)
    AttentionInterface.register(decoders.ATTENTION, torch.compiler.disable(decoders.row_attention))
    for block in blocks_of(model):
        block.compile(backend=compiler)
    try:
        yield
    finally:
        for block in blocks_of(model):
            block._compiled_call_impl = None
        AttentionInterface.register(decoders.ATTENTION, decoders.row_attention)
        bloom.attend = attend


@contextlib.contextmanager
def recomputing(model: Any, what: Recompute) -> Iterator[None]:
    """Blocks are computed again in the backward pass: all of each, or what is cheap in it."""
    if what == "nothing":
        yield
        return
    settings: dict[str, Any] = {"use_reentrant": False}
    if what == "cheap":
        settings["context_fn"] = partial(create_selective_checkpoint_contexts, keep_costly)
    model.gradient_checkpointing_enable(settings)
    try:
        yield
    finally:
        model.gradient_checkpointing_disable()


def keep_costly(context: Any, operator: Any, *_: Any, **__: Any) -> CheckpointPolicy:
    """Products and attention are kept, all else is computed again."""
    costly = operator.name().partition(".")[0] in COSTLY
    return CheckpointPolicy.MUST_SAVE if costly else CheckpointPolicy.PREFER_RECOMPUTE
