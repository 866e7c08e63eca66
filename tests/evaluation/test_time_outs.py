"""Time-outs of programs by scale, in the summary of scores."""

from __future__ import annotations

from instruct_scaling.common.files import read_json
from instruct_scaling.common.records import EvalItem, Judgement
from instruct_scaling.evaluation.judge.judgements import TIME_OUT
from instruct_scaling.evaluation.time_outs import TimeOuts, items_with_tests
from tests.evaluation import test_scores
from tests.evaluation.test_scores import Study

CODE = EvalItem.make("code", "q", checks={"tests": "assert f(1)"})
TEXT = EvalItem.make("open_qa", "q", reference="r")


def row(item: EvalItem, score: float | None, reason: str | None = None) -> Judgement:
    status = "ok" if score is not None else "sandbox_error"
    return Judgement(item.id, "r", "m", "v", 1, score, status, reason)


def test_programs_that_were_stopped_are_counted_by_arm_and_scale():
    found = TimeOuts(items_with_tests({CODE.id: CODE, TEXT.id: TEXT}))
    stopped = row(CODE, 0.0, f"{TIME_OUT}stopped after 15 s")
    found.add([("a", 0), ("b", 0)], [stopped, row(CODE, 1.0), row(TEXT, 1.0)])
    found.add([("a", 100)], [row(CODE, 0.0, "AssertionError"), row(CODE, None), row(TEXT, 0.5)])
    found.add([("a", 100)], [stopped, row(CODE, 1.0), row(CODE, 1.0)])
    assert [tuple(line.values()) for line in found.rows()] == [
        ("a", 0, 2, 1, 0.5),
        ("a", 100, 4, 1, 0.25),
        ("b", 0, 2, 1, 0.5),
    ]


def test_without_any_there_is_nothing_to_show():
    found = TimeOuts({CODE.id})
    found.add([("a", 0)], [row(CODE, 1.0)])
    assert found.rows() == []


def test_the_summary_of_scores_has_them(tmp_path, monkeypatch):
    monkeypatch.setattr(test_scores, "ITEMS", [CODE, TEXT])
    study = Study(tmp_path)
    for (run, judge), rows in study.judgements.items():
        if judge == "metric" and run[1] == 100:
            (first, second) = rows
            late = f"{TIME_OUT}used up its 5 s of CPU time"
            stopped = Judgement(
                *(first.item, first.response, judge, "metric-v1", 1, 0.0, "ok", late)
            )
            study.judgements[run, judge] = [stopped, second]
    study.run()
    judges = read_json(tmp_path / "scores.json")["judges"]
    assert judges["llm"]["time_outs_by_scale"] == []
    shares = {
        (line["arm"], line["scale"]): (line["time_outs"], line["programs"], line["share"])
        for line in judges["metric"]["time_outs_by_scale"]
    }
    assert shares == {
        ("full", 100): (2, 2, 1.0),
        ("full", 400): (0, 1, 0.0),
        ("lora", 0): (0, 1, 0),
    }
