"""From a study to its runs, their seeds, and the table of runs that later stages read.

`runs.csv` has a row for every run (arm, scale, seed), the folder of its files below the study's
results, its subset, and the labels of the seeds behind both; the base (scale 0) has none of the
last three. `shots` is the number of solved examples before each question, 0 but for the base's
few-shot answers. Stages that join all runs are given this one file: the paths of a large study do
not fit on a command line. Arms with the same base, template and precision share the answers of the
untuned base under greedy decoding: their rows at scale 0 then name the same folder.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path
from instruct_scaling.common.provenance import identity_hash
from instruct_scaling.common.seeds import (
    FEW_SHOT_PURPOSE,
    FIXED_REPLICATE,
    VALIDATION_PURPOSE,
    Purpose,
    derive_seed,
)
from instruct_scaling.common.versions import STAGE_VERSIONS
from instruct_scaling.config.annotations import BaseLossAnnotation, FileAnnotation
from instruct_scaling.config.bases import TOKENIZER_FILES, PretrainedBase
from instruct_scaling.config.identity import identity_json
from instruct_scaling.config.pools import FileSource, HubSource
from instruct_scaling.config.section import parse_section
from instruct_scaling.config.selection import UNIFORM, Selection, annotation_name
from instruct_scaling.config.study import Study

NEEDED_COLUMNS = ("arm", "scale", "seed", "folder")
COLUMNS = (*NEEDED_COLUMNS, "subset", "subset_seed", "training_seed", "shots")

# What decides how a model in a local folder computes and how its text is tokenized.
BASE_FILES = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    *TOKENIZER_FILES,
)


@dataclass(frozen=True, slots=True)
class Run:
    """One fine-tuned model, or the base (scale 0) under the arm's template, with `shots` solved
    examples before each question."""

    arm: str
    scale: int
    seed: int
    shots: int = 0

    @property
    def folder(self) -> str:
        """Folder of the run's files below the study's results."""
        folder = f"runs/{self.arm}/n{self.scale}/s{self.seed}"
        return f"{folder}/few_shot" if self.shots else folder


@dataclass(frozen=True, slots=True)
class RunRow:
    """A row of `runs.csv`: a run, the folder that holds its files, its subset and the labels of
    the seeds of subset and training; None for the base. `shots` as in `Run`."""

    arm: str
    scale: int
    seed: int
    folder: Path
    subset: Path | None = None
    subset_seed: int | None = None
    training_seed: int | None = None
    shots: int = 0


def tuned_runs(study: Study) -> list[Run]:
    """Every run that is fine-tuned, in the order arm, scale, seed."""
    return [
        Run(arm, scale, seed)
        for arm in study.arms
        for scale in study.ladder.values()
        for seed in study.seeds.labels
    ]


def base_runs(study: Study) -> list[Run]:
    """The base as scale 0 of every arm: once if decoding is greedy, else for each replicate; of
    crossed seeds for each training seed, since no subset reaches the base."""
    if not study.ladder.base:
        return []
    seeds = study.seeds.labels
    if _greedy(study):
        seeds = seeds[:1]
    elif study.seeds.crossed is not None:
        seeds = seeds[: len(study.seeds.crossed.training)]
    return [Run(arm, 0, seed) for arm in study.arms for seed in seeds]


def few_shot_runs(study: Study) -> list[Run]:
    """The base with solved examples before each question, beside scale 0 of every arm."""
    shots = study.ladder.few_shot
    return [replace(run, shots=shots) for run in base_runs(study)] if shots else []


def all_runs(study: Study) -> list[Run]:
    """Base, few-shot base and tuned runs: all that the study's tables compare."""
    return base_runs(study) + few_shot_runs(study) + tuned_runs(study)


def answering_run(study: Study, run: Run) -> Run:
    """The run whose files hold this run's answers.

    The untuned bases of two arms give the same answers if base, template and precision are the same
    and decoding is greedy; with examples before the questions also the pool, which they come from.
    The first such arm by name then answers for all of them.
    """
    if run.scale > 0 or not _greedy(study):
        return run
    # By name, for the order of the arms in the config is not part of the study's identity.
    own = _base_answers(study, run.arm, run.shots)
    same = [name for name in study.arms if _base_answers(study, name, run.shots) == own]
    return replace(run, arm=min(same))


def _base_answers(study: Study, name: str, shots: int) -> tuple[str, ...]:
    """What decides how an arm's untuned base answers."""
    arm = study.arms[name]
    alone = arm.base, arm.template, arm.recipe.precision
    return (*alone, arm.pool) if shots else alone


def answering_runs(study: Study) -> list[Run]:
    """The runs that answer the eval set and are judged, each once."""
    return list(dict.fromkeys(answering_run(study, run) for run in all_runs(study)))


def _greedy(study: Study) -> bool:
    return study.generate.temperature == 0


def runs(
    study_config: Annotated[str, typer.Option(help="The whole study as JSON.")],
    out: Annotated[Path, typer.Option(help="Table to write (runs.csv).")],
) -> None:
    """Write the table of all runs."""
    write_runs(out, parse_section(Study, study_config, "--study-config"))


def run_rows(study: Study) -> list[tuple[str | int, ...]]:
    """The rows of `runs.csv`, sorted; folder and subset are below the study's results."""
    rows: list[tuple[str | int, ...]] = []
    for run in all_runs(study):
        own = (run.arm, run.scale, run.seed, answering_run(study, run).folder)
        of_subset = (subset_file(study, run), *study.seeds.pair(run.seed))
        rows.append((*own, *(of_subset if run.scale > 0 else ("", "", "")), run.shots))
    return sorted(rows)


def selection_key(study: Study, arm: str) -> str:
    """Name of the folder of an arm's subsets: `uniform`, or its kind and a hash of all that decides
    which records it takes: its keys, and how the annotation is made that it reads."""
    own = study.arms[arm]
    if own.selection == UNIFORM:
        return UNIFORM.type
    name = annotation_name(own.selection)
    made = [] if name is None else [identity_json(study.pools[own.pool].annotations[name])]
    return f"{own.selection.type}-{identity_hash([identity_json(own.selection), *made])[:8]}"


def selections(study: Study) -> dict[tuple[str, str], Selection]:
    """The selections by pool and key; arms that have both in common share their subsets."""
    return {
        (arm.pool, selection_key(study, name)): arm.selection for name, arm in study.arms.items()
    }


def subset_label(study: Study, seed: int) -> int:
    """The label in the name of a run's subset file: crossed runs share those of a subset seed."""
    return seed if study.seeds.crossed is None else study.seeds.pair(seed)[0]


def subset_labels(study: Study) -> list[int]:
    """The labels of a study's subset files, each once."""
    return list(dict.fromkeys(subset_label(study, seed) for seed in study.seeds.labels))


def subset_file(study: Study, run: Run) -> str:
    """A run's subset, below the study's results."""
    pool, key = study.arms[run.arm].pool, selection_key(study, run.arm)
    return f"subsets/{pool}/{key}/n{run.scale}/s{subset_label(study, run.seed)}.parquet"


def subset_seed(study: Study, label: int) -> int:
    """The seed of the subset file with this label."""
    if study.seeds.crossed is not None:
        return derive_seed(study.seeds.study, label, "subset")
    return seed_for(study, label, "subset")


def removed_models(study: Study, run: Run) -> list[str]:
    """The model folders of a run, below the study's results, that the key `models` removes once
    they have answered: its intermediate checkpoints, and its model, under `last` unless it is of
    the largest scale."""
    if study.models == "keep":
        return []
    percents = study.intermediate_checkpoints.percents()
    found = [f"{run.folder}/intermediate/{percent}/model" for percent in percents]
    if study.models == "none" or run.scale < max(study.ladder.values()):
        found.append(f"{run.folder}/model")
    return found


def write_runs(path: Path, study: Study) -> None:
    """Write `runs.csv`; folders are relative to the file's own."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *run_rows(study)])


def read_runs(path: Path) -> list[RunRow]:
    """The rows of a `runs.csv`, with folders relative to the current folder.

    Raises:
        InputError: the file is missing, is not such a table, or names a run twice.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if not set(NEEDED_COLUMNS) <= set(reader.fieldnames or ()):
                raise ValueError("a column is missing")
            rows = [_run_row(row, path.parent) for row in reader]
    except FileNotFoundError as error:
        raise InputError("no such file", where=path) from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"not a table of runs with the columns {', '.join(NEEDED_COLUMNS)}",
            where=path,
            fix="remove it and run the study again",
        ) from error
    counts = Counter((row.arm, row.scale, row.seed, row.shots) for row in rows)
    for (arm, scale, seed, _), count in counts.items():
        if count > 1:
            raise InputError(
                f"arm {arm}, scale {scale}, seed {seed} is in the table {count} times",
                where=path,
                fix="remove it and run the study again",
            )
    return rows


def _run_row(row: dict[str, str], results: Path) -> RunRow:
    subset, *numbers, shots = (row.get(name) for name in COLUMNS[len(NEEDED_COLUMNS) :])
    return RunRow(
        row["arm"],
        int(row["scale"]),
        int(row["seed"]),
        results / row["folder"],
        results / subset if subset else None,
        *(int(number) if number else None for number in numbers),
        shots=int(shots or 0),
    )


def seed_for(study: Study, seed: int, purpose: Purpose) -> int:
    """The seed of one purpose in the runs of one label, honoring `seeds.vary` and `crossed`."""
    if study.seeds.crossed is not None:
        of_subset, of_training = study.seeds.pair(seed)
        label = of_subset if purpose == "subset" else of_training
    else:
        label = seed if purpose in study.seeds.vary else study.seeds.replicates[0]
    return derive_seed(study.seeds.study, label, purpose)


def validation_seed(study: Study) -> int:
    """The seed of the validation records: one for all scales, replicates and arms."""
    return derive_seed(study.seeds.study, FIXED_REPLICATE, VALIDATION_PURPOSE)


def few_shot_seed(study: Study) -> int:
    """The seed of the few-shot examples: one for all replicates and arms."""
    return derive_seed(study.seeds.study, FIXED_REPLICATE, FEW_SHOT_PURPOSE)


def run_identity(study: Study, run: Run) -> str:
    """What a run's artifacts say about where they come from, as JSON.

    Base and pool stand here by name: what they hold is identified by the hashes of the base and
    of the subset, so that a pool edit that leaves a subset as it was trains nothing again.
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
        "recipe": json.loads(identity_json(arm.recipe_at(run.scale))),
    }
    if arm.selection != UNIFORM:
        value["selection"] = json.loads(identity_json(arm.selection))
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def token_store(study: Study, arm: str) -> str:
    """Folder name of an arm's token store below that of its pool: the base, and a hash of what
    else decides the tokens of a record.

    The stage's version is part of it. The training takes the store as `ancient`, so a store that
    is made again in its place would train nothing again, and one that is not there yet does.
    """
    section = study.arms[arm]
    recipe = section.recipe
    version = STAGE_VERSIONS["tokens"]
    deciding = [version, section.template, recipe.max_length, recipe.supervise]
    return f"{section.base}-{identity_hash(deciding)[:8]}"


def pool_files(study: Study, pool: str) -> list[str]:
    """Local files that a pool is read from, those of a local data set included."""
    found: list[str] = []
    for source in study.pools[pool].sources:
        if isinstance(source, FileSource):
            found.append(source.path)
        elif isinstance(source, HubSource) and source.is_local:
            folder = Path(source.dataset).expanduser()
            found += sorted(str(path) for path in folder.rglob("*") if path.is_file())
    return found


def used_pools(study: Study) -> list[str]:
    """Pools that an arm trains on or that such a pool is made of, sorted."""
    found: set[str] = set()
    waiting = [arm.pool for arm in study.arms.values()]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += study.pools[name].source_pools()
    return sorted(found)


def used_annotations(study: Study) -> list[tuple[str, str]]:
    """(pool, annotation) of those that a selection reads, or another used pool as tags, sorted."""
    read = {one for name in used_pools(study) for one in study.pools[name].source_pools()}
    found = {(pool, name) for pool in read for name in study.pools[pool].annotations}
    for arm in study.arms.values():
        if (wanted := annotation_name(arm.selection)) is not None:
            found.add((arm.pool, wanted))
    return sorted(found)


def annotation_files(study: Study, pool: str, annotation: str) -> list[str]:
    """Local files that an annotation is read from."""
    section = study.pools[pool].annotations[annotation]
    return [section.path] if isinstance(section, FileAnnotation) else []


def annotation_base(study: Study, pool: str, annotation: str) -> str | None:
    """The base that an annotation runs, None for one that runs none."""
    section = study.pools[pool].annotations[annotation]
    return section.base if isinstance(section, BaseLossAnnotation) else None


def evalset_files(study: Study) -> list[str]:
    """Local files that the eval set is read from."""
    return [source.path for source in study.evalset.sources if source.type == "file"]


def base_files(study: Study, base: str) -> list[str]:
    """The files of a local base that say which model it is: config, tokenizer and weights.

    Empty for a base that is built or downloaded: its section identifies it.
    """
    section = study.bases[base]
    if not isinstance(section, PretrainedBase) or not section.is_local:
        return []
    folder = Path(section.model).expanduser()
    found = {path for pattern in BASE_FILES for path in folder.glob(pattern)}
    return sorted(str(path) for path in found if path.is_file())
