"""Version of each stage's result.

Raise a stage's number when a change in its code changes what it writes for the same config and
input: Snakemake then re-runs that stage and what depends on it. Editing a comment re-runs nothing.
"""

STAGE_VERSIONS: dict[str, int] = {
    "evalset": 2,
    "pool": 3,
    "validation_set": 2,
    "subset": 2,
    "base": 2,
    "finetune": 6,
    "generate": 3,
    "judge": 2,
    "runs": 1,
    "scores": 2,
    "costs": 2,
    "validation_loss": 1,
    "intermediate_scores": 3,
    "curves": 5,
    "figures": 5,
    "report": 4,
}
