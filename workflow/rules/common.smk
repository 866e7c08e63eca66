# Paths, runs and input functions that several rules use, and the plan that a dry run prints.
import atexit

from instruct_scaling.common.provenance import identity_hash
from instruct_scaling.common.versions import STAGE_VERSIONS
from instruct_scaling.config.identity import execution_json, identity_json
from instruct_scaling.config.selection import annotation_name
from instruct_scaling.config.runs import (
    Run,
    annotation_base,
    annotation_files,
    answering_runs,
    base_files,
    evalset_files,
    few_shot_seed,
    pool_files,
    removed_models,
    run_identity,
    run_rows,
    seed_for,
    selections,
    subset_file,
    subset_seed,
    token_store,
    tuned_runs,
    used_pools,
    validation_seed,
)
from instruct_scaling.reporting.requests import (
    Limits,
    finetune_memory,
    finetune_minutes,
    generate_minutes,
    model_memory,
)

RESULTS = f"results/{STUDY.study}"
POOL = f"{RESULTS}/pools/{{pool}}"
RUN = f"{RESULTS}/runs/{{arm}}/n{{scale}}/s{{seed}}"
INTERMEDIATE = f"{RUN}/intermediate/{{percent}}"
FEW_SHOT = f"{RUN}/few_shot"

ANSWERING = [f"{RESULTS}/{run.folder}" for run in answering_runs(STUDY)]
SELECTIONS = selections(STUDY)
SUBSETS = list(
    dict.fromkeys(f"{RESULTS}/{subset_file(STUDY, run)}" for run in tuned_runs(STUDY))
)
TUNED = [f"{RESULTS}/{run.folder}" for run in tuned_runs(STUDY)]
REMOVED = [
    f"{RESULTS}/{run.folder}/models_removed.json"
    for run in tuned_runs(STUDY)
    if removed_models(STUDY, run)
]
PERCENTS = STUDY.intermediate_checkpoints.percents()
# Name of a token store -> an arm that reads it.
TOKENS = {token_store(STUDY, arm): arm for arm in sorted(STUDY.arms)}
USED_POOLS = used_pools(STUDY)


def seed_of(purpose):
    """The seed of one purpose, as a function of the wildcard `seed` (the replicate's label)."""
    return lambda w: seed_for(STUDY, int(w.seed), purpose)


def validation_of(pool):
    """The validation records of a pool, if the study keeps any."""
    return (
        [f"{RESULTS}/pools/{pool}/validation_set.parquet"]
        if STUDY.validation.records
        else []
    )


def subset_of(w):
    """The subset of a run."""
    run = Run(w.arm, int(w.scale), int(w.seed))
    return f"{RESULTS}/{subset_file(STUDY, run)}"


def annotations_of(w):
    """The file of the annotation that a subset's selection reads, if it reads one."""
    name = annotation_name(SELECTIONS[w.pool, w.selection])
    return [annotation_of(w.pool, name)] if name else []


def tokens_of(w):
    """The token store of an arm."""
    return f"{RESULTS}/tokens/{STUDY.arms[w.arm].pool}/{token_store(STUDY, w.arm)}"


def records_of(pool):
    """The records of a pool."""
    return f"{RESULTS}/pools/{pool}/records"


def annotation_of(pool, name):
    """An annotation of a pool."""
    return f"{RESULTS}/pools/{pool}/annotations/{name}.parquet"


def source_annotations(pool):
    """The annotations of the pools that a pool is made of, as (pool, file)."""
    return [
        (source, annotation_of(source, name))
        for source in STUDY.pools[pool].source_pools()
        for name in sorted(STUDY.pools[source].annotations)
    ]


def few_shot_of(w):
    """The eval items with examples from the pool of an arm."""
    return f"{RESULTS}/few_shot/{STUDY.arms[w.arm].pool}.jsonl"


def base_of(w):
    """The base model of an arm."""
    return f"{RESULTS}/bases/{STUDY.arms[w.arm].base}"


def model_of(w):
    """The fine-tuned model of a run; at scale 0 its base."""
    if int(w.scale) == 0:
        return base_of(w)
    return f"{RESULTS}/runs/{w.arm}/n{w.scale}/s{w.seed}/model"


def judge_group(w):
    """The group of a judge's jobs: those of a scorer share jobs of a cluster; a model behind an
    endpoint takes hours and is alone."""
    return "judge" if STUDY.judges[w.judge].type == "metric" else None


def stated(rule, name):
    """The value of a resource that a profile may set, as a number; for the functions of others."""
    resource = getattr(rules, rule).rule.resources[name]
    return int(getattr(resource, "value", resource))


def limits(rule):
    """What a job of a rule may ask for at most."""
    return Limits(stated(rule, "limit_minutes"), stated(rule, "limit_megabytes"))


def finetune_runtime(w, attempt):
    """Minutes of a fine-tuning."""
    run, ranks = Run(w.arm, int(w.scale), int(w.seed)), stated("finetune", "ranks")
    return finetune_minutes(STUDY, run, ranks, attempt, limits("finetune"))


def finetune_mem(w, attempt):
    """Megabytes of a fine-tuning on each node."""
    run = Run(w.arm, int(w.scale), int(w.seed))
    ranks = stated("finetune", "ranks") // stated("finetune", "nodes")
    return finetune_memory(STUDY, run, ranks, attempt, limits("finetune"))


def generate_runtime(w, attempt):
    """Minutes of a model's answers."""
    return generate_minutes(STUDY, w.arm, attempt, limits("generate"))


def generate_mem(w, attempt):
    """Megabytes of a model that answers."""
    return model_memory(
        STUDY.bases[STUDY.arms[w.arm].base], attempt, limits("generate")
    )


def repeated(option, values):
    """The same option once for each value."""
    return [f"{option}={value}" for value in values]


def named(option, names, values):
    """An option of the form NAME=VALUE once for each pair."""
    return [
        f"{option}={name}={value}" for name, value in zip(names, values, strict=True)
    ]


def folder_of(files):
    """The folder of the first of some files; derived from a rule's own files, it follows the
    prefix of a module."""
    return str(Path(files[0]).parent)


def trained_again():
    """The runs that are done and that this start would train again."""
    dag = getattr(workflow, "dag", None)
    jobs = dag.needrun_jobs(exclude_finished=False) if dag is not None else []
    found = [job for job in jobs if job.rule.name == "finetune"]
    return sorted(
        (
            Run(job.wildcards.arm, int(job.wildcards.scale), int(job.wildcards.seed))
            for job in found
            if Path(job.output.train).exists()
        ),
        key=lambda run: (run.arm, run.scale, run.seed),
    )


def print_plan():
    """Print what the study will cost, in a dry run."""
    from instruct_scaling.reporting.budget import plan_text

    if workflow.dryrun:
        try:
            print(plan_text(STUDY, Path(RESULTS), trained_again()), file=sys.stderr)
        except InputError as error:  # a file of the study's results is broken
            print(f"error: {error}", file=sys.stderr)


def say_what_is_trained_again():
    """Before the first job: runs whose models are gone, or whose training an edit has changed."""
    from instruct_scaling.reporting.budget import again_lines

    if workflow.is_main_process:
        try:
            for line in again_lines(STUDY, Path(RESULTS), trained_again()):
                print(f"{line.what}: {line.amount} ({line.basis})", file=sys.stderr)
        except InputError as error:  # a file of the study's results is broken
            print(f"error: {error}", file=sys.stderr)


# At exit: the plan belongs below the list of jobs, and `onstart` is not called in a dry run.
atexit.register(print_plan)
