"""Intermediate checkpoints: right step, exact, whole after a stop; they change no weight."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError, Interrupted
from instruct_scaling.common.files import sha256_file
from instruct_scaling.training import export
from instruct_scaling.training.finetune import snapshot_folders
from instruct_scaling.training.intermediate_checkpoints import snapshot_step


@given(st.integers(1, 99), st.integers(1, 10**7))
def test_a_snapshot_is_due_at_the_exact_fraction_rounded_up(percent, steps):
    assert snapshot_step(percent, steps) == math.ceil(Fraction(percent, 100) * steps)
    assert 1 <= snapshot_step(percent, steps) <= steps


def test_folders_name_their_percent():
    assert snapshot_folders("") == {}
    found = snapshot_folders("runs/s1/intermediate/5/model 'with blank/intermediate/75/model'")
    assert found == {
        5: Path("runs/s1/intermediate/5/model"),
        75: Path("with blank/intermediate/75/model"),
    }
    for wrong in ("a/100/model", "a/half/model", "a/0/model", "a/²/model", "model"):
        with pytest.raises(InputError, match="is not a percent"):
            snapshot_folders(wrong)


def folders(run, *percents):
    return {percent: run.folder / "intermediate" / str(percent) / "model" for percent in percents}


def kept(run, percent):
    return folders(run, percent)[percent]


def hash_of(folder):
    return sha256_file(folder / "model.safetensors")


def test_a_snapshot_is_what_a_run_that_ends_there_holds(group, run):
    """With dropout; the learning rate is constant, so half a run is a run."""
    half, bare, watched = (run(name, epochs=None) for name in ("half", "bare", "watched"))
    half.recipe["steps"], bare.recipe["steps"], watched.recipe["steps"] = 6, 12, 12
    half.tune(group)
    bare.tune(group)
    train = watched.tune(group, observation={"snapshots": folders(watched, 50, 99)})
    assert watched.weights == bare.weights
    assert hash_of(kept(watched, 50)) == half.weights
    for name in ("config.json", "tokenizer.json"):
        assert sha256_file(kept(watched, 50) / name) == sha256_file(half.model / name)
    card = (kept(watched, 50) / "README.md").read_text("utf-8")
    assert "after step 6 of 12 (50% of the run)" in card
    assert '"intermediate_percent": 50' in card
    # Rounded up, 99% of 12 steps is the last one.
    assert hash_of(kept(watched, 99)) == watched.weights
    assert train["intermediate"][0] == {
        "percent": 50,
        "step": 6,
        "examples": half.train["examples_seen"],
        "tokens": half.train["tokens"]["total"],
    }
    assert [point["step"] for point in train["intermediate"]] == [6, 12]
    assert half.train["intermediate"] == []


def test_a_snapshot_that_was_being_written_is_redone_and_a_whole_one_is_kept(
    group, run, monkeypatch
):
    recipe = {"tuning": {"method": "lora", "rank": 4}, "learning_rate": 1e-2}
    calm, stopped = run("calm", **recipe), run("stopped", **recipe)
    calm.tune(group, observation={"snapshots": folders(calm, 75)})
    check, calls = export.check_export, []

    def stop_at_the_second(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise Interrupted("stopped while a snapshot was written")
        return check(*arguments)

    monkeypatch.setattr(export, "check_export", stop_at_the_second)
    observation = {"snapshots": folders(stopped, 25, 75)}
    with pytest.raises(Interrupted):
        stopped.tune(group, observation=observation, save_steps=1)
    (whole,) = stopped.work.glob("*/intermediate/25")
    assert not list(stopped.work.glob("*/intermediate/75"))
    assert not kept(stopped, 25).exists()  # until the end
    (whole.parent / ".75.left by a kill").mkdir()
    before = hash_of(whole), (whole / "model.safetensors").stat().st_mtime_ns
    # The run is past the half: that snapshot cannot be had any more.
    message = stopped.refused(group, observation={"snapshots": folders(stopped, 25, 50, 75)})
    assert "gone past 50%: step 6 of 12" in message
    stopped.tune(group, observation=observation)
    assert (hash_of(whole), (whole / "model.safetensors").stat().st_mtime_ns) == before
    assert stopped.weights == calm.weights
    assert hash_of(kept(stopped, 25)) == before[0]
    assert hash_of(kept(stopped, 75)) == hash_of(kept(calm, 75))
    assert [point["percent"] for point in stopped.train["intermediate"]] == [25, 75]
    adapter = json.loads((kept(stopped, 75) / "adapter" / "adapter_config.json").read_text("utf-8"))
    assert adapter["r"] == 4
