"""What the config models say, written out: JSON Schema, docs/config.md, config.default.yaml.

`instruct-scaling config-reference` writes all three; a test keeps them in step.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path
from instruct_scaling.common.versions import STAGE_VERSIONS
from instruct_scaling.config.defaults import changed_defaults, default_yaml, in_order
from instruct_scaling.config.study import Study

ROOT = Path(__file__).resolve().parents[3]
SCHEMA_PATH = ROOT / "workflow" / "schemas" / "config.schema.json"
DOCS_PATH = ROOT / "docs" / "config.md"
DEFAULTS_PATH = ROOT / "config" / "config.default.yaml"

HEAD = """# Config reference

One YAML file describes a study; `config.yaml` is the default one, `studies/` has more, and
`config/config.default.yaml` shows every key with its default. Validation comes before anything
runs: an unknown key, a wrong value, a missing file or a scale larger than a generated pool is one
line with file, line and key; a key of an earlier version is named with the name that it has now.
What only the data show (a broken row, a key that no row has, a pool that is too small, another
hash) is an error of the stage that reads them, with the line of the data.

    snakemake -n                                        # check and plan config.yaml
    snakemake -n --configfile studies/real-small.yaml   # another study (in place of config.yaml)
    snakemake --configfile config.yaml edit.yaml        # a study with a few keys laid over it

Files named in a study are looked up from the folder where Snakemake runs. Ranks, GPUs, partitions,
memory and time change no result and stand in a profile (`workflow/profiles/`); API keys and
endpoints stand in the environment.

**What an edit re-runs.** A stage runs again if a key that decides its result changes. A default
written out, the order of a list whose order does not matter, and keys that are inactive (`top_p` at
temperature 0, the MinHash settings under another method) decide nothing. Keys marked *execution* in
the table decide how a result is reached, never what it is: changing them re-runs nothing.

*Written from the config models by `instruct-scaling config-reference`.*
"""


def json_schema() -> str:
    """The JSON Schema of a config file, as text."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Study.model_json_schema(),
    }
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def markdown() -> str:
    """docs/config.md: a table of keys for every section, the study first."""
    schema = Study.model_json_schema()
    definitions = schema["$defs"]
    sections = [_section("Study", schema)]
    sections += [_section(name, definitions[name]) for name in _reading_order(schema)]
    return "\n".join([HEAD, *sections])


def _reading_order(schema: dict[str, Any]) -> list[str]:
    """Names of the sections, depth first from the study, each once."""
    definitions = schema["$defs"]
    seen: list[str] = []

    def visit(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                name = node["$ref"].rsplit("/", 1)[-1]
                if name not in seen:
                    seen.append(name)
                    visit(definitions[name])
            for key, value in node.items():
                if key not in ("$ref", "$defs", "discriminator"):
                    visit(value)
        elif isinstance(node, list):
            for value in node:
                visit(value)

    visit(schema["properties"])
    return seen


def _section(name: str, node: dict[str, Any]) -> str:
    required = node.get("required", [])
    rows = [
        f"| `{key}` | {_type(value)} | {_default(key, value, required)} | {_meaning(value)} |"
        for key, value in in_order(node)
    ]
    table = ["| key | type | default | meaning |", "| --- | --- | --- | --- |", *rows]
    return "\n".join([f"## {name}", "", _one_line(node.get("description", "")), "", *table, ""])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _meaning(node: dict[str, Any]) -> str:
    text = _one_line(node.get("description", "")).replace("|", "\\|")
    return f"{text} *(execution)*" if node.get("execution") else text


def _default(key: str, node: dict[str, Any], required: list[str]) -> str:
    if key in required:
        return "*required*"
    value = node.get("default")
    if isinstance(value, dict) and "$ref" in node:
        return "the section's own"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return ", ".join(f"`{{type: {section['type']}}}`" for section in value)
    return f"`{json.dumps(value, ensure_ascii=False)}`".replace("|", "\\|")


def _link(ref: str) -> str:
    name = ref.rsplit("/", 1)[-1]
    return f"[{name}](#{name.lower()})"


def _type(node: dict[str, Any]) -> str:
    """A schema node's type in words, with its bounds."""
    if "$ref" in node:
        return _link(node["$ref"])
    for key in ("oneOf", "anyOf"):
        if key in node:
            return " or ".join(_type(option) for option in node[key])
    if "const" in node:
        return f"`{node['const']}`"
    if "enum" in node:
        return " or ".join(f"`{value}`" for value in node["enum"])
    kind = node.get("type", "any")
    if kind == "array":
        if "prefixItems" in node:
            return "list of " + ", ".join(_type(item) for item in node["prefixItems"])
        return f"list of {_type(node['items'])}"
    if kind == "object":
        values = node.get("additionalProperties")
        if not isinstance(values, dict):
            values = next(iter(node.get("patternProperties", {"": {"type": "any"}}).values()))
        return f"name: {_type(values)}"
    words = {
        "exclusiveMinimum": "> ",
        "minimum": "≥ ",
        "exclusiveMaximum": "< ",
        "maximum": "≤ ",
    }
    bounds = [f"{sign}{node[key]:g}" for key, sign in words.items() if key in node]
    return f"{kind} {', '.join(bounds)}".strip()


def reference(
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether they are up to date.")
    ] = False,
) -> None:
    """Write the JSON Schema, docs/config.md and config/config.default.yaml."""
    require_raised_versions(DEFAULTS_PATH)
    files = {
        SCHEMA_PATH: json_schema(),
        DOCS_PATH: markdown(),
        DEFAULTS_PATH: default_yaml(Study.model_json_schema(), STAGE_VERSIONS),
    }
    for path, text in files.items():
        if path.exists() and path.read_text("utf-8") == text:
            continue
        if check:
            raise InputError("not in step with the config models", where=path, fix="make format")
        with atomic_path(path) as temporary:
            temporary.write_text(text, "utf-8")


def require_raised_versions(snapshot: Path) -> None:
    """Refuse defaults that differ from the snapshot's under the same stage versions.

    Raises:
        InputError: naming every such key, its stage and what to do.
    """
    if not snapshot.exists():
        return
    problems = changed_defaults(
        snapshot.read_text("utf-8"), Study.model_json_schema(), STAGE_VERSIONS
    )
    if problems:
        raise InputError("\n".join(problems), where=snapshot)
