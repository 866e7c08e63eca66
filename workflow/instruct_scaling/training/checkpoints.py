"""Checkpoints that are whole or not there: a manifest with every file's hash is written last."""

from __future__ import annotations

import logging
import os
import random
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_json, sha256_file, write_json
from instruct_scaling.training.conversion import converted, load_converted, seed_further_rank
from instruct_scaling.training.distributed import gather, run_on_rank_zero

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
KEEP = 2  # the newest may turn out damaged
CONVERTED = ("--ranks", "sub_group_size")  # parts of a layout that are converted
FINAL_SAVE_SECONDS = 60.0  # training that took less is not worth a last checkpoint


@dataclass(frozen=True)
class SaveEvery:
    """When checkpoints are due: after so many minutes, and at multiples of so many steps."""

    minutes: float
    steps: int | None = None

    def due(self, step: int, *, last: bool, waited: float) -> bool:
        """Whether to save after `step`, `waited` seconds after the checkpoint before."""
        if self.steps is not None and step % self.steps == 0:
            return True
        if last:  # the export may be stopped too
            return waited >= FINAL_SAVE_SECONDS
        return waited >= 60 * self.minutes


def rng_state() -> dict[str, Any]:
    """This rank's random states."""
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Undo `rng_state`."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])


def checkpoint_layout(settings: dict[str, Any], ranks: int) -> dict[str, Any]:
    """How DeepSpeed cuts a checkpoint into files. Another number of ranks or size of sub-groups
    is converted when it is loaded; the rest has to be as it was.

    Args:
        settings: DeepSpeed's configuration.
        ranks: data-parallel ranks.
    """
    zero = settings.get("zero_optimization", {})
    stage = zero.get("stage", 0)
    return {
        "--ranks": ranks,
        "recipe.zero_stage": stage,
        "sub_group_size": zero.get("sub_group_size") if stage == 3 else None,
        "offload_optimizer": "offload_optimizer" in zero,
    }


class Checkpoints:
    """The checkpoints of one run. Every method but `steps` is called by all ranks together."""

    def __init__(self, folder: Path, layout: dict[str, Any], *, frozen: bool) -> None:
        """Name the folder.

        Args:
            folder: on a file system that all ranks share.
            layout: see `checkpoint_layout`.
            frozen: most weights are frozen and come from the base (adapters).
        """
        self.folder = folder
        self.layout = layout
        self.frozen = frozen
        self.rank = distributed.get_rank()
        self.world = distributed.get_world_size()

    def steps(self) -> list[int]:
        """Steps with a finished checkpoint, newest first."""
        found = (path.parent.name for path in self.folder.glob(f"step-*/{MANIFEST}"))
        return sorted((int(name.removeprefix("step-")) for name in found), reverse=True)

    def save(self, engine: Any, step: int, state: dict[str, Any]) -> None:
        """Write the checkpoint of `step` and prune older ones.

        Args:
            engine: the DeepSpeed engine.
            step: optimizer steps done.
            state: what the loop needs to go on; the same on all ranks.
        """
        tag = f"step-{step}"
        engine.save_checkpoint(
            str(self.folder),
            tag=tag,
            client_state={"loop": state, "rng": gather(rng_state())},
            save_latest=False,
            exclude_frozen_parameters=self.frozen,
        )
        gather(None)  # every rank has written its files
        hashes = self._hashes(self.folder / tag)

        def finish() -> None:
            write_json(self.folder / tag / MANIFEST, {"layout": self.layout, "files": hashes})
            self._prune(step)

        run_on_rank_zero(finish)

    def load(self, engine: Any) -> dict[str, Any] | None:
        """Load the newest undamaged checkpoint; None where there is none to go on from.

        Raises:
            InputError: the checkpoints are of another ZeRO stage.
        """
        for step in run_on_rank_zero(self.steps):
            manifest = run_on_rank_zero(partial(self._manifest, step))
            if manifest is None or self._hashes(self.folder / f"step-{step}") != manifest["files"]:
                if self.rank == 0:
                    log.warning("checkpoint of step %d is damaged; trying the one before", step)
                continue
            client = self._read(engine, f"step-{step}", manifest["layout"])
            if self.rank < len(client["rng"]):
                set_rng_state(client["rng"][self.rank])
            else:
                seed_further_rank(client["rng"][0], self.rank)
            return client["loop"]
        return None

    def _read(self, engine: Any, tag: str, layout: dict[str, Any]) -> dict[str, Any]:
        """Load a sound checkpoint, converted where it has another cut; its client state."""
        cut = {name: layout[name] != self.layout[name] for name in CONVERTED}
        if any(cut.values()) and self.layout["recipe.zero_stage"] > 0:
            if self.rank == 0:
                log.info("converting %s of %d ranks for %d", tag, layout["--ranks"], self.world)
            with converted(self.folder, tag) as folder:
                return load_converted(engine, folder, tag, strict=not self.frozen)
        path, client = engine.load_checkpoint(
            str(self.folder), tag=tag, load_module_strict=not self.frozen
        )
        assert path is not None
        return client

    def _hashes(self, folder: Path) -> dict[str, str]:
        """SHA-256 of a checkpoint's files, each computed by one of the ranks."""
        files = sorted(
            path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST
        )
        share = files[self.rank :: self.world]
        parts = gather({str(path.relative_to(folder)): sha256_file(path) for path in share})
        return {name: digest for part in parts for name, digest in part.items()}

    def _manifest(self, step: int) -> dict[str, Any] | None:
        """The layout, and file -> SHA-256, as written; None where that is unreadable.

        Raises:
            InputError: the layout is one that no conversion bridges.
        """
        folder = self.folder / f"step-{step}"
        try:
            manifest = read_json(folder / MANIFEST)
        except InputError:
            return None
        for name, written in manifest["layout"].items():
            if name not in CONVERTED and written != self.layout[name]:
                raise InputError(
                    f"the checkpoint was written with {name} {written}, not {self.layout[name]}",
                    where=folder,
                    fix=f"go on with {name} {written}, or remove {self.folder} to start over",
                )
        return manifest

    def _prune(self, newest: int) -> None:
        """Remove all but the newest finished checkpoints, and unfinished ones."""
        keep = set(self.steps()[:KEEP]) | {newest}
        for path in self.folder.glob("step-*"):
            if int(path.name.removeprefix("step-")) not in keep:
                shutil.rmtree(path, ignore_errors=True)


def remove_work(work: Path) -> None:
    """Remove a finished run's work folder."""
    shutil.rmtree(work, ignore_errors=True)
    if work.exists():
        log.warning("%s could not be removed wholly", os.fspath(work))
