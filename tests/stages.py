"""Run a stage's command in this process: its options are parsed, its errors are raised."""

from __future__ import annotations

from instruct_scaling.cli import app


def run_stage(*arguments: object) -> None:
    """`instruct-scaling` with these arguments.

    Raises:
        InputError: whatever the command prints before it exits with code 2.
    """
    app([str(argument) for argument in arguments], standalone_mode=False)
