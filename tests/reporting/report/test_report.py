"""The report stage: what the page claims, shows, escapes and refuses."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pandas as pd
import pytest

from analysis.tables import frame, write_tables
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_json, sha256_file, write_json, write_jsonl
from instruct_scaling.common.seeds import PURPOSES
from instruct_scaling.config.runs import seed_for
from instruct_scaling.config.study import Study
from tests.reporting.report.example_study import HOSTILE, ExampleStudy, train_summary
from tests.reporting.report.page import Page
from tests.stages import run_stage

SECTIONS = (
    "answers",
    "verdicts",
    "scores",
    "figures",
    "method",
    "data",
    "judges",
    "costs",
    "samples",
    "limits",
    "config",
    "provenance",
)


def page_of(study: ExampleStudy) -> Page:
    """The page that the stage makes of a study."""
    run_stage("report", *study.arguments())
    return Page(study.out.read_text("utf-8"))


@pytest.fixture(scope="module")
def text(finished) -> str:
    page_of(finished)
    return finished.out.read_text("utf-8")


@pytest.fixture(scope="module")
def page(text) -> Page:
    return Page(text)


def test_page_is_well_formed_and_complete(page):
    assert page.open == []
    for section in SECTIONS:
        assert page.text(section), f"section {section} is empty"


def test_same_files_give_the_same_page(finished, text):
    page_of(finished)
    assert finished.out.read_text("utf-8") == text


def test_nothing_is_loaded_from_elsewhere(page, text):
    for tag, attributes in page.elements:
        for name in ("src", "href"):
            value = attributes.get(name) or ""
            assert value.startswith(("data:", "#")) or not value, (tag, value)
    assert "@import" not in text
    assert "url(" not in text
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:; base-uri 'none'; form-action")
    assert "unsafe" not in policy


def test_ids_are_unique_and_links_lead_somewhere(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {a["href"][1:] for t, a in page.elements if (a.get("href") or "").startswith("#")}
    assert targets <= set(ids)


def test_sentences_have_no_blank_before_a_mark_and_no_mark_twice(page):
    text = " ".join(page.text(section) for section in page.texts)
    assert re.findall(r".{30} [.,;:)](?: |$)|.{30}(?:\.\.|,,)(?: |$)", text) == []


def test_headings_skip_no_level(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_texts_of_models_and_data_are_escaped(page, text):
    assert HOSTILE in page.text("samples")  # the parser gives it back as text
    assert HOSTILE in page.text("data")
    assert HOSTILE not in text
    assert sum(tag == "script" for tag, _ in page.elements) == 1
    assert not any("onerror" in attributes for _, attributes in page.elements)


def test_headlines_are_the_tables_numbers_with_intervals(page, finished):
    curves = pd.read_csv(finished.folder / "tables/curves.csv")
    last = curves[
        (curves.arm == "full") & (curves.category == "overall") & (curves.scale == 16000)
    ].iloc[0]
    wanted = (
        f"Arm full: The mean over all categories is {last['mean']:.2f} "
        f"[{last.low:.2f}, {last.high:.2f}] at 16,000 records"
    )
    assert wanted in page.text("")
    assert "improving in 3 (Math, Rewrite, Translation)" in page.text("")


def test_verdicts_come_with_their_margins(page):
    text = page.text("verdicts")
    assert "tail slope ±0.02 per doubling, range of the means 0.04" in text
    assert "drops by 0.120 (at least 0.050) from 1,000 to 4,000" in text
    assert "320 items × 3 seeds" in text


def test_tables_and_figures_other_than_the_curves_may_be_absent(study):
    (study.folder / "tables/verdicts.csv").unlink()
    (study.folder / "figures/index.json").unlink()
    page = page_of(study)
    assert page.open == []
    assert "There is no verdicts.csv" in page.text("verdicts")
    assert "improving" not in page.text("")
    assert "the first lies above the other for" in page.text("")
    assert "the figures folder has no index.json" in page.text("figures")


def test_the_page_leads_with_what_is_enough_and_ends_its_tables_with_extrapolation(finished, text):
    page = Page(text)
    answers = page.text("answers")
    assert "Code none shown: up to +0.070" in answers
    assert "Math 1,000 beyond: under 0.030 +0.011 [−0.010, +0.032] +15.0 over 99%" in answers
    assert "CoT all scores are equal" in answers
    assert "+0.40 [+0.30, +0.50] at 1,000 +0.25 [+0.30, +0.50] at 1,000" in answers
    assert "metric 4,000 0.88 [0.78, 0.98] lora full" in answers
    assert text.index('id="answers"') < text.index('id="verdicts"') < text.index('id="scores"')
    assert "enough" in text[text.index('id="headlines"') : text.index('id="answers"')]


def test_a_study_without_sufficient_scales_says_so(study):
    for name in ("sufficient", "base_comparison", "decisions"):
        (study.folder / f"tables/{name}.csv").unlink()
    assert "There is no sufficient.csv" in page_of(study).text("answers")


def test_missing_judgements_are_counted_by_reason_and_never_zero(page, finished):
    statuses = [
        json.loads(line)["status"]
        for path in finished.files("runs/*/*/*/judgements/*.jsonl")
        for line in path.read_text("utf-8").splitlines()
    ]
    missing = statuses.count("no_reference")
    assert missing
    text = page.text("judges")
    assert f"{len(statuses):,} judgements, {missing} of them without a score" in text
    assert f"no_reference {missing}" in text
    assert f"{missing} of {len(statuses):,} judgements" in page.text("limits")
    assert "missing: no_reference" in page.text("samples")


def test_samples_are_the_same_items_at_every_scale(page, finished):
    samples = [a for t, a in page.elements if t == "article"]
    per_category = pd.Series([a["data-category"] for a in samples]).value_counts()
    assert list(per_category.index.sort_values()) == sorted(finished.categories)
    assert set(per_category) == {3}
    text = page.text("samples")
    assert "yes says lora at 250 with seed 1" in text
    assert "with seed 2" not in text


def test_sample_choice_does_not_depend_on_the_order_of_items(study, text):
    path = study.folder / "evalset/items.jsonl"
    path.write_text("".join(reversed(path.read_text("utf-8").splitlines(keepends=True))), "utf-8")
    chosen = [a["data-category"] for t, a in page_of(study).elements if t == "article"]
    again = re.findall(r"item ([0-9a-f]{8})", study.out.read_text("utf-8"))
    assert again == re.findall(r"item ([0-9a-f]{8})", text)
    assert len(chosen) == len(again)


def test_chinese_text_is_marked_as_such(page, text):
    assert re.search(r'<p class="text" lang="zh">小明有', text)
    assert re.search(r'<p class="text" lang="zh">小明现在', text)
    assert '<p class="text">Sort the word into fruit or tool' in text


def test_long_answers_are_cut_and_say_so(page):
    text = page.text("samples")
    shown = 1200
    full = len("First this, then that. ") * 160 - 1
    assert f"{full + 1 - shown:,} more characters not shown here" in text
    assert "empty answer" in text
    assert "First this, then that. " * 53 not in text  # more than is shown
    assert text.count("30 tokens, cut at the length limit") == 2 * 36  # the base's, for each arm


def test_costs_add_up(page, finished):
    runs = [read_json(path) for path in finished.files("runs/*/*/*/train.json")]
    tokens = sum(run["tokens"]["total"] for run in runs)
    hours = sum(run["cpu_core_hours"] for run in runs)
    text = page.text("costs")
    assert f"All {len(runs)} runs together: {tokens:,} tokens" in text
    assert f"{hours:.3g} core hours" in text
    assert "full, lora base 1 60 1,200 1,800 30.0 100.0%" in text
    assert "full 250 2 120 2,400 3,600 30.0 0.0%" in text


def test_audit_shows_what_each_step_removed(page):
    text = page.text("data")
    assert "24,000 read: 21,500 kept, 2,500 removed, 0 broken" in text
    assert "deduplicate 2,400 0 21,600 90.0% exact 2,400" in text
    assert "1 removed, 2 broken" in text


def test_clusters_of_items_are_named_wherever_items_are(study, page):
    stated = "There are 5 items in 2 clusters per category: items of one cluster"
    assert not any("cluster" in page.text(name) for name in ("method", "data", "limits"))
    path = study.folder / "evalset/items.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    grouped = [{**row, "cluster": f"{row['category']}-{n % 2}"} for n, row in enumerate(rows)]
    write_jsonl(path, grouped)
    page = page_of(study)
    assert all(stated in page.text(name) for name in ("method", "data", "limits"))


def test_validation_records_are_part_of_the_audit(page):
    stated = "240 records of the pool, in equal shares of its categories, are validation records"
    assert stated in page.text("data")


def test_every_table_stands_in_a_box_that_the_keyboard_can_scroll(text):
    boxes = re.findall(r'<div class="scroll"([^>]*)>\s*<table', text)
    assert len(boxes) == len(re.findall("<table", text))
    assert all('role="region" tabindex="0" aria-label="' in box for box in boxes)


def test_other_versions_are_listed(page):
    text = page.text("provenance")
    assert "pool: instruct_scaling was 0.0.1, here" in text
    assert "pool: numpy was 0.1, here" in text
    assert "pandas was" not in text
    assert "not-installed" not in text


def test_categories_stand_in_the_order_of_the_study(study):
    study.categories = ("summarization", "code", *study.categories[2:-1], "math")
    page = page_of(study)
    shown = [a["data-category"] for tag, a in page.elements if tag == "article"]
    assert list(dict.fromkeys(shown)) == list(study.categories)
    assert re.search(r"Summarization .* Code .* Math .* Overall", page.text("verdicts"))


def test_the_config_is_shown_without_and_with_defaults(page):
    given, _, full = page.text("config").partition("The same with every default")
    assert "learning_rate: 0.001" in given
    assert "weight_decay" not in given
    assert "weight_decay: 0.001" in full


def test_seeds_and_hashes_are_those_of_the_study(page, finished):
    text = page.text("provenance")
    study = Study(**finished.config)
    for replicate in finished.seeds:
        seeds = [str(seed_for(study, replicate, purpose)) for purpose in PURPOSES]
        assert f"{replicate} {' '.join(seeds)}" in text
    for path in ("tables/curves.csv", "tables/verdicts.csv", "evalset/items.jsonl"):
        file = finished.folder / path
        assert f"{file.name} {sha256_file(file)[:16]}" in text


def test_figures_are_embedded_with_data(page, text):
    images = [a for t, a in page.elements if t == "img"]
    assert len(images) == 2
    assert all(a["src"].startswith("data:image/png;base64,iVBOR") for a in images)
    assert all(a["alt"] for a in images)
    assert images[0]["width"] == "400"
    assert images[0]["height"] == "120"
    assert "figure5_arms: the study has one arm" in page.text("figures")
    assert 'download="figure1_bars.csv"' in text
    assert "Math 250 0.125" in page.text("figures")


def test_every_further_table_is_shown_with_its_columns_meaning(study):
    row = {"judge": "metric", "arm": "full", "category": "math", "component": "run"}
    difference = {"judge": "metric", "category": "overall", "arm_a": "full", "arm_b": "lora"}
    points = [
        difference | {"scale": scale, "difference": 0.1, "low": 0.02, "high": 0.18}
        for scale in (250, 16000)
    ]
    tables = {
        "variance": frame("variance", [row | {"variance": 0.01, "share": 0.25}]),
        "comparisons": frame("comparisons", points),
        "judges": frame("judges", [{"judge": "metric", "category": "math", "repeat_sd": 0.0}]),
    }
    write_tables(tables, study.folder / "tables")
    page = page_of(study)
    assert "metric full Math run 0.01 0.25" in page.text("scores")
    assert "its share in the sum of the components" in page.text("scores")
    assert (
        "At 16,000 records the mean of full minus that of lora is +0.10 [+0.02, +0.18]"
        in page.text("")
    )
    assert "repeat sd" in page.text("judges")
    assert "standard deviation between repeats of one response" in page.text("judges")


def test_page_of_a_full_study_stays_small(study):
    for path in study.files("runs/*/*/*/responses.jsonl"):
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        long = [json.dumps({**row, "text": "字" * 3_000}, ensure_ascii=False) for row in rows]
        path.write_text("\n".join(long), "utf-8")
    page_of(study)
    assert study.out.stat().st_size < 5_000_000


def _break_line(study):
    path = study.files("runs/full/n250/s1/responses.jsonl")[0]
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines[:2], lines[2][:-5], *lines[3:]]), "utf-8")


def _foreign_item(study):
    path = study.files("runs/full/n250/s1/judgements/metric.jsonl")[0]
    rows = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(rows[0]), "item": "other"}), *rows[1:]]))


def _train_without_tokens(study):
    summary = train_summary("full", 250, 1)
    del summary["tokens"]
    write_json(study.folder / "runs/full/n250/s1/train.json", summary)


def _broken_audit(study):
    write_json(study.folder / "pools/synthetic/audit.json", {"steps": [{"name": "read"}]})


def _no_picture(study):
    (study.folder / "figures/figure1_bars.png").unlink()


def _not_a_picture(study):
    (study.folder / "figures/figure1_bars.png").write_text("GIF")


def _no_curves(study):
    (study.folder / "tables/curves.csv").unlink()


def _curves_without_mean(study):
    (study.folder / "tables/curves.csv").write_text("judge,arm,category,scale,low,high\n")


def _empty_curves(study):
    (study.folder / "tables/curves.csv").write_text("")


@pytest.mark.parametrize(
    ("damage", "stated"),
    [
        (_break_line, r"responses.jsonl, line 3: not valid JSON"),
        (_foreign_item, r"metric.jsonl: .*'other', which is not in the eval set"),
        (_train_without_tokens, r"n250/s1/train.json: .*`tokens.total` is missing"),
        (_broken_audit, r"audit.json: `steps` is not a list"),
        (_no_picture, r"figure1_bars.png: listed in index.json, but there is no such file"),
        (_not_a_picture, r"figure1_bars.png: not a PNG image"),
        (_no_curves, r"curves.csv: no such file"),
        (_curves_without_mean, r"curves.csv: columns are missing: mean"),
        (_empty_curves, r"curves.csv: not a CSV table"),
    ],
)
def test_bad_input_is_one_clear_message(study, damage, stated):
    damage(study)
    with pytest.raises(InputError, match=stated):
        page_of(study)
    assert not study.out.exists()
