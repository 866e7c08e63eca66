"""What fine-tuning costs on one GPU: back-ends, head, layers, then the whole model of 7 B weights.

    python -m benchmarks.finetune_gpu [--shape bloom-7b1 | llama-7b | qwen2.5-7b] [--minutes 9]
        [--out FILE] [--only PHASE ...] [--small]

Needs one GPU (the whole model: 120 GB or more of memory), torch with CUDA, transformers and numpy,
nothing else. Uses flash-attn, triton (flex attention), deepspeed, trl and cut-cross-entropy where
they are installed, and says at the start which are missing. Nothing is downloaded: weights are
random.

A run measures one shape: this stage's back-ends, with compiled blocks and with layers computed
again; stock transformers with padding (flash attention where it is installed; BLOOM has its eager
attention alone); and, but for BLOOM, rows without padding as TRL's `padding_free` gives them to the
model, with transformers' head and with TRL's.

Ends within ten minutes: no phase starts that is not expected to fit into `--minutes`; one that
takes 30 s more is cut short, and 45 s after them the process ends, whatever hangs. Every phase is
written to the result file as soon as it is done, so that nothing measured is lost. `--small` runs
the same code with a toy shape on a CPU, without a limit.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.util
import json
import os
import platform
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parent.parent
# The machine may lack the package's own dependencies, so the package is not installed.
sys.path[:0] = [str(ROOT), str(ROOT / "workflow")]

from benchmarks.gpu_models import (  # noqa: E402
    SHAPES,
    TOYS,
    Recompute,
    Shape,
    blocks_of,
    compiled_blocks,
    model_sizes,
    padded_inputs,
    padding_free_inputs,
    recomputing,
    stock_attention_name,
    stock_loss,
    trl_head,
)
from instruct_scaling.models.packed.attention import Scores, attend  # noqa: E402
from instruct_scaling.models.packed.backends import BACKENDS, installed, lacks  # noqa: E402
from instruct_scaling.models.packed.documents import Documents  # noqa: E402
from instruct_scaling.models.packed.head import SummedCrossEntropy, chunk_rows  # noqa: E402
from instruct_scaling.models.packed.packing import PackedBatch, one_answer, packed_batch  # noqa: E402
from instruct_scaling.training.memory import Machine, Setup, Sizes, choose, predict  # noqa: E402
from instruct_scaling.training.metrics import device_peak, training_flops  # noqa: E402

# tokens, pieces, width: what others measured a head with
PUBLIC_HEAD, TOY_HEAD = (16_384, 248_320, 2048), (256, 1000, 64)


# --- tools -----------------------------------------------------------------------------------


class Bench:
    """Device, shape, clock and result file of one run."""

    def __init__(self, shape: Shape, device: torch.device, minutes: float, out: Path) -> None:
        self.shape, self.device, self.out = shape, device, out
        self.deadline = time.monotonic() + 60 * minutes
        self.backends = [
            name
            for name in BACKENDS
            if installed(name, device) and lacks(name, shape.needs) is None
        ]
        self.results: dict[str, Any] = {
            "environment": environment(device),
            "shape": asdict(shape),
            "phases": {},
        }
        self.peak = device_peak(torch.cuda.get_device_name(device)) if self.cuda else None

    @property
    def cuda(self) -> bool:
        return self.device.type == "cuda"

    def left(self) -> float:
        """Seconds left."""
        return self.deadline - time.monotonic()

    def sync(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()

    def reset_memory(self) -> None:
        gc.collect()
        if self.cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak_gb(self) -> float | None:
        """Peak device memory since the last reset, GB (1e9 bytes); None on a CPU."""
        return torch.cuda.max_memory_allocated() / 1e9 if self.cuda else None

    def seconds(self, action: Callable[[], Any], repeats: int | None = None) -> float:
        """Median wall time of an action after one warm-up."""
        action()
        times = []
        for _ in range(repeats or self.shape.repeats):
            self.sync()
            began = time.perf_counter()
            action()
            self.sync()
            times.append(time.perf_counter() - began)
        return float(np.median(times))

    def phase(self, name: str, action: Callable[[], Any], needs_seconds: float) -> None:
        """Run one phase, note what goes wrong, and write the file."""
        if self.cuda and self.left() < needs_seconds:
            self.results["phases"][name] = {"skipped": f"{self.left():.0f} s left"}
        else:
            began = time.monotonic()
            try:
                result = action()
            except Exception as error:
                result = {"failed": repr(error)[:500]}
                traceback.print_exc(limit=-6)
            result["phase_seconds"] = round(time.monotonic() - began, 1)
            self.results["phases"][name] = result
        self.reset_memory()
        print(f"--- {name}: {json.dumps(self.results['phases'][name])}", flush=True)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self.out.write_text(json.dumps(self.results, indent=2) + "\n", "utf-8")


def end_in_time(cut_after: float, end_after: float) -> None:
    """Cut the phase that is running after so many seconds, and end the process later if that did
    not help (a hanging kernel lets no exception through)."""

    def cut(signum: int, frame: Any) -> None:
        raise TimeoutError("cut short: the time is over")

    signal.signal(signal.SIGALRM, cut)
    signal.setitimer(signal.ITIMER_REAL, cut_after)
    watchdog = threading.Timer(end_after, os._exit, [1])
    watchdog.daemon = True
    watchdog.start()


def environment(device: torch.device) -> dict[str, Any]:
    """Machine and packages; None for a package that is not there."""
    versions: dict[str, str | None] = {}
    for name in ("torch", "transformers", "triton", "flash-attn", "deepspeed", "trl", "numpy"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    found = {"python": platform.python_version(), "packages": versions, "device": "CPU"}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {"device": properties.name, "memory_gb": properties.total_memory / 1e9}
    return found


def distance(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Relative error in the Euclidean norm."""
    wanted = wanted.double()
    return float((found.detach().double() - wanted).norm() / wanted.norm())


def example_lengths(shape: Shape, count: int, seed: int = 0) -> list[int]:
    """Lengths like those of public instruction data: log-normal, median 200, cut at `longest`."""
    rng = np.random.default_rng(seed)
    median = 200 * shape.longest / 1024
    return np.clip(rng.lognormal(np.log(median), 0.8, count), 8, shape.longest).astype(int).tolist()


def sequences(shape: Shape, lengths: list[int], supervised: float) -> list[tuple[np.ndarray, int]]:
    """Random examples; the last `supervised` share of each is trained on."""
    rng = np.random.default_rng(1)
    return [
        (
            rng.integers(0, shape.vocabulary, length).astype(np.int32),
            max(1, round(length * (1 - supervised))),
        )
        for length in lengths
    ]


def fill_row(shape: Shape) -> list[int]:
    """Lengths that fill one row exactly."""
    lengths, total = [], 0
    for length in example_lengths(shape, 1000, seed=2):
        if total + length > shape.row:
            break
        lengths.append(length)
        total += length
    return [*lengths, shape.row - total] if total < shape.row else lengths


# --- attention -------------------------------------------------------------------------------


def attention_phase(bench: Bench) -> dict[str, Any]:
    """Error against float64 and time, forward and backward, of every back-end and of stock."""
    shape, results = bench.shape, {}
    mixed = tuple(fill_row(shape))
    scores = shape.scores(bench.device)
    for name, lengths in {"one document": (shape.row,), "mixed documents": mixed}.items():
        documents = Documents(lengths, bench.device)
        inputs = attention_inputs(shape, bench.device)
        wanted = reference_attention(inputs, scores, documents)
        results[name] = {"documents": len(lengths), "tokens": shape.row}
        variants: dict[str, Callable[..., torch.Tensor]] = {
            backend: partial(attend, scores=scores, documents=documents, backend=backend)
            for backend in bench.backends
        }
        if len(lengths) == 1:
            variants["stock"] = partial(stock_attention, scores=scores)
        for variant, function in variants.items():
            results[name][variant] = measure_attention(bench, function, inputs, wanted)
    return results


def attention_inputs(shape: Shape, device: torch.device) -> list[torch.Tensor]:
    """Query, key, value and the output's gradient, [row, heads or key heads, dim] bf16."""
    torch.manual_seed(0)
    heads = (shape.heads, shape.key_heads, shape.key_heads, shape.heads)
    sizes = [(shape.row, count, shape.head_dim) for count in heads]
    return [torch.randn(size, device=device, dtype=torch.bfloat16) for size in sizes]


def measure_attention(
    bench: Bench,
    function: Callable[..., torch.Tensor],
    inputs: list[torch.Tensor],
    wanted: list[torch.Tensor],
) -> dict[str, Any]:
    """Errors of output and gradients; milliseconds; one back-end's failure is its own."""
    try:
        *qkv, upstream = inputs
        leaves = [t.clone().requires_grad_() for t in qkv]

        def both() -> list[torch.Tensor]:
            out = function(*leaves)
            return [out, *torch.autograd.grad(out, leaves, upstream)]

        found = both()
        errors = [distance(f, w) for f, w in zip(found, wanted, strict=True)]
        names = ("output", "query", "key", "value")
        with torch.no_grad():
            forward = bench.seconds(lambda: function(*qkv))
        return {
            "relative_error": dict(zip(names, errors, strict=True)),
            "forward_ms": 1e3 * forward,
            "forward_backward_ms": 1e3 * bench.seconds(both),
        }
    except Exception as error:
        return {"failed": repr(error)[:500]}


def reference_attention(
    inputs: list[torch.Tensor], scores: Scores, documents: Documents
) -> list[torch.Tensor]:
    """Output and gradients in float64, document by document, head by head; a key head's gradients
    are the sums over the heads that it serves."""
    query, key, value, upstream = (t.double() for t in inputs)
    heads, groups = query.shape[1], query.shape[1] // key.shape[1]
    out, *grads = (torch.zeros_like(t) for t in (query, query, key, value))
    start = 0
    for length in documents.lengths:
        position = torch.arange(length, device=upstream.device)
        gap = (position[None] - position[:, None]).double()
        for head in range(heads):
            own, shared = ((slice(start, start + length), at) for at in (head, head // groups))
            q, k, v = leaves = [
                part.clone().requires_grad_() for part in (query[own], key[shared], value[shared])
            ]
            products = q @ k.t() / q.shape[1] ** 0.5
            if scores.slopes is not None:
                products = products + scores.slopes[head].double() * gap
            found = products.masked_fill(gap > 0, -torch.inf).softmax(1) @ v
            out[own] = found.detach()
            made = torch.autograd.grad(found, leaves, upstream[own])
            for total, part, grad in zip(grads, (own, shared, shared), made, strict=True):
                total[part] += grad
        start += length
    return [out, *grads]


def stock_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scores: Scores
) -> torch.Tensor:
    """transformers on one document: its eager BLOOM, absolute ALiBi in the input's type; for other
    models torch's kernel."""
    q, k, v = (t.transpose(0, 1) for t in (query, key, value))
    if scores.slopes is None:
        out = F.scaled_dot_product_attention(
            q[None], k[None], v[None], is_causal=True, enable_gqa=len(q) != len(k)
        )
        return out[0].transpose(0, 1)
    length = q.shape[1]
    position = torch.arange(length, device=q.device)
    alibi = (scores.slopes[:, None, None] * position).to(q.dtype)
    products = torch.baddbmm(
        alibi.expand(-1, length, -1), q, k.transpose(1, 2), alpha=q.shape[2] ** -0.5
    )
    mask = torch.full((length, length), torch.finfo(q.dtype).min, device=q.device, dtype=q.dtype)
    products = products + mask.triu(1)
    return (products.softmax(-1, dtype=torch.float32).to(q.dtype) @ v).transpose(0, 1)


# --- head ------------------------------------------------------------------------------------


def head_phase(bench: Bench) -> dict[str, Any]:
    """Loss heads on one row of the shape, and on the sizes that others measured."""
    shape = bench.shape
    public = PUBLIC_HEAD if bench.cuda else TOY_HEAD
    sizes = {"row": (shape.row, shape.vocabulary, shape.hidden), "public": public}
    return {name: measure_heads(bench, *size) for name, size in sizes.items()}


def measure_heads(bench: Bench, tokens: int, vocabulary: int, width: int) -> dict[str, Any]:
    """Error against fp32, extra memory and time of each head; bf16, forward and backward."""
    torch.manual_seed(0)
    hidden = torch.randn(tokens, width, device=bench.device, dtype=torch.bfloat16)
    weight = torch.randn(vocabulary, width, device=bench.device, dtype=torch.bfloat16) * 0.02
    targets = torch.randint(vocabulary, (tokens,), device=bench.device)

    def fused(h: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return SummedCrossEntropy.apply(h, w, targets, chunk_rows(vocabulary, h.device))

    def stock(h: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy((h @ w.t()).float(), targets, reduction="sum")

    heads = {"fused": fused, "stock": stock}
    if bench.cuda and importlib.util.find_spec("cut_cross_entropy"):
        from cut_cross_entropy import linear_cross_entropy

        heads["cut-cross-entropy"] = lambda h, w: linear_cross_entropy(
            h, w, targets, reduction="sum"
        )
    few = min(tokens, 1024)  # fp32 logits of all tokens need tens of gigabytes
    results: dict[str, Any] = {"tokens": tokens, "vocabulary": vocabulary, "width": width}
    for name, function in heads.items():
        try:
            results[name] = _measure_head(bench, function, hidden, weight)
        except torch.OutOfMemoryError:
            results[name] = {"out_of_memory": True}
    wanted = wanted_hidden_gradient(hidden[:few], weight, targets[:few])
    for name, function in heads.items():
        if "ms" in results[name]:
            found = _head_gradients(function, hidden, weight)[1][:few]
            results[name]["gradient_error"] = distance(found, wanted)
    return results


def _measure_head(
    bench: Bench, function: Callable[..., torch.Tensor], hidden: torch.Tensor, weight: torch.Tensor
) -> dict[str, Any]:
    bench.reset_memory()
    before = torch.cuda.memory_allocated() / 1e9 if bench.cuda else None
    _head_gradients(function, hidden, weight)
    peak = bench.peak_gb()
    return {
        "extra_memory_gb": None if peak is None else peak - before,
        "ms": 1e3 * bench.seconds(lambda: _head_gradients(function, hidden, weight)),
    }


def wanted_hidden_gradient(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Gradient of the summed loss at the hidden states, fp32: softmax(h w') w - w[target]."""
    full = weight.float()
    return (hidden.float() @ full.t()).softmax(1) @ full - full[targets]


def _head_gradients(
    function: Callable[..., torch.Tensor], hidden: torch.Tensor, weight: torch.Tensor
) -> list[torch.Tensor]:
    leaves = [hidden.detach().requires_grad_(), weight.detach().requires_grad_()]
    loss = function(*leaves)
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


# --- models ----------------------------------------------------------------------------------


def random_model(bench: Bench, layers: int | None, dtype: torch.dtype) -> Any:
    """A model with random weights, made on the device in its own type."""
    from transformers import AutoModelForCausalLM

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        torch.manual_seed(0)
        with torch.device(bench.device):
            model = AutoModelForCausalLM.from_config(
                bench.shape.config(layers),
                dtype=dtype,
                attn_implementation=stock_attention_name(bench.shape, bench.device),
            )
    finally:
        torch.set_default_dtype(before)
    return model.train()


def pack(model: Any, backend: str) -> None:
    from instruct_scaling.models.packed.engine import pack_model
    from instruct_scaling.models.packed.execution import PackedExecution

    pack_model(model, PackedExecution(backend))


def unpack(model: Any) -> None:
    from instruct_scaling.models.packed.engine import restore

    restore(model)


def packed_loss(model: Any, row: PackedBatch) -> torch.Tensor:
    return model(batch=row)


def packable(examples: list[tuple[np.ndarray, int]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """The examples with their supervised spans in place of the length of their prompts."""
    return [one_answer(tokens, prompt) for tokens, prompt in examples]


def gradients(model: Any) -> torch.Tensor:
    """All gradients as one vector on the CPU, float32; they are dropped from the model."""
    parts = [p.grad.float().flatten().cpu() for p in model.parameters() if p.grad is not None]
    model.zero_grad(set_to_none=True)
    return torch.cat(parts)


def layers_phase(bench: Bench) -> dict[str, Any]:
    """A few layers of true width: gradient error of bf16 against fp32, and time per back-end."""
    shape = bench.shape
    examples = sequences(shape, fill_row(shape), supervised=0.6)
    results: dict[str, Any] = {"layers": shape.few_layers, "documents": len(examples)}
    small = replace(shape, vocabulary=min(shape.vocabulary, 8192))
    bench_small = bench.shape
    bench.shape = small
    try:
        examples = sequences(small, fill_row(small), supervised=0.6)
        model = random_model(bench, small.few_layers, torch.float32)
        pack(model, "sdpa")
        row = packed_batch(packable(examples), bench.device)
        packed_loss(model, row).backward()
        wanted = gradients(model)
        unpack(model)
        model.to(torch.bfloat16)

        def packed_step() -> None:
            packed_loss(model, packed_batch(packable(examples), bench.device)).backward()

        def stock_step() -> None:
            for example in examples:
                stock_loss(model, padded_inputs([example], bench.device)).backward()

        for backend in bench.backends:
            pack(model, backend)
            results[backend] = _time_and_error(bench, model, packed_step, wanted)
            unpack(model)
        results["stock, one by one"] = _time_and_error(bench, model, stock_step, wanted)
    finally:
        bench.shape = bench_small
    return results


def _time_and_error(
    bench: Bench, model: Any, step: Callable[[], None], wanted: torch.Tensor
) -> dict[str, Any]:
    try:
        bench.reset_memory()
        step()
        error = distance(gradients(model), wanted)
        return {"gradient_error": error, "ms": 1e3 * bench.seconds(step), "gb": bench.peak_gb()}
    except Exception as failure:
        return {"failed": repr(failure)[:500]}
    finally:
        model.zero_grad(set_to_none=True)


# --- the whole model -------------------------------------------------------------------------


class GroupedAdamW:
    """AdamW with fp32 master weights, one parameter after the other.

    The memory of ZeRO-3 with small sub-groups on one GPU, without DeepSpeed: 2 bytes of weights,
    2 of gradients and 12 of master weights and moments for each trainable parameter.
    """

    def __init__(self, parameters: list[nn.Parameter], rate: float) -> None:
        self.rate, self.steps = rate, 0
        self.states = [
            (p, p.detach().float(), *(torch.zeros_like(p, dtype=torch.float32) for _ in range(2)))
            for p in parameters
        ]

    @torch.no_grad()
    def step(self, scale: float) -> None:
        """Update with gradients multiplied by `scale`, then drop them."""
        self.steps += 1
        for parameter, master, first, second in self.states:
            grad = parameter.grad.float().mul_(scale)
            parameter.grad = None
            torch._fused_adamw_(
                [master], [grad], [first], [second], [], [torch.tensor(float(self.steps),
                device=master.device)], lr=self.rate, beta1=0.9, beta2=0.999, weight_decay=0.001,
                eps=1e-8, amsgrad=False, maximize=False,
            )  # fmt: skip
            parameter.copy_(master)


class LowRank(nn.Module):
    """A frozen linear layer with a rank-8 adapter, for machines without PEFT."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear
        like = linear.weight
        self.down = nn.Parameter(torch.randn(8, linear.in_features).to(like) * 0.02)
        self.up = nn.Parameter(like.new_zeros(linear.out_features, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Linear layer plus low-rank update."""
        return self.linear(x) + F.linear(F.linear(x, self.down), self.up)


def add_low_rank(model: Any) -> None:
    """Freeze the model and lay adapters into all linear layers of its blocks."""
    model.requires_grad_(False)
    for block in blocks_of(model):
        for parent in list(block.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.Linear) and not isinstance(parent, LowRank):
                    setattr(parent, name, LowRank(child))


OTHERS = ("stock", "padding-free", "trl padding-free")


@dataclass(frozen=True)
class Case:
    """One measurement on the whole model."""

    name: str
    tuning: str  # full or lora
    variant: str  # a back-end, or one of OTHERS
    lengths: list[int]  # tokens of the examples of one optimizer step
    supervised: float
    recompute: Recompute = "nothing"
    compiled: bool = False


def rows_of(case: Case, shape: Shape) -> list[list[tuple[np.ndarray, int]]]:
    """The examples of one optimizer step, row by row (packed) or micro-batch by micro-batch."""
    from instruct_scaling.models.packed.packing import first_fit_decreasing

    examples = sequences(shape, case.lengths, case.supervised)
    if case.variant not in OTHERS:
        rows = first_fit_decreasing(case.lengths, shape.row)
    else:
        # As many examples as a packed row holds of the longest, in random order, as collators do.
        size = max(1, shape.row // max(case.lengths))
        rows = [
            list(range(at, min(at + size, len(examples)))) for at in range(0, len(examples), size)
        ]
    return [[examples[position] for position in row] for row in rows]


def predicted_gb(shape: Shape, total: int, trainable: int, recompute: bool) -> float:
    """Peak memory by the stage's own arithmetic; `GroupedAdamW` keeps what ZeRO-3 does on one
    GPU with small sub-groups."""
    full = trainable == total
    sizes = Sizes(
        parameters=total,
        trainable=trainable,
        layers=shape.layers,
        width=shape.hidden,
        vocabulary=shape.vocabulary,
        head_trained=full,
    )
    setup = Setup(3, shape.row, checkpointing=recompute, sub_groups=True)
    return predict(sizes, Machine(1, None), setup)["total"] / 1e9


def model_phase(bench: Bench, tuning: str, cases: list[Case]) -> dict[str, Any]:
    """Optimizer steps on the whole model, case by case, on one set of weights and states."""
    model = random_model(bench, None, torch.bfloat16 if bench.cuda else torch.float32)
    if tuning == "lora":
        add_low_rank(model)
    trained = [p for p in model.parameters() if p.requires_grad]
    total, trainable = (sum(p.numel() for p in ps) for ps in (model.parameters(), trained))
    optimizer = GroupedAdamW(trained, 1e-6)
    results: dict[str, Any] = {"parameters": total, "trainable": trainable}
    for case in cases:
        if bench.cuda and bench.left() < 45:
            results[case.name] = {"skipped": f"{bench.left():.0f} s left"}
            continue
        try:
            results[case.name] = run_case(bench, model, optimizer, case, total, trainable)
        except torch.OutOfMemoryError as error:
            results[case.name] = {"out_of_memory": str(error)[:200]}
        except Exception as error:
            results[case.name] = {"failed": repr(error)[:500]}
        model.zero_grad(set_to_none=True)
        bench.reset_memory()
        print(f"    {case.name}: {json.dumps(results[case.name])}", flush=True)
    return results


def deepspeed_phase(bench: Bench) -> dict[str, Any]:
    """Full tuning by the stage's own engine, in the set-up that its memory arithmetic chooses."""
    from instruct_scaling.config.recipe import Recipe
    from instruct_scaling.training.distributed import (
        Rank,
        destroy_process_group,
        init_distributed,
    )
    from instruct_scaling.training.memory import deepspeed_config, measure
    from instruct_scaling.training.metrics import gpu_memory
    from instruct_scaling.training.model import TunedModel, start_engine

    shape, backend = bench.shape, bench.backends[0]
    recipe = Recipe(precision="bf16", learning_rate=1e-6, zero_stage="auto" if bench.cuda else 3)
    sizes = measure(shape.config(), recipe)
    machine = Machine(1, gpu_memory())
    stage = None if bench.cuda else 3
    setup = replace(
        choose(sizes, machine, stage=stage, longest=shape.longest), row_tokens=shape.row
    )
    init_distributed(Rank(0, 0, 1))
    model = random_model(bench, None, torch.bfloat16)
    pack(model, backend)
    if setup.checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    tuned = TunedModel(model, None, backend, sizes.parameters, sizes.trainable)
    engine = start_engine(tuned, recipe, deepspeed_config(recipe, setup, 1, sizes))
    results: dict[str, Any] = {
        "setup": str(setup),
        "optimizer": type(engine.optimizer.optimizer).__name__,
        "predicted_gb": predict(sizes, machine, setup)["total"] / 1e9,
    }
    for case in cases(bench, "full")[:2]:
        case = replace(case, recompute="all" if setup.checkpointing else "nothing")
        rows = rows_of(case, shape)
        results[case.name] = measure_steps(
            bench, case, rows, partial(engine_step, bench, engine, case, rows), sizes.trainable
        )
    engine.destroy()
    destroy_process_group()
    return results


def engine_step(
    bench: Bench, engine: Any, case: Case, rows: list[list[tuple[np.ndarray, int]]]
) -> None:
    """One optimizer step of a DeepSpeed engine."""
    scale = 1 / supervised_tokens(rows)
    for position, row in enumerate(rows, 1):
        engine.set_gradient_accumulation_boundary(position == len(rows))
        batch = packed_batch(packable(row), bench.device, fill_to=fill_to(bench, case))
        engine.backward(engine(batch=batch) * scale)
    engine.step()


def run_case(
    bench: Bench, model: Any, optimizer: GroupedAdamW, case: Case, total: int, trainable: int
) -> dict[str, Any]:
    """Time optimizer steps of one case; the first warms up."""
    rows = rows_of(case, bench.shape)
    scale = 1 / supervised_tokens(rows)

    with prepared(bench, model, case) as loss_of:

        def step() -> None:
            for row in rows:
                loss_of(row).backward()
            optimizer.step(scale)

        result = measure_steps(bench, case, rows, step, trainable)
    # The stage's arithmetic knows packed rows, and recomputes all or nothing.
    if case.variant not in OTHERS and case.recompute != "cheap":
        again = case.recompute == "all"
        result["predicted_gb"] = predicted_gb(bench.shape, total, trainable, again)
    return result


def fill_to(bench: Bench, case: Case) -> int:
    """Flex attention and blocks are compiled for one row length; the others take any."""
    return bench.shape.row if case.variant == "flex" or case.compiled else 1


def supervised_tokens(rows: list[list[tuple[np.ndarray, int]]]) -> int:
    """Tokens trained on in one optimizer step."""
    return sum(len(tokens) - prompt for row in rows for tokens, prompt in row)


def measure_steps(
    bench: Bench,
    case: Case,
    rows: list[list[tuple[np.ndarray, int]]],
    step: Callable[[], None],
    trainable: int,
) -> dict[str, Any]:
    """Time optimizer steps, the first of which warms up; tokens/s, MFU and peak memory."""
    shape = bench.shape
    bench.reset_memory()
    seconds = bench.seconds(step, repeats=2)
    body, head = model_sizes(shape)
    tokens = sum(case.lengths)
    flops = training_flops(
        body=body,
        head=head,
        body_trained=min(1.0, (trainable - head * (trainable > body)) / body),
        head_trained=float(trainable > body),
        layers=shape.layers,
        width=shape.hidden,
        tokens=tokens,
        supervised=supervised_tokens(rows),
        sum_squared_lengths=sum(length**2 for length in case.lengths),
    )
    return {
        "tokens_per_second": tokens / seconds,
        "step_seconds": seconds,
        "tokens_per_step": tokens,
        "rows": len(rows),
        "mfu": flops / seconds / bench.peak if bench.peak else None,
        "recompute": case.recompute,
        "compiled": case.compiled,
        "peak_gb": bench.peak_gb(),
    }


Examples = list[tuple[np.ndarray, int]]


@contextlib.contextmanager
def prepared(bench: Bench, model: Any, case: Case) -> Iterator[Callable[[Examples], torch.Tensor]]:
    """The model's classes and switches for the length of one case, and its summed loss of a row."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(recomputing(model, case.recompute))
        if case.compiled:
            compiler = "inductor" if bench.cuda else "aot_eager"
            stack.enter_context(compiled_blocks(model, compiler))
        if case.variant == "stock":
            yield lambda row: stock_loss(model, padded_inputs(row, bench.device))
        elif case.variant == "padding-free":
            yield lambda row: stock_loss(model, padding_free_inputs(row, bench.device))
        elif case.variant == "trl padding-free":
            loss = stack.enter_context(trl_head(model))
            yield lambda row: loss(padding_free_inputs(row, bench.device))
        else:
            pack(model, case.variant)
            stack.callback(unpack, model)
            filled = fill_to(bench, case)
            yield lambda row: packed_loss(
                model, packed_batch(packable(row), bench.device, fill_to=filled)
            )


def cases(bench: Bench, tuning: str) -> list[Case]:
    """Rows full of one long document for MFU; a batch of real lengths for useful tokens. The best
    back-end's switches and the others come before the other back-ends: time may end."""
    shape = bench.shape
    full = [shape.row] * (8 if bench.cuda else 2)
    real = example_lengths(shape, shape.batch)
    few = real[: shape.batch // 4]  # padding is slow, and tokens per second do not depend on it
    best, *rest = bench.backends
    found = [
        Case(f"{best}, full rows", tuning, best, full, 1.0),
        Case(f"{best}, real lengths", tuning, best, real, 0.6),
        Case(f"{best}, full rows, recomputing", tuning, best, full, 1.0, "all"),
        Case(f"{best}, full rows, recomputing what is cheap", tuning, best, full, 1.0, "cheap"),
        Case(f"{best}, full rows, compiled", tuning, best, full, 1.0, compiled=True),
        Case("stock, real lengths, recomputing", tuning, "stock", few, 0.6, "all"),
    ]
    if shape.family != "bloom":  # it ignores the positions: its documents would see each other
        for way in OTHERS[1:]:
            if way == "padding-free" or importlib.util.find_spec("trl"):
                found.append(Case(f"{way}, real lengths", tuning, way, real, 0.6))
    for backend in rest:
        if backend == "sdpa" and tuning == "lora":
            continue
        found += [
            Case(f"{backend}, full rows", tuning, backend, full, 1.0),
            Case(f"{backend}, real lengths", tuning, backend, real, 0.6),
        ]
    found += [
        Case("stock, full rows, recomputing", tuning, "stock", full, 1.0, "all"),
        Case("stock, real lengths", tuning, "stock", few, 0.6),
    ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", choices=SHAPES, default="bloom-7b1")
    parser.add_argument("--small", action="store_true", help="toy shape, also on a CPU")
    parser.add_argument("--minutes", type=float, default=9.0, help="stop starting phases after")
    parser.add_argument("--out", type=Path, help="benchmarks/results/finetune_gpu_SHAPE.json")
    parser.add_argument(
        "--only", nargs="*", default=None, help="phases: attention head layers full deepspeed lora"
    )
    options = parser.parse_args()
    if not options.small and not torch.cuda.is_available():
        raise SystemExit("no GPU here; --small runs the same code with a toy shape on the CPU")
    if importlib.util.find_spec("transformers") is None:
        raise SystemExit("transformers is not installed; torch, transformers and numpy are needed")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not options.small:
        end_in_time(60 * options.minutes + 30, 60 * options.minutes + 45)
    shape = (TOYS if options.small else SHAPES)[options.shape]
    out = options.out or ROOT / f"benchmarks/results/finetune_gpu_{options.shape}.json"
    bench = Bench(shape, device, options.minutes, out)
    # The newer name of gradient_checkpointing_enable is missing in some 5.x releases.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    print(json.dumps(bench.results["environment"], indent=2))
    optional = ("flash_attn", "triton", "deepspeed", "trl", "cut_cross_entropy")
    missing = [name for name in optional if not importlib.util.find_spec(name)]
    print(f"back-ends: {', '.join(bench.backends)}; not installed: {', '.join(missing) or '-'}")
    phases: dict[str, tuple[Callable[[], Any], float]] = {
        "attention": (lambda: attention_phase(bench), 30),
        "head": (lambda: head_phase(bench), 20),
        "layers": (lambda: layers_phase(bench), 30),
        "full": (lambda: model_phase(bench, "full", cases(bench, "full")), 60),
        "deepspeed": (lambda: deepspeed_phase(bench), 90),
        "lora": (lambda: model_phase(bench, "lora", cases(bench, "lora")), 60),
    }
    for name in options.only or phases:
        action, needs = phases[name]
        if name == "deepspeed" and "deepspeed" in missing:
            continue
        bench.phase(name, action, needs)
    print(f"written to {out}")


if __name__ == "__main__":
    main()
