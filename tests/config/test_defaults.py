"""config.default.yaml: valid, complete, and a snapshot that notices a default that changes."""

from __future__ import annotations

import copy

import pytest
import yaml
from pydantic import BaseModel

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.versions import STAGE_VERSIONS
from instruct_scaling.config import defaults, reference
from instruct_scaling.config.defaults import READERS, changed_defaults, default_yaml, readers
from instruct_scaling.config.study import Study

SCHEMA = Study.model_json_schema()
TEXT = default_yaml(SCHEMA, STAGE_VERSIONS)


def edited(old: str, new: str) -> str:
    """The snapshot with one line changed: as if the code's default had changed instead."""
    assert TEXT.count(old) == 1, f"{old!r} must occur once"
    return TEXT.replace(old, new)


def raised(*stages: str) -> dict[str, int]:
    return {**STAGE_VERSIONS, **{stage: STAGE_VERSIONS[stage] + 1 for stage in stages}}


def sections(model: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """A config model and all models below it."""
    if model in seen:
        return seen
    seen.add(model)
    for field in model.model_fields.values():
        for below in models_in(field.annotation):
            sections(below, seen)
    return seen


def models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in models_in(part)]


def test_the_file_is_a_valid_study_with_the_defaults():
    written = yaml.safe_load(TEXT)
    study = Study.model_validate(written)
    arm = study.arms["NAME"]
    assert arm == type(arm)(base="NAME", pool="NAME")
    assert study.generate == Study.model_fields["generate"].get_default()
    kinds = {source.type for source in study.pools["NAME"].sources}
    assert kinds == {"synthetic", "file", "url", "hub", "pool"}
    assert {arm.recipe.tuning.method for arm in study.arms.values()} == {
        "full",
        "lora",
        "frozen_embedding",
        "embedding",
    }


def test_the_file_shows_every_key_of_every_section():
    found = {path.rsplit(".", 1)[-1] for path, _ in defaults._values(yaml.safe_load(TEXT))}
    keys = {key for model in sections(Study, set()) for key in model.model_fields}
    assert len(keys) > 100
    assert keys - found == set()


def test_every_description_stands_in_the_file():
    text = " ".join(line.lstrip(" #") for line in TEXT.splitlines())
    for model in sections(Study, set()):
        for key, field in model.model_fields.items():
            description = " ".join((field.description or "").split())
            assert description in text, f"{model.__name__}.{key}"


def test_a_section_that_is_a_default_has_the_defaults_of_its_own():
    """So that the one entry in the file shows both."""
    for model in sections(Study, set()):
        for key, field in model.model_fields.items():
            default = None if field.is_required() else field.get_default()
            for one in default if isinstance(default, list) else [default]:
                if isinstance(one, BaseModel):
                    tags = {
                        name: getattr(one, name)
                        for name, below in type(one).model_fields.items()
                        if below.is_required()
                    }
                    assert one == type(one)(**tags), f"{model.__name__}.{key}"


def test_nothing_has_changed():
    assert changed_defaults(TEXT, SCHEMA, STAGE_VERSIONS) == []


@pytest.mark.parametrize(
    ("old", "new", "key", "stages"),
    [
        ("threshold: 0.8", "threshold: 0.7", "pools.NAME.steps.deduplicate.threshold", ["pool"]),
        ("records: 24000", "records: 20000", "pools.NAME.sources.synthetic.records", ["pool"]),
        ("vocab_size: 2048", "vocab_size: 4096", "bases.tiny.vocab_size", ["base"]),
        ("batch_size: 64", "batch_size: 32", "arms.NAME.recipe.batch_size", ["finetune"]),
        ("rank: 8", "rank: 16", "arms.lora.recipe.tuning.rank", ["finetune"]),
        ("by_scale: null", "by_scale: 1", "arms.NAME.by_scale", ["finetune"]),
        (
            '\n    template: "Human: ',
            '\n    template: "User: ',
            "arms.NAME.template",
            ["finetune", "generate"],
        ),
        ("records: 240\n", "records: 100\n", "validation.records", ["validation_set"]),
        ("top_p: 1.0", "top_p: 0.9", "generate.top_p", ["generate"]),
        ("repeats: 3", "repeats: 1", "judges.llm.repeats", ["judge"]),
        ("tail_margin: 0.02", "tail_margin: 0.05", "analysis.tail_margin", ["curves"]),
        ("items_per_category: 40", "items_per_category: 50", "sources.synthetic", ["evalset"]),
    ],
)
def test_a_changed_default_asks_for_a_higher_version_of_each_stage(old, new, key, stages):
    text = edited(old, new)
    problems = changed_defaults(text, SCHEMA, STAGE_VERSIONS)
    assert len(problems) == len(stages)
    for stage, problem in zip(stages, problems, strict=True):
        assert key in problem
        assert f"raise {stage!r} in common/versions.py above {STAGE_VERSIONS[stage]}" in problem
    for stage in stages:  # one of two is not enough
        assert len(changed_defaults(text, SCHEMA, raised(stage))) == len(stages) - 1
    assert changed_defaults(text, SCHEMA, raised(*stages)) == []


def test_the_message_says_the_old_and_the_new_value():
    [problem] = changed_defaults(edited("threshold: 0.8", "threshold: 0.7"), SCHEMA, STAGE_VERSIONS)
    assert "has changed from 0.7 to 0.8" in problem


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("            permutations: 128\n".lstrip(), ""),  # a key is new
        ("path: data/records.jsonl # required", "path: data/other.jsonl # required"),  # an example
        ("start: 100 # default: null", "start: 200 # default: null"),
        ("mfu: 0.4", "mfu: 0.5"),  # no result depends on it
        ("concurrency: 8", "concurrency: 9"),  # an execution field
    ],
)
def test_what_changes_no_finished_result_asks_for_nothing(old, new):
    assert changed_defaults(edited(old, new), SCHEMA, STAGE_VERSIONS) == []


def test_a_changed_default_in_the_code_is_noticed():
    schema = copy.deepcopy(SCHEMA)
    schema["$defs"]["LlmJudge"]["properties"]["repeats"]["default"] = 5
    [problem] = changed_defaults(TEXT, schema, STAGE_VERSIONS)
    assert "`judges.llm.repeats` has changed from 3 to 5" in problem


def test_a_snapshot_without_versions_is_refused():
    with pytest.raises(InputError, match="stage versions"):
        changed_defaults("study: x\n", SCHEMA, STAGE_VERSIONS)


def test_a_stage_that_the_snapshot_does_not_know_has_no_finished_results():
    text = edited("threshold: 0.8", "threshold: 0.7").replace(f"pool {STAGE_VERSIONS['pool']}", "")
    assert changed_defaults(text, SCHEMA, STAGE_VERSIONS) == []


def test_every_default_has_its_stages():
    paths = [path for path, _ in defaults._defaults(defaults._study(SCHEMA))]
    assert len(paths) > 80
    assert {stage for path in paths for stage in readers(path)} <= set(STAGE_VERSIONS)
    used = {pattern for pattern in READERS if any(readers(p) is READERS[pattern] for p in paths)}
    assert {pattern for pattern, stages in READERS.items() if stages} - used == set()


def test_the_command_refuses_to_write_over_a_changed_default(tmp_path, monkeypatch):
    path = tmp_path / "config.default.yaml"
    path.write_text(edited("threshold: 0.8", "threshold: 0.7"), "utf-8")
    for name in ("SCHEMA_PATH", "DOCS_PATH"):
        monkeypatch.setattr(reference, name, tmp_path / name)
    monkeypatch.setattr(reference, "DEFAULTS_PATH", path)
    with pytest.raises(InputError, match=r"deduplicate.threshold.*raise 'pool'"):
        reference.reference()
    assert "threshold: 0.7" in path.read_text("utf-8")
    monkeypatch.setattr(reference, "STAGE_VERSIONS", raised("pool"))
    reference.reference()
    assert "threshold: 0.8" in path.read_text("utf-8")
    assert f"pool {STAGE_VERSIONS['pool'] + 1}" in path.read_text("utf-8")
