"""Read and validate a study before anything runs; every mistake gets one clear line."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from instruct_scaling.common.categories import CATEGORIES, canonical_category
from instruct_scaling.common.errors import InputError
from instruct_scaling.config.bases import PretrainedBase
from instruct_scaling.config.evalset import EvalFile
from instruct_scaling.config.judges import MetricJudge
from instruct_scaling.config.pools import FileSource, SyntheticSource
from instruct_scaling.config.study import Study

Location = tuple[str | int, ...]


def load_study(*paths: str | Path) -> Study:
    """Read one config file, or several that are merged over each other in this order.

    Raises:
        InputError: a file is missing or broken, or the study it describes is not valid.
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
        InputError: one line for each mistake, with file, line, key and how to mend it.
    """
    try:
        study = Study.model_validate(config)
    except ValidationError as error:
        problems = [_describe(detail, paths) for detail in error.errors()]
        raise InputError("\n".join(problems)) from None
    problems = [
        f"{_place(location, paths)}{message}" for location, message in _inconsistencies(study)
    ]
    if problems:
        raise InputError("\n".join(problems))
    return study


def read_yaml(path: str | Path) -> dict[str, Any]:
    """One YAML file as a dictionary.

    Raises:
        InputError: no such file, not YAML (with the line), or not a mapping.
    """
    path = Path(path)
    try:
        value = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InputError("no such config file", where=path) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(f"not valid YAML: {error.problem}", where=path, line=line) from None
    if not isinstance(value, dict):
        raise InputError("a study is a mapping of keys such as `pools:`", where=path, line=1)
    return value


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _inconsistencies(study: Study) -> list[tuple[Location, str]]:
    """What no single section can know: references between sections, files, sizes."""
    found: list[tuple[Location, str]] = []
    for name, arm in study.arms.items():
        for key, known in (("base", study.bases), ("pool", study.pools)):
            value = getattr(arm, key)
            if value not in known:
                found.append(
                    (("arms", name, key), f"no such {key}: {value!r}{_nearest(value, known)}")
                )
        if "{prompt}" not in arm.template:
            found.append((("arms", name, "template"), "the template must contain {prompt}"))
    found += _category_problems(study)
    found += _file_problems(study)
    largest = study.ladder.values()[-1]
    for name in sorted({arm.pool for arm in study.arms.values()} & set(study.pools)):
        sources = study.pools[name].sources
        if all(isinstance(source, SyntheticSource) for source in sources):
            size = sum(source.records for source in sources)
            kept_out = study.validation.records
            if kept_out > size // 2:
                message = (
                    f"{kept_out} records are more than half of pool {name!r}, which has {size}; at "
                    f"most half of each category is held out"
                )
                found.append((("validation", "records"), message))
            elif largest + kept_out > size:
                beside = f", {kept_out} of them held out" if kept_out else ""
                message = (
                    f"scale {largest} is larger than pool {name!r}, which has {size} records"
                    f"{beside}; lower the ladder{' or `validation.records`' if kept_out else ''}, or "
                    f"raise `pools.{name}.sources`"
                )
                found.append((("ladder",), message))
    for key in ("replicates", "vary"):
        values = getattr(study.seeds, key)
        if len(set(values)) < len(values):
            found.append((("seeds", key), "a value occurs twice"))
    return found


def _category_problems(study: Study) -> list[tuple[Location, str]]:
    found: list[tuple[Location, str]] = []
    own = study.evalset.categories
    known = tuple(own) if own is not None else CATEGORIES
    if own is not None:
        for index, name in enumerate(own):
            if name != (canonical_category(name) or name):
                message = f"write {name!r} as {canonical_category(name)!r}"
                found.append((("evalset", "categories", index), message))
            close = difflib.get_close_matches(name, CATEGORIES, 1, cutoff=0.8)
            if name not in CATEGORIES and close and canonical_category(name) is None:
                message = f"unknown category {name!r}; did you mean {close[0]!r}?"
                found.append((("evalset", "categories", index), message))
    for name, judge in study.judges.items():
        if isinstance(judge, MetricJudge):
            found += [
                (("judges", name, "scorers"), f"unknown category {key!r}{_nearest(key, known)}")
                for key in judge.scorers
                if key not in known
            ]
    for name, pool in study.pools.items():
        wanted = [*(pool.filters.categories or [])]
        wanted += [source.category for source in pool.sources if getattr(source, "category", None)]
        found += [
            (("pools", name), f"unknown category {key!r}{_nearest(key, (*CATEGORIES, *known))}")
            for key in wanted
            if canonical_category(key, known) is None
        ]
    return found


def _file_problems(study: Study) -> list[tuple[Location, str]]:
    found: list[tuple[Location, str]] = []
    for name, pool in study.pools.items():
        for index, source in enumerate(pool.sources):
            if isinstance(source, FileSource) and not Path(source.path).is_file():
                place = ("pools", name, "sources", index, "path")
                found.append((place, f"no such file: {source.path}"))
    for index, source in enumerate(study.evalset.sources):
        if isinstance(source, EvalFile) and not Path(source.path).is_file():
            found.append((("evalset", "sources", index, "path"), f"no such file: {source.path}"))
    for name, base in study.bases.items():
        if not isinstance(base, PretrainedBase) or not base.is_local:
            continue
        if not Path(base.model).expanduser().joinpath("config.json").is_file():
            message = f"no model here (config.json is missing): {base.model}"
            found.append((("bases", name, "model"), message))
    return found


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(str(name), [str(k) for k in known], 1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there is: {', '.join(map(str, known))}"


def _describe(detail: dict[str, Any], paths: Sequence[str | Path]) -> str:
    location, parent_keys = _yaml_location(detail["loc"])
    place = _place(location, paths)
    if detail["type"] == "extra_forbidden":
        return f"{place}unknown key{_nearest(str(location[-1]), parent_keys)}"
    message = detail["msg"].removeprefix("Value error, ")
    given = detail.get("input")
    if detail["type"] != "missing" and isinstance(given, str | int | float | bool):
        message += f" (given: {given!r})"
    return f"{place}{message[0].lower()}{message[1:]}"


def _yaml_location(loc: Location) -> tuple[Location, list[str]]:
    """Where pydantic's location is in the YAML, and the keys allowed beside its last part.

    Pydantic puts the tag of a discriminated union into the location; the YAML has no such level.
    """
    schema = Study.model_json_schema()
    definitions = schema["$defs"]
    node: dict[str, Any] = schema
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


def _place(location: Location, paths: Sequence[str | Path]) -> str:
    """`file, line N: key.path: ` with as much of it as is known."""
    dotted = ".".join(str(part) for part in location)
    for path in reversed(paths):
        line = _line_of(Path(path), location)
        if line is not None:
            return f"{path}, line {line}: {dotted}: "
    prefix = f"{paths[-1]}: " if paths else ""
    return f"{prefix}{dotted}: " if dotted else prefix


def _line_of(path: Path, location: Location) -> int | None:
    """Line of a key in a YAML file; of its nearest parent where the key itself is missing."""
    node = yaml.compose(path.read_text("utf-8"))
    line = None
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pairs = {key.value: (key, value) for key, value in node.value}
            if str(part) not in pairs:
                break
            key, node = pairs[str(part)]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
