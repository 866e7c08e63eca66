# What several rules, or every dry run, need.
RESULTS = f"results/{STUDY.study}"
RUN = f"{RESULTS}/runs/{{arm}}/n{{scale}}/s{{seed}}"

RUNS = expand_study.all_runs(STUDY)
RESPONSES = [f"{RESULTS}/runs/{run.folder}/responses.jsonl" for run in RUNS]
JUDGEMENTS = [
    f"{RESULTS}/runs/{run.folder}/judgements/{judge}.jsonl"
    for run in RUNS
    for judge in STUDY.judges
]
TRAINED = [
    f"{RESULTS}/runs/{run.folder}/train.json" for run in expand_study.tuned_runs(STUDY)
]
PERCENTS = STUDY.intermediate_checkpoints.percents()
INTERMEDIATE = [
    f"{RESULTS}/runs/{run.folder}/intermediate/{percent}/judgements/{judge}.jsonl"
    for run in expand_study.tuned_runs(STUDY)
    for percent in PERCENTS
    for judge in STUDY.judges
]
USED_POOLS = sorted({arm.pool for arm in STUDY.arms.values()})


def model_of(wildcards):
    """The fine-tuned model of a run; at scale 0 its base."""
    if int(wildcards.scale) == 0:
        return f"{RESULTS}/bases/{STUDY.arms[wildcards.arm].base}"
    return f"{RESULTS}/runs/{wildcards.arm}/n{wildcards.scale}/s{wildcards.seed}/model"


def validation_of(wildcards):
    """The validation records of an arm's pool, if the study keeps any."""
    if STUDY.validation.records == 0:
        return []
    return [f"{RESULTS}/pools/{STUDY.arms[wildcards.arm].pool}/validation_set.parquet"]


def folder_of(files):
    """The folder of the first of some files."""
    return str(Path(files[0]).parent)


def print_plan():
    from instruct_scaling.reporting.budget import plan_text

    if workflow.dryrun:
        print(plan_text(STUDY, Path(RESULTS)), file=sys.stderr)


# The plan comes with every dry run: last, where it is seen, before anything has been paid for.
atexit.register(print_plan)
