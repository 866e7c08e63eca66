"""Errors that the person at the keyboard can mend: what is wrong, where, and how to mend it."""

from __future__ import annotations

from pathlib import Path


class InputError(Exception):
    """Bad input. Stages turn it into one clear message and exit code 2, never a traceback.

    Args:
        what: what is wrong, in one sentence.
        where: the file (with the line, if known) or the config key.
        fix: how to mend it.
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
        place = ""
        if self.where is not None:
            place = f"{self.where}, line {self.line}: " if self.line else f"{self.where}: "
        mend = f"\n  fix: {self.fix}" if self.fix else ""
        return f"{place}{self.what}{mend}"


class Interrupted(Exception):
    """A stage was stopped on purpose (SIGTERM, Ctrl-C) and has saved what it had."""
