"""The figures of a run while it goes on: progress bar, TensorBoard, and a tracker if asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from instruct_scaling.training.hardware import Costs, gpu_memory, peak_memory_bytes
from instruct_scaling.training.metrics import Progress
from instruct_scaling.training.trackers import Tracker


class MetricsLogger:
    """Shows each step; only rank 0's writes anything."""

    def __init__(
        self,
        folder: Path,
        *,
        steps: int,
        ranks: int,
        costs: Costs,
        silent: bool,
        tracker: Callable[[], Tracker] | None = None,
    ) -> None:
        """Name what is shown.

        Args:
            folder: of the TensorBoard events.
            steps: of the whole run.
            ranks: how many share the tokens.
            costs: operations of a token and the device's peak.
            silent: show and write nothing.
            tracker: opens the tracker, if the figures go to one.
        """
        self.folder, self.steps, self.ranks = folder, steps, ranks
        self.costs, self.silent = costs, silent
        self._open_tracker = tracker
        self._bar: Any = None
        self._writer: Any = None
        self._tracker: Tracker | None = None

    def open(self, done: int) -> None:
        """Begin at step `done`; events that an interrupted start wrote beyond it are dropped."""
        self._bar = tqdm(
            total=self.steps,
            initial=done,
            desc="finetune",
            unit="step",
            disable=self.silent,
            mininterval=0.5,
        )
        if not self.silent:
            from torch.utils.tensorboard import SummaryWriter

            # What was written after step `done` is seen again; at 0 that is everything.
            first = done + 1 if done else 0
            self._writer = SummaryWriter(str(self.folder), purge_step=first, flush_secs=30)
            if self._open_tracker is not None:
                self._tracker = self._open_tracker()

    def show(self, progress: Progress, rate: float, norm: float | None) -> None:
        """One finished step: mean loss, tokens/s, on a known GPU the MFU, on any its memory."""
        if self.silent:
            return
        speed = progress.tokens / progress.seconds
        figures = {"loss": progress.losses[-1], "tokens_per_second": speed, "learning_rate": rate}
        if norm is not None:
            figures["gradient_norm"] = norm
        shown = {"loss": f"{progress.losses[-1]:.3f}", "tok_s": f"{speed:.0f}"}
        mfu = self.costs.mfu(progress, self.ranks)
        if mfu is not None:
            figures["mfu"], shown["mfu"] = mfu, f"{mfu:.1%}"
        if gpu_memory() is not None:
            figures["peak_memory_gb"] = peak_memory_bytes() / 1e9
            shown["mem"] = f"{figures['peak_memory_gb']:.0f}GB"
        self._log({f"train/{name}": value for name, value in figures.items()}, progress.step)
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def show_validation(self, losses: dict[str, float], step: int) -> None:
        """Loss on the validation records after a step: of each category, and their plain mean."""
        if self.silent:
            return
        figures = {f"validation/{name}": loss for name, loss in losses.items()}
        self._log(figures | {"validation/mean": sum(losses.values()) / len(losses)}, step)

    def _log(self, figures: dict[str, float], step: int) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)
        if self._tracker is not None:
            self._tracker.log(figures, step)

    def close(self) -> None:
        """End the bar and flush the events."""
        if self._bar is not None:
            self._bar.close()
        if self._writer is not None:
            self._writer.close()
        if self._tracker is not None:
            self._tracker.close()
