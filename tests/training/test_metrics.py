"""Seconds by phase, the count of operations against torch's own counter, and where figures go."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.study import Tracking
from instruct_scaling.training import metrics, pipeline
from instruct_scaling.training.export import cost_summary
from instruct_scaling.training.metrics import (
    FlopCounter,
    MetricsLogger,
    Progress,
    Stopwatch,
    device_peak,
    open_wandb,
    training_flops,
)

from .conftest import tiny_config, tiny_model

CPU = torch.device("cpu")


def test_each_moment_counts_for_one_phase(monkeypatch):
    now = iter([100.0, 103.0, 104.5, 110.0, 111.0])
    monkeypatch.setattr(metrics.time, "monotonic", lambda: next(now))
    clock = Stopwatch(already=2.0)
    for phase in ("startup", "export", "training", "startup"):
        clock.lap(phase)
    clock.add({"startup": 10.0, "training": 1.0})
    assert clock.seconds == {
        "startup": 5.0 + 1.0 + 10.0,
        "training": 5.5 + 1.0,
        "validation": 0.0,
        "checkpoints": 0.0,
        "export": 1.5,
    }


def test_device_hours_are_those_of_all_phases_and_speed_is_of_the_steps():
    clock = Stopwatch()
    clock.add({"startup": 400.0, "training": 1000.0, "validation": 100.0, "export": 300.0})
    progress = Progress(tokens=5000, seconds=clock.seconds)
    found = cost_summary(progress, counter(peak=1e9), [7, 8], CPU)
    threads = torch.get_num_threads()
    assert found["seconds"]["total"] == 1800.0
    assert found["cpu_core_hours"] == pytest.approx(2 * 1800 / 3600 * threads)
    assert found["cpu_core_hours_training"] == pytest.approx(2 * 1000 / 3600 * threads)
    assert (found["gpu_hours"], found["gpu_hours_training"]) == (None, None)
    assert found["tokens_per_second"] == 5.0
    assert found["mfu"] == pytest.approx(found["training_flops"] / (2 * 1000 * 1e9))
    assert found["peak_memory_bytes"] == {"per_rank": [7, 8], "sum": 15}


@pytest.mark.parametrize(("platform", "size"), [("linux", 3072), ("darwin", 3)])
def test_the_peak_of_a_process_is_in_bytes_on_each_system(monkeypatch, platform, size):
    """Linux counts kibibytes (getrusage(2)), macOS bytes."""
    monkeypatch.setattr(metrics.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(metrics.sys, "platform", platform)
    usage = SimpleNamespace(ru_maxrss=3)
    monkeypatch.setattr(metrics.resource, "getrusage", lambda _: usage)
    assert metrics.peak_memory_bytes() == size


def counter(peak=None, trainable=1, head_trained=False):
    tuned = SimpleNamespace(parameters=100_000, trainable=trainable, head_trained=head_trained)
    found = FlopCounter.of(tiny_config(), tuned, CPU)
    return FlopCounter(**{**vars(found), "peak": peak})


def test_operations_match_torchs_counter():
    """torch counts attention without the causal half, and the backward pass twice the forward."""
    length = 64
    model = tiny_model(hidden_dropout=0.0, attention_dropout=0.0)
    ids = torch.randint(4, 300, (1, length))
    with FlopCounterMode(display=False) as counted:
        model(input_ids=ids).logits.sum().backward()
    config = model.config
    head = config.vocab_size * config.hidden_size
    matrices = sum(p.numel() for p in model.parameters() if p.dim() == 2) - head
    found = training_flops(
        body=matrices,
        head=head,
        body_trained=1.0,
        head_trained=1.0,
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        tokens=length,
        supervised=length,
        sum_squared_lengths=2 * length**2,
    )
    assert found == pytest.approx(counted.get_total_flops(), rel=0.01)


def test_a_frozen_embedding_saves_the_gradient_of_the_head_alone():
    """torch's counter, with the embedding frozen: 6 for the body, 4 for the head."""
    length = 64
    model = tiny_model(hidden_dropout=0.0, attention_dropout=0.0)
    model.get_input_embeddings().requires_grad_(False)
    ids = torch.randint(4, 300, (1, length))
    with FlopCounterMode(display=False) as counted:
        model(input_ids=ids).logits.sum().backward()
    parameters = sum(p.numel() for p in model.parameters())
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    tuned = SimpleNamespace(parameters=parameters, trainable=trainable, head_trained=False)
    flops = FlopCounter.of(model.config, tuned, CPU)
    assert (flops.body_trained, flops.head_trained) == (1.0, 0.0)
    progress = Progress(tokens=length, supervised=length, sum_squared_lengths=2 * length**2)
    # Biases and norms are counted as weights, and the first layer's input needs no gradient.
    assert flops.flops(progress) == pytest.approx(counted.get_total_flops(), rel=0.1)
    shape = {"body": 90, "head": 10, "layers": 0, "width": 1, "sum_squared_lengths": 0}
    frozen = training_flops(**shape, body_trained=1.0, head_trained=0.0, tokens=5, supervised=3)
    assert frozen == 6 * 90 * 5 + 4 * 10 * 3


def test_adapters_leave_the_gradient_of_frozen_weights_out():
    lora = counter(trainable=500)
    assert lora.head_trained == 0.0
    assert lora.body_trained == pytest.approx(500 / (100_000 - lora.head))


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H200", 989e12),
        ("NVIDIA GH200 480GB", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA A40", 150e12),
        ("NVIDIA RTX A4000", None),
        ("NVIDIA RTX A400", None),
        ("NVIDIA A1000", None),
        ("Quadro K620", None),
    ],
)
def test_peaks_are_stated_for_known_devices_only(name, peak):
    assert device_peak(name) == peak


def test_the_curve_is_a_mean_over_the_steps_since_the_point_before():
    progress = Progress(losses=[float(step) for step in range(1, 402)])
    found = progress.loss_summary()
    assert (found["first"], found["last"], found["mean"]) == (1.0, 401.0, 201.0)
    assert found["curve"][0] == [3, 2.0]
    assert found["curve"][-1] == [401, 400.5]
    assert len(found["curve"]) <= metrics.CURVE_POINTS


def show_steps(folder, first, last, **options):
    logger = MetricsLogger(
        folder / "tensorboard", steps=last, ranks=1, flops=counter(), silent=False, **options
    )
    logger.open(first)
    for step in range(first + 1, last + 1):
        progress = Progress(step=step, tokens=10, seconds={"training": 2.0}, losses=[1 / step])
        logger.show(progress, 0.1, 0.5)
    logger.show_validation({"cot": 1.0, "math": 3.0}, last)
    logger.close()


def test_a_resumed_run_goes_on_in_the_same_events(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    show_steps(tmp_path, 0, 3)
    show_steps(tmp_path, 2, 5)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [point.step for point in events.Scalars("train/loss")] == [1, 2, 3, 4, 5]
    assert [point.value for point in events.Scalars("train/tokens_per_second")] == [5.0] * 5
    assert events.Scalars("train/gradient_norm")[0].value == 0.5
    assert events.Scalars("validation/mean")[-1].value == 2.0


@pytest.mark.parametrize(
    ("identity", "name"),
    [({"study": "demo", "arm": "full", "scale": 100, "seed": 2}, "demo-full-100-2"), ({}, "run")],
)
def test_a_run_in_the_tracker_is_named_by_its_place_in_the_study(run, monkeypatch, identity, name):
    opened = []
    monkeypatch.setattr(pipeline, "open_wandb", lambda project, **given: opened.append(given))
    one = run("run")
    outputs = pipeline.Outputs(one.model, one.folder / "train.json", one.work)
    inputs = replace(one.pipeline_inputs(), identity=identity)
    pipeline.open_tracker(inputs, outputs, Tracking(tool="wandb"), "k" * 32)
    assert opened[0]["name"] == name
    assert pipeline.open_tracker(inputs, outputs, None, "k" * 32) is None


def test_wandb_keeps_the_figures_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    opened = partial(
        open_wandb, "p", name="full-100-1", key="0123456789abcdef0", config={}, folder=tmp_path
    )
    show_steps(tmp_path, 0, 3, open_tracker=opened)
    (kept,) = (tmp_path / "wandb").glob("offline-run-*-0123456789abcdef/*.wandb")
    deadline = time.monotonic() + 60  # a process of its own writes, in its own time
    while b"train/loss" not in kept.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_tool_that_is_missing_is_named_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="wandb is not installed") as caught:
        open_wandb("p", name="n", key="k", config={}, folder=tmp_path)
    assert ".[tracking]" in str(caught.value)


def test_a_tool_that_will_not_start_is_no_traceback(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")

    def refuse(**_):
        raise wandb.errors.UsageError("no API key configured")

    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.raises(InputError, match="no API key configured"):
        open_wandb("p", name="n", key="k", config={}, folder=tmp_path)
