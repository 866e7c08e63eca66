"""config/config.default.yaml: every key with its default, and the check that defaults stay put.

A stage is given its section without the keys that have their defaults (`identity.identity_json`).
A default that changes would therefore re-run nothing, and new results would stand beside old ones.
The checked-in file is the snapshot against that: where a default differs from it, the version of
every stage that reads the key has to be raised (`common/versions.py`), which re-runs the stage.
A key that is added or removed needs nothing: old configs give the same JSON as before.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import yaml

from instruct_scaling.common.errors import InputError

HEAD = """\
# Every key of a study with its default, and what it means; a study needs only what it changes.
# Keys without a default are marked as required and have an example value. Names such as NAME are
# free; where a key takes one of several sections, there is an entry for each.
#
# Written by `instruct-scaling config-reference` (make format). This file is also the snapshot of
# the defaults: one that changes needs a higher version of each stage that reads it.
# stage versions: {versions}
"""
WIDTH = 96

# Which stages are given a key with its default left out. Ladder and seeds reach every stage as
# numbers, budget, tracking and execution decide no result.
READERS: dict[str, tuple[str, ...]] = {
    "pools.*.annotations.*": ("annotation",),
    "pools.*": ("pool",),
    "bases.*": ("base",),
    "arms.*.template": ("finetune", "generate"),
    "arms.*.recipe.*": ("finetune",),
    "arms.*.by_scale*": ("finetune",),
    "arms.*.selection*": ("subset",),
    "validation.records": ("validation_set",),
    "validation.evaluations": ("finetune",),
    "intermediate_checkpoints.*": ("finetune",),
    "evalset.*": ("evalset",),
    "generate.*": ("generate",),
    "judges.*": ("judge",),
    "analysis.*": ("curves",),
    "figures.*": ("figures",),
    "ladder.*": (),
    "seeds.*": (),
    "budget.*": (),
    "tracking*": (),
    "execution.*": (),
}

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of the file: a plain value, a section, or a list of sections."""

    value: Any
    comment: str = ""
    remark: str = ""  # behind the value
    is_default: bool = False  # a default that decides results


Section = dict[str, Entry]


@dataclass(frozen=True, slots=True)
class Variant:
    """A section that may stand at a key; `label` is its tag (`type`, `method`), if it has one."""

    label: str
    comment: str
    section: Section


def default_yaml(schema: Schema, versions: Mapping[str, int]) -> str:
    """The file's text.

    Args:
        schema: the JSON Schema of a study (`Study.model_json_schema()`).
        versions: stage -> version.
    """
    stages = ", ".join(f"{stage} {versions[stage]}" for stage in sorted(versions))
    return HEAD.format(versions=stages) + "\n".join(_lines(_study(schema), 0)) + "\n"


def changed_defaults(text: str, schema: Schema, versions: Mapping[str, int]) -> list[str]:
    """What to do about defaults that differ from the snapshot, one line for each key and stage.

    Args:
        text: the snapshot, as `default_yaml` wrote it.
        schema: the JSON Schema of a study, with the defaults as they are now.
        versions: stage -> version, as they are now.

    Raises:
        InputError: the text is no such snapshot.
    """
    found = re.search(r"^# stage versions: (.*)$", text, re.MULTILINE)
    if found is None:
        raise InputError("config.default.yaml has no line `# stage versions:`", fix="restore it")
    recorded = {name: int(number) for name, number in re.findall(r"(\w+) (\d+)", found[1])}
    old = dict(_values(yaml.safe_load(text)))
    return [
        f"the default of `{path}` has changed from {json.dumps(old[path])} to "
        f"{json.dumps(new)}, and stage {stage}, which reads it, would not run again: raise "
        f"{stage!r} in common/versions.py above {recorded[stage]}"
        for path, new in _defaults(_study(schema))
        if path in old and old[path] != new
        for stage in readers(path)
        if stage in recorded and versions[stage] <= recorded[stage]
    ]


def readers(path: str) -> tuple[str, ...]:
    """The stages that read a key with its default left out.

    Args:
        path: the key's position in the file, for instance `pools.NAME.deduplicate.method`.

    Raises:
        KeyError: `READERS` does not have the key.
    """
    for pattern, stages in READERS.items():
        if fnmatchcase(path, pattern):
            return stages
    raise KeyError(path)


def _study(schema: Schema) -> Section:
    whole, *options = _variants(schema, schema["$defs"], {})
    study = dict(whole.section)
    for option in options:  # a section that is null by default, such as `tracking`
        for key in option.section.keys() - set(schema["required"]):
            study[key] = _with_option(study[key], option.section[key].value)
    return study


def _with_option(entry: Entry, option: Section) -> Entry:
    """The entry of a section that shows one which is null by default: it, or one of its keys."""
    if not isinstance(entry.value, dict):
        return replace(entry, value=option, remark="default: null", is_default=False)
    shown = {
        key: replace(entry.value[key], value=part.value, remark="default: null", is_default=False)
        for key, part in option.items()
        if isinstance(part.value, dict)
    }
    return replace(entry, value=entry.value | shown)


def _variants(node: Schema, definitions: Schema, given: Mapping[str, Any]) -> list[Variant]:
    """The section as a whole, then what else may stand in it.

    Where a key takes one of several sections, the whole has the default one; each other is shown
    in a section of its own, beside the required keys alone.

    Args:
        node: the schema of the section.
        definitions: schemas by name.
        given: defaults that the key above sets in place of the section's own.
    """
    required = node.get("required", [])
    label = next((part["const"] for part in node["properties"].values() if "const" in part), "")
    whole: Section = {}
    options: list[Variant] = []
    for key, part in in_order(node):
        comment = part.get("description", "")
        default = given.get(key, part.get("default"))
        parts = [
            variant
            for model in _sections(_elements(part), definitions)
            for variant in _variants(model, definitions, {})
        ]
        sections = [
            variant
            for model in _sections(part, definitions)
            for variant in _variants(model, definitions, default or {})
        ]
        if parts and "items" in part:
            items = Entry([Entry(variant.section, variant.comment) for variant in parts])
            if default == []:
                whole[key] = Entry([], comment, is_default=True)
                options.append(Variant(key, "", {key: items}))
            else:
                whole[key] = replace(items, comment=comment)
        elif parts:
            named = {v.label or "NAME": Entry(v.section, v.comment) for v in parts}
            whole[key] = Entry(named, comment)
        elif sections:
            chosen = _default_section(sections, default, key in required)
            value = None if chosen is None else chosen.section
            whole[key] = Entry(value, comment, is_default=chosen is None)
            options += [
                Variant(other.label or key, other.comment, {key: Entry(other.section)})
                for other in sections
                if other is not chosen
            ]
        elif "const" in part:
            whole[key] = Entry(part["const"])
        elif "examples" in part:
            remark = "required" if key in required else f"default: {_scalar(default)}"
            whole[key] = Entry(part["examples"][0], comment, remark)
        else:
            whole[key] = Entry(default, comment, is_default=not part.get("execution"))
    needed = {key: replace(whole[key], comment="", remark="") for key in required}
    return [
        Variant(label, node.get("description", ""), whole),
        *(replace(option, section=needed | option.section) for option in options),
    ]


def in_order(node: Schema) -> list[tuple[str, Schema]]:
    """Keys of a section with their schemas: the tag, then required keys, then the others."""
    required = node.get("required", [])
    keys = node["properties"].items()
    return sorted(keys, key=lambda item: ("const" not in item[1], item[0] not in required))


def _default_section(
    sections: list[Variant], default: Mapping[str, Any] | None, required: bool
) -> Variant | None:
    """The section that a key has by default: the one that the default's tag names, or the only."""
    if default is None and not required:
        return None
    tags = [value for value in (default or {}).values() if isinstance(value, str)]
    return next((section for section in sections if section.label in tags), sections[0])


def _elements(part: Schema) -> Any:
    """The schema of a list's items or of a mapping's values, None for anything else."""
    patterns = list(part.get("patternProperties", {}).values())
    return part.get("items") or part.get("additionalProperties") or next(iter(patterns), None)


def _sections(part: Any, definitions: Schema) -> list[Schema]:
    """The sections that a key takes, none if it takes plain values."""
    if not isinstance(part, dict):
        return []
    options = part.get("oneOf") or part.get("anyOf") or [part]
    return [definitions[one["$ref"].rsplit("/", 1)[-1]] for one in options if "$ref" in one]


def _lines(section: Section, indent: int) -> Iterator[str]:
    pad = " " * indent
    for key, entry in section.items():
        yield from _comment(entry.comment, indent)
        remark = f" # {entry.remark}" if entry.remark else ""
        if isinstance(entry.value, dict) and _is_section(entry.value):
            yield f"{pad}{key}:{remark}"
            yield from _lines(entry.value, indent + 2)
        elif isinstance(entry.value, list) and any(isinstance(v, Entry) for v in entry.value):
            yield f"{pad}{key}:{remark}"
            for item in entry.value:
                yield from _comment(item.comment, indent + 2)
                first, *rest = _lines(item.value, indent + 4)
                yield f"{pad}  - {first.lstrip()}"
                yield from rest
        else:
            yield f"{pad}{key}: {_scalar(entry.value)}{remark}"


def _comment(text: str, indent: int) -> list[str]:
    pad = " " * indent
    return [f"{pad}# {line}" for line in textwrap.wrap(" ".join(text.split()), WIDTH - indent)]


def _scalar(value: Any) -> str:
    if isinstance(value, str) and "\n" in value:
        return json.dumps(value, ensure_ascii=False)
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("...\n").strip()


def _is_section(value: Any) -> bool:
    return bool(value) and all(isinstance(entry, Entry) for entry in value.values())


def _defaults(section: Section, above: str = "") -> Iterator[tuple[str, Any]]:
    """(position, default) of every key that decides results and has a default."""
    for key, entry in section.items():
        if entry.is_default:
            yield f"{above}{key}", entry.value
        elif isinstance(entry.value, dict) and _is_section(entry.value):
            yield from _defaults(entry.value, f"{above}{key}.")
        elif isinstance(entry.value, list):
            for item in entry.value:
                if isinstance(item, Entry):
                    label = item.value["type"].value if "type" in item.value else "NAME"
                    yield from _defaults(item.value, f"{above}{key}.{label}.")


def _values(value: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """(position, value) of every key of the file, sections included."""
    for key, part in value.items():
        yield f"{above}{key}", part
        if isinstance(part, dict):
            yield from _values(part, f"{above}{key}.")
        elif isinstance(part, list):
            for item in part:
                if isinstance(item, dict):
                    yield from _values(item, f"{above}{key}.{item.get('type', 'NAME')}.")
