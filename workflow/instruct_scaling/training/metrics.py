"""The figures of a run: what was seen so far, seconds by phase, operations, and where they are
shown (progress bar, TensorBoard, a tracker)."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from instruct_scaling.common.errors import InputError

if TYPE_CHECKING:  # the benchmark on a GPU has no pydantic
    from instruct_scaling.training.model import TunedModel

CURVE_POINTS = 200
LOSS_UNIT = "nats per supervised token"
PHASES = ("startup", "training", "validation", "checkpoints", "export")

# Dense bf16 peak of the makers' data sheets, FLOP/s, by whole words of torch's device name.
DEVICE_PEAKS: dict[str, float] = {
    "GB200": 2500e12,
    "B200": 2250e12,
    "GH200": 989e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H800": 989e12,
    "A100": 312e12,
    "A800": 312e12,
    "L40S": 362e12,
    "A40": 150e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}


class Stopwatch:
    """Seconds by phase. Each moment counts for one phase: that of the next `lap`."""

    def __init__(self, already: float = 0.0) -> None:
        """Start, as if `already` so many seconds ago."""
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._last = time.monotonic() - already

    def lap(self, phase: str) -> None:
        """Count the time since the last lap for one of `PHASES`."""
        now = time.monotonic()
        self.seconds[phase] += now - self._last
        self._last = now

    def add(self, seconds: dict[str, float]) -> None:
        """Add the seconds of earlier starts."""
        for phase, value in seconds.items():
            self.seconds[phase] += value


@dataclass
class Progress:
    """What the loop has done so far, over all starts of the run."""

    step: int = 0
    examples: int = 0
    tokens: int = 0
    supervised: int = 0
    sum_squared_lengths: int = 0
    rows: int = 0
    skipped: int = 0  # steps that fp16 left out
    starts: int = 1
    # phase, steps, examples, tokens of each phase of the order
    phases: list[dict[str, int]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # mean per supervised token, one a step
    # step, fraction of the run, loss by category
    validation: list[dict[str, Any]] = field(default_factory=list)
    validation_sha256: str = ""  # of the file that `validation` was measured on
    # percent, step, examples, tokens
    intermediate: list[dict[str, int]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)  # by phase

    def count_phase(self, phase: int, examples: int, tokens: int) -> None:
        """Count a step for its phase; phases come one after the other."""
        if not self.phases or self.phases[-1]["phase"] != phase:
            self.phases.append({"phase": phase, "steps": 0, "examples": 0, "tokens": 0})
        for name, value in (("steps", 1), ("examples", examples), ("tokens", tokens)):
            self.phases[-1][name] += value

    def loss_summary(self) -> dict[str, Any]:
        """First, last and mean loss, and a curve of at most `CURVE_POINTS` points, each the
        mean over the steps since the one before."""
        stride = max(1, -(-len(self.losses) // CURVE_POINTS))
        curve = [
            [min(first + stride, len(self.losses)), _mean(self.losses[first : first + stride])]
            for first in range(0, len(self.losses), stride)
        ]
        return {
            "unit": LOSS_UNIT,
            "first": self.losses[0],
            "last": self.losses[-1],
            "mean": _mean(self.losses),
            "curve": curve,
        }


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def training_flops(
    *,
    body: int,
    head: int,
    body_trained: float,
    head_trained: float,
    layers: int,
    width: int,
    tokens: int,
    supervised: int,
    sum_squared_lengths: int,
) -> float:
    """Floating-point operations of forward and backward pass, without recomputation.

    4 per weight and token, and 2 more for the gradient of the weight itself where it is trained
    (Kaplan et al. 2020, arXiv 2001.08361, section 2.1). Body weights see every token, the head
    only supervised ones, the embedding look-up counts nothing. Causal attention adds
    12 * layers * width * length^2 / 2 per document.

    Args:
        body: weights of the transformer blocks.
        head: weights of the output projection.
        body_trained, head_trained: share of each that is trained.
        layers, width: shape of the model.
        tokens, supervised: tokens seen and tokens trained on.
        sum_squared_lengths: sum over documents of length^2.
    """
    weights = (4.0 + 2.0 * body_trained) * body * tokens
    weights += (4.0 + 2.0 * head_trained) * head * supervised
    return weights + 6.0 * layers * width * sum_squared_lengths


def device_peak(name: str) -> float | None:
    """Dense bf16 peak of a device in FLOP/s; None where it is not known."""
    return next((p for part, p in DEVICE_PEAKS.items() if re.search(rf"\b{part}\b", name)), None)


def gpu_memory() -> float | None:
    """Bytes of this process's GPU; None without a GPU."""
    if not torch.cuda.is_available():
        return None
    return float(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)


def peak_memory_bytes() -> int:
    """Peak of this process: device memory on a GPU, resident memory on a CPU."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@dataclass(frozen=True)
class FlopCounter:
    """Operations that training a model takes, and the peak of each device (None if not known)."""

    body: int
    head: int
    body_trained: float
    head_trained: float
    layers: int
    width: int
    peak: float | None

    @classmethod
    def of(cls, config: Any, tuned: TunedModel, device: torch.device) -> FlopCounter:
        """For a transformers configuration, its model in training, and the device of this rank."""
        head = config.vocab_size * config.hidden_size
        body = tuned.parameters - (head if config.tie_word_embeddings else 2 * head)
        known = device.type == "cuda"
        return cls(
            body=body,
            head=head,
            body_trained=min(1.0, (tuned.trainable - head * tuned.head_trained) / body),
            head_trained=float(tuned.head_trained),
            layers=config.num_hidden_layers,
            width=config.hidden_size,
            peak=device_peak(torch.cuda.get_device_name(device)) if known else None,
        )

    def flops(self, progress: Progress) -> float:
        """Operations of all steps so far."""
        return training_flops(
            body=self.body,
            head=self.head,
            body_trained=self.body_trained,
            head_trained=self.head_trained,
            layers=self.layers,
            width=self.width,
            tokens=progress.tokens,
            supervised=progress.supervised,
            sum_squared_lengths=progress.sum_squared_lengths,
        )

    def mfu(self, progress: Progress, ranks: int) -> float | None:
        """Share of the devices' peak over the steps so far; None where no peak is known."""
        if self.peak is None:
            return None
        return self.flops(progress) / (progress.seconds["training"] * ranks * self.peak)


class MetricsLogger:
    """Shows each step; only rank 0's writes anything."""

    def __init__(
        self,
        folder: Path,
        *,
        steps: int,
        ranks: int,
        flops: FlopCounter,
        silent: bool,
        open_tracker: Callable[[], Any] | None = None,
    ) -> None:
        """Name what is shown.

        Args:
            folder: of the TensorBoard events.
            steps: of the whole run.
            ranks: how many share the tokens.
            flops: operations of a token and the device's peak.
            silent: show and write nothing.
            open_tracker: opens the tracker's run, if the figures go to one (`open_wandb`).
        """
        self.folder, self.steps, self.ranks = folder, steps, ranks
        self.flops, self.silent = flops, silent
        self._open_tracker = open_tracker
        self._bar: Any = None
        self._writer: Any = None
        self._tracker: Any = None

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
        if self.silent:
            return
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
        speed = progress.tokens / progress.seconds["training"]
        figures = {"loss": progress.losses[-1], "tokens_per_second": speed, "learning_rate": rate}
        if norm is not None:
            figures["gradient_norm"] = norm
        shown = {"loss": f"{progress.losses[-1]:.3f}", "tok_s": f"{speed:.0f}"}
        mfu = self.flops.mfu(progress, self.ranks)
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
            self._tracker.log(figures, step=step)

    def close(self) -> None:
        """End the bar, flush the events, and send what the tracker still holds."""
        if self._bar is not None:
            self._bar.close()
        if self._writer is not None:
            self._writer.close()
        if self._tracker is not None:
            self._tracker.finish()


def check_tracker(tool: str) -> None:
    """Raises InputError where the package of a tracker cannot be found."""
    if importlib.util.find_spec(tool) is None:
        raise InputError(
            f"{tool} is not installed",
            where="tracking.tool",
            fix="pip install -c envs/constraints.txt -e '.[tracking]', or remove `tracking`",
        )


def open_wandb(project: str, *, name: str, key: str, config: dict[str, Any], folder: Path) -> Any:
    """The run in Weights & Biases; a resumed run goes on in the same one.

    Args:
        project: where it appears.
        name: of the run, as people read it.
        key: the run's key; the same key continues the same run.
        config: shown beside the run.
        folder: where wandb may keep files of the run.

    Raises:
        InputError: wandb is not installed, or does not start (no key, no server).
    """
    check_tracker("wandb")
    wandb = importlib.import_module("wandb")
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        return wandb.init(
            project=project,
            name=name,
            config=config,
            id=key[:16],
            dir=str(folder),
            resume="allow",
        )
    except Exception as error:  # it has several kinds of its own
        raise InputError(
            f"wandb does not start: {error}",
            where="tracking",
            fix="log in (wandb login or WANDB_API_KEY), work offline (WANDB_MODE=offline), or "
            "remove `tracking`",
        ) from error
