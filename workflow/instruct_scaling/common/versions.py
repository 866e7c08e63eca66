"""Version of each stage's result.

Raise a stage's number when a change in its code changes what it writes for the same config and
input: Snakemake then re-runs that stage and what depends on it. Editing a comment re-runs nothing.
"""

STAGE_VERSIONS: dict[str, int] = {
    "evalset": 4,
    "pool": 4,
    "annotation": 2,
    "validation_set": 2,
    "few_shot": 1,
    "subset": 3,
    "base": 2,
    "tokens": 2,
    "finetune": 7,
    "generate": 4,
    "judge": 4,
    "runs": 3,
    "subset_overlap": 1,
    "scores": 4,
    "costs": 3,
    "validation_loss": 1,
    "intermediate_scores": 4,
    "curves": 9,
    "figures": 7,
    "report": 6,
}
