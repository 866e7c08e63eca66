"""The eval set: names standardized, invalid lines reported, nothing silently missing."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from pydantic import ValidationError

from instruct_scaling.common.categories import CATEGORIES
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import sha256_file
from instruct_scaling.common.records import EvalItem, read_items, read_rows
from instruct_scaling.config.evaluation import EvalSet
from instruct_scaling.data.evalset.stage import build_evalset
from tests.stages import run_stage

BELLE_FIELDS = {"prompt": "question", "category": "class", "reference": "std_answer"}


def write_items(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return str(path)


def config(*sources, **rest):
    return EvalSet.model_validate({"sources": [{"type": "file", **s} for s in sources], **rest})


def item(n, category="math", **rest):
    return {"prompt": f"question {n}", "category": category, "reference": f"answer {n}", **rest}


def step(audit, name):
    return next(entry for entry in audit["steps"] if entry["name"] == name)


def test_items_keep_what_the_file_says(tmp_path):
    row = item(1, input="some text", cluster="c1", language="en", checks={"answer": "number"})
    path = write_items(tmp_path / "a.jsonl", [row | {"lvl": 3, "tier": "A"}])
    [got], audit = build_evalset(config({"path": path, "tags": {"level": "lvl"}}))
    assert got.tags == {"level": "3"}
    assert read_rows(write_items(tmp_path / "b.jsonl", [got.to_row()]), EvalItem) == [got]
    assert got.prompt == "question 1"
    assert got.input == "some text"
    assert got.reference == "answer 1"
    assert (got.cluster, got.language, got.checks) == ("c1", "en", {"answer": "number"})
    assert audit["by_category"] == {
        "math": {"items": 1, "with_reference": 1, "with_checks": 1, "mean_prompt_chars": 20.0}
    }


def test_category_names_are_standardized_and_items_sorted_by_the_paper_order(tmp_path):
    names = ["Extract", "closed\u00a0QA", "open QA", "Math"]
    path = write_items(tmp_path / "a.jsonl", [item(n, name) for n, name in enumerate(names)])
    items, audit = build_evalset(config({"path": path}))
    assert [one.category for one in items] == ["math", "extraction", "open_qa", "closed_qa"]
    renamed = {row["in_file"]: row["category"] for row in audit["renamed_categories"]}
    assert renamed == {
        "Extract": "extraction",
        "closed<U+00A0>QA": "closed_qa",
        "open QA": "open_qa",
        "Math": "math",
    }


def test_an_unknown_category_is_refused_with_the_nearest_name(tmp_path):
    path = write_items(tmp_path / "a.jsonl", [item(1), item(2, "clasification")])
    with pytest.raises(InputError, match=r"line 2: unknown category 'clasification'.*'classific"):
        build_evalset(config({"path": path}))


def test_a_study_may_declare_its_own_category_or_rename_a_foreign_one(tmp_path):
    rows = [item(1, "poetry"), item(2, "creative_writing")]
    path = write_items(tmp_path / "a.jsonl", rows)
    source = {"path": path, "category_names": {"creative_writing": "generation"}}
    items, _ = build_evalset(config(source, categories=["poetry", "generation"]))
    assert [one.category for one in items] == ["poetry", "generation"]


def test_items_outside_the_study_are_counted_and_a_declared_category_without_items_refused(
    tmp_path,
):
    path = write_items(tmp_path / "a.jsonl", [item(1), item(2, "code")])
    items, audit = build_evalset(config({"path": path}, categories=["math"]))
    assert len(items) == 1
    assert step(audit, "categories")["reasons"] == {"code": {"count": 1, "examples": []}}
    with pytest.raises(InputError, match="no item of cot, rewrite"):
        build_evalset(config({"path": path}, categories=["math", "cot", "rewrite"]))


def test_duplicates_are_kept_once_also_across_sources(tmp_path):
    first = write_items(tmp_path / "a.jsonl", [item(1), item(1), item(2)])
    second = write_items(tmp_path / "b.jsonl", [item(2), item(3)])
    items, audit = build_evalset(config({"path": first}, {"path": second}))
    assert len(items) == 3
    assert [source["duplicates"] for source in audit["by_source"]] == [1, 1]
    assert [source["kept"] for source in audit["by_source"]] == [2, 1]
    assert audit["read"] == 5
    assert audit["steps"][-1]["kept"] == audit["kept"] == 3


def test_invalid_entries_stop_with_file_and_line_or_are_counted(tmp_path):
    path = tmp_path / "a.jsonl"
    write_items(path, [item(1), {"category": "math"}, item(3, checks={"anwser": "number"})])
    path.write_text(path.read_text() + '{"prompt": "x"}\n{"broken\n', "utf-8")
    with pytest.raises(InputError, match=r"a\.jsonl, line 2: entry without prompt"):
        build_evalset(config({"path": str(path)}))
    items, audit = build_evalset(config({"path": str(path), "on_error": "skip"}))
    assert len(items) == 1
    invalid = step(audit, "read")["reasons"]["broken"]
    assert invalid["count"] == 4
    assert [entry["line"] for entry in invalid["examples"]] == [2, 3, 4, 5]
    reasons = [entry["reason"] for entry in invalid["examples"]]
    assert "`checks`: anwser: " in reasons[1]
    assert "item without category" in reasons[2]


def test_empty_references_stay_none_and_are_counted(tmp_path):
    path = write_items(tmp_path / "a.jsonl", [item(1, reference=" "), item(2)])
    items, audit = build_evalset(config({"path": path}))
    assert items[0].reference is None
    assert audit["by_category"]["math"]["with_reference"] == 1


def test_a_limit_keeps_the_same_items_whatever_the_order_of_the_file(tmp_path):
    rows = [item(n, category) for n in range(30) for category in ("math", "code")]
    forth = write_items(tmp_path / "a.jsonl", rows)
    back = write_items(tmp_path / "b.jsonl", rows[::-1])
    kept = [
        build_evalset(config({"path": path, "limit_per_category": 7}))[0] for path in (forth, back)
    ]
    assert Counter(one.category for one in kept[0]) == {"math": 7, "code": 7}
    assert {one.id for one in kept[0]} == {one.id for one in kept[1]}


def test_the_audit_adds_up_for_every_source(tmp_path):
    first = [item(n) for n in range(5)] + [item(0), item(9, "code"), {"category": "math"}]
    one = write_items(tmp_path / "a.jsonl", first)
    two = write_items(tmp_path / "b.jsonl", [item(n) for n in range(3, 8)])
    sources = ({"path": one, "limit_per_category": 2, "on_error": "skip"}, {"path": two})
    items, audit = build_evalset(config(*sources, categories=["math"]))
    counted = [
        source["kept"]
        + source["broken"]
        + source["other_categories"]
        + source["duplicates"]
        + source["over_limit"]
        for source in audit["by_source"]
    ]
    assert counted == [source["read"] for source in audit["by_source"]] == [8, 5]
    assert sum(source["kept"] for source in audit["by_source"]) == audit["kept"] == len(items)
    assert audit["by_source"][0]["over_limit"] == 3
    assert audit["steps"][-1]["kept"] == audit["kept"]


def test_what_an_item_states_goes_before_what_the_source_states(tmp_path):
    rows = [item(1, language="zh"), {**item(2), "category": None}]
    path = write_items(tmp_path / "a.jsonl", rows)
    items, _ = build_evalset(config({"path": path, "language": "en", "category": "cot"}))
    found = {one.prompt: (one.category, one.language) for one in items}
    assert found == {"question 1": ("math", "zh"), "question 2": ("cot", "en")}


def test_empty_checks_are_none(tmp_path):
    path = write_items(
        tmp_path / "a.jsonl", [item(1, checks={}, cluster="c"), item(2, checks={"labels": None})]
    )
    items, audit = build_evalset(config({"path": path}))
    assert [one.checks for one in items] == [None, None]
    assert audit["by_category"]["math"]["with_checks"] == 0


def test_another_seed_of_the_generator_gives_other_items():
    prompts = []
    for seed in (0, 0, 1):
        source = {"type": "synthetic", "items_per_category": 2, "seed": seed}
        items, _ = build_evalset(EvalSet.model_validate({"sources": [source]}))
        prompts.append([one.full_prompt for one in items])
    assert prompts[0] == prompts[1] != prompts[2]


def test_an_empty_set_is_refused(tmp_path):
    path = write_items(tmp_path / "a.jsonl", [])
    with pytest.raises(InputError, match="empty"):
        build_evalset(config({"path": path}))


def test_synthetic_items_cover_the_study():
    section = {"sources": [{"type": "synthetic", "items_per_category": 3}]}
    items, _ = build_evalset(EvalSet.model_validate(section))
    assert Counter(one.category for one in items) == dict.fromkeys(CATEGORIES, 3)
    own = EvalSet.model_validate({**section, "categories": ["cot", "math"]})
    items, audit = build_evalset(own)
    assert [one.category for one in items] == ["cot"] * 3 + ["math"] * 3
    assert audit["read"] == 6, "no item is written for other categories"


def run_evalset(section, folder):
    out = ["--out-items", folder / "items.jsonl", "--out-audit", folder / "audit.json"]
    run_stage("evalset", "--evalset", json.dumps(section), *out)


def test_command_line_round_trip(tmp_path):
    path = write_items(tmp_path / "a.jsonl", [item(n, checks={"min_chars": 3}) for n in range(3)])
    section = {"sources": [{"type": "file", "path": path}]}
    run_evalset(section, tmp_path / "out")
    expected, _ = build_evalset(EvalSet.model_validate(section))
    assert list(read_items(tmp_path / "out" / "items.jsonl").values()) == expected
    audit = json.loads((tmp_path / "out" / "audit.json").read_text("utf-8"))
    assert audit["kept"] == 3
    assert audit["provenance"]["inputs"] == {path: sha256_file(path)}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"sources": [{"type": "file", "path": "none.jsonl"}]}, "none.jsonl: no such file"),
        ({"sources": []}, "--evalset: sources"),
    ],
)
def test_command_line_refuses_bad_input(tmp_path, section, message):
    with pytest.raises(InputError) as error:
        run_evalset(section, tmp_path)
    assert str(error.value).startswith(message)


def test_the_public_belle_file_with_its_three_invalid_lines(real_data):
    path = str(real_data / "belle_eval_2023-04.jsonl")
    source = {"path": path, "fields": BELLE_FIELDS, "language": "zh"}
    with pytest.raises(InputError, match="line 156: not valid JSON"):
        build_evalset(config(source))
    items, audit = build_evalset(config({**source, "on_error": "skip"}))
    assert Counter(one.category for one in items) == {
        "rewrite": 161,
        "math": 153,
        "open_qa": 148,
        "extraction": 113,
        "generation": 101,
        "summarization": 98,
        "closed_qa": 88,
        "brainstorming": 87,
        "classification": 84,
        "code": 74,
        "translation": 62,
    }
    invalid = step(audit, "read")["reasons"]["broken"]
    assert [entry["line"] for entry in invalid["examples"]] == [156, 714, 1111]
    renamed = {row["in_file"]: row["entries"] for row in audit["renamed_categories"]}
    assert renamed == {"closed<U+00A0>QA": 88, "extract": 113, "open QA": 148}
    assert audit["by_category"]["generation"]["with_reference"] < 101


def test_rows_hold_out_a_part_of_a_file_that_a_pool_reads(tmp_path):
    path = write_items(tmp_path / "items.jsonl", [item(n) for n in range(1, 11)])
    items, found = build_evalset(config({"path": path, "rows": [4, 6]}))
    assert [one.prompt for one in items] == [item(n)["prompt"] for n in (4, 5, 6)]
    assert found["read"] == 3
    items, _ = build_evalset(config({"path": path, "rows": [9, None]}))
    assert [one.prompt for one in items] == [item(n)["prompt"] for n in (9, 10)]
    with pytest.raises(InputError, match=r"no entry 11, the data end at 10"):
        build_evalset(config({"path": path, "rows": [11, None]}))
    with pytest.raises(ValidationError, match="after the last one"):
        config({"path": path, "rows": [5, 4]})


def test_a_human_eval_row_becomes_an_item_with_tests(tmp_path):
    row = {
        "prompt": "import math\n\ndef root(x):\n    pass\n",
        "canonical_solution": "    return math.sqrt(x)  # {not a key}",
        "test": "def check(candidate):\n    assert candidate(4) == 2",
        "entry_point": "root",
        "extra": ["assert root(9) == 3", "assert root(16) == 4"],
    }
    source = {
        "path": write_items(tmp_path / "items.jsonl", [row]),
        "category": "code",
        "compose": {
            "prompt": "Complete the function:\n```python\n{prompt}```",
            "reference": "{prompt}{canonical_solution}",
            "tests": "{test}\ncheck({entry_point})\n{extra}",
        },
        "checks": {"language": "en"},
    }
    ((one,), _) = build_evalset(config(source))
    assert one.prompt.startswith("Complete the function:\n```python\nimport math")
    assert one.reference.endswith("pass\n    return math.sqrt(x)  # {not a key}")
    assert one.checks == {
        "language": "en",
        "tests": "def check(candidate):\n    assert candidate(4) == 2\ncheck(root)\n"
        "assert root(9) == 3\nassert root(16) == 4",
        "helpers": "import math",
    }
    missing = source | {"compose": {"prompt": "{question}"}}
    with pytest.raises(InputError, match=r"no `question` in this entry \(keys: prompt"):
        build_evalset(config(missing))


def test_suffixes_and_checks_of_a_source(tmp_path):
    rows = [{"prompt": "Good?", "reference": "yes<|endoftext|>\n"}]
    source = {
        "path": write_items(tmp_path / "items.jsonl", rows),
        "category": "classification",
        "strip_suffixes": ["<|endoftext|>"],
        "checks": {"labels": ["yes", "no"]},
    }
    ((one,), _) = build_evalset(config(source))
    assert (one.reference, one.checks) == ("yes", {"labels": ["yes", "no"]})
    with pytest.raises(ValidationError, match="label_set"):
        config(source | {"checks": {"label_set": ["yes"]}})
