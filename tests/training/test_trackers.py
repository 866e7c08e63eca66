"""The figures reach a real tracker, offline, and a resumed run goes on in the same place."""

from __future__ import annotations

import sqlite3
import time
from functools import partial

import pytest
import torch

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.study import Tracking
from instruct_scaling.training.hardware import Costs
from instruct_scaling.training.metrics import Progress
from instruct_scaling.training.metrics_logger import MetricsLogger
from instruct_scaling.training.trackers import Tracker

from .conftest import tiny_config


def show_steps(folder, tracking, first, last):
    board = MetricsLogger(
        folder / "tensorboard",
        steps=last,
        ranks=1,
        costs=Costs.of(tiny_config(), 1, 1, torch.device("cpu")),
        silent=False,
        tracker=partial(
            Tracker, tracking, name="full-100-1", key="0123456789abcdef0", config={}, folder=folder
        ),
    )
    board.open(first)
    for step in range(first, last):
        progress = Progress(step=step + 1, tokens=10, seconds=1.0, losses=[1 / (step + 1)])
        board.show(progress, 0.1, None)
    board.close()


def test_wandb_keeps_the_figures_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    show_steps(tmp_path, Tracking(tool="wandb", project="p"), 0, 3)
    (kept,) = (tmp_path / "wandb").glob("offline-run-*-0123456789abcdef/*.wandb")
    deadline = time.monotonic() + 60  # a process of its own writes, in its own time
    while b"train/loss" not in kept.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_trackio_goes_on_in_the_same_run(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))  # read once, by the first import
    pytest.importorskip("trackio")
    tracking = Tracking(tool="trackio", project="p")
    show_steps(tmp_path, tracking, 0, 3)
    show_steps(tmp_path, tracking, 3, 5)
    (database,) = tmp_path.glob("p*.db")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("select run_name, step, metrics from metrics").fetchall()
    assert {name for name, _, _ in rows} == {"full-100-1-01234567"}
    assert [step for _, step, _ in rows] == [1, 2, 3, 4, 5]
    assert "train/loss" in str(rows[0][2])


def test_a_tool_that_is_missing_is_named_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="wandb is not installed") as caught:
        Tracker(Tracking(tool="wandb"), name="n", key="k", config={}, folder=tmp_path)
    assert ".[tracking]" in str(caught.value)


def test_a_tool_that_will_not_start_is_no_traceback(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")

    def refuse(**_):
        raise wandb.errors.UsageError("no API key configured")

    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.raises(InputError, match="no API key configured"):
        Tracker(Tracking(tool="wandb"), name="n", key="k", config={}, folder=tmp_path)
