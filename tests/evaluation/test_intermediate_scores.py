"""Scores along a run: right means and intervals over items, and a table of their own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import write_json, write_jsonl
from instruct_scaling.common.records import EvalItem, Judgement
from instruct_scaling.evaluation.intermediate_scores import (
    COLUMNS,
    NOISE,
    along_rows,
    judgements_by_run,
)
from instruct_scaling.evaluation.intermediate_scores import (
    intermediate_scores as intermediate_scores_stage,
)

ITEMS = [EvalItem.make("math", f"m{n}") for n in range(8)]
ITEMS += [EvalItem.make("code", f"c{n}", cluster=f"family {n // 2}") for n in range(6)]
MATH = [0.0, 0.2, 0.9, 1.0, 0.4, 0.3, 0.5, 0.1]
CODE = [0.0, 0.2, 0.9, 1.0, 0.4, 0.6]


def train(**changes):
    document = {
        "provenance": {"identity": {"arm": "full", "scale": 100, "seed": 2}},
        "examples_seen": 200,
        "intermediate_checkpoints": [
            {"percent": 25, "step": 3, "examples": 48, "tokens": 900},
            {"percent": 50, "step": 6, "examples": 96, "tokens": 1800},
        ],
    }
    return document | changes


def judged(scores, repeat=0, judge="metric"):
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


def rows(ways, **changes):
    found = along_rows(train(**changes), ways, {item.id: item for item in ITEMS}, 0.9, "train.json")
    return {(row["fraction"], row["category"]): row for row in found}


@pytest.fixture
def table():
    return rows({25: judged(MATH + CODE), 50: judged([1 - s for s in MATH + CODE])})


def test_a_row_for_every_snapshot_and_category(table):
    assert set(table) == {(f, c) for f in (0.25, 0.5) for c in ("math", "code", "overall")}
    row = table[0.5, "math"]
    assert (row["arm"], row["scale"], row["seed"], row["judge"]) == ("full", 100, 2, "metric")
    assert (row["step"], row["examples_seen"], row["tokens_seen"]) == (6, 96, 1800)
    assert row["run_examples"] == 200
    assert {r["noise"] for r in table.values()} == {NOISE}


def test_the_interval_is_students_over_items(table):
    row = table[0.25, "math"]
    half = stats.t.ppf(0.95, 7) * np.std(MATH, ddof=1) / np.sqrt(8)
    assert row["mean"] == pytest.approx(np.mean(MATH))
    assert row["low"] == pytest.approx(max(0, np.mean(MATH) - half))
    assert row["high"] == pytest.approx(np.mean(MATH) + half)
    assert row["n_items"] == 8


def test_items_of_a_cluster_count_as_one(table):
    families = np.mean(np.reshape(CODE, (3, 2)), axis=1)
    half = stats.t.ppf(0.95, 2) * np.std(families, ddof=1) / np.sqrt(3)
    row = table[0.25, "code"]
    assert row["mean"] == pytest.approx(np.mean(CODE))
    assert row["low"] == pytest.approx(max(0, np.mean(CODE) - half))
    assert row["high"] == pytest.approx(min(1, np.mean(CODE) + half))


def test_overall_is_the_plain_mean_of_the_categories(table):
    wanted = (np.mean(MATH) + np.mean(CODE)) / 2
    assert table[0.25, "overall"]["mean"] == pytest.approx(wanted)
    assert table[0.5, "overall"]["mean"] == pytest.approx(1 - wanted)


def test_repeats_are_averaged_and_a_failed_judgement_is_missing_not_zero():
    once = judged([None, *MATH[1:], *CODE])
    again = judged(MATH + CODE, repeat=1)
    both = rows({25: [*once, *again]})[0.25, "math"]
    assert both["mean"] == pytest.approx(np.mean(MATH))
    assert rows({25: once})[0.25, "math"]["mean"] == pytest.approx(np.mean(MATH[1:]))
    assert rows({25: once})[0.25, "math"]["n_missing"] == 1


def test_a_run_without_this_snapshot_is_named():
    with pytest.raises(InputError, match=r"train\.json: not the train\.json.*75 is missing"):
        rows({75: judged(MATH + CODE)})
    with pytest.raises(InputError, match="'intermediate_checkpoints' is missing"):
        along_rows(
            {"provenance": {"identity": {"arm": "a", "scale": 1, "seed": 1}}}, {}, {}, 0.9, "x"
        )


def test_an_item_that_the_eval_set_lacks_is_refused():
    with pytest.raises(InputError, match="which the eval set lacks"):
        along_rows(train(), {25: judged(MATH + CODE)}, {}, 0.9, "train.json")


def test_files_in_other_places_are_refused(tmp_path):
    with pytest.raises(InputError, match="not a judgement of a snapshot"):
        judgements_by_run([tmp_path / "judgements" / "metric.jsonl"])


def test_the_stage_writes_one_table_for_all_runs_and_judges(tmp_path):
    write_jsonl(tmp_path / "items.jsonl", [item.to_row() for item in ITEMS])
    trains, files = [], []
    for seed in (1, 2):
        run = tmp_path / "runs" / "full" / "n100" / f"s{seed}"
        identity = {"identity": {"arm": "full", "scale": 100, "seed": seed}}
        write_json(run / "train.json", train(provenance=identity))
        trains.append(str(run / "train.json"))
        for percent in (25, 50):
            for judge in ("metric", "gpt"):
                path = run / "intermediate" / str(percent) / "judgements" / f"{judge}.jsonl"
                write_jsonl(path, [j.to_row() for j in judged(MATH + CODE, judge=judge)])
                files.append(str(path))
    out = tmp_path / "tables" / "intermediate_scores.csv"
    intermediate_scores_stage(tmp_path / "items.jsonl", " ".join(trains), " ".join(files), out, 0.9)
    table = pd.read_csv(out)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 2 * 2 * 2 * 3
    assert not table.duplicated(["judge", "arm", "scale", "seed", "fraction", "category"]).any()
    assert set(table.judge) == {"metric", "gpt"}
