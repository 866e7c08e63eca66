"""What every category module writes: a draft, which becomes a record or an eval item."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

EVAL_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Draft:
    """A question with its right answer.

    `keys` are the combinations of slot values that make the question what it is. All of them
    must lie on one side, pool or eval, or the draft is thrown away. They are chosen so that any
    40 characters of a prompt show the values of one key, which no prompt of the other side has.
    """

    instruction: str
    output: str
    keys: tuple[tuple[Any, ...], ...]
    input: str = ""
    checks: Mapping[str, Any] = field(default_factory=dict)


Writer = Callable[[Random, Language], Draft]


def is_eval(scope: str, key: tuple[Any, ...]) -> bool:
    """Whether a combination of slot values belongs to the eval set, for every seed.

    Args:
        scope: keeps equal keys of different categories apart.
        key: slot values; their `repr` is hashed, so it must not depend on the process.
    """
    digest = hashlib.blake2b(f"{scope}/{key!r}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") < EVAL_SHARE * 2**32


def a(noun: str) -> str:
    """An English noun with its indefinite article."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
