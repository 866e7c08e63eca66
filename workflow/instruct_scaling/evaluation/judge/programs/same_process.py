"""Runs the program and its tests in one process, where an item says `same_process: true`.

Standard library only. A program written against this very harness can pass without solving
anything; the report counts the items that are run so.
"""

from __future__ import annotations

import os
import sys
import types

from instruct_scaling.evaluation.judge.programs import frames, wire


def main() -> None:
    """Run one program, then its tests in the program's names."""
    connection = frames.Connection()
    _, content = connection.receive()
    [job] = wire.Decoder(content, _no_handle).roots()
    connection.send(b"R")
    leave = os._exit  # which the program may replace
    module = types.ModuleType("program")
    sys.modules["program"] = module
    try:
        for name in ("prelude", "helpers", "program", "helpers", "tests"):
            code = compile(job[name], f"<{name}>", "exec", dont_inherit=True)
            exec(code, module.__dict__)
    except BaseException as error:
        connection.send(b"F", frames.text_bytes(frames.text(error)))
        leave(1)
    connection.send(b"P")
    leave(0)


def _no_handle(kind: int, number: int) -> object:
    raise wire.Malformed("a handle in a job")
