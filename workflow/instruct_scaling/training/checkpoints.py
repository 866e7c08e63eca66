"""Checkpoints that are whole or not there: a manifest with every file's hash is written last."""

from __future__ import annotations

import fcntl
import logging
import os
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_json, sha256_file, write_json

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
KEEP = 2  # the newest may turn out damaged
LOCK_SECONDS = 15.0  # ranks of a killed run need a moment to notice


@contextmanager
def exclusive_lock(work: Path) -> Iterator[None]:
    """Hold the work folder; a second process with the same run must not write into it.

    Raises:
        InputError: another live process holds it.
    """
    work.mkdir(parents=True, exist_ok=True)
    with (work / ".lock").open("w") as handle:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise InputError(
                        "another process is training this run",
                        where=work,
                        fix="wait for it, or stop it first",
                    ) from error
                time.sleep(0.2)
        yield


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


class Checkpoints:
    """The checkpoints of one run. Every method but `steps` is called by all ranks together."""

    def __init__(self, folder: Path, *, frozen: bool) -> None:
        """Name the folder.

        Args:
            folder: on a file system that all ranks share.
            frozen: most weights are frozen and come from the base (adapters).
        """
        self.folder = folder
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
        states: list[Any] = [None] * self.world
        distributed.all_gather_object(states, rng_state())
        engine.save_checkpoint(
            str(self.folder),
            tag=tag,
            client_state={"loop": state, "rng": states},
            save_latest=False,
            exclude_frozen_parameters=self.frozen,
        )
        distributed.barrier()
        hashes: list[Any] = [None] * self.world
        distributed.all_gather_object(hashes, self._hashes(self.folder / tag))
        if self.rank == 0:
            manifest = {"world_size": self.world, "files": {}}
            for part in hashes:
                manifest["files"] |= part
            write_json(self.folder / tag / MANIFEST, manifest)
            self._prune(step)
        distributed.barrier()

    def load(self, engine: Any) -> dict[str, Any] | None:
        """Load the newest undamaged checkpoint; None where there is none to go on from.

        Raises:
            InputError: the checkpoints were written by another number of ranks.
        """
        for step in self.steps():
            if not self._sound(step):
                if self.rank == 0:
                    log.warning("checkpoint of step %d is damaged; trying the one before", step)
                continue
            path, client = engine.load_checkpoint(
                str(self.folder), tag=f"step-{step}", load_module_strict=not self.frozen
            )
            assert path is not None
            set_rng_state(client["rng"][self.rank])
            return client["loop"]
        return None

    def _hashes(self, folder: Path) -> dict[str, str]:
        """SHA-256 of this rank's share of a checkpoint's files."""
        files = sorted(
            path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST
        )
        share = files[self.rank :: self.world]
        return {str(path.relative_to(folder)): sha256_file(path) for path in share}

    def _sound(self, step: int) -> bool:
        """Whether all ranks find the files of a checkpoint as they were written."""
        folder = self.folder / f"step-{step}"
        try:
            manifest = read_json(folder / MANIFEST)
        except InputError:
            return False
        if manifest["world_size"] != self.world:
            raise InputError(
                f"the checkpoint was written by {manifest['world_size']} ranks, not {self.world}",
                where=folder,
                fix=f"go on with --ranks {manifest['world_size']}, or remove {self.folder} to "
                "start over",
            )
        hashes: list[Any] = [None] * self.world
        distributed.all_gather_object(hashes, self._hashes(folder))
        found = {name: digest for part in hashes for name, digest in part.items()}
        return found == manifest["files"]

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
