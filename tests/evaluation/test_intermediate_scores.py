"""Scores of intermediate checkpoints: right means and intervals over items, in one table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import write_json, write_jsonl
from instruct_scaling.common.records import EvalItem, Judgement
from instruct_scaling.config.runs import RunRow
from instruct_scaling.evaluation.intermediate_scores import COLUMNS, NOISE, run_rows
from instruct_scaling.evaluation.intermediate_scores import (
    intermediate_scores as intermediate_scores_stage,
)

ITEMS = [EvalItem.make("math", f"m{n}") for n in range(8)]
ITEMS += [EvalItem.make("code", f"c{n}", cluster=f"family {n // 2}") for n in range(6)]
BY_ID = {item.id: item for item in ITEMS}
MATH = [0.0, 0.2, 0.9, 1.0, 0.4, 0.3, 0.5, 0.1]
CODE = [0.0, 0.2, 0.9, 1.0, 0.4, 0.6]
TRAIN = {
    "examples_seen": 200,
    "intermediate": [
        {"percent": 25, "step": 3, "examples": 48, "tokens": 900},
        {"percent": 50, "step": 6, "examples": 96, "tokens": 1800},
    ],
}


def judged(scores, repeat=1, judge="metric"):
    return [
        Judgement(
            item=item.id,
            response=f"r{item.id}",
            judge=judge,
            judge_version="1",
            repeat=repeat,
            score=score,
            status="ok" if score is not None else "timeout",
        )
        for item, score in zip(ITEMS, scores, strict=True)
    ]


def write_run(folder, judged_at, train=TRAIN, judge="metric"):
    write_json(folder / "train.json", train)
    for percent, judgements in judged_at.items():
        path = folder / "intermediate" / str(percent) / "judgements" / f"{judge}.jsonl"
        write_jsonl(path, [judgement.to_row() for judgement in judgements])


def rows(folder, judged_at, items=BY_ID, **changes):
    write_run(folder, judged_at, **changes)
    found = run_rows(RunRow("full", 100, 2, folder), "metric", sorted(judged_at), items, 0.8)
    return {(row["fraction"], row["category"]): row for row in found}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return rows(folder, {25: judged(MATH + CODE), 50: judged([1 - s for s in MATH + CODE])})


def test_a_row_for_every_checkpoint_and_category(table):
    assert set(table) == {(f, c) for f in (0.25, 0.5) for c in ("math", "code", "overall")}
    row = table[0.5, "math"]
    assert (row["arm"], row["scale"], row["seed"], row["judge"]) == ("full", 100, 2, "metric")
    assert (row["step"], row["examples_seen"], row["tokens_seen"]) == (6, 96, 1800)
    assert row["run_examples"] == 200
    assert {r["noise"] for r in table.values()} == {NOISE}


def wilson(values):
    """Wilson's 80% interval over independent values, with a quantile of t."""
    p, n = np.mean(values), len(values)
    worth = p * (1 - p) / (np.var(values, ddof=1) / n)  # values of 0 and 1 of the same error
    t = stats.t.ppf(0.9, n - 1)
    half = t * np.sqrt(p * (1 - p) / worth + (t / worth) ** 2 / 4)
    center = p + t**2 / (2 * worth)
    return (center - half) / (1 + t**2 / worth), (center + half) / (1 + t**2 / worth)


def test_the_interval_is_wilsons_over_items(table):
    row = table[0.25, "math"]
    assert row["mean"] == pytest.approx(np.mean(MATH))
    assert (row["low"], row["high"]) == pytest.approx(wilson(MATH))
    assert row["n_items"] == 8


def test_items_of_a_cluster_count_as_one(table):
    families = np.mean(np.reshape(CODE, (3, 2)), axis=1)
    row = table[0.25, "code"]
    assert row["mean"] == pytest.approx(np.mean(CODE))
    assert (row["low"], row["high"]) == pytest.approx(wilson(families))


def test_overall_is_the_plain_mean_of_the_categories(table):
    expected = (np.mean(MATH) + np.mean(CODE)) / 2
    assert table[0.25, "overall"]["mean"] == pytest.approx(expected)
    assert table[0.5, "overall"]["mean"] == pytest.approx(1 - expected)


def test_repeats_are_averaged_and_a_failed_judgement_is_missing_not_zero(tmp_path):
    once = judged([None, *MATH[1:], *CODE])
    again = judged(MATH + CODE, repeat=2)
    both = rows(tmp_path, {25: [*once, *again]})[0.25, "math"]
    assert both["mean"] == pytest.approx(np.mean(MATH))
    alone = rows(tmp_path, {25: once})[0.25, "math"]
    assert alone["mean"] == pytest.approx(np.mean(MATH[1:]))
    assert (alone["n_items"], alone["n_missing"]) == (8, 1)


def test_what_a_run_lacks_is_named(tmp_path):
    whole = judged(MATH + CODE)
    with pytest.raises(InputError, match=r"train\.json: not the train\.json.*75 is missing"):
        rows(tmp_path, {75: whole})
    with pytest.raises(InputError, match="'intermediate' is missing"):
        rows(tmp_path, {25: whole}, train={"examples_seen": 1})
    with pytest.raises(InputError, match=r"25/judgements/metric\.jsonl: .* the eval set lacks"):
        rows(tmp_path, {25: whole}, items={})


def test_the_stage_writes_one_table_for_all_runs_and_judges(tmp_path):
    write_jsonl(tmp_path / "items.jsonl", [item.to_row() for item in ITEMS])
    lines = ["arm,scale,seed,folder", "full,0,1,runs/full/n0/s1"]
    for seed in (2, 1):
        folder = f"runs/full/n100/s{seed}"
        lines.append(f"full,100,{seed},{folder}")
        for judge, scores in (("metric", MATH + CODE), ("gpt", [seed / 4] * len(ITEMS))):
            at = dict.fromkeys((25, 50), judged(scores, judge=judge))
            write_run(tmp_path / folder, at, judge=judge)
    (tmp_path / "runs.csv").write_text("\n".join(lines), "utf-8")
    out = tmp_path / "tables" / "intermediate_scores.csv"
    intermediate_scores_stage(
        runs=tmp_path / "runs.csv",
        judge=["metric", "gpt"],
        percent=[50, 25],
        items=tmp_path / "items.jsonl",
        out=out,
        interval=0.9,
    )
    table = pd.read_csv(out)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 2 * 2 * 2 * 3
    assert not table.duplicated(["judge", "arm", "scale", "seed", "fraction", "category"]).any()
    assert table["judge"].tolist() == sorted(table["judge"])
    means = table[table["judge"] == "gpt"].groupby("seed")["mean"].unique()
    assert [list(mean) for mean in means] == [[0.25], [0.5]]
