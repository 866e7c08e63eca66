"""From a study to its runs, and from a config section to the JSON that a stage is given.

What `as_json` returns is at once the stage's option and the rule's `params`: a stage cannot read
what its identity does not hold, and Snakemake re-runs exactly what an edit changes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from pydantic import BaseModel

from instruct_scaling.common.seeds import FIXED_REPLICATE, Purpose, derive_seed
from instruct_scaling.config.pools import FileSource
from instruct_scaling.config.study import Study


@dataclass(frozen=True, slots=True)
class Run:
    """One fine-tuned model, or the base (scale 0) under the arm's template."""

    arm: str
    scale: int
    seed: int

    @property
    def folder(self) -> str:
        """Folder below `runs/`."""
        return f"{self.arm}/n{self.scale}/s{self.seed}"


def as_json(section: BaseModel) -> str:
    """A config section as JSON: normalized values, defaults left out, keys sorted.

    Leaving defaults out keeps old results valid when a new key with a default is added.
    """
    value = section.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def tuned_runs(study: Study) -> list[Run]:
    """Every run that is fine-tuned, in the order arm, scale, seed."""
    return [
        Run(arm, scale, seed)
        for arm in study.arms
        for scale in study.ladder.values()
        for seed in study.seeds.replicates
    ]


def base_runs(study: Study) -> list[Run]:
    """The base as scale 0 of every arm; once if decoding is greedy, else for each replicate."""
    if not study.ladder.base:
        return []
    greedy = study.generate.temperature == 0
    seeds = study.seeds.replicates[:1] if greedy else study.seeds.replicates
    return [Run(arm, 0, seed) for arm in study.arms for seed in seeds]


def all_runs(study: Study) -> list[Run]:
    """Base and tuned runs: all that answer the eval set."""
    return base_runs(study) + tuned_runs(study)


def seed_for(study: Study, replicate: int, purpose: Purpose) -> int:
    """The seed of one purpose in one replicate, honoring `seeds.vary`."""
    varies = purpose in study.seeds.vary
    label = replicate if varies else study.seeds.replicates[0]
    return derive_seed(study.seeds.study, label, purpose)


def validation_seed(study: Study) -> int:
    """The seed of the validation records: one for all scales, replicates and arms."""
    return derive_seed(study.seeds.study, FIXED_REPLICATE, "heldout")


def run_identity(study: Study, run: Run) -> str:
    """What a run's artefacts say about where they come from, as JSON.

    Base and pool stand here by name: what they hold is vouched for by the hashes of the base and
    of the subset, so that a pool edit that leaves a subset as it was trains nothing anew.
    """
    arm = study.arms[run.arm]
    value = {
        "study": study.study,
        "arm": run.arm,
        "scale": run.scale,
        "seed": run.seed,
        "base": arm.base,
        "pool": arm.pool,
        "template": arm.template,
        "recipe": json.loads(as_json(arm.recipe_at(run.scale))),
    }
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def pool_files(study: Study, pool: str) -> list[str]:
    """Local files that a pool is read from."""
    sources = study.pools[pool].sources
    return [source.path for source in sources if isinstance(source, FileSource)]


def evalset_files(study: Study) -> list[str]:
    """Local files that the eval set is read from."""
    return [source.path for source in study.evalset.sources if source.type == "file"]
