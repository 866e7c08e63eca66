"""The shell around every stage: options by typer, one way to report a mistake, exit codes."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from typing import Any

import typer

from instruct_scaling.errors import InputError, Interrupted

EXIT_BAD_INPUT = 2
EXIT_RETRY = 75  # EX_TEMPFAIL: stopped from outside; the same command goes on from there
EXIT_INTERRUPTED = 130

log = logging.getLogger("instruct_scaling")


def _on_sigterm(signum: int, frame: Any) -> None:
    raise Interrupted("stopped by SIGTERM")


def run_stage(stage: Callable[..., None]) -> None:
    """Run one stage function as a command line program.

    Exit codes: 0 done, 2 bad input (one clear message on stderr), 75 stopped by SIGTERM after
    saving (the same command goes on), 130 Ctrl-C.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
    for noisy in ("httpx", "httpx2", "httpcore", "openai", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, _on_sigterm)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(stage)
    try:
        # typer turns Ctrl-C into a returned exit code where it does not exit by itself
        code = app(standalone_mode=False)
        if code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            sys.exit(code)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except PermissionError as error:
        print(
            f"error: {error.filename}: cannot be written or read ({error.strerror})\n"
            "  fix: choose a folder you own, or mend its permissions",
            file=sys.stderr,
        )
        sys.exit(EXIT_BAD_INPUT)
    except typer.Exit as exit_:
        sys.exit(exit_.exit_code)
    except Interrupted as stop:
        print(f"{stop}; run the same command again to go on", file=sys.stderr)
        sys.exit(EXIT_RETRY)
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted; run the same command again to go on", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # click's usage errors
            error.show()
            sys.exit(error.exit_code)
        raise
