"""The command `instruct-scaling`: what a person needs, and every stage of the pipeline.

A subcommand is one function whose parameters are its options. It is imported when it is called,
so that `instruct-scaling --help` answers in a fraction of a second though torch takes seconds.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from instruct_scaling.common.errors import (
    EXIT_BAD_INPUT,
    EXIT_INTERRUPTED,
    EXIT_RETRY,
    InputError,
    Interrupted,
)


@dataclass(frozen=True)
class Subcommand:
    """Where the function of a subcommand is, and the line that `--help` shows of it."""

    function: str
    help: str
    settings: dict[str, Any] = field(default_factory=dict)
    """Settings of its context, as click names them."""


COMMANDS: dict[str, Subcommand] = {
    "validate": Subcommand("commands.study:validate", "check a config file"),
    "plan": Subcommand("commands.study:plan", "print what a study will cost"),
    "run": Subcommand(
        "commands.study:run",
        "run a study, one line per finished step",
        {"ignore_unknown_options": True},  # they are Snakemake's
    ),
    "profile": Subcommand("commands.slurm.profile:profile", "write the profile of a cluster"),
    "analyze": Subcommand("analysis.cli:analyze", "tables and figures of any score table"),
    "compare": Subcommand("commands.compare:compare", "two finished studies side by side"),
    "prefetch": Subcommand("commands.prefetch:prefetch", "fetch what a study takes from the web"),
    "doctor": Subcommand("commands.doctor:doctor", "say what works on this machine"),
}
STAGES: dict[str, Subcommand] = {
    "evalset": Subcommand("data.evalset.stage:evalset", "collect the eval items"),
    "pool": Subcommand("data.pool.stage:pool", "load, filter and deduplicate instruction data"),
    "validation-set": Subcommand(
        "data.validation_set:validation_set", "draw the records that no run trains on"
    ),
    "few-shot": Subcommand("data.few_shot:few_shot", "put solved examples before every question"),
    "subset": Subcommand("data.subset:subset", "draw the records that a run trains on"),
    "subset-overlap": Subcommand(
        "data.subset_overlap:subset_overlap", "say what the seeds' subsets have in common"
    ),
    "base": Subcommand("models.base.stage:base", "build, fetch or link a base model"),
    "tokens": Subcommand("data.tokens.stage:tokens", "tokenize a pool for a base and a template"),
    "annotation": Subcommand("training.annotation:annotation", "give each record a value"),
    "finetune": Subcommand("training.finetune:finetune", "fine-tune a base on a subset"),
    "generate": Subcommand("evaluation.generate:generate", "answer every eval item"),
    "remove-models": Subcommand(
        "evaluation.remove_models:remove_models", "remove models that have answered"
    ),
    "judge": Subcommand("evaluation.judge.stage:judge", "score the responses of one run"),
    "runs": Subcommand("config.runs:runs", "write the table of all runs"),
    "scores": Subcommand("evaluation.scores:scores", "join all judgements into one table"),
    "intermediate-scores": Subcommand(
        "evaluation.intermediate_scores:intermediate_scores",
        "join the scores of intermediate checkpoints",
    ),
    "validation-loss": Subcommand(
        "evaluation.validation_loss:validation_loss", "join the validation losses of all runs"
    ),
    "curves": Subcommand("analysis.cli:curves", "estimate curves, intervals and verdicts"),
    "costs": Subcommand("reporting.costs:costs", "join what the runs cost"),
    "figures": Subcommand("analysis.figures.stage:figures", "draw the figures"),
    "report": Subcommand("reporting.report.stage:report", "write the report"),
    "budget": Subcommand("reporting.budget:budget", "print what a study will cost"),
}
DEVELOPMENT: dict[str, Subcommand] = {
    "paper-figure": Subcommand("analysis.figures.stage:paper_figure", "draw the paper's Figure 1"),
    "config-reference": Subcommand(
        "config.reference:reference", "write docs/config.md and the JSON schema"
    ),
}
PANELS: dict[str, dict[str, Subcommand]] = {
    "Commands": COMMANDS,
    "Stages, in the order of the pipeline (the workflow calls them)": STAGES,
    "Development": DEVELOPMENT,
}


class LazyGroup(TyperGroup):
    """A group whose subcommands are imported when they are called."""

    def list_commands(self, ctx: typer.Context) -> list[str]:
        """Names, panel by panel."""
        return [name for panel in PANELS.values() for name in panel]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> TyperCommand | None:
        """A command that knows its name and help line, and the rest once it is called."""
        name = cmd_name.replace("_", "-")
        for panel, subcommands in PANELS.items():
            if name in subcommands:
                return LazyCommand(name, subcommands[name], panel)
        return None


class LazyCommand(TyperCommand):
    """A subcommand whose options are read from its function when it is called."""

    def __init__(self, name: str, subcommand: Subcommand, panel: str) -> None:
        super().__init__(name, help=subcommand.help, rich_help_panel=panel)
        self._subcommand = subcommand

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **more: Any) -> Any:
        """The context of the real command."""
        return command(self._subcommand).make_context(info_name, args, *rest, **more)


def load(subcommand: Subcommand) -> Callable[..., None]:
    """The function of a subcommand; `analysis` is a package beside this one."""
    module, name = subcommand.function.split(":")
    if not module.startswith("analysis"):
        module = f"instruct_scaling.{module}"
    return getattr(import_module(module), name)


def command(subcommand: Subcommand) -> TyperCommand:
    """A subcommand with its options; this imports its module."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(context_settings=subcommand.settings)(load(subcommand))
    return typer.main.get_command(app)


app = typer.Typer(
    cls=LazyGroup, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True
)


@app.callback()
def _root() -> None:
    """How much instruction data does each skill need?"""


def _on_sigterm(signum: int, frame: Any) -> None:
    raise Interrupted("stopped by SIGTERM")


def main() -> None:
    """Run one subcommand.

    Exit codes: 0 done, 2 bad input (one message on stderr), 75 stopped by SIGTERM after saving
    (the same command goes on), 130 Ctrl-C.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
    for noisy in ("httpx", "httpx2", "httpcore", "openai", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, _on_sigterm)
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        # typer turns Ctrl-C into a returned exit code where it does not exit by itself
        code = app(standalone_mode=False) or 0
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except (PermissionError, FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        print(
            f"error: {error.filename}: cannot be written or read ({error.strerror})\n"
            "  fix: choose a folder you own, or change its permissions",
            file=sys.stderr,
        )
        return EXIT_BAD_INPUT
    except typer.Exit as exit_:
        return exit_.exit_code
    except Interrupted as stop:
        print(f"{stop}; run the same command again to go on", file=sys.stderr)
        return EXIT_RETRY
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # usage errors of click
            error.show()
            return error.exit_code
        raise
    if code == EXIT_INTERRUPTED:
        print("interrupted; run the same command again to go on", file=sys.stderr)
    return code
