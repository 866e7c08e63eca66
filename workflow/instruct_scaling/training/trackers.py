"""Sends a run's figures to Weights & Biases or trackio, whose interfaces are alike."""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.study import Tracking


def check_installed(tool: str) -> None:
    """Raises InputError where the package of a tracker cannot be found."""
    if importlib.util.find_spec(tool) is None:
        raise InputError(
            f"{tool} is not installed",
            where="tracking.tool",
            fix="pip install -c envs/constraints.txt -e '.[tracking]', or remove `tracking`",
        )


class Tracker:
    """One run in the tracker; a resumed run goes on where it was."""

    def __init__(
        self, tracking: Tracking, *, name: str, key: str, config: dict[str, Any], folder: Path
    ) -> None:
        """Open the run.

        Args:
            tracking: tool and project.
            name: of the run, as people read it.
            key: the run's identity; the same key continues the same run.
            config: shown beside the run.
            folder: where the tool may keep files of the run.

        Raises:
            InputError: the tool is not installed, or will not start (no key, no server).
        """
        check_installed(tracking.tool)
        self._tool = importlib.import_module(tracking.tool)
        run: dict[str, Any] = {"project": tracking.project, "name": name, "config": config}
        if tracking.tool == "wandb":
            os.environ.setdefault("WANDB_SILENT", "true")
            run |= {"id": key[:16], "dir": str(folder)}
        else:  # trackio knows a run by its name alone
            run["name"] = f"{name}-{key[:8]}"
        try:
            self._tool.init(**run, resume="allow")
        except Exception as error:  # each tool has its own kinds
            raise InputError(
                f"{tracking.tool} does not start: {error}",
                where="tracking",
                fix="log in to it (its documentation names the environment variables), work "
                "offline (WANDB_MODE=offline), or remove `tracking`",
            ) from error

    def log(self, figures: dict[str, float], step: int) -> None:
        """Figures of one finished step."""
        self._tool.log(figures, step=step)

    def close(self) -> None:
        """Send what is still waiting."""
        self._tool.finish()
