"""Memory that the forward and backward pass of one row takes, found without taking it.

The packed model itself runs on torch's fake tensors, which have shapes and types and no numbers,
and a counter adds up what is alive. So every architecture, adapters, recomputation and the chunked
head are counted as they are. Attention alone is replaced: it selects the valid places of a batch of
documents, which fake tensors cannot; `_Attention` makes and keeps tensors of the same sizes.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from instruct_scaling.config.recipe import Recipe
from instruct_scaling.models.packed.attention import BACKEND_FUNCTIONS, Scores, alibi_slopes
from instruct_scaling.models.packed.documents import Documents
from instruct_scaling.models.packed.engine import pack_model
from instruct_scaling.models.packed.execution import PackedExecution
from instruct_scaling.models.packed.packing import PackedBatch, one_answer, packed_batch
from instruct_scaling.models.packed.tuning import apply_tuning

CPU = torch.device("cpu")
TRACED = "counted"  # name of the back-end that stands in for attention
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that operations make, while they are alive; views of the
    tensors that are `there` before count nothing.

    Attributes:
        now: bytes that are alive.
        peak: most that ever were.
    """

    def __init__(self, there: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._known = {tensor.untyped_storage()._cdata for tensor in there}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count what it has made."""
        made = func(*args, **(kwargs or {}))
        for tensor in tree_iter(made):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


class _Attention(torch.autograd.Function):
    """Keeps what torch's kernel keeps for its backward pass, for each bucket of documents: copies
    of query, key and value, its output, a number for each query and head, and an ALiBi's bias."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        documents: Documents,
        biased: bool,
    ) -> torch.Tensor:
        kept = []
        for index, _ in documents.buckets:
            count, length = index.shape
            kept += [copy_for(t, count, length) for t in (query, key, value, query)]
            heads = query.shape[1]
            kept.append(query.new_empty(count, heads, length, dtype=torch.float32))
            if biased:
                kept.append(query.new_empty(heads, length, length))
        ctx.save_for_backward(*kept)
        ctx.shapes = [tensor.shape for tensor in (query, key, value)]
        ctx.documents = documents
        return torch.empty_like(query, memory_format=torch.contiguous_format)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        for index, _ in ctx.documents.buckets:  # the gradients of a bucket's copies
            [grad.new_empty(*index.shape, *shape[1:]) for shape in ctx.shapes]
        return *(grad.new_empty(shape) for shape in ctx.shapes), None, None


def copy_for(tensor: torch.Tensor, count: int, length: int) -> torch.Tensor:
    """Room for a bucket's copy of a tensor [tokens, heads, dim]."""
    return tensor.new_empty(count, length, *tensor.shape[1:])


def counted_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scores: Scores,
    documents: Documents,
    dropout: float,
) -> torch.Tensor:
    """A back-end of `attend` that only takes memory."""
    return _Attention.apply(query, key, value, documents, scores.slopes is not None)


BACKEND_FUNCTIONS[TRACED] = counted_attention


def row_of(lengths: list[int], answer: float) -> PackedBatch:
    """A row of documents of so many tokens, of which a share is supervised. What a forward pass
    would compute of the documents is computed here, where tensors have numbers."""
    tokens = [np.zeros(length + 1, np.int32) for length in lengths]
    row = packed_batch([one_answer(t, round(len(t) * (1 - answer))) for t in tokens], CPU)
    for name in ("offsets", "numbers", "positions", "buckets", "unbucket"):
        getattr(row.documents, name)
    return row


def pass_bytes(
    config: Any, recipe: Recipe, row: PackedBatch, *, checkpointing: bool, bucket: int = 0
) -> int:
    """Most bytes that a row's forward and backward pass take beside weights and states.

    A weight's gradient is handed over to DeepSpeed as soon as it is whole, so none is kept; the
    first one makes DeepSpeed reserve its bucket.

    Args:
        config: of the model, transformers'.
        recipe: tuning and precision.
        row: see `row_of`.
        checkpointing: activations are recomputed.
        bucket: numbers of the weights' type that a bucket of gradients holds.
    """
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        module = AutoModelForCausalLM.from_config(config, dtype=DTYPES[recipe.precision])
        apply_tuning(module, recipe.tuning)
    pack_model(module, PackedExecution(backend=TRACED))
    if checkpointing:
        module.gradient_checkpointing_enable({"use_reentrant": False})
    module.train()
    with FakeTensorMode(allow_non_fake_inputs=True):
        move_from_meta(module)
        reserved: list[torch.Tensor] = []

        def hand_over(parameter: torch.Tensor) -> None:
            parameter.grad = None
            if bucket and not reserved:
                reserved.append(parameter.new_empty(bucket))

        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(hand_over)
        live = LiveBytes([*module.parameters(), *module.buffers()])
        with live:
            module(batch=row).backward()
    alibi_slopes.cache_clear()  # those of this pass are fake, too
    return live.peak


def move_from_meta(module: nn.Module) -> None:
    """Give a model on the meta device weights and buffers on the CPU, shared as they are there."""
    made: dict[int, torch.Tensor] = {}
    for part in module.modules():
        for name, weight in part._parameters.items():
            if weight is not None:
                empty = torch.empty_like(weight, device=CPU)
                made.setdefault(id(weight), nn.Parameter(empty, weight.requires_grad))
                part._parameters[name] = made[id(weight)]
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = torch.empty_like(buffer, device=CPU)
