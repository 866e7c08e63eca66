"""The errors of all stages and the exit codes of the command line."""

from __future__ import annotations

from analysis.errors import InputError

__all__ = ["EXIT_BAD_INPUT", "EXIT_INTERRUPTED", "EXIT_RETRY", "InputError", "Interrupted"]

EXIT_BAD_INPUT = 2
EXIT_RETRY = 75  # EX_TEMPFAIL: stopped from outside; the same command goes on from there
EXIT_INTERRUPTED = 130


class Interrupted(Exception):
    """A stage was stopped on purpose (SIGTERM, Ctrl-C) and has saved what it had."""
