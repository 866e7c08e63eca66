"""Programs: run with the item's unit tests, apart from this process."""

from __future__ import annotations

import regex

from instruct_scaling.evaluation.judge.outcome import Outcome, missing, scored
from instruct_scaling.evaluation.judge.sandbox import Sandbox

_FENCE = regex.compile(
    r"```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", regex.DOTALL | regex.MULTILINE
)
_PYTHON = {"", "python", "python3", "py"}


def extract_program(response: str) -> str:
    """The Python program of a response: its first Python or unnamed code block, else all of it.

    No-break spaces become spaces: public answer files have them as indentation.
    """
    response = response.replace("\u00a0", " ").replace("\r\n", "\n")
    for language, body in _FENCE.findall(response):
        if language.lower() in _PYTHON:
            return body.removesuffix("\n")
    return response


def unit_tests(response: str, tests: str, sandbox: Sandbox) -> Outcome:
    """1 if the tests pass after the response's program has run, else 0.

    A program that fails, stops early or exceeds a limit is wrong (0); a sandbox that could not
    start it says nothing (missing).
    """
    program = extract_program(response)
    if not program.strip():
        return scored(0.0, "empty program")
    verdict = sandbox.run(program, tests)
    if not verdict.started:
        return missing("sandbox_error", verdict.detail)
    return scored(float(verdict.passed), verdict.detail)
