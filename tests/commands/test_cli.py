"""The command `instruct-scaling`: quick to answer, every subcommand there."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from instruct_scaling.cli import COMMANDS, DEVELOPMENT, STAGES, load

SUBCOMMANDS = COMMANDS | STAGES | DEVELOPMENT


def cli(*arguments, **variables):
    """Run `instruct-scaling` and return what came of it."""
    command = [sys.executable, "-m", "instruct_scaling", *arguments]
    environment = os.environ | {"COLUMNS": "100"} | variables
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


def test_help_lists_commands_before_stages_in_the_order_of_the_pipeline_within_a_second():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = cli("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1
    names = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("│ ")]
    assert names == ["--help", *SUBCOMMANDS]


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_a_subcommand_has_a_function_that_says_what_it_does(name):
    assert load(SUBCOMMANDS[name]).__doc__


def test_an_unknown_subcommand_is_a_usage_error():
    done = cli("fintune")
    assert done.returncode == 2
    assert "No such command 'fintune'" in done.stderr
    assert "Traceback" not in done.stderr
