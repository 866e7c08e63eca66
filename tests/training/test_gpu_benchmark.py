"""The GPU benchmark runs from start to end with a toy shape, also without a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_what_runs_too_long_is_cut_short(tmp_path):
    program = (
        "import time\n"
        "from benchmarks.finetune_gpu import end_in_time\n"
        "end_in_time(0.2, 1.0)\n"
        "try:\n"
        "    time.sleep(30)\n"
        "except TimeoutError as error:\n"
        "    print(error, flush=True)\n"
        "import threading\n"
        "threading.Event().wait(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert "cut short" in done.stdout
    assert done.returncode == 1


def test_it_needs_torch_and_transformers_alone(tmp_path):
    """Called by its path on a machine without the package and its other dependencies."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "missing = 'pydantic typer deepspeed peft pandas pyarrow scipy psutil datasets'.split()\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in missing:\n"
        "            raise ImportError(f'{name} is not on this machine')\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    command = [sys.executable, str(ROOT / "benchmarks" / "finetune_gpu.py"), "--help"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "--small" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["bloom-7b1", "qwen2.5-7b"])
def test_every_phase_measures_something(tmp_path, shape):
    out = tmp_path / "gpu.json"
    command = [sys.executable, "-m", "benchmarks.finetune_gpu", "--small", "--shape", shape]
    command += ["--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=500)
    phases = json.loads(out.read_text("utf-8"))["phases"]
    assert not {name: phase["failed"] for name, phase in phases.items() if "failed" in phase}
    for row in ("one document", "mixed documents"):
        assert max(phases["attention"][row]["sdpa"]["relative_error"].values()) < 0.005
    assert phases["head"]["public"]["fused"]["gradient_error"] < 0.005
    assert phases["layers"]["sdpa"]["gradient_error"] < 0.02
    ways = ["sdpa, real lengths", "sdpa, full rows, compiled", "stock, real lengths"]
    ways += ["sdpa, full rows, recomputing what is cheap"]
    ways += ["padding-free, real lengths"] * (shape != "bloom-7b1")
    for tuning in ("full", "lora"):
        for way in ways:
            assert phases[tuning][way]["tokens_per_second"] > 0
