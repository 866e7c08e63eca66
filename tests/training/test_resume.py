"""kill -9 under ZeRO-3, in the middle of a save and at random moments: the final weights are those
of a run that nothing interrupts."""

from __future__ import annotations

import json
import os
import random
import time

import pytest

from .conftest import Run, kill

KILLS = int(os.environ.get("FINETUNE_KILLS", "2"))  # 20 for the full proof

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def unfinished(run):
    """Folders of checkpoints that have no manifest yet."""
    folders = run.work.glob("*/checkpoints/step-*")
    return {path.name for path in folders if not (path / "manifest.json").exists()}


def test_killed_again_and_again_gives_the_same_weights(inputs, tmp_path):
    """Dropout on, two ranks, a checkpoint after every step; every other kill is in mid-save."""
    recipe = {"zero_stage": 3, "epochs": 3}
    calm, killed = (Run(inputs, tmp_path / name, recipe) for name in ("calm", "killed"))
    calm.finish()
    rng = random.Random(3)
    for number in range(KILLS):
        before = killed.checkpoints()[:1] or [0]
        process = killed.start("--execution", json.dumps({"save_steps": 1}))
        while process.poll() is None and killed.checkpoints()[:1] <= before:
            time.sleep(0.002)
        if number % 2 == 0:
            while process.poll() is None and not unfinished(killed):
                pass
        else:
            time.sleep(rng.uniform(0, 0.3))
        assert process.poll() is None, "the run came to its end before it was killed"
        kill(process)
        if number % 2 == 0:
            assert unfinished(killed)
    assert "going on from step" in killed.finish()
    assert killed.weights == calm.weights
