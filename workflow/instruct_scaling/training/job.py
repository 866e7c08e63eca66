"""What one run is asked to do, split into what changes its weights and what does not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from instruct_scaling.common.files import sha256_file
from instruct_scaling.common.provenance import identity_hash
from instruct_scaling.config.recipe import Recipe
from instruct_scaling.config.study import Tracking


@dataclass(frozen=True)
class Execution:
    """How the run is carried out; none of it belongs to the run's identity."""

    row_tokens: int | None  # token budget of a packed row; None decides by memory
    attention: str | None  # forced attention back-end
    checkpointing: bool | None  # recompute activations; None decides by memory
    save_minutes: float
    save_steps: int | None
    tracking: Tracking | None = None


@dataclass(frozen=True)
class Snapshot:
    """A model to keep along the run: after how many percent of the steps, and in which folder."""

    percent: int
    model: Path


@dataclass(frozen=True)
class EvalOptions:
    """What is looked at along the run; none of it changes the weights, so none is in the key."""

    validation: Path | None = None  # validation_set.parquet
    evaluations: int = 4  # of the loss on the validation records
    snapshots: tuple[Snapshot, ...] = ()


@dataclass(frozen=True)
class Job:
    """One run: its inputs, recipe, seeds, outputs and execution."""

    base: Path
    records: Path
    subset: Path
    recipe: Recipe
    template: str
    order_seed: int
    init_seed: int
    identity: dict[str, Any]
    work_root: Path
    out_model: Path
    out_train: Path
    execution: Execution
    watched: EvalOptions = EvalOptions()

    @cached_property
    def work(self) -> Path:
        """Folder of this identity; what an edited recipe left behind lies beside it."""
        return self.work_root / self.key

    @cached_property
    def key(self) -> str:
        """Hash of everything that decides the weights; work in progress belongs to one key."""
        return identity_hash(
            {
                "base": sha256_file(self.base / "config.json"),
                "subset": sha256_file(self.subset),
                "recipe": self.recipe.model_dump(mode="json"),
                "template": self.template,
                "order_seed": self.order_seed,
                "init_seed": self.init_seed,
            }
        )


@dataclass(frozen=True)
class Rank:
    """This process among its peers, as torchrun's environment variables say."""

    rank: int
    local_rank: int
    world_size: int

    @classmethod
    def from_environment(cls) -> Rank:
        """RANK, LOCAL_RANK, WORLD_SIZE; also srun's names; a single process by default."""
        get = os.environ.get
        return cls(
            int(get("RANK") or get("SLURM_PROCID") or 0),
            int(get("LOCAL_RANK") or get("SLURM_LOCALID") or 0),
            int(get("WORLD_SIZE") or get("SLURM_NTASKS") or 1),
        )

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files and shows the progress."""
        return self.rank == 0
