"""The GPU benchmark's models on a CPU: every way to give rows and every switch leave the loss and
the gradient as they are."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from benchmarks.gpu_models import (
    TOYS,
    compiled_blocks,
    model_sizes,
    padded_inputs,
    padding_free_inputs,
    recomputing,
    stock_loss,
)
from instruct_scaling.models.packed.engine import pack_model, restore
from instruct_scaling.models.packed.packing import one_answer, packed_batch

CPU = torch.device("cpu")
ROW = 64


def toy(name):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(TOYS[name].config(layers=2))
    return model.float().train()


def examples(*lengths):
    rng = np.random.default_rng(len(lengths))
    return [(rng.integers(1, 1000, length).astype(np.int32), length // 2) for length in lengths]


def packed_row(found):
    return packed_batch([one_answer(*example) for example in found], CPU, fill_to=ROW)


def loss_and_gradient(model, loss):
    model.zero_grad()
    loss.backward()
    grads = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return loss.detach(), torch.cat(grads)


def close(found, wanted):
    loss, gradient = found
    torch.testing.assert_close(loss, wanted[0], rtol=1e-5, atol=0)
    assert float((gradient - wanted[1]).norm() / wanted[1].norm()) < 1e-5


@pytest.mark.parametrize("name", ["bloom-7b1", "qwen2.5-7b"])
def test_ways_and_switches_leave_loss_and_gradient(name):
    model, found = toy(name), examples(30, 9, 14)
    wanted = loss_and_gradient(model, stock_loss(model, padded_inputs(found, CPU)))
    if name != "bloom-7b1":  # it ignores the positions
        close(loss_and_gradient(model, stock_loss(model, padding_free_inputs(found, CPU))), wanted)
    pack_model(model)
    for switch in (
        contextlib.nullcontext(),
        recomputing(model, "all"),
        recomputing(model, "cheap"),
        compiled_blocks(model, "eager"),
    ):
        with switch:
            close(loss_and_gradient(model, model(batch=packed_row(found))), wanted)
    restore(model)
    close(loss_and_gradient(model, stock_loss(model, padded_inputs(found, CPU))), wanted)


def graphs_by_row(name: str) -> list[int]:
    """Graphs that have been compiled after each of four rows of one length."""
    from torch._dynamo.utils import counters

    model = toy(name)
    pack_model(model)
    compiled = []
    with compiled_blocks(model, "eager"):
        for lengths in ((30, 9, 14), (20, 40), (5, 6, 7, 8), (60,)):
            model(batch=packed_row(examples(*lengths))).backward()
            compiled.append(counters["stats"]["unique_graphs"])
    return compiled


@pytest.mark.parametrize("name", ["bloom-7b1", "llama-7b"])
def test_blocks_are_compiled_once_for_all_rows_of_a_length(name, root):
    """In a process of its own, since training on a CPU switches the compiler off."""
    environment = {k: v for k, v in os.environ.items() if k != "TORCHDYNAMO_DISABLE"}
    code = f"from {__name__} import graphs_by_row; print(*graphs_by_row({name!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    first, *later = map(int, done.stdout.split())
    assert first > 0
    assert later == [first] * 3


def test_sizes_of_the_published_models():
    from benchmarks.gpu_models import SHAPES

    body, head = model_sizes(SHAPES["bloom-7b1"])
    assert body + head == pytest.approx(7.07e9, rel=1e-3)
    body, head = model_sizes(SHAPES["llama-7b"])
    assert body + 2 * head == pytest.approx(6.74e9, rel=1e-3)
    body, head = model_sizes(SHAPES["qwen2.5-7b"])
    assert body + 2 * head == pytest.approx(7.62e9, rel=1e-3)
