"""The JSON Schema, docs/config.md and config.default.yaml say what the config models say."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.versions import STAGE_VERSIONS
from instruct_scaling.config import reference
from instruct_scaling.config.defaults import default_yaml
from instruct_scaling.config.study import Study


def test_schema_file_is_in_step():
    assert reference.SCHEMA_PATH.read_text("utf-8") == reference.json_schema(), "run: make format"


def test_docs_are_in_step():
    assert reference.DOCS_PATH.read_text("utf-8") == reference.markdown(), "run: make format"


def test_the_defaults_file_is_in_step():
    reference.require_raised_versions(reference.DEFAULTS_PATH)
    text = default_yaml(Study.model_json_schema(), STAGE_VERSIONS)
    assert reference.DEFAULTS_PATH.read_text("utf-8") == text, "run: make format"


def test_check_names_a_file_that_is_not_in_step(tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "DOCS_PATH", tmp_path / "config.md")
    (tmp_path / "config.md").write_text("old", "utf-8")
    with pytest.raises(InputError, match=r"config\.md: not in step") as error:
        reference.reference(check=True)
    assert error.value.fix == "make format"
    assert (tmp_path / "config.md").read_text("utf-8") == "old"
    reference.reference()
    assert (tmp_path / "config.md").read_text("utf-8") == reference.markdown()


def test_execution_keys_are_marked():
    line = next(line for line in reference.markdown().splitlines() if "| `unpinned` |" in line)
    assert line.endswith("*(execution)* |")


def test_every_key_is_documented():
    undocumented = []
    schema = json.loads(reference.json_schema())
    for name, node in {"Study": schema, **schema["$defs"]}.items():
        for key, value in node["properties"].items():
            if "const" not in value and not value.get("description"):
                undocumented.append(f"{name}.{key}")
    assert undocumented == []


@pytest.mark.parametrize("study", ["config.yaml", "studies/bloomz-7b1-mt.yaml"])
def test_an_editor_accepts_the_studies(root, study):
    config = yaml.safe_load((root / study).read_text("utf-8"))
    jsonschema.validate(config, json.loads(reference.json_schema()))


def test_an_editor_refuses_an_unknown_key(default_config):
    default_config["ladder"]["stert"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(default_config, json.loads(reference.json_schema()))
