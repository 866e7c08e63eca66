"""What is different between the configs of two studies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

WITHOUT_EFFECT = ("study", "budget", "execution", "figures", "tracking")
"""Sections that decide no number."""
ABSENT = "(absent)"


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(key, value in the first, value in the second) of every key that differs, by key; a key that
    one config lacks is `ABSENT` there. Names and sections that decide no number are left out."""
    flat = [
        {
            key: value
            for section, content in config.items()
            if section not in WITHOUT_EFFECT
            for key, value in _flat(section, content)
        }
        for config in (first, second)
    ]
    keys = sorted(flat[0].keys() | flat[1].keys())
    found = [(key, flat[0].get(key, ABSENT), flat[1].get(key, ABSENT)) for key in keys]
    return [(key, a, b) for key, a, b in found if a != b]


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Leaves with their dotted keys; lists of mappings by position, other lists as one value."""
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from _flat(f"{key}.{name}", part)
    elif isinstance(value, list) and value and all(isinstance(part, Mapping) for part in value):
        for index, part in enumerate(value):
            yield from _flat(f"{key}.{index}", part)
    else:
        yield key, value
