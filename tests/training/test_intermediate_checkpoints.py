"""Snapshots along a run: right step, exact, whole after a kill, and no weight moved by them."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import sha256_file
from instruct_scaling.training.finetune import _snapshots
from instruct_scaling.training.intermediate_checkpoints import snapshot_step
from instruct_scaling.training.job import Snapshot

from .test_stage import wait_for, weights


@given(st.integers(1, 99), st.integers(1, 10**7))
def test_a_snapshot_is_due_at_the_exact_fraction_rounded_up(percent, steps):
    assert snapshot_step(percent, steps) == math.ceil(Fraction(percent, 100) * steps)
    assert 1 <= snapshot_step(percent, steps) <= steps


def test_folders_name_their_percent():
    assert _snapshots("") == ()
    found = _snapshots("runs/s1/intermediate/5/model 'with blank/intermediate/75/model'")
    assert found == (
        Snapshot(5, Path("runs/s1/intermediate/5/model")),
        Snapshot(75, Path("with blank/intermediate/75/model")),
    )
    for wrong in (
        "intermediate/100/model",
        "intermediate/half/model",
        "intermediate/0/model",
        "model",
    ):
        with pytest.raises(InputError, match="is no percent of a run"):
            _snapshots(wrong)


def keep(stage, name, *percents):
    folders = [str(stage.folder / name / "intermediate" / str(p) / "model") for p in percents]
    return ["--intermediate", " ".join(folders)]


def kept(stage, name, percent):
    return stage.folder / name / "intermediate" / str(percent) / "model"


@pytest.mark.slow
def test_a_snapshot_is_what_a_run_that_ends_there_holds(stage):
    """ZeRO-3, two ranks, dropout; the learning rate is constant, so half a run is a run."""
    recipe = {"zero_stage": 3, "epochs": None}
    assert stage.run("half", steps=6, **recipe)[0] == 0
    assert stage.run("bare", steps=12, **recipe)[0] == 0
    code, stderr = stage.run("kept", *keep(stage, "kept", 50, 99), steps=12, **recipe)
    assert code == 0, stderr
    assert weights(stage, "kept") == weights(stage, "bare")
    snapshot = kept(stage, "kept", 50)
    assert sha256_file(snapshot / "model.safetensors") == weights(stage, "half")
    config, half = (
        json.loads((folder / "config.json").read_text("utf-8"))
        for folder in (snapshot, stage.folder / "half" / "model")
    )
    assert config == half
    assert config["architectures"] == ["BloomForCausalLM"]
    card = (snapshot / "README.md").read_text("utf-8")
    assert "after step 6 of 12 (50% of the run)" in card
    assert "no substitute" in card
    # Rounded up, 99% of 12 steps is the last one.
    assert sha256_file(kept(stage, "kept", 99) / "model.safetensors") == weights(stage, "kept")
    train, half = stage.train("kept"), stage.train("half")
    assert train["intermediate"][0] == {
        "percent": 50,
        "step": 6,
        "examples": half["examples_seen"],
        "tokens": half["tokens"]["total"],
    }
    assert [point["step"] for point in train["intermediate"]] == [6, 12]
    assert half["intermediate"] == []


@pytest.mark.slow
def test_a_snapshot_that_was_being_written_is_redone_and_a_whole_one_is_kept(stage):
    recipe = {"tuning": {"method": "lora", "rank": 4}, "learning_rate": 1e-2}
    assert stage.run("calm", **recipe)[0] == 0
    work = stage.folder / "killed" / "work"
    options = keep(stage, "killed", 25, 75)
    process = stage.start("killed", *options, "--save-steps", "1", **recipe)
    wait_for(lambda: list(work.glob("*/intermediate/.75.*")), process)
    stage.kill(process)
    (whole,) = work.glob("*/intermediate/25")
    assert not list(work.glob("*/intermediate/75"))
    assert not kept(stage, "killed", 25).exists()  # until the end
    before = sha256_file(whole / "model.safetensors"), whole.stat().st_mtime_ns
    # The run is past the half: that snapshot cannot be had any more.
    code, stderr = stage.run("killed", *keep(stage, "killed", 25, 50, 75), **recipe)
    assert code == 2
    assert "gone past 50%: step 6 of 12" in stderr
    assert "Traceback" not in stderr
    assert (sha256_file(whole / "model.safetensors"), whole.stat().st_mtime_ns) == before
    code, stderr = stage.run("killed", *options, **recipe)
    assert code == 0, stderr
    assert weights(stage, "killed") == weights(stage, "calm")
    assert sha256_file(kept(stage, "killed", 25) / "model.safetensors") == before[0]
    assert [point["percent"] for point in stage.train("killed")["intermediate"]] == [25, 75]
    code, stderr = stage.run("again", *keep(stage, "again", 75), **recipe)
    assert code == 0, stderr
    once, twice = (
        sha256_file(kept(stage, name, 75) / "model.safetensors") for name in ("again", "killed")
    )
    assert once == twice
    assert (kept(stage, "killed", 75) / "adapter" / "adapter_config.json").exists()
