"""A checkpoint of another number of ranks: DeepSpeed's universal checkpoints, for ZeRO 1 to 3.

A ZeRO checkpoint has a file for each rank's share. `converted` writes it again as a file for each
weight, in a folder beside the checkpoints that is removed once it has been read; the checkpoint
itself stays as it is, so that a kill at any moment costs nothing but the conversion.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch

from instruct_scaling.training.distributed import run_on_rank_zero, seed_everything

FOLDER = "converted"


@contextmanager
def converted(checkpoints: Path, tag: str) -> Iterator[Path]:
    """The folder with the checkpoint `tag`, converted, for the length of the body; all ranks call
    it together.

    Raises:
        InputError: the disk is full.
    """
    folder = checkpoints / FOLDER
    run_on_rank_zero(lambda: convert(checkpoints / tag, folder / tag))
    try:
        yield folder
    finally:
        run_on_rank_zero(lambda: shutil.rmtree(folder, ignore_errors=True))


def convert(source: Path, target: Path) -> None:
    """Write a ZeRO checkpoint as a universal one, in this process; what a kill left is removed."""
    from deepspeed.checkpoint import ds_to_universal

    shutil.rmtree(target.parent, ignore_errors=True)
    target.mkdir(parents=True)
    options = argparse.Namespace(
        input_folder=str(source),
        output_folder=str(target),
        num_extract_workers=1,
        num_merge_workers=1,
        keep_temp_folder=False,
        strict=True,
        inject_missing_state=True,  # what only tensor parallelism needs is not there
    )
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # progress bars
        ds_to_universal.main(options)


def load_converted(engine: Any, folder: Path, tag: str, *, strict: bool) -> dict[str, Any]:
    """Load a converted checkpoint into the engine; returns its client state.

    DeepSpeed's stage 3 gives all parameter groups the options of the first one, and one counter of
    steps, which each group then raises. Here groups keep their own options, which are the
    recipe's, and get counters of their own.
    """
    options = [
        {key: value for key, value in group.items() if key != "params"}
        for group in engine.optimizer.param_groups
    ]
    engine._config.load_universal_checkpoint = True
    try:
        path, client = engine.load_checkpoint(str(folder), tag=tag, load_module_strict=strict)
    finally:
        engine._config.load_universal_checkpoint = False
    assert path is not None
    for group, kept in zip(engine.optimizer.param_groups, options, strict=True):
        group.update(kept)
    for state in engine.optimizer.optimizer.state.values():
        if torch.is_tensor(state.get("step")):
            state["step"] = state["step"].clone()
    return client


def seed_further_rank(first: dict[str, Any], rank: int) -> None:
    """Seed a rank that the checkpoint knows no random state of: by a hash of the first rank's
    state and its own number, so that a second start from the same checkpoint draws the same."""
    state = first["torch"].numpy().tobytes()
    digest = hashlib.sha256(state + f"rank {rank}".encode()).digest()
    seed_everything(int.from_bytes(digest[:4], "big"))
