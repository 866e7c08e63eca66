"""What single sections of the page show, each rendered alone."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from analysis.tables import frame
from instruct_scaling.common.records import EvalItem, Message
from instruct_scaling.config.study import Study
from instruct_scaling.evaluation.judge.choice import LIMITS
from instruct_scaling.reporting.report.runs import no_answers, scorer_limits
from instruct_scaling.reporting.report.tables import curve_tables, verdict_tables
from tests.reporting.report.page import rendered, texts

KEYS = {"judge": "m", "arm": "full"}


@pytest.fixture
def section(default_config):
    """The text of a section of the default study; `config` replaces sections of the study."""

    def of(template: str, config: dict[str, Any] | None = None, **context: Any) -> str:
        study = Study(**default_config | (config or {}))
        (text,) = texts(rendered(template, study=study, decimals=2, **context))
        return text

    return of


def verdicts(section, **cells: Any) -> str:
    row = KEYS | {"category": "math", "verdict": "flat"} | cells
    return section("verdicts.html.j2", verdicts=verdict_tables(frame("verdicts", [row]), []))


def test_columns_of_verdicts_without_any_value_are_left_out(section):
    bare = verdicts(section)
    assert "category verdict whole ladder tail slope items seeds Math" in bare
    need = verdicts(section, items_needed=320, seeds_needed=3)
    assert "tail slope needed items seeds" in need
    assert "would show a tail slope of 0 to lie within the margin" in need
    assert "320 items × 3 seeds" in need
    assert "would show" not in bare
    full = verdicts(section, rise=0.5, detectable=0.024, n_items=40, n_seeds=2)
    assert "tail slope rise to the tail detectable slope items seeds" in full
    assert "+0.50 0.024 40 2" in full


def test_the_third_table_of_a_kind_is_closed(section):
    row = {"judge": "m", "category": "math", "verdict": "flat"}
    found = verdict_tables(frame("verdicts", [row | {"arm": arm} for arm in "abc"]), [])
    html = rendered("verdicts.html.j2", study=None, decimals=2, verdicts=found)
    assert texts(html, "h3") == ["Arm a, judge m", "Arm b, judge m"]
    assert texts(html, "summary") == ["Arm c, judge m"]


def test_a_slope_stands_with_its_interval_from_low_to_high(section):
    assert "+0.010 [−0.020, +0.040]" in verdicts(
        section, tail_slope=0.01, tail_low=-0.02, tail_high=0.04
    )
    assert "[" not in verdicts(section, tail_slope=0.01).partition("Math")[2]


def test_a_drop_is_shown_if_its_bound_is_above_zero(section):
    drop = {"drop": 0.12, "drop_from": 0, "drop_to": 4000, "verdict": "non-monotone"}
    shown = verdicts(section, drop_bound=0.05, **drop)
    assert "drops by 0.120 (at least 0.050) from base to 4,000" in shown
    assert "drops" not in verdicts(section, drop_bound=-0.01, **drop)
    assert "drops" not in verdicts(section, **drop)


def means(section, *points: dict[str, Any]) -> str:
    rows = [KEYS | {"category": "math", "n_items": 5} | point for point in points]
    curves = curve_tables(frame("curves", rows), [])
    return section("means.html.j2", curves=curves, tables={}, scorer_limits={})


def test_seeds_of_the_base_are_named_where_they_differ(section):
    base, tuned = {"scale": 0, "mean": 0.1}, {"scale": 250, "mean": 0.5}
    assert "5 2 base 1" in means(section, base | {"n_seeds": 1}, tuned | {"n_seeds": 2})
    assert "2 base" not in means(section, base | {"n_seeds": 2}, tuned | {"n_seeds": 2})


def test_missing_scores_and_points_that_were_not_measured_are_visible(section):
    row = {"scale": 250, "mean": 0.5, "low": 0.4, "high": 0.6, "n_missing": 2}
    other = {"scale": 500, "mean": 0.5, "category": "code"}
    text = means(section, row, other)
    assert "Math 0.50 [0.40, 0.60] 2 missing –" in text
    assert "Code – 0.50" in text


@pytest.mark.parametrize(
    ("repeats", "judges", "stated"),
    [
        (
            1,
            1,
            ("No judge scored a response twice", "There is one judge, so"),
        ),
        (2, 2, ("Standard deviations are between repeats", "Rows that name two judges show")),
    ],
)
def test_only_what_judges_can_show_is_stated(section, repeats, judges, stated):
    row = {"judge": "a", "version": "1", "judgements": 10, "missing": 0, "reasons": {}}
    table = frame("judges", [{"judge": "a", "category": "math", "repeat_sd": 0.5}])
    config = {"judges": {name: {"type": "metric"} for name in "abc"[:judges]}}
    context = {"judged": [row | {"repeats": repeats}], "missing_by_category": []}
    context |= {"items_with_tests": 0, "no_answers": []}
    text = section("judges.html.j2", config, tables={"judges": table}, **context)
    assert all(words in text for words in stated)
    assert f"a 1 {repeats} 10 0 0.0% none" in text
    assert "standard deviation between repeats of one response" in text


def test_time_outs_and_items_that_cannot_be_used_are_named(section):
    row = {
        "judge": "m",
        "version": "1",
        "judgements": 10,
        "missing": 0,
        "reasons": {},
        "repeats": 1,
    }
    config = {"judges": {"m": {"type": "metric"}}}
    context = {"judged": [row], "missing_by_category": [], "tables": {}, "items_with_tests": 12}
    context |= {"no_answers": [], "same_process": 0, "unusable_items": {}, "time_outs": []}
    plain = section("judges.html.j2", config, **context)
    assert "12 items have unit tests" in plain
    assert "No program was stopped by a time limit." in plain
    assert "same_process" not in plain
    stopped = {"judge": "m", "arm": "a", "scale": 400, "programs": 8, "time_outs": 2, "share": 0.25}
    context |= {"same_process": 3, "time_outs": [stopped]}
    context |= {"unusable_items": {"bad_tests": ["x1", "x2"]}}
    full = section("judges.html.j2", config, **context)
    assert "than the program, but for 3" in full
    assert "a program can pass these without solving them. 2 could not be used" in full
    assert "2 could not be used (bad_tests): x1, x2." in full
    assert "m a 400 8 2 25.0%" in full
    assert "No program was stopped" not in full
    assert "unit tests" not in section(
        "judges.html.j2", config, **context | {"items_with_tests": 0}
    )


def test_what_a_categorys_scores_see_is_said_below_its_curve(section, default_config):
    """The text is that of the table of scorers, for the scorer that judged the category."""
    rows = [KEYS | {"category": name, "scale": 250, "mean": 0.5} for name in ("rewrite", "math")]
    curves = curve_tables(frame("curves", rows), [])
    study = Study(**default_config | {"judges": {"m": {"type": "metric"}}})
    limits = scorer_limits(study, ["rewrite", "math", "generation"])
    text = section("means.html.j2", curves=curves, tables={}, scorer_limits=limits)
    assert "Rewrite †" in text
    assert "Math †" not in text
    assert f"Rewrite (scorer content): {LIMITS['content']}." in text
    assert LIMITS["open_ended"] not in text  # the table has no such category
    own = {"m": {"type": "metric", "scorers": {"rewrite": "chrf", "math": "fluency"}}}
    limits = scorer_limits(Study(**default_config | {"judges": own}), ["rewrite", "math"])
    text = section("means.html.j2", curves=curves, tables={}, scorer_limits=limits)
    assert f"Rewrite (scorer chrf): {LIMITS['chrf']}." in text
    assert f"Math (scorer fluency): {LIMITS['fluency']}." in text


def test_responses_without_an_answer_are_counted_by_scale(section):
    judged = pd.DataFrame(
        {
            "judge": "m",
            "scale": [0, 0, 250],
            "status": ["reasoning_exhausted", "unparsable", "ok"],
        }
    )
    row = {"judge": "m", "version": "1", "judgements": 3, "missing": 0, "reasons": {}}
    context = {"judged": [row | {"repeats": 1}], "missing_by_category": [], "tables": {}}
    context |= {"items_with_tests": 0}
    text = section("judges.html.j2", None, no_answers=no_answers(judged), **context)
    assert "judge records judgements unparsable reasoning exhausted m base 2 1 1" in text


@pytest.mark.parametrize("captions", [True, False])
def test_a_caption_that_the_picture_has_is_not_repeated(section, captions):
    figure = {"name": "f", "title": "Curves", "caption": "Five seeds.", "keys": ["arm a"]}
    figure |= {"png_base64": "", "width": 1, "height": 1, "data": None, "csv_base64": None}
    config = {"figures": {"captions": captions}}
    text = section("figures.html.j2", config, figures=[figure], omitted=[], scorer_limits={})
    assert "Curves (arm a)." in text
    assert ("Five seeds." in text) is not captions


def test_costs_are_in_gpu_hours_with_mfu_and_money_where_they_are_known(section):
    run = {"arm": "full", "scale": 250, "runs": 2, "steps": 3, "examples": 4, "tokens": 5}
    run |= {"tokens_per_second": 6, "mfu": 0.5, "last_loss": 1.5, "peak_bytes": 2e9}
    run |= {"hours": 3.0, "hours_training": 0.25, "seconds_training": 90, "seconds_total": 200}
    training = pd.DataFrame(
        [{"arm": "full", "tokens": 5, "device": "A100", "ranks": 4, "trainable": 7}]
    )
    training = training.assign(seconds_training=90, seconds_total=200, gpu_hours=3.0)
    judge = {"judge": "gpt", "judgements": 10, "tokens": 2000, "cost": 1.5}
    context = {"training": training, "training_totals": [run], "phases": ["training", "total"]}
    usage = {"arm": "full", "scale": 0, "shots": 0, "runs": 1, "responses": 4, "prompt_tokens": 40}
    context |= {"usage": [usage | {"tokens": 10, "cut": 1}], "judged": [judge]}
    text = section("costs.html.j2", matched=[], **context)
    assert "full 250 2 3 4 5 6 50.0% 1.500 2.00" in text
    assert "Trained with 4 ranks on A100. Weights trained: full 7." in text
    assert "training total GPU hours in training GPU hours full 250 1 min 30 s 3 min 20 s" in text
    assert "3 min 20 s 0.25 3.0" in text
    assert "3.0 GPU hours, 0.25 of them in training steps" in text
    assert "full base 1 4 40 10 2.5 25.0%" in text
    assert "gpt 10 2,000 $1.50" in text
    short = context | {"training_totals": [run | {"hours": 1e-6, "hours_training": 0.0}]}
    assert "3 min 20 s 0 <0.001" in section("costs.html.j2", matched=[], **short)
    unpaid = context | {"judged": [judge | {"tokens": None, "cost": None}]}
    assert "gpt" not in section("costs.html.j2", matched=[], **unpaid)
    assert "Arms at equal cost" not in text
    arms = {"judge": "m", "arm_a": "once", "arm_b": "twice", "axis": "training_flops", "x": 1.5e12}
    arms |= {"records_a": 4000, "records_b": 2000, "epochs_a": 1.0, "epochs_b": 2.0}
    arms |= {"difference": -0.02, "low": -0.05, "high": 0.01, "q_value": 0.2}
    text = section("costs.html.j2", matched=[arms], **context)
    assert "once − twice training flops 1.5e+12 4,000 / 2,000 1.0 / 2.0 −0.020" in text
    assert "[−0.050, +0.010] 0.200" in text


def test_a_sample_shows_the_earlier_turns_of_a_conversation(section):
    talk = [Message("system", "S"), Message("user", "first"), Message("assistant", "reply")]
    item = EvalItem.make("math", "second", history=talk)
    shown = section("samples.html.j2", samples=[{"item": item, "answers": {}}])
    assert "System, earlier S User, earlier first Assistant, earlier reply Prompt second" in shown


def test_code_without_isolation_is_explained(section):
    row = {"judge": "m", "judgements": 40, "missing": 40, "reasons": {"no_isolation": 40}}
    context = {
        "judged": [row | {"version": "1", "repeats": 1}],
        "missing_by_category": [row | {"category": "code"}],
        "tables": {},
        "items_with_tests": 0,
        "no_answers": [],
        "time_outs": [],
    }
    config = {"judges": {"m": {"type": "metric"}}}
    assert "instruct-scaling doctor, on that machine" in section(
        "judges.html.j2", config, **context
    )
    context["missing_by_category"] = [row | {"category": "code", "reasons": {"bad_tests": 40}}]
    assert "on that machine" not in section("judges.html.j2", config, **context)
