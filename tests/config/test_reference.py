"""The JSON Schema and docs/config.md say what the config models say."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

from instruct_scaling.config import reference


def test_schema_file_is_in_step():
    assert reference.SCHEMA_PATH.read_text("utf-8") == reference.json_schema(), "run: make format"


def test_docs_are_in_step():
    assert reference.DOCS_PATH.read_text("utf-8") == reference.markdown(), "run: make format"


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
