"""Every mistake in a config file is one clear line with file, line and key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.load import load_study, read_yaml, validate_study
from instruct_scaling.config.study import Ladder
from tests.studies import edited, tiny_study

TEXT = """\
study: small
pools:
  own:
    sources:
      - {type: synthetic, records: 500}
bases:
  tiny: {type: tiny}
arms:
  full:
    base: tiny
    pool: own
    recipe:
      epochs: 3
      learning_rate: 1.0e-3
ladder: {start: 100, factor: 2, count: 3}
evalset:
  sources:
    - {type: synthetic}
judges:
  metric: {type: metric}
validation: {records: 100}
"""


def complaint(folder: Path, old: str, new: str) -> str:
    """What is said about TEXT with `old` replaced by `new`."""
    assert TEXT.count(old) == 1, "the edit must hit one place"
    path = folder / "study.yaml"
    path.write_text(TEXT.replace(old, new), "utf-8")
    with pytest.raises(InputError) as caught:
        load_study(path)
    return str(caught.value).replace(str(path), "study.yaml")


def test_the_text_that_the_mistakes_are_made_in_is_valid(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(TEXT, "utf-8")
    assert load_study(path).ladder.values() == [100, 200, 400]


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("learning_rate", "learing_rate", 14, "unknown key; did you mean 'learning_rate'?"),
        ("records: 500", "records: 500, sed: 1", 5, "unknown key; did you mean 'seed'?"),
        ("{type: tiny}", "{type: tiny, layer: 2}", 7, "unknown key; did you mean 'layers'?"),
        ("type: metric", "type: metrics", 20, "did you mean 'metric'?"),
        ("base: tiny", "base: tny", 10, "no such base: 'tny'; did you mean 'tiny'?"),
        ("pool: own", "pool: other", 11, "no such pool: 'other'"),
        ("epochs: 3", "epochs: three", 13, "given: 'three'"),
        ("epochs: 3", "steps: 3", 12, "give either `epochs` or `steps`"),
        ("{start: 100, factor: 2, count: 3}", "{scales: [50, 50]}", 15, "scale 50 occurs twice"),
        ("{start: 100, factor: 2, count: 3}", "{scales: [50, 90, 60]}", 15, "scales must increase"),
        ("{start: 100, factor: 2, count: 3}", "{start: 100}", 15, "give `scales`, or all of"),
        ("count: 3", "count: 4", 15, "scale 800 is larger than pool 'own', which has 500"),
        (
            "study: small",
            "study: small\nintermediate_checkpoints: {fractions: [0.5, 0.25]}",
            2,
            "must increase",
        ),
        (
            "study: small",
            "study: small\nintermediate_checkpoints: {fractions: [0.125]}",
            2,
            "whole percents",
        ),
        (
            "study: small",
            "study: small\nintermediate_checkpoints: {fractions: [1]}",
            2,
            "less than 1",
        ),
        ("records: 100}", "records: 101}", 15, "500 records, 101 of them for validation; lower"),
        ("records: 100}", "records: 251}", 21, "251 records are more than half of pool"),
        (
            "{type: synthetic}",
            "{type: file, path: nowhere.jsonl}",
            18,
            "no such file: nowhere.jsonl",
        ),
        (
            "{type: tiny}",
            "{type: pretrained, model: bigscience/bloomz-7b1-mt}",
            7,
            "a hub id needs a `revision`",
        ),
        ("{type: tiny}", "{type: pretrained, model: ./none}", 7, "config.json is missing"),
        (
            "{type: metric}",
            "{type: metric, scorers: {maht: exact_match}}",
            20,
            "unknown category 'maht'; did you mean 'math'?",
        ),
        ("study: small", "study: a/b", 1, "string should match pattern"),
        ("epochs: 3", "epochs: null", 12, "give either `epochs` or `steps`"),
        ("epochs: 3", "batch_size: null", 12, "give either `batch_size` or `batch_tokens`"),
        ("epochs: 3", "batch_tokens: 9", 12, "give either `batch_size` or `batch_tokens`"),
        ("{type: tiny}", "{type: tiny, heads: 3}", 7, "hidden_size must be a multiple of heads"),
        (
            "{type: synthetic, records: 500}",
            "{type: synthetic, records: 500}\n"
            "    steps: [{type: filter, min_output_chars: 9, max_output_chars: 8}]",
            6,
            "max_output_chars is below min_output_chars",
        ),
        (
            "study: small",
            "study: small\nintermediate_checkpoints: {fractions: [0.1204]}",
            2,
            "whole percents",
        ),
        ("{start: 100, factor: 2, count: 3}", "{scales: [0, 50]}", 15, "scales must be above 0"),
        (
            "{start: 100, factor: 2, count: 3}",
            "{scales: [50], base: false, few_shot: 2}",
            15,
            "it is the base that answers",
        ),
        (
            "{start: 100, factor: 2, count: 3}",
            "{scales: [50], few_shot: 500}",
            15,
            "500 examples of 100 validation records",
        ),
        (
            "{start: 100, factor: 2, count: 3}",
            "{start: 100, scales: [100]}",
            15,
            "give either `scales` or `start`",
        ),
        ("study: small", "study: small\nseeds: {replicates: [1, 2, 1]}", 2, "occurs twice"),
        ("study: small", "study: small\nseeds: {vary: [order, order]}", 2, "occurs twice"),
        (
            "{type: synthetic, records: 500}",
            "{type: synthetic, records: 500}\n    steps: [{type: filter, categories: [maht]}]",
            6,
            "unknown category 'maht'; did you mean 'math'?",
        ),
        (
            "{type: synthetic, records: 500}",
            "{type: hub, dataset: ~/no such folder}",
            5,
            "no such folder: ~/no such folder",
        ),
        (
            "{type: synthetic, records: 500}",
            "{type: hub, dataset: ., category: poetry}",
            5,
            "unknown category 'poetry'; there is: math",
        ),
        (
            "- {type: synthetic}",
            "- {type: synthetic}\n  categories: [Math]",
            19,
            "write 'Math' as 'math'",
        ),
        ("pool: own", "pool: own\n    template: Human", 12, "must contain {prompt}"),
        (
            "{type: synthetic, records: 500}",
            "{type: pool, pool: owm}",
            5,
            "pools.own.sources.0.pool: no such pool: 'owm'; did you mean 'own'?",
        ),
        (
            "{type: synthetic, records: 500}",
            "{type: pool, pool: own}",
            5,
            "pool 'own' is made of itself: own <- own",
        ),
        (
            "{type: synthetic, records: 500}",
            "{type: synthetic}\n    annotations:\n      loss: {type: base_loss, base: tny}",
            7,
            "annotations.loss.base: no such base: 'tny'; did you mean 'tiny'?",
        ),
        (
            "{type: synthetic, records: 500}",
            "{type: synthetic}\n    annotations:\n      level: {type: file, path: none.csv}",
            7,
            "annotations.level.path: no such file: none.csv",
        ),
        (
            "study: small",
            "study: small\nanalysis: {by_tag: [languages]}",
            2,
            "analysis.by_tag.0: no such tag: 'languages'; did you mean 'language'?",
        ),
        (
            "study: small",
            "study: small\nanalysis: {primary: {judges: [metrics]}}",
            2,
            "analysis.primary.judges.0: the study has no 'metrics'; did you mean 'metric'?",
        ),
        (
            "study: small",
            "study: small\nseeds: {replicates: [1, 2, 3]}\nanalysis: {looks: {planned: 2}}",
            3,
            "analysis.looks.planned: 2 seeds were planned, and the study has 3",
        ),
        (
            "study: small",
            "study: small\nanalysis: {looks: {spending: pocock}}",
            2,
            "spending needs `planned`",
        ),
        (
            "    pool: own\n",
            "    pool: own\n    selection: {type: stratified, by: 'tag:level'}\n",
            12,
            "selection.by: the sources of pool 'own' declare no tag 'level'; they declare none",
        ),
        (
            "{type: synthetic, records: 500}",
            f"{{type: file, path: {__file__}, tags: {{level: difficulty}}}}\n"
            "    steps: [{type: filter, tag_bounds: {levl: {min: 1}}}]",
            6,
            "tag_bounds.levl: the sources of pool 'own' declare no tag 'levl'; "
            "did you mean 'level'?",
        ),
        (
            "{type: synthetic, records: 500}",
            f"{{type: file, path: {__file__}}}\n    steps: [{{type: filter, tags: {{tier: [a]}}}}]",
            6,
            "tags.tier: the sources of pool 'own' declare no tag 'tier'; they declare none",
        ),
        (
            "- {type: synthetic}",
            "- {type: file, path: study.yaml, category: math, tags: {language: lang}}",
            18,
            "an item's language is a field of its own",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, old, new, line, says):
    said = complaint(tmp_path, old, new)
    assert f"study.yaml, line {line}: " in said
    assert says in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        (
            "{type: synthetic, records: 500}",
            "{type: synthetic, records: 500}\n"
            "    filters: {max_instruction_chars: 9, languages: [zh]}",
            6,
            "pools.own.filters: unknown key; it is now an entry of `steps`: "
            "`- {type: filter, max_prompt_chars: 9, languages: [zh]}`",
        ),
        (
            "{type: synthetic, records: 500}",
            "{type: synthetic, records: 500}\n    deduplicate: {method: minhash}",
            6,
            "it is now an entry of `steps`: `- {type: deduplicate, method: minhash}` (a list of "
            "steps replaces the default one, which has filter, deduplicate, decontaminate)",
        ),
        (
            "{type: synthetic, records: 500}",
            "{type: synthetic, records: 500}\n    decontaminate: {method: none}",
            6,
            "write a list of `steps` without an entry of type `decontaminate`",
        ),
        (
            "{type: synthetic, records: 500}",
            "{type: synthetic, records: 500}\n    steps:\n"
            "      - {type: filter, min_instruction_chars: 9}",
            7,
            "min_instruction_chars: unknown key; it is now called `min_prompt_chars`",
        ),
        ("validation: {", "heldout: {", 21, "heldout: unknown key; it is now called `validation`"),
        (
            "study: small",
            "study: small\nalong: {fractions: [0.5]}",
            2,
            "along: unknown key; it is now called `intermediate_checkpoints`",
        ),
        (
            "study: small",
            "study: small\nrespond: {temperature: 0}",
            2,
            "respond: unknown key; it is now called `generate`",
        ),
        (
            "{type: synthetic, records: 500}",
            "{type: file, path: a.jsonl, cut_endings: [x]}",
            5,
            "cut_endings: unknown key; it is now called `strip_suffixes`",
        ),
        (
            "{type: synthetic, records: 500}",
            "{type: embedded, records: 500}",
            5,
            "sources.0: unknown type `embedded`; it is now called `synthetic`",
        ),
        (
            "- {type: synthetic}",
            "- {type: embedded}",
            18,
            "sources.0: unknown type `embedded`; it is now called `synthetic`",
        ),
    ],
)
def test_an_old_name_is_refused_with_the_new_one(tmp_path, old, new, line, says):
    said = complaint(tmp_path, old, new)
    assert said.startswith(f"study.yaml, line {line}: ")
    assert says in said


def test_an_old_name_where_the_new_one_is_unknown_too_is_just_unknown(tmp_path):
    said = complaint(tmp_path, "count: 3", "count: 3, respond: 1")
    assert "respond: unknown key; there is: start, factor" in said


COMMIT = "13e9b1a39fe86c8024fe15667d063aa8a3e32460"


def hub_source(keys: str) -> tuple[str, str]:
    """An edit of TEXT: its pool is read from the hub."""
    return "{type: synthetic, records: 500}", f"{{type: hub, dataset: owner/name{keys}}}"


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("", "sources.0: a hub id needs a `revision`: a commit of 40 hex digits"),
        (", revision: main", "revision: 'main' is not a commit (40 hex digits)"),
        (f", revision: {COMMIT[:12]}", "is not a commit"),
        (f", revision: {COMMIT}0", "is not a commit"),
        (f", revision: {COMMIT}, unpinned: why", "the revision is a commit; remove `unpinned`"),
        (", revision: main, unpinned: ''", "at least 1 character"),
    ],
)
def test_a_hub_source_needs_a_commit_or_a_reason(tmp_path, keys, says):
    said = complaint(tmp_path, *hub_source(keys))
    assert "study.yaml, line 5: pools.own.sources.0" in said
    assert says in said


@pytest.mark.parametrize("keys", [f", revision: {COMMIT}", ", revision: main, unpinned: offline"])
def test_a_hub_source_with_a_commit_or_a_reason_is_valid(tmp_path, keys):
    path = tmp_path / "study.yaml"
    path.write_text(TEXT.replace(*hub_source(keys)), "utf-8")
    load_study(path)


def test_the_word_chat_is_a_template(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(TEXT.replace("pool: own", "pool: own\n    template: chat"), "utf-8")
    assert load_study(path).arms["full"].template == "chat"


def test_a_local_data_set_has_no_revision_but_must_exist(tmp_path):
    local = f"{{type: hub, dataset: {tmp_path}/data}}"
    said = complaint(tmp_path, "{type: synthetic, records: 500}", local)
    assert f"dataset: no such folder: {tmp_path}/data" in said
    (tmp_path / "data").mkdir()
    load_study(tmp_path / "study.yaml")


@pytest.mark.parametrize("revision", ["main", "v1.0", COMMIT[:-1], COMMIT.upper()])
def test_a_base_from_the_hub_needs_a_commit(tmp_path, revision):
    base = f"{{type: pretrained, model: owner/name, revision: {revision}}}"
    said = complaint(tmp_path, "{type: tiny}", base)
    assert "study.yaml, line 7: bases.tiny: a hub id needs a `revision`: a commit" in said


def test_a_key_that_occurs_twice_is_refused(tmp_path):
    said = complaint(tmp_path, "    pool: own", "    pool: own\n    base: tiny")
    assert 'study.yaml, line 12: not valid YAML: found duplicate key "base"' in said


def test_snakemakes_reading_of_a_key_that_occurs_twice_is_refused_too(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(TEXT + "study: other\n", "utf-8")
    with pytest.raises(InputError, match=r"line 22: .*duplicate key \"study\""):
        validate_study(yaml.safe_load(path.read_text("utf-8")), [path])


def test_a_mistake_behind_an_anchor_has_the_line_of_its_section(tmp_path):
    path = tmp_path / "study.yaml"
    text = TEXT.replace("recipe:", "recipe: &r").replace(
        "ladder:", "  b:\n    base: tiny\n    pool: own\n    recipe:\n      <<: *r\nladder:"
    )
    path.write_text(text.replace("epochs: 3", "epochs: -3"), "utf-8")
    with pytest.raises(InputError) as caught:
        load_study(path)
    first, second = str(caught.value).splitlines()
    assert "line 13: arms.full.recipe.epochs" in first
    assert "line 18: arms.b.recipe.epochs" in second


def test_a_mistake_in_an_entry_of_a_list_has_its_line(tmp_path):
    said = complaint(
        tmp_path,
        "      - {type: synthetic, records: 500}",
        "      - {type: synthetic, records: 500}\n"
        "      - type: synthetic\n        seed: 1\n        records: none",
    )
    assert "study.yaml, line 8: pools.own.sources.1.records: " in said


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "study\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    (tmp_path / "study.yaml").write_text(text, "utf-8")
    with pytest.raises(InputError, match=r"study\.yaml, line 1: not a mapping of keys"):
        load_study(tmp_path / "study.yaml")


def test_text_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "study.yaml").write_bytes(b"study: \xff")
    with pytest.raises(InputError, match=r"study\.yaml: not UTF-8"):
        load_study(tmp_path / "study.yaml")


@pytest.mark.parametrize(
    ("ladder", "validation"),
    [
        ("{scales: [400]}", 100),  # all records of the pool
        ("{scales: [250]}", 250),  # half of them for validation
        ("{scales: [500]}", 0),
    ],
)
def test_a_pool_that_is_just_large_enough_is_valid(tmp_path, ladder, validation):
    text = TEXT.replace("{start: 100, factor: 2, count: 3}", ladder)
    path = tmp_path / "study.yaml"
    path.write_text(text.replace("records: 100}", f"records: {validation}}}"), "utf-8")
    load_study(path)


def test_pools_that_no_arm_uses_may_be_small(tmp_path):
    path = tmp_path / "study.yaml"
    more = "pools:\n  more: {sources: [{type: synthetic, records: 5}]}\n"
    path.write_text(TEXT.replace("pools:\n", more), "utf-8")
    load_study(path)


def test_a_category_that_the_study_declares_may_stand_in_a_pool(tmp_path):
    path = tmp_path / "study.yaml"
    text = TEXT.replace("- {type: synthetic}", "- {type: synthetic}\n  categories: [math, haiku]")
    text = text.replace(
        "records: 500}", "records: 500}\n    steps: [{type: filter, categories: [haiku]}]"
    )
    path.write_text(text, "utf-8")
    load_study(path)


def test_two_mistakes_are_two_lines(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(TEXT.replace("base: tiny", "base: a").replace("pool: own", "pool: b"), "utf-8")
    with pytest.raises(InputError) as caught:
        load_study(path)
    assert len(str(caught.value).splitlines()) == 2


def test_an_unknown_category_of_the_eval_set_gets_a_suggestion(tmp_path):
    said = complaint(
        tmp_path,
        "    - {type: synthetic}",
        "    - {type: synthetic}\n  categories: [math, sumarization]",
    )
    assert "unknown category 'sumarization'; did you mean 'summarization'?" in said


def test_a_category_of_ones_own_is_allowed(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(
        TEXT.replace(
            "    - {type: synthetic}", "    - {type: synthetic}\n  categories: [math, haiku]"
        ),
        "utf-8",
    )
    assert load_study(path).evalset.categories == ["math", "haiku"]


def test_yaml_that_does_not_parse_is_named_with_its_line(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("study: x\npools: [1\narms: 2\n", "utf-8")
    with pytest.raises(InputError, match=r"broken.yaml, line \d: not valid YAML"):
        read_yaml(path)


def test_a_missing_config_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such config file"):
        load_study(tmp_path / "none.yaml")


def test_a_later_file_is_laid_over_the_earlier_one(tmp_path):
    below, above = tmp_path / "study.yaml", tmp_path / "edit.yaml"
    below.write_text(TEXT, "utf-8")
    above.write_text("arms: {full: {recipe: {learning_rate: 0.5}}}", "utf-8")
    recipe = load_study(below, above).arms["full"].recipe
    assert (recipe.learning_rate, recipe.epochs) == (0.5, 3)


def test_an_error_names_the_file_that_has_the_key(tmp_path):
    below, above = tmp_path / "study.yaml", tmp_path / "edit.yaml"
    below.write_text(TEXT, "utf-8")
    above.write_text("arms:\n  full:\n    base: tny\n", "utf-8")
    with pytest.raises(InputError, match=r"edit.yaml, line 3: arms.full.base"):
        load_study(below, above)


@pytest.mark.parametrize("study", ["config.yaml", "studies/bloomz-7b1-mt.yaml"])
def test_the_studies_that_come_with_the_project_are_valid(root, study, monkeypatch):
    monkeypatch.chdir(root)
    load_study(study)


def test_the_papers_study_is_the_papers(root):
    study = load_study(root / "studies" / "bloomz-7b1-mt.yaml")
    recipe = study.arms["full"].recipe
    assert study.ladder.values() == [200_000, 600_000, 1_000_000, 2_000_000]
    assert (recipe.batch_size, recipe.epochs, recipe.learning_rate) == (64, 2, 3e-6)
    assert (recipe.schedule, recipe.weight_decay) == ("constant", 0.001)
    assert [judge.repeats for judge in study.judges.values()] == [3]


@given(start=st.integers(1, 10_000), factor=st.integers(2, 10), count=st.integers(1, 8))
def test_a_geometric_ladder_multiplies_by_its_factor(start, factor, count):
    values = Ladder(start=start, factor=factor, count=count).values()
    assert values == [start * factor**step for step in range(count)]


def test_scales_are_rounded_to_whole_records():
    assert Ladder(start=10, factor=1.26, count=3).values() == [10, 13, 16]  # 12.6, 15.876


@given(st.text(max_size=200))
def test_no_text_makes_validation_fail_otherwise_than_with_an_input_error(text):
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError:
        return
    if isinstance(config, dict):
        with pytest.raises(InputError):
            validate_study(config)


def test_the_lora_arm_is_one_edit_of_the_default_study_away(root, tmp_path):
    text = (root / "config.yaml").read_text("utf-8")
    commented = re.compile(r"^  # (lora:|  .*)$", re.MULTILINE)
    assert len(commented.findall(text)) >= 4
    (tmp_path / "config.yaml").write_text(commented.sub(r"  \1", text), "utf-8")
    study = load_study(tmp_path / "config.yaml")
    full, lora = study.arms["full"].recipe, study.arms["lora"].recipe
    assert (full.tuning.method, lora.tuning.method) == ("full", "lora")
    assert lora.batch_size == full.batch_size


def test_pools_that_are_made_of_each_other_are_refused(tmp_path):
    path = tmp_path / "study.yaml"
    more = "pools:\n" + "".join(
        f"  {name}: {{sources: [{{type: pool, pool: {other}}}]}}\n"
        for name, other in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"))
    )
    path.write_text(TEXT.replace("pools:\n", more), "utf-8")
    with pytest.raises(InputError) as caught:
        load_study(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3  # not for d, which is no part of the circle
    assert lines[0].endswith(
        "line 3: pools.a.sources.0.pool: pool 'a' is made of itself: a <- b <- c <- a"
    )


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"type": "dedupe"}, "unknown type `dedupe`; did you mean 'deduplicate'?"),
        (
            {"type": "shuffle"},
            "unknown type `shuffle`; there is: filter, deduplicate, decontaminate",
        ),
        ({"method": "exact"}, "`type` is missing"),
    ],
)
def test_an_unknown_or_missing_type_names_the_known_ones(step, message):
    config = edited(tiny_study(), "pools.own.steps", [step])
    with pytest.raises(InputError) as error:
        validate_study(config)
    assert f"pools.own.steps.0: {message}" in str(error.value)


def test_a_tag_of_a_record_may_come_from_a_source_or_from_another_pool_s_annotation():
    config = tiny_study()
    level = {"type": "file", "path": __file__, "tags": {"level": "difficulty"}}
    config["pools"] = {
        "first": {"sources": [level], "annotations": {"length": {"type": "length"}}},
        "own": {
            "sources": [{"type": "pool", "pool": "first"}],
            "steps": [{"type": "filter", "tag_bounds": {"length": {"max": 9}}}],
        },
    }
    config["arms"]["full"]["selection"] = {"type": "stratified", "by": "tag:level"}
    assert validate_study(config).arms["full"].selection.by == "tag:level"
