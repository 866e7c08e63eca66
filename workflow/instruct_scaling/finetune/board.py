"""The figures of a run while it goes on: progress bar and TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tqdm import tqdm

from instruct_scaling.finetune.hardware import Costs, gpu_memory, peak_memory_bytes
from instruct_scaling.finetune.metrics import Progress


class Board:
    """Shows each step; only rank 0's writes anything."""

    def __init__(self, folder: Path, *, steps: int, ranks: int, costs: Costs, silent: bool) -> None:
        """Name what is shown.

        Args:
            folder: of the TensorBoard events.
            steps: of the whole run.
            ranks: how many share the tokens.
            costs: operations of a token and the device's peak.
            silent: show and write nothing.
        """
        self.folder, self.steps, self.ranks = folder, steps, ranks
        self.costs, self.silent = costs, silent
        self._bar: Any = None
        self._writer: Any = None

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

            self._writer = SummaryWriter(str(self.folder), purge_step=done, flush_secs=30)

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
        for name, value in figures.items():
            self._writer.add_scalar(f"train/{name}", value, progress.step)
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def close(self) -> None:
        """End the bar and flush the events."""
        if self._bar is not None:
            self._bar.close()
        if self._writer is not None:
            self._writer.close()
