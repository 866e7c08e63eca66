"""kill -9 at random moments, mid-save included: the final weights are those of a calm run."""

from __future__ import annotations

import os
import random
import time

import pytest

from instruct_scaling.common.files import sha256_file

KILLS = int(os.environ.get("FINETUNE_KILLS", "3"))  # 20 for the full proof


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("stage_number", [2, 3])
def test_killed_again_and_again_gives_the_same_weights(stage, stage_number):
    """Dropout on, two ranks, a checkpoint after every step."""
    recipe = {"zero_stage": stage_number, "epochs": 10}
    code, stderr = stage.run("calm", **recipe)
    assert code == 0, stderr
    rng = random.Random(stage_number)
    work = stage.folder / "killed" / "work"
    killed = 0
    while killed < KILLS:
        before = newest(work)
        process = stage.start("killed", "--save-steps", "1", **recipe)
        while process.poll() is None and newest(work) <= before:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.3))
        if process.poll() is not None:
            _, stderr = process.communicate()
            assert process.returncode == 0, stderr
            break
        stage.kill(process)
        killed += 1
    assert killed >= min(KILLS, 3)
    code, stderr = stage.run("killed", **recipe)
    assert code == 0, stderr
    assert weights(stage, "killed") == weights(stage, "calm")


def newest(work):
    """The newest step that has a checkpoint, -1 where there is none."""
    found = work.glob("*/checkpoints/step-*/manifest.json")
    return max((int(path.parent.name.removeprefix("step-")) for path in found), default=-1)


def weights(stage, name):
    return sha256_file(stage.folder / name / "model" / "model.safetensors")
