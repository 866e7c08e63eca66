"""Planned and actual costs by arm and scale, and what SLURM has accounted."""

from __future__ import annotations

import os

import pytest

from instruct_scaling.commands.slurm.accounted import (
    Used,
    job_numbers,
    parse_line,
    with_accounted,
)
from instruct_scaling.common.files import write_json, write_jsonl
from instruct_scaling.config.runs import Run
from instruct_scaling.config.study import Study
from instruct_scaling.reporting.budget import device_hours
from instruct_scaling.reporting.spending import spending, spending_text
from tests.studies import tiny_study

PARAMETERS = 512 * 32 + 4 * 32 + 2 * (12 * 32**2 + 13 * 32)


@pytest.fixture
def study():
    """Two arms, two scales, two seeds, an LLM judge with prices."""
    judge = {
        "type": "llm",
        "model": "m",
        "repeats": 2,
        "dollars_per_million_prompt_tokens": 1,
        "dollars_per_million_completion_tokens": 10,
    }
    more = {"judges": {"gpt": judge}, "seeds": {"replicates": [1, 2]}}
    return Study(**tiny_study() | more)


def finish(results, run, *, gpu_hours):
    """What a finished run leaves that the table reads."""
    folder = results / run.folder
    write_json(
        folder / "train.json",
        {"gpu_hours": gpu_hours, "tokens": {"total": 100}, "examples_seen": 10},
    )
    rows = [{"cost": 0.5}, {"cost": 0.25}, {"cost": None}]
    write_jsonl(folder / "judgements" / "gpt.jsonl", rows)
    name = f"{run.arm}-n{run.scale}-s{run.seed}"
    for rule, file in {"finetune": name, "generate": name, "judge": f"gpt-{name}"}.items():
        path = results / "benchmarks" / rule / f"{file}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("s\tcpu_time\n7200\t3600\n" if rule != "judge" else "s\tcpu_time\n1\tNA\n")


def test_the_plan_is_there_before_anything_has_run(study, tmp_path):
    table = spending(study, tmp_path)
    assert table[["arm", "scale", "runs", "runs_done"]].values.tolist() == [
        ["full", 16, 2, 0],
        ["full", 32, 2, 0],
        ["lora", 16, 2, 0],
        ["lora", 32, 2, 0],
    ]
    hours = device_hours(6 * PARAMETERS * 2 * 16 * 250, 312, 0.4)
    assert table.planned_gpu_hours[0] == pytest.approx(hours)
    assert table.planned_judge_dollars[0] == pytest.approx(2 * 24 * 2 * (700 + 100 * 10) / 1e6)
    answers = 24 * (8 * 4 + 300 * 3)
    assert table.planned_bytes[0] == pytest.approx(2 * (PARAMETERS * 4 + answers))
    assert table[["gpu_hours", "core_hours", "judge_dollars", "bytes"]].isna().all(axis=None)


def test_what_was_spent_stands_beside_it(study, tmp_path):
    for seed in (1, 2):
        finish(tmp_path, Run("full", 16, seed), gpu_hours=1.5)
    finish(tmp_path, Run("lora", 32, 1), gpu_hours=None)
    table = spending(study, tmp_path).set_index(["arm", "scale"])
    on_gpu, on_cpu = table.loc["full", 16], table.loc["lora", 32]
    assert (on_gpu.runs_done, on_gpu.gpu_hours, on_gpu.gpu_hours_answering) == (2, 3.0, 4.0)
    assert (on_gpu.core_hours, on_gpu.judge_dollars) == (4.0, 1.5)
    assert (on_cpu.runs_done, on_cpu.core_hours) == (1, 2.0)
    assert on_cpu[["gpu_hours", "gpu_hours_answering"]].isna().all()
    text = spending_text(table.reset_index()).splitlines()
    assert text[2].split()[:3] == ["full", "16", "2/2"]
    assert len({len(line) for line in text[1:]}) == 1


def test_a_line_of_sacct_is_hours_of_what_the_job_had():
    line = "17|1800|billing=64,cpu=64,gres/gpu:a100=8,gres/gpu=8,mem=900G,node=1"
    assert parse_line(line) == ("17", Used(4.0, 32.0))
    assert parse_line("18|0|") == ("18", Used(0.0, 0.0))


def test_every_attempt_of_a_run_is_counted(study, tmp_path, monkeypatch):
    run = Run("full", 16, 1)
    for rule, number in (("finetune", 3), ("finetune", 4), ("generate", 5)):
        path = tmp_path / "logs" / f"rule_{rule}" / "full_16_1" / f"{number}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert job_numbers(tmp_path / "logs", run) == ["3", "4", "5"]
    (tmp_path / "sacct").write_text(
        '#!/bin/sh\nfor n in 3 4 5; do echo "$n|3600|cpu=2,gres/gpu=1"; done\n'
    )
    (tmp_path / "sacct").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    table, note = with_accounted(spending(study, tmp_path), study, tmp_path / "logs")
    row = table.set_index(["arm", "scale"]).loc["full", 16]
    assert (row.slurm_attempts, row.slurm_gpu_hours, row.slurm_core_hours) == (3, 3.0, 6.0)
    assert note.startswith("SLURM: 3 attempts of finetune, generate had 3 GPU hours and 6 core")


def test_without_accounting_or_jobs_the_table_is_as_it_was(study, tmp_path, monkeypatch):
    table = spending(study, tmp_path)
    found, note = with_accounted(table, study, tmp_path / "logs")
    assert found is table and "no job" in note
    path = tmp_path / "logs" / "rule_finetune" / "full_16_1" / "3.log"
    path.parent.mkdir(parents=True)
    path.touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    found, note = with_accounted(table, study, tmp_path / "logs")
    assert found is table and "no accounting" in note
