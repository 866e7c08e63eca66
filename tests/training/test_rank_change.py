"""A run that was stopped goes on with another number of ranks, as if nothing had happened."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from instruct_scaling.data.encoding import Encoded
from instruct_scaling.models.packed.packing import one_answer
from instruct_scaling.training import conversion
from instruct_scaling.training.checkpoints import rng_state, set_rng_state
from instruct_scaling.training.conversion import seed_further_rank

from .conftest import run_ranks, tiny_model, write_examples

FULL = {"method": "full"}
LORA = {"method": "lora", "rank": 4, "targets": ["query_key_value"]}
DEFAULT = [{"stage": 3, "precision": "bf16", "tuning": FULL}]  # the stage that converts otherwise
ALL = [
    {"stage": stage, "precision": precision, "tuning": tuning}
    for stage, precision, tuning in itertools.product((0, 1, 2, 3), ("fp32", "bf16"), (FULL, LORA))
]


def prepare(folder: Path) -> tuple[Path, Path]:
    """A base without dropout, and 24 examples."""
    tiny_model(scale=1.0, hidden_dropout=0.0, attention_dropout=0.0).save_pretrained(
        folder / "base"
    )
    rng = np.random.default_rng(3)
    write_examples(
        folder / "examples",
        [
            Encoded(*one_answer(rng.integers(4, 300, n).astype(np.int32), n // 3), False, False)
            for n in rng.integers(8, 60, 24)
        ],
    )
    return folder / "base", folder / "examples"


def jobs_of(folder: Path, cases: list[dict], start: int) -> list[dict]:
    """A job of `rank_change` for each case."""
    return [
        {
            **case,
            "start": start,
            "folder": str(folder / f"checkpoints-{number}"),
            "out": str(folder / f"from-{start}-{number}.json"),
        }
        for number, case in enumerate(cases)
    ]


def started(inputs: tuple[Path, Path], jobs: list[dict], ranks: int) -> list[list[float]]:
    """Losses of each job, done by so many new ranks."""
    run_ranks("tests.training.rank_change", [*inputs, json.dumps(jobs)], ranks)
    return [json.loads(Path(job["out"]).read_text("utf-8")) for job in jobs]


def assert_goes_on(job: dict, calm: list[float], moved: list[float]) -> None:
    """The 20 losses after the change are those of the run that nothing disturbed."""
    assert len(moved) == 30
    assert moved[:10] == calm[:10]  # kept in the checkpoint
    off = np.abs(np.array(moved[10:]) / calm[10:] - 1).max()
    assert off < 1e-3, (job, off)
    if job["tuning"] == FULL:
        assert calm[-1] < 0.9 * calm[0]  # a run that learns nothing would agree with any other
    assert not (Path(job["folder"]) / conversion.FOLDER).exists()


def test_a_run_of_two_ranks_goes_on_with_one(tmp_path, group):
    from .rank_change import train

    inputs = prepare(tmp_path)
    (calm,) = started(inputs, jobs_of(tmp_path, DEFAULT, 0), 2)
    (job,) = jobs_of(tmp_path, DEFAULT, 10)
    assert_goes_on(job, calm, train(*inputs, job))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_every_stage_precision_and_tuning_goes_on(tmp_path, before, after):
    inputs = prepare(tmp_path)
    calm = started(inputs, jobs_of(tmp_path, ALL, 0), before)
    jobs = jobs_of(tmp_path, ALL, 10)
    for number, moved in enumerate(started(inputs, jobs, after)):
        assert_goes_on(jobs[number], calm[number], moved)


def test_a_rank_without_a_state_draws_its_own_numbers_and_the_same_again():
    before = rng_state()
    try:
        torch.manual_seed(1)
        first = rng_state()
        drawn = []
        for rank in (2, 3, 2):
            seed_further_rank(first, rank)
            drawn.append([*torch.rand(2).tolist(), random.random()])
    finally:
        set_rng_state(before)
    assert drawn[0] == drawn[2]
    assert drawn[0] != drawn[1]


def test_what_a_kill_left_of_a_conversion_is_removed_before_the_next(tmp_path, monkeypatch):
    from deepspeed.checkpoint import ds_to_universal

    left = tmp_path / conversion.FOLDER / "step-3" / "tmp" / "half"
    left.parent.mkdir(parents=True)
    left.touch()
    monkeypatch.setattr(ds_to_universal, "main", lambda _: None)
    conversion.convert(tmp_path / "step-5", tmp_path / conversion.FOLDER / "step-5")
    assert not left.exists()
    assert (tmp_path / conversion.FOLDER / "step-5").is_dir()
