"""Totals of responses, judgements and training, and the answers that are shown."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import write_jsonl
from instruct_scaling.common.records import EvalItem, Judgement, Response
from instruct_scaling.config.runs import RunRow
from instruct_scaling.reporting.costs import SECONDS
from instruct_scaling.reporting.report.runs import (
    judgement_counts,
    missing_by_category,
    response_totals,
    survey,
    training_totals,
)
from instruct_scaling.reporting.report.samples import items_to_show, samples

MATH = EvalItem.make("math", "1 + 1?")
CODE = EvalItem.make("code", "Write it.")
ITEMS = {item.id: item for item in (MATH, CODE)}


def judgement(response: Response, score: float | None, repeat: int = 1, **rest) -> Judgement:
    status = "ok" if score is not None else "timeout"
    row = {"judge": "j", "judge_version": "7", "repeat": repeat, "status": status, **rest}
    return Judgement(item=response.item, response=response.id, score=score, **row)


@pytest.fixture
def runs(tmp_path):
    """Two arms that share the base's answers and have a tuned run for each of two seeds."""
    rows = [RunRow(arm, 0, 3, tmp_path / "base") for arm in ("a", "b")]
    rows += [
        RunRow(arm, 100, seed, tmp_path / f"{arm}{seed}") for arm in ("a", "b") for seed in (4, 3)
    ]
    for row in dict.fromkeys(rows):
        responses = [
            Response(
                f"{row.folder.name}-{item.category}",
                *(item.id, item.category, row.arm, row.scale, row.seed),
                text=f"{row.folder.name} answers",
                prompt_tokens=10,
                tokens=5 if row.scale else 8,
                finish="stop" if row.scale or item is MATH else "length",
            )
            for item in ITEMS.values()
        ]
        scores = [
            judgement(response, score, repeat, tokens=tokens)
            for response in responses
            for repeat, score, tokens in ((1, 0.0, None), (2, 0.5, 20), (3, None, None))
        ]
        write_jsonl(row.folder / "responses.jsonl", [part.to_row() for part in responses])
        write_jsonl(row.folder / "judgements/j.jsonl", [part.to_row() for part in scores])
    return rows


def test_time_outs_and_unusable_items_of_the_runs_are_found(runs):
    code = EvalItem.make("code", "Write it.", checks={"tests": "assert f(1)"})
    items = ITEMS | {CODE.id: replace(code, id=CODE.id)}
    path = runs[0].folder / "judgements/j.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for row in rows:
        if row["item"] == CODE.id and row["score"] == 0:
            row["reason"] = "time-out: stopped after 15 s"
        if row["item"] == MATH.id and row["score"] is None:
            row["status"] = "bad_tests"
    write_jsonl(path, rows)
    found = survey(runs, ["j"], items, set())
    assert [(row["arm"], row["scale"], row["time_outs"]) for row in found.time_outs] == [
        ("a", 0, 1),
        ("a", 100, 0),
        ("b", 0, 1),
        ("b", 100, 0),
    ]
    assert found.unusable_items == {"bad_tests": [MATH.id]}


def test_a_shared_folder_is_counted_once_and_shown_for_each_arm(runs):
    found = survey(runs, ["j"], ITEMS, {MATH.id})
    totals = response_totals(found.usage)
    columns = ["arm", "scale", "runs", "responses", "prompt_tokens", "tokens", "cut"]
    assert [[row[name] for name in columns] for row in totals] == [
        ["a, b", 0, 1, 2, 20, 16, 1],
        ["a", 100, 2, 4, 40, 20, 0],
        ["b", 100, 2, 4, 40, 20, 0],
    ]
    assert len(found.judgements) == 5 * 2 * 3
    assert list(found.answers) == [(MATH.id, "a"), (MATH.id, "b")]
    assert [answer["text"] for answer in found.answers[MATH.id, "b"]] == [
        "base answers",
        "b3 answers",  # the first seed
    ]


def test_a_shown_score_is_the_mean_over_repeats_and_says_what_is_missing(runs):
    found = survey(runs, ["j", "other"][:1], ITEMS, set(ITEMS))
    (score,) = found.answers[CODE.id, "a"][0]["scores"]
    assert score == {
        "judge": "j",
        "value": 0.25,
        "status": "ok",
        "reason": "1 of 3 repeats missing",
    }


def test_a_response_that_a_judge_left_out_is_shown_as_not_judged(runs):
    path = runs[0].folder / "judgements/j.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if MATH.id not in line), "utf-8")
    found = survey(runs, ["j"], ITEMS, set(ITEMS))
    (score,) = found.answers[MATH.id, "a"][0]["scores"]
    assert (score["value"], score["status"]) == (None, "not judged")


def test_answers_are_shown_by_increasing_scale_and_items_without_any_left_out():
    answers = {(MATH.id, "a"): [{"scale": 100}, {"scale": 0}]}
    (shown,) = samples([CODE, MATH], answers, ["a", "b"])
    assert shown["item"] is MATH
    assert shown["answers"] == {"a": [{"scale": 0}, {"scale": 100}], "b": []}


def test_fewer_items_are_shown_where_there_are_many_answers():
    items = [EvalItem.make("math", f"{n}") for n in range(9)]
    shown = items_to_show(items, ["math"], 4)
    assert len(shown) == 3
    assert items_to_show(reversed(items), ["math"], 4) == shown
    assert shown != sorted(items, key=lambda item: item.id)[:3]  # those that a limit keeps
    assert items_to_show(items, ["math"], 600) == shown[:2]  # 1,500,000 / (600 x 1,200)
    assert items_to_show(items, ["math"], 10**9) == shown[:1]


def test_judgements_are_counted_with_reasons_and_sums_only_where_they_are_stated(runs):
    judgements = survey(runs, ["j"], ITEMS, set()).judgements
    (row,) = judgement_counts(judgements, ["judge"])
    assert row == {
        "judge": "j",
        "version": "7",
        "repeats": 3,
        "judgements": 30,
        "missing": 10,
        "reasons": {"timeout": 10},
        "tokens": 200,
        "cost": None,
    }
    (unstated,) = judgement_counts(judgements.assign(tokens=None), ["judge"])
    assert unstated["tokens"] is None
    by_category = missing_by_category(judgements, ["code", "math"])
    assert [(row["category"], row["missing"]) for row in by_category] == [("code", 5), ("math", 5)]
    complete = judgements.assign(
        status=judgements["status"].where(judgements.category == "code", "ok")
    )
    assert [row["category"] for row in missing_by_category(complete, ["code", "math"])] == ["code"]


def test_a_judgement_of_another_eval_set_is_refused(runs):
    path = runs[0].folder / "judgements/j.jsonl"
    write_jsonl(
        path, [judgement(Response("x", "other", "", "", 0, 0, "", 0, 0, "stop"), 1).to_row()]
    )
    with pytest.raises(InputError, match=r"j\.jsonl: .*'other', which is not in the eval set"):
        survey(runs, ["j"], ITEMS, set())


def test_training_is_averaged_over_runs_but_hours_are_summed_and_memory_is_the_largest():
    one = {"arm": "a", "scale": 100, "mfu": None, "gpu_hours": None, "cpu_core_hours": 4.0}
    one |= dict.fromkeys(["steps", "examples", "tokens", "tokens_per_second", "last_loss"], 10)
    one |= dict.fromkeys(SECONDS, 0.0) | {"seconds_training": 30.0, "seconds_total": 40.0}
    runs = pd.DataFrame(
        [
            one | {"peak_bytes": 5},
            one | {"peak_bytes": 9, "tokens": 30, "cpu_core_hours": 8.0},
            one | {"peak_bytes": 1, "scale": 50, "gpu_hours": 2.0, "cpu_core_hours": None},
            one | {"peak_bytes": 1, "scale": 10, "arm": "A"},
        ]
    ).astype({"gpu_hours": float, "mfu": float})
    on_gpu, first, other = training_totals(runs)
    assert (other["arm"], other["runs"]) == ("A", 1)  # arms stay in the order of the runs
    assert (on_gpu["scale"], on_gpu["hours"], on_gpu["hours_training"]) == (50, 2.0, 1.5)
    assert (first["runs"], first["tokens"], first["peak_bytes"]) == (2, 20, 9)
    assert (first["hours"], first["hours_training"]) == (12.0, 9.0)
    assert first["mfu"] is None
