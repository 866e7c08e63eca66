"""Errors in what a user gave: what is wrong, where it is, and what to change."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class InputError(Exception):
    """Bad input. The command line prints it as one message and exits with code 2.

    Args:
        what: what is wrong, in one sentence.
        where: the file, config key, run, category or option it is about.
        line: line of the file, if known.
        fix: what to change, as an imperative.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | Path | None = None,
        line: int | None = None,
        fix: str | None = None,
    ) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.line = line
        self.fix = fix
        super().__init__(str(self))

    def __str__(self) -> str:
        position = ""
        if self.where is not None:
            position = f"{self.where}, line {self.line}: " if self.line else f"{self.where}: "
        fix = f"\n  fix: {self.fix}" if self.fix else ""
        return f"{position}{self.what}{fix}"


def unknown_option(key: str, known: Iterable[str], where: str) -> InputError:
    """The error of a key that is no option, with the nearest one that is."""
    names = list(known)
    close = difflib.get_close_matches(key, names, 1)
    fix = f"did you mean {close[0]!r}?" if close else f"the options are {', '.join(names)}"
    return InputError(f"unknown option {key!r}", where=where, fix=fix)
