"""Version of each stage's result.

Raise a stage's number when a change in its code changes what it writes for the same config and
input: Snakemake then re-runs that stage and what depends on it. Editing a comment re-runs nothing.
"""

STAGE_VERSIONS: dict[str, int] = {
    "evalset": 1,
    "pool": 1,
    "validation_set": 1,
    "subset": 2,
    "base": 1,
    "finetune": 3,
    "generate": 2,
    "judge": 2,
    "runs": 1,
    "scores": 1,
    "costs": 1,
    "validation_loss": 1,
    "intermediate_scores": 2,
    "curves": 3,
    "figures": 3,
    "report": 2,
}
