"""What a stage's command returns to the shell, and the one message that it prints."""

from __future__ import annotations

import sys

import pytest
import typer

from instruct_scaling import cli
from instruct_scaling.common.errors import InputError, Interrupted


@pytest.fixture
def exit_code(monkeypatch):
    """Run `instruct-scaling runs` with a stage that raises an error; returns the exit code."""

    def run(error: BaseException | None, *arguments: str) -> int:
        def stage() -> None:
            if error is not None:
                raise error

        monkeypatch.setattr(cli, "load", lambda subcommand: stage)
        monkeypatch.setattr(sys, "argv", ["instruct-scaling", "runs", *arguments])
        return cli._exit_code()

    return run


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (None, 0, ""),
        (InputError("no such file", where="a.jsonl", fix="check it"), 2, "error: a.jsonl: no such"),
        (PermissionError(13, "Permission denied", "results"), 2, "results: cannot be written or"),
        (FileExistsError(17, "File exists", "results"), 2, "results: cannot be written or read"),
        (NotADirectoryError(20, "Not a directory", "results"), 2, "error: results: "),
        (IsADirectoryError(21, "Is a directory", "results"), 2, "error: results: "),
        (Interrupted("stopped by SIGTERM"), 75, "stopped by SIGTERM; run the same command again"),
        (KeyboardInterrupt(), 130, "interrupted; run the same command again"),
        (typer.Abort(), 130, "interrupted"),
        (typer.Exit(3), 3, ""),
    ],
)
def test_an_error_is_one_message_and_its_exit_code(exit_code, capsys, error, code, says):
    assert exit_code(error) == code
    printed = capsys.readouterr().err
    assert says in printed
    assert "Traceback" not in printed
    assert (printed == "") == (says == "")


def test_a_wrong_option_is_a_usage_error(exit_code, capsys):
    assert exit_code(None, "--no-such-option") == 2
    assert "--no-such-option" in capsys.readouterr().err


def test_an_error_of_the_code_keeps_its_traceback(exit_code):
    with pytest.raises(ZeroDivisionError):
        exit_code(ZeroDivisionError())


@pytest.mark.parametrize("attributes", [{"exit_code": 4}, {"show": print}])
def test_an_error_that_only_resembles_a_usage_error_keeps_its_traceback(exit_code, attributes):
    error = RuntimeError("of another library")
    vars(error).update(attributes)
    with pytest.raises(RuntimeError, match="of another library"):
        exit_code(error)


def test_sigterm_interrupts():
    with pytest.raises(Interrupted):
        cli._on_sigterm(15, None)
