"""Train, stop and go on: `python -m tests.training.rank_change BASE EXAMPLES JOBS`, RANK etc. set.

JOBS is a JSON list of objects: `stage`, `precision`, `tuning`; `folder` of the checkpoints;
`start`, the step from which to go on (0: a new run); `out`, where rank 0 writes the losses of all
steps.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from instruct_scaling.config.recipe import Recipe
from instruct_scaling.models.packed.engine import restore
from instruct_scaling.training.checkpoints import Checkpoints, SaveEvery, checkpoint_layout
from instruct_scaling.training.distributed import (
    Rank,
    destroy_process_group,
    init_distributed,
    rank_process,
    silence_warnings,
)
from instruct_scaling.training.loop import RowShape, Trainer
from instruct_scaling.training.memory import Setup, deepspeed_config, measure
from instruct_scaling.training.metrics import Progress, Stopwatch
from instruct_scaling.training.model import load_engine, read_config
from instruct_scaling.training.order import Order

from .conftest import load_examples

STOP, STEPS = 10, 30


class Silent:
    """In place of the logger."""

    def show(self, *_: Any) -> None:
        pass


def train(base: Path, examples: Path, job: dict[str, Any]) -> list[float]:
    """Losses of the steps up to the last; a new run leaves its checkpoint after step STOP."""
    recipe = Recipe(
        tuning=job["tuning"],
        batch_size=4,
        steps=STEPS,
        epochs=None,
        learning_rate=2e-3,
        weight_decay=0.3,
        precision=job["precision"],
        zero_stage=job["stage"],
    )
    setup, ranks = Setup(job["stage"], 96), torch.distributed.get_world_size()
    settings = deepspeed_config(recipe, setup, ranks, measure(read_config(base), recipe))
    tuned, engine = load_engine(base, recipe, settings, torch.device("cpu"), seed=3)
    checkpoints = Checkpoints(
        Path(job["folder"]),
        checkpoint_layout(settings, ranks),
        frozen=tuned.trainable < tuned.parameters,
    )
    found = load_examples(examples)
    trainer = Trainer(
        *(engine, found, Order.make(found, 5, recipe), recipe, RowShape(setup.row_tokens)),
        *(SaveEvery(99.0), checkpoints),
        logger=Silent(),
        clock=Stopwatch(),
    )
    state = checkpoints.load(engine)
    progress = Progress(**state) if state else Progress(starts=0)
    assert progress.step == job["start"]
    while progress.step < STEPS:
        trainer.step(progress)
        if progress.step == STOP and not job["start"]:
            checkpoints.save(engine, progress.step, vars(progress))
    engine.destroy()
    restore(tuned.module)
    return progress.losses


def main(base: Path, examples: Path, jobs: list[dict[str, Any]]) -> None:
    rank = Rank.from_environment()
    with rank_process(rank):
        silence_warnings()
        init_distributed(rank)
        for job in jobs:
            losses = train(base, examples, job)
            if rank.is_first:
                Path(job["out"]).write_text(json.dumps(losses), "utf-8")
        destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
