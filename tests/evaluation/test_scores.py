"""Stage scores: one table of all judgements, or one clear reason why not."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_json, write_jsonl
from instruct_scaling.common.records import EvalItem, Judgement, Response, content_id
from instruct_scaling.evaluation.scores import SCHEMA, expand, make_rows, read_answers
from instruct_scaling.evaluation.scores import scores as scores_stage

ITEMS = [
    EvalItem.make("math", "1+1?", reference="2", cluster="sums"),
    EvalItem.make("open_qa", "Capital of France?", reference="Paris"),
]
BY_ID = {item.id: item for item in ITEMS}
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
        self.responses = {run: responses_of(run) for run in RUNS}
        self.judgements = {
            (run, judge): judged(run, judge, repeats)
            for run in RUNS
            for judge, repeats in (("metric", 1), ("llm", 3))
        }

    def run(self, out: str = "scores.parquet") -> Path:
        write_jsonl(self.folder / "items.jsonl", [item.to_row() for item in ITEMS])
        options: dict[str, list[str]] = {"responses": [], "judgements": []}
        for run, rows in self.responses.items():
            path = self.folder / f"{'-'.join(map(str, run))}.jsonl"
            write_jsonl(path, [row.to_row() for row in rows])
            options["responses"].append(str(path))
        for (run, judge), judgements in self.judgements.items():
            path = self.folder / f"{'-'.join(map(str, run))}-{judge}.jsonl"
            write_jsonl(path, [row.to_row() for row in judgements])
            options["judgements"].append(str(path))
        target = self.folder / out
        scores_stage(study="demo", items=self.folder / "items.jsonl", out=target, **options)
        return target


@pytest.fixture
def study(tmp_path) -> Study:
    return Study(tmp_path)


def test_one_row_for_each_judgement_with_the_columns_of_the_contract(study):
    table = pq.read_table(study.run())
    assert table.column_names == [
        "study",
        "arm",
        "scale",
        "seed",
        "category",
        "item",
        "cluster",
        "response",
        "judge",
        "judge_version",
        "repeat",
        "score",
        "status",
        "tokens",
        "cost",
    ]
    assert table.schema.types == SCHEMA.types
    frame = table.to_pandas()
    assert len(frame) == 4 * 2 * (1 + 3)
    assert set(frame["study"]) == {"demo"}
    math_rows = frame[frame["category"] == "math"]
    assert set(math_rows["cluster"]) == {"sums"}
    assert frame[frame["category"] == "open_qa"]["cluster"].isna().all()


def test_the_order_does_not_depend_on_the_order_of_the_files(study):
    first = study.run().read_bytes()
    csv = (study.folder / "scores.csv").read_bytes()
    study.responses = dict(reversed(study.responses.items()))
    study.judgements = dict(reversed(study.judgements.items()))
    study.judgements = {key: rows[::-1] for key, rows in study.judgements.items()}
    assert study.run().read_bytes() == first
    assert (study.folder / "scores.csv").read_bytes() == csv


def test_rows_are_ordered_by_judge_run_item_and_repeat(study):
    frame = pd.read_parquet(study.run())
    keys = frame[["judge", "arm", "scale", "seed"]].drop_duplicates()
    runs = list(keys.itertuples(index=False, name=None))
    assert runs == [(judge, *run) for judge in ("llm", "metric") for run in sorted(RUNS)]
    assert list(frame["repeat"])[:6] == [1, 2, 3, 1, 2, 3]
    assert list(frame["item"])[:6] == [ITEMS[0].id] * 3 + [ITEMS[1].id] * 3


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


def test_missing_judgements_have_no_score_and_are_counted(study):
    rows = study.judgements[RUNS[1], "llm"]
    rows[0] = replace(rows[0], score=None, status="unparsed", tokens=10, cost=0.5)
    rows[4] = replace(rows[4], score=None, status="timeout")
    frame = pd.read_parquet(study.run())
    assert frame["score"].isna().sum() == 2
    assert set(frame[frame["score"].isna()]["status"]) == {"unparsed", "timeout"}
    summary = read_json(study.folder / "scores.json")
    assert summary["rows"] == 32
    assert summary["judges"]["metric"]["missing_by_category"] == {}
    llm = summary["judges"]["llm"]
    assert (llm["rows"], llm["scored"], llm["tokens"], llm["dollars"]) == (24, 22, 10, 0.5)
    assert llm["status"] == {"ok": 22, "timeout": 1, "unparsed": 1}
    assert llm["missing_by_category"] == {"math": {"unparsed": 1}, "open_qa": {"timeout": 1}}
    assert llm["missing_by_run"] == [{"arm": "full", "scale": 400, "seed": 1, "missing": 2}]
    assert summary["provenance"]["stage"] == "scores"
    assert len(summary["provenance"]["inputs"]) == 1 + 4 + 8


def test_a_judge_without_prices_has_no_dollars(study):
    study.run()
    assert read_json(study.folder / "scores.json")["judges"]["llm"]["dollars"] is None


def test_files_may_stand_in_a_list(tmp_path):
    (tmp_path / "list").write_text("a.jsonl\n\nb c.jsonl\n")
    assert expand([f"@{tmp_path / 'list'}", "d"]) == [Path("a.jsonl"), Path("b c.jsonl"), Path("d")]


def test_a_list_must_be_there_and_name_a_file(tmp_path):
    with pytest.raises(InputError, match="no list of files"):
        expand([f"@{tmp_path / 'none'}"])
    with pytest.raises(InputError, match="no files given"):
        expand([])


def test_thousands_of_files_fit_through_a_list(tmp_path):
    write_jsonl(tmp_path / "items.jsonl", [ITEMS[0].to_row()])
    lists = {"r": [], "j": []}
    for seed in range(300):
        response = replace(responses_of(("full", 100, seed))[0])
        judgement = judged(("full", 100, seed), "metric", 1)[0]
        for kind, row in (("r", response), ("j", judgement)):
            lists[kind].append(str(tmp_path / f"{kind}{seed}.jsonl"))
            write_jsonl(lists[kind][-1], [row.to_row()])
    for kind, paths in lists.items():
        (tmp_path / kind).write_text("\n".join(paths))
    scores_stage(
        judgements=[f"@{tmp_path / 'j'}"],
        responses=[f"@{tmp_path / 'r'}"],
        study="s",
        items=tmp_path / "items.jsonl",
        out=tmp_path / "scores.parquet",
    )
    assert pq.read_metadata(tmp_path / "scores.parquet").num_rows == 300


def lose_an_answer(study: Study) -> None:
    study.responses[RUNS[2]].pop()


def mix_runs(study: Study) -> None:
    study.responses[RUNS[2]][0] = replace(study.responses[RUNS[2]][0], scale=999)


def give_a_run_twice(study: Study) -> None:
    study.responses["copy", 1, 1] = study.responses[RUNS[0]]


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


def lose_a_judge(study: Study) -> None:
    del study.judgements[RUNS[3], "llm"]


def mix_versions(study: Study) -> None:
    rows = study.judgements[RUNS[3], "llm"]
    study.judgements[RUNS[3], "llm"] = [replace(row, judge_version="llm-v2") for row in rows]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lose_an_answer, "arm full, scale 100, seed 2 lacks an answer to 1 of 2 items"),
        (mix_runs, "holds arm full, scale 100, seed 2 and arm full, scale 999, seed 2"),
        (give_a_run_twice, "arm lora, scale 0, seed 1 has its responses in"),
        (judge_twice, "twice in repeat 1"),
        (judge_a_stranger, "which no run gave"),
        (judge_another_item, "answers item"),
        (score_too_high, "score 1.01 is outside"),
        (score_a_failure, "does not go with status 'unparsed'"),
        (leave_a_success_unscored, "does not go with status 'ok'"),
        (lose_a_repeat, "has repeats [1, 3], not [1, 2, 3]"),
        (lose_a_judge, "judge llm: arm full, scale 100, seed 1"),
        (mix_versions, "judge llm has scores of 2 versions (llm-v1, llm-v2)"),
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


def test_broken_lines_are_named(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(responses_of(RUNS[0])[0].to_row()) + "\n{\n")
    with pytest.raises(InputError, match="line 2: not valid JSON"):
        read_answers([path], BY_ID)


def test_an_empty_study_has_no_rows():
    assert make_rows("s", BY_ID, {}, []) == []
