"""Stage scores: one table of all judgements, or one clear reason why not."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_json, write_jsonl
from instruct_scaling.common.records import EvalItem, Judgement, Response, content_id
from instruct_scaling.evaluation.scores import SCHEMA
from instruct_scaling.evaluation.scores import scores as scores_stage

ITEMS = [
    EvalItem.make("math", "1+3?", reference="4", cluster="sums"),
    EvalItem.make("open_qa", "Capital of France?", reference="Paris"),
]
assert ITEMS[0].id > ITEMS[1].id  # their order is the eval set's, not the ids'
RUNS = [("lora", 0, 1), ("full", 400, 1), ("full", 100, 2), ("full", 100, 1)]


def responses_of(run: tuple[str, int, int]) -> list[Response]:
    return [
        Response(
            content_id(*map(str, run), item.id),
            item.id,
            item.category,
            *run,
            "a text",
            3,
            4,
            "stop",
        )
        for item in ITEMS
    ]


def judged(run: tuple[str, int, int], judge: str, repeats: int) -> list[Judgement]:
    return [
        Judgement(response.item, response.id, judge, f"{judge}-v1", repeat, 0.25 * repeat, "ok")
        for response in responses_of(run)
        for repeat in range(1, repeats + 1)
    ]


class Study:
    """Files of a small study, which tests damage before the stage reads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table = {run: "-".join(map(str, run)) for run in RUNS}
        self.responses = {run: responses_of(run) for run in RUNS}
        self.judgements = {
            (run, judge): judged(run, judge, repeats)
            for run in RUNS
            for judge, repeats in (("metric", 1), ("llm", 3))
        }

    def run(self, out: str = "scores.parquet", judges: tuple[str, ...] = ("metric", "llm")) -> Path:
        write_jsonl(self.folder / "items.jsonl", [item.to_row() for item in ITEMS])
        for run, rows in self.responses.items():
            path = self.folder / "-".join(map(str, run)) / "responses.jsonl"
            write_jsonl(path, [row.to_row() for row in rows])
        for (run, judge), judgements in self.judgements.items():
            path = self.folder / "-".join(map(str, run)) / "judgements" / f"{judge}.jsonl"
            write_jsonl(path, [row.to_row() for row in judgements])
        target = self.folder / out
        scores_stage(
            study="demo",
            runs=write_runs(self.folder, self.table),
            judge=list(judges),
            items=self.folder / "items.jsonl",
            out=target,
        )
        return target


def write_runs(folder: Path, table: dict[tuple[str, int, int], str]) -> Path:
    path = folder / "runs.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("arm", "scale", "seed", "folder"))
        writer.writerows((*run, name) for run, name in table.items())
    return path


@pytest.fixture
def study(tmp_path) -> Study:
    return Study(tmp_path)


def test_tags_of_the_items_are_columns_behind_the_others(study, monkeypatch):
    tagged = [
        EvalItem.make("math", "1+3?", language="en", tags={"tier": "a", "level": "2"}),
        EvalItem.make("open_qa", "法国的首都？", language="zh", tags={"tier": "b"}),
    ]
    monkeypatch.setattr(sys.modules[__name__], "ITEMS", tagged)
    study = Study(study.folder)
    path = study.run()
    table = pq.read_table(path)
    assert table.column_names[len(SCHEMA.names) :] == ["tag_language", "tag_level", "tag_tier"]
    for frame in (table.to_pandas(), pd.read_csv(path.with_suffix(".csv"), dtype=str)):
        of_item = frame.groupby("category")[["tag_language", "tag_level", "tag_tier"]].first()
        assert of_item.loc["math"].tolist() == ["en", "2", "a"]
        assert of_item.loc["open_qa", ["tag_language", "tag_tier"]].tolist() == ["zh", "b"]
        assert frame.loc[frame["category"] == "open_qa", "tag_level"].isna().all()


def test_one_row_for_each_judgement_with_the_columns_of_the_contract(study):
    table = pq.read_table(study.run())
    columns = "study arm scale seed subset_seed training_seed shots category item cluster response"
    columns += " judge judge_version repeat"
    assert table.column_names == [*columns.split(), "score", "status", "tokens", "cost"]
    assert table.schema.types == SCHEMA.types
    frame = table.to_pandas()
    assert len(frame) == 4 * 2 * (1 + 3)
    assert set(frame["study"]) == {"demo"}
    math_rows = frame[frame["category"] == "math"]
    assert set(math_rows["cluster"]) == {"sums"}
    assert frame[frame["category"] == "open_qa"]["cluster"].isna().all()


def test_every_row_is_its_judgement(study):
    rows = study.judgements[RUNS[1], "llm"]
    rows[1] = replace(rows[1], score=0.125, tokens=7, cost=0.5)
    frame = pd.read_parquet(study.run())
    for (run, judge), judgements in study.judgements.items():
        for judgement in judgements:
            one = frame[(frame["response"] == judgement.response) & (frame["judge"] == judge)]
            (row,) = one[one["repeat"] == judgement.repeat].to_dict("records")
            assert (row["arm"], row["scale"], row["seed"]) == run
            assert (row["item"], row["score"]) == (judgement.item, judgement.score)
            assert row["judge_version"] == f"{judge}-v1"
    assert frame[["tokens", "cost"]].sum().tolist() == [7, 0.5]


def test_the_order_does_not_depend_on_the_order_of_runs_judges_and_lines(study):
    first = study.run().read_bytes()
    table = (study.folder / "scores.csv").read_bytes()
    study.table = dict(reversed(study.table.items()))
    study.judgements = {key: rows[::-1] for key, rows in study.judgements.items()}
    assert study.run(judges=("llm", "metric", "llm")).read_bytes() == first
    assert (study.folder / "scores.csv").read_bytes() == table


def test_rows_are_ordered_by_judge_run_item_and_repeat(study):
    frame = pd.read_parquet(study.run())
    keys = frame[["judge", "arm", "scale", "seed"]].drop_duplicates()
    runs = list(keys.itertuples(index=False, name=None))
    assert runs == [(judge, *run) for judge in ("llm", "metric") for run in sorted(RUNS)]
    assert list(frame["repeat"])[:6] == [1, 2, 3, 1, 2, 3]
    assert list(frame["item"])[:6] == [ITEMS[0].id] * 3 + [ITEMS[1].id] * 3


def test_arms_that_share_the_answers_of_their_base_each_get_the_rows(study):
    base = RUNS[0]
    study.table["full", 0, 1] = study.table[base]
    rows = study.judgements[base, "llm"]
    rows[0] = replace(rows[0], score=None, status="unparsed", tokens=10, cost=0.5)
    frame = pd.read_parquet(study.run())
    assert len(frame) == 5 * 2 * (1 + 3)
    of_arm = dict(list(frame[frame["scale"] == 0].groupby("arm")))
    assert set(of_arm) == {"full", "lora"}
    full, lora = (part.drop(columns="arm").reset_index(drop=True) for part in of_arm.values())
    pd.testing.assert_frame_equal(full, lora)
    llm = read_json(study.folder / "scores.json")["judges"]["llm"]
    assert (llm["rows"], llm["scored"]) == (30, 28)
    assert [run["arm"] for run in llm["missing_by_run"]] == ["full", "lora"]
    assert (llm["tokens"], llm["dollars"]) == (10, 0.5)  # the request was made once


def test_the_csv_holds_the_same_rows(study):
    rows = study.judgements[RUNS[0], "llm"]
    rows[0] = replace(rows[0], score=None, status="unparsed", tokens=7, cost=0.001)
    frame = pd.read_parquet(study.run())
    read_back = pd.read_csv(study.folder / "scores.csv", dtype={"item": str})
    pd.testing.assert_frame_equal(
        frame.astype(object).where(frame.notna(), math.nan),
        read_back.astype(object).where(read_back.notna(), math.nan),
        check_dtype=False,
    )
    assert ",unparsed,7,0.001" in (study.folder / "scores.csv").read_text()


def test_responses_without_an_answer_score_0_and_are_counted_by_scale(study):
    rows = study.judgements[RUNS[1], "metric"]
    rows[0] = replace(rows[0], score=0.0, status="reasoning_exhausted")
    rows[1] = replace(rows[1], score=0.0, status="unparsable")
    frame = pd.read_parquet(study.run())
    assert frame["score"].notna().all()
    metric = read_json(study.folder / "scores.json")["judges"]["metric"]
    assert metric["scored"] == metric["rows"]
    run = RUNS[1]
    assert metric["no_answer_by_scale"] == [
        {"arm": run[0], "scale": run[1], "rows": 2, "reasoning_exhausted": 1, "unparsable": 1}
    ]


def test_a_response_without_an_answer_has_no_other_score_than_0(study):
    rows = study.judgements[RUNS[1], "metric"]
    rows[0] = replace(rows[0], score=0.5, status="unparsable")
    with pytest.raises(InputError, match="does not go with status 'unparsable'"):
        study.run()


def test_missing_judgements_have_no_score_and_are_counted(study):
    rows = study.judgements[RUNS[1], "llm"]
    rows[0] = replace(rows[0], score=None, status="unparsed", tokens=10, cost=0.5)
    rows[1] = replace(rows[1], tokens=5, cost=0.25)  # another repeat on the same response
    rows[4] = replace(rows[4], score=None, status="timeout")
    frame = pd.read_parquet(study.run())
    assert frame["score"].isna().sum() == 2
    assert set(frame[frame["score"].isna()]["status"]) == {"unparsed", "timeout"}
    summary = read_json(study.folder / "scores.json")
    assert summary["rows"] == 32
    metric, llm = (summary["judges"][name] for name in ("metric", "llm"))
    assert metric == {
        "judge_version": "metric-v1",
        "rows": 8,
        "scored": 8,
        "status": {"ok": 8},
        "missing_by_category": {},
        "missing_by_run": [],
        "no_answer_by_scale": [],
        "tokens": 0,
        "dollars": None,
        "time_outs_by_scale": [],
    }
    assert (llm["rows"], llm["scored"], llm["tokens"], llm["dollars"]) == (24, 22, 15, 0.75)
    assert llm["status"] == {"ok": 22, "timeout": 1, "unparsed": 1}
    assert llm["missing_by_category"] == {"math": {"unparsed": 1}, "open_qa": {"timeout": 1}}
    assert llm["missing_by_run"] == [
        {"arm": "full", "scale": 400, "seed": 1, "shots": 0, "missing": 2}
    ]
    assert summary["provenance"]["stage"] == "scores"
    assert len(summary["provenance"]["inputs"]) == 2 + 4 + 8


def test_two_thousand_runs_come_through_the_command_line(tmp_path):
    write_jsonl(tmp_path / "items.jsonl", [ITEMS[0].to_row()])
    table = {}
    for seed in range(2000):
        run = ("full", 100, seed)
        table[run] = f"runs/full/n100/s{seed}"
        folder = tmp_path / table[run] / "judgements"
        folder.mkdir(parents=True)
        response, judgement = responses_of(run)[0], judged(run, "metric", 1)[0]
        (folder.parent / "responses.jsonl").write_text(json.dumps(response.to_row()))
        (folder / "metric.jsonl").write_text(json.dumps(judgement.to_row()))
    write_runs(tmp_path, table)
    command = [sys.executable, "-m", "instruct_scaling", "scores", "--study", "s"]
    command += ["--runs", "runs.csv", "--judge", "metric", "--items", "items.jsonl"]
    subprocess.run([*command, "--out", "scores.parquet"], cwd=tmp_path, check=True)
    assert pq.read_table(tmp_path / "scores.parquet")["seed"].to_pylist() == list(range(2000))


def lose_an_answer(study: Study) -> None:
    study.responses[RUNS[2]].pop()


def mix_runs(study: Study) -> None:
    study.responses[RUNS[2]][0] = replace(study.responses[RUNS[2]][0], scale=999)


def confuse_two_folders(study: Study) -> None:
    study.table[RUNS[2]] = study.table[RUNS[3]]
    del study.table[RUNS[3]]


def judge_twice(study: Study) -> None:
    study.judgements[RUNS[0], "metric"] += study.judgements[RUNS[0], "metric"][:1]


def judge_a_stranger(study: Study) -> None:
    rows = study.judgements[RUNS[0], "metric"]
    rows[0] = replace(rows[0], response="f" * 32)


def judge_another_item(study: Study) -> None:
    rows = study.judgements[RUNS[0], "metric"]
    rows[0] = replace(rows[0], item=rows[1].item)


def score_too_high(study: Study) -> None:
    rows = study.judgements[RUNS[0], "metric"]
    rows[0] = replace(rows[0], score=1.01)


def score_a_failure(study: Study) -> None:
    rows = study.judgements[RUNS[0], "metric"]
    rows[0] = replace(rows[0], status="unparsed")


def leave_a_success_unscored(study: Study) -> None:
    rows = study.judgements[RUNS[0], "metric"]
    rows[0] = replace(rows[0], score=None)


def lose_a_repeat(study: Study) -> None:
    study.judgements[RUNS[3], "llm"].pop(1)


def lose_the_last_repeats_of_a_run(study: Study) -> None:
    rows = study.judgements[RUNS[3], "llm"]
    study.judgements[RUNS[3], "llm"] = [row for row in rows if row.repeat < 3]


def number_a_repeat_twice(study: Study) -> None:
    rows = study.judgements[RUNS[3], "llm"]
    rows[1] = replace(rows[1], repeat=1)


def mix_arms_of_a_shared_base(study: Study) -> None:
    base, other = RUNS[0], ("full", 0, 1)
    study.table[other] = study.table[base]
    study.responses[base][0] = replace(study.responses[base][0], arm="full")


def lose_an_item(study: Study) -> None:
    study.judgements[RUNS[3], "metric"].pop()


def lose_a_judge(study: Study) -> None:
    del study.judgements[RUNS[3], "llm"]


def mix_versions(study: Study) -> None:
    rows = study.judgements[RUNS[3], "llm"]
    study.judgements[RUNS[3], "llm"] = [replace(row, judge_version="llm-v2") for row in rows]


def exchange_judges(study: Study) -> None:
    study.judgements[RUNS[3], "metric"] = judged(RUNS[3], "llm", 1)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lose_an_answer, "full-100-2/responses.jsonl: lacks an answer to 1 of 2 items"),
        (mix_runs, "arm full, scale 100, seed 2 and arm full, scale 999, seed 2, the table"),
        (confuse_two_folders, "arm full, scale 100, seed 1, the table of runs says arm full, sca"),
        (judge_twice, "lora-0-1/judgements/metric.jsonl: item"),
        (judge_a_stranger, "which the run did not give"),
        (judge_another_item, "answers item"),
        (score_too_high, "score 1.01 is outside"),
        (score_a_failure, "does not go with status 'unparsed'"),
        (leave_a_success_unscored, "does not go with status 'ok'"),
        (lose_a_repeat, "has the repeats [1, 3], not [1, 2, 3]"),
        (lose_the_last_repeats_of_a_run, "has the repeats [1, 2], not [1, 2, 3]"),
        (number_a_repeat_twice, "has the repeats [1, 1, 3], not [1, 2, 3]"),
        (mix_arms_of_a_shared_base, "holds responses of arm full, scale 0, seed 1 and arm lora"),
        (lose_an_item, "has the repeats [], not [1]"),
        (lose_a_judge, "full-100-1/judgements/llm.jsonl: no such file"),
        (mix_versions, "judge llm has scores of 2 versions (llm-v1, llm-v2)"),
        (exchange_judges, "holds a judgement by llm, not by metric"),
    ],
)
def test_what_does_not_fit_together_is_refused(study, damage, message):
    damage(study)
    with pytest.raises(InputError) as caught:
        study.run()
    assert message in str(caught.value)
    assert not (study.folder / "scores.parquet").exists()


def test_the_table_is_parquet(study):
    with pytest.raises(InputError, match=r"name it scores\.parquet"):
        study.run("scores.csv")
