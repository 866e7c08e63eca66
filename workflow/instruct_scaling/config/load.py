"""Read and validate a study before anything runs; every mistake gets one clear line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.consistency import Location, inconsistencies, nearest
from instruct_scaling.config.study import Study

# Keys and source types of earlier versions, with the names that they have now.
RENAMED_KEYS = {
    "along": "intermediate_checkpoints",
    "cut_endings": "strip_suffixes",
    "heldout": "validation",
    "max_instruction_chars": "max_prompt_chars",
    "min_instruction_chars": "min_prompt_chars",
    "respond": "generate",
}
QUOTE = "'"
RENAMED_TYPES = {"embedded": "synthetic"}
# Keys of a pool that are entries of its `steps` now: the type that each has there.
POOL_STEPS = {"filters": "filter", "deduplicate": "deduplicate", "decontaminate": "decontaminate"}


def load_study(*paths: str | Path) -> Study:
    """Read one config file, or several that are merged over each other in this order.

    Raises:
        InputError: a file is missing or not valid YAML, or the study it describes is not valid.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        merged = _merge(merged, read_yaml(path))
    return validate_study(merged, paths)


def validate_study(config: dict[str, Any], paths: Sequence[str | Path] = ()) -> Study:
    """The study that a config describes.

    Args:
        config: the merged content of the config files.
        paths: those files, to name file and line in an error.

    Raises:
        InputError: one line for each mistake, with file, line, key and what to change.
    """
    documents = documents_of(paths)
    try:
        study = Study.model_validate(config)
    except ValidationError as error:
        problems = [describe(detail, documents, Study) for detail in error.errors()]
        raise InputError("\n".join(problems)) from None
    problems = [
        f"{_position(location, documents)}{message}" for location, message in inconsistencies(study)
    ]
    if problems:
        raise InputError("\n".join(problems))
    return study


def read_yaml(path: str | Path) -> dict[str, Any]:
    """One YAML file as a dictionary, with the values that Snakemake reads (PyYAML, YAML 1.1).

    Raises:
        InputError: the file is missing, is not valid YAML (with the line), has a key twice, or is
            not a mapping.
    """
    _document(path)
    value = yaml.safe_load(Path(path).read_text("utf-8"))
    if not isinstance(value, dict):
        raise InputError("not a mapping of keys, such as `pools:`", where=path, line=1)
    return value


def documents_of(paths: Sequence[str | Path]) -> dict[str, Any]:
    """Those of some files that exist, with the line of every key, by name."""
    return {str(path): _document(path) for path in paths if Path(path).is_file()}


def _document(path: str | Path) -> Any:
    """The file's content with the line of every key (`lc` of ruamel.yaml)."""
    try:
        return YAML().load(Path(path).read_text("utf-8"))
    except FileNotFoundError as error:
        raise InputError("no such config file", where=path) from error
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", where=path) from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(f"not valid YAML: {error.problem}", where=path, line=line) from None


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def describe(detail: Mapping[str, Any], documents: dict[str, Any], model: type[BaseModel]) -> str:
    """One line for one error of pydantic: file, line, key and what to change.

    Args:
        detail: as `ValidationError.errors()` gives it.
        documents: the files (`documents_of`).
        model: what they were validated against.
    """
    location, known_keys = _yaml_location(detail["loc"], model)
    position = _position(location, documents)
    if detail["type"] == "extra_forbidden":
        if location[0] == "pools" and len(location) == 3 and location[2] in POOL_STEPS:
            return position + _now_a_step(str(location[2]), detail["input"])
        return position + _unknown_key(str(location[-1]), known_keys)
    if detail["type"] == "union_tag_invalid" and detail["ctx"]["tag"] in RENAMED_TYPES:
        old = detail["ctx"]["tag"]
        return f"{position}unknown type `{old}`; it is now called `{RENAMED_TYPES[old]}`"
    if detail["type"] == "union_tag_invalid":
        key, known = (detail["ctx"][name] for name in ("discriminator", "expected_tags"))
        kinds = [kind.strip(" '") for kind in known.split(",")]
        return f"{position}unknown {key.strip(QUOTE)} `{detail['ctx']['tag']}`" + nearest(
            detail["ctx"]["tag"], kinds
        )
    if detail["type"] == "union_tag_not_found":
        key = detail["ctx"]["discriminator"].strip(QUOTE)
        return f"{position}`{key}` is missing: it says which kind this is (see docs/config.md)"
    message = detail["msg"].removeprefix("Value error, ")
    given = detail.get("input")
    if detail["type"] != "missing" and isinstance(given, str | int | float | bool):
        message += f" (given: {given!r})"
    return f"{position}{message[0].lower()}{message[1:]}"


def _unknown_key(key: str, known: Sequence[str]) -> str:
    new = RENAMED_KEYS.get(key)
    if new in known:
        return f"unknown key; it is now called `{new}`"
    return f"unknown key{nearest(key, known)}"


def _now_a_step(key: str, value: Any) -> str:
    """What stands in `steps` in place of a pool's key of earlier versions."""
    known = value if isinstance(value, dict) else {}
    if key == "decontaminate" and known.get("method") == "none":
        return "unknown key; write a list of `steps` without an entry of type `decontaminate`"
    entry = {"type": POOL_STEPS[key]}
    entry |= {RENAMED_KEYS.get(name, name): given for name, given in known.items()}
    text = yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=10**6).strip()
    return (
        f"unknown key; it is now an entry of `steps`: `- {text}` (a list of steps replaces the "
        "default one, which has filter, deduplicate, decontaminate)"
    )


def _yaml_location(loc: Location, model: type[BaseModel]) -> tuple[Location, list[str]]:
    """Where pydantic's location is in the YAML, and the keys allowed beside its last part.

    Pydantic puts the tag of a discriminated union into the location; the YAML has no such level.
    """
    node = _schema(model)
    definitions = node.get("$defs", {})
    keys: list[str] = []
    path: list[str | int] = []
    for part in loc:
        while "$ref" in node or (
            "anyOf" in node and any("$ref" in option for option in node["anyOf"])
        ):
            if "anyOf" in node:
                node = next(option for option in node["anyOf"] if "$ref" in option)
            node = definitions[node["$ref"].rsplit("/", 1)[-1]]
        mapping = node.get("discriminator", {}).get("mapping", {})
        if part in mapping:
            node = {"$ref": mapping[part]}
            continue
        if part == "[key]":
            continue
        path.append(part)
        keys = list(node.get("properties", {}))
        if "properties" in node and part in node["properties"]:
            node = node["properties"][part]
        elif isinstance(node.get("additionalProperties"), dict):
            node = node["additionalProperties"]
        elif isinstance(node.get("patternProperties"), dict):
            node = next(iter(node["patternProperties"].values()))
        elif "items" in node:
            node = node["items"]
        else:
            node = {}
    return tuple(path), keys


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _position(location: Location, documents: dict[str, Any]) -> str:
    """`file, line N: key.path: ` with as much of it as is known; the last file that has it."""
    dotted = ".".join(str(part) for part in location)
    for path in reversed(documents):
        line = _line_of(documents[path], location)
        if line is not None:
            return f"{path}, line {line}: {dotted}: "
    prefix = f"{list(documents)[-1]}: " if documents else ""
    return f"{prefix}{dotted}: " if dotted else prefix


def _line_of(node: Any, location: Location) -> int | None:
    """Line of a key in a document; of its nearest parent where the key itself is missing."""
    line = None
    for part in location:
        if isinstance(node, CommentedMap) and part in node:
            if part in (node.lc.data or ()):  # else it comes from an anchor (`<<: *recipe`)
                line = node.lc.key(part)[0] + 1
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line = node.lc.item(part)[0] + 1
        else:
            break
        node = node[part]
    return line
