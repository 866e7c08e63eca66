"""What no single section of a study can know: references between sections, files, sizes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from analysis.tables import OVERALL
from instruct_scaling.common.categories import CATEGORIES, canonical_category
from instruct_scaling.config.annotations import BaseLossAnnotation, FileAnnotation
from instruct_scaling.config.bases import GgufBase, PretrainedBase
from instruct_scaling.config.evaluation import EvalFile, RowEval
from instruct_scaling.config.judges import MetricJudge
from instruct_scaling.config.pool_steps import Filter
from instruct_scaling.config.pools import (
    FileSource,
    HubSource,
    Pool,
    PoolSource,
    RowSource,
    SyntheticSource,
)
from instruct_scaling.config.selection import TAG, annotation_name, label_of
from instruct_scaling.config.study import Study

Location = tuple[str | int, ...]
Problem = tuple[Location, str]


def inconsistencies(study: Study) -> list[Problem]:
    """Every mistake with the location of the key to change."""
    return [
        *_unknown_names(study),
        *_unknown_annotations(study),
        *_pool_sources(study),
        *_annotation_problems(study),
        *_unknown_tags(study),
        *_unknown_record_tags(study),
        *_unknown_primary(study),
        *_unplanned_seeds(study),
        *_category_problems(study),
        *_missing_files(study),
        *_unpinned_sources(study),
        *_too_small_pools(study),
        *_repeated_seeds(study),
        *_few_shot_problems(study),
    ]


def nearest(name: str, known: Iterable[object]) -> str:
    """The end of a message about an unknown name: the nearest known one, else all of them."""
    names = [str(one) for one in known]
    close = difflib.get_close_matches(str(name), names, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; there is: {', '.join(names)}"


def _unknown_names(study: Study) -> Iterator[Problem]:
    for name, arm in study.arms.items():
        for key, known in (("base", study.bases), ("pool", study.pools)):
            value = getattr(arm, key)
            if value not in known:
                yield ("arms", name, key), f"no such {key}: {value!r}{nearest(value, known)}"
        if arm.template != "chat" and "{prompt}" not in arm.template:
            message = "the template must contain {prompt}, or be the word chat"
            yield ("arms", name, "template"), message


def _pool_sources(study: Study) -> Iterator[Problem]:
    """Pools that are made of pools that there are not, or of themselves."""
    for name, pool in study.pools.items():
        for index, source in enumerate(pool.sources):
            if not isinstance(source, PoolSource):
                continue
            location = ("pools", name, "sources", index, "pool")
            if source.pool not in study.pools:
                yield location, f"no such pool: {source.pool!r}{nearest(source.pool, study.pools)}"
            elif (way := _way(study, source.pool, name)) is not None:
                yield location, f"pool {name!r} is made of itself: {' <- '.join([name, *way])}"


def _way(study: Study, start: str, end: str) -> list[str] | None:
    """The pools from `start` to `end`, each made of the next one; None if there is no way."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop()
        if way[-1] == end:
            return way
        for name in study.pools[way[-1]].source_pools():
            if name in study.pools and name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return None


def _annotation_problems(study: Study) -> Iterator[Problem]:
    for name, pool in study.pools.items():
        for key, annotation in pool.annotations.items():
            location = ("pools", name, "annotations", key)
            if isinstance(annotation, FileAnnotation) and not Path(annotation.path).is_file():
                yield (*location, "path"), f"no such file: {annotation.path}"
            if isinstance(annotation, BaseLossAnnotation) and annotation.base not in study.bases:
                message = (
                    f"no such base: {annotation.base!r}{nearest(annotation.base, study.bases)}"
                )
                yield (*location, "base"), message


def _unknown_tags(study: Study) -> Iterator[Problem]:
    """Tags to draw curves by that no item can have."""
    sources = [source for source in study.evalset.sources if isinstance(source, RowEval)]
    known = sorted({"language", *(name for source in sources for name in source.tags)})
    for index, name in enumerate(study.analysis.by_tag):
        if name not in known:
            yield ("analysis", "by_tag", index), f"no such tag: {name!r}{nearest(name, known)}"


def _unknown_primary(study: Study) -> Iterator[Problem]:
    """Judges, arms or categories of the primary family that the study does not have."""
    primary = study.analysis.primary
    known: dict[str, Sequence[str]] = {"judges": list(study.judges), "arms": list(study.arms)}
    own = study.evalset.categories
    known["categories"] = [*(CATEGORIES if own is None else own), OVERALL]
    for key, names in known.items():
        for index, name in enumerate(getattr(primary, key) or ()):
            # Without a list of its own the study may have categories that only its items tell.
            if name not in names and (key != "categories" or own is not None):
                location = ("analysis", "primary", key, index)
                yield location, f"the study has no {name!r}{nearest(name, names)}"


def _unplanned_seeds(study: Study) -> Iterator[Problem]:
    planned, seeds = study.analysis.looks.planned, len(study.seeds.labels)
    if planned is not None and seeds > planned:
        message = f"{planned} seeds were planned, and the study has {seeds}"
        yield ("analysis", "looks", "planned"), message


def record_tags(study: Study, name: str) -> set[str]:
    """Tags that records of a pool can have: those that its sources declare, and the annotations
    of the pools that it is made of."""
    found: set[str] = set()
    left, seen = [name], {name}
    while left:
        for source in study.pools[left.pop()].sources:
            if isinstance(source, RowSource):
                found |= set(source.tags)
            elif isinstance(source, PoolSource) and source.pool in study.pools:
                found |= set(study.pools[source.pool].annotations)
                if source.pool not in seen:
                    seen.add(source.pool)
                    left.append(source.pool)
    return found


def _unknown_record_tags(study: Study) -> Iterator[Problem]:
    """Tags of records that a filter or a selection reads and no source declares."""
    for name, pool in study.pools.items():
        known = record_tags(study, name)
        for index, step in enumerate(pool.steps):
            for key in ("tags", "tag_bounds") if isinstance(step, Filter) else ():
                for tag in sorted(set(getattr(step, key)) - known):
                    location = ("pools", name, "steps", index, key, tag)
                    yield location, _no_tag(tag, name, known)
    for name, arm in study.arms.items():
        label = label_of(arm.selection) or ""
        if label.startswith(TAG) and arm.pool in study.pools:
            tag, known = label.removeprefix(TAG), record_tags(study, arm.pool)
            if tag not in known:
                yield ("arms", name, "selection", "by"), _no_tag(tag, arm.pool, known)


def _no_tag(tag: str, pool: str, known: set[str]) -> str:
    there_is = nearest(tag, sorted(known)) if known else "; they declare none"
    return f"the sources of pool {pool!r} declare no tag {tag!r}{there_is}"


def _unknown_annotations(study: Study) -> Iterator[Problem]:
    for name, arm in study.arms.items():
        wanted, pool = annotation_name(arm.selection), study.pools.get(arm.pool)
        if wanted is not None and pool is not None and wanted not in pool.annotations:
            known = pool.annotations
            there_is = nearest(wanted, known) if known else "; it has none"
            yield (
                ("arms", name, "selection", "by"),
                f"pool {arm.pool!r} has no annotation {wanted!r}{there_is}",
            )


def _category_problems(study: Study) -> Iterator[Problem]:
    own = study.evalset.categories
    known = CATEGORIES if own is None else tuple(own)
    for index, name in enumerate(own or ()):
        location = ("evalset", "categories", index)
        standard = canonical_category(name)
        close = difflib.get_close_matches(name, CATEGORIES, 1, cutoff=0.8)
        if standard not in (None, name):
            yield location, f"write {name!r} as {standard!r}"
        elif standard is None and close:
            yield location, f"unknown category {name!r}; did you mean {close[0]!r}?"
    for name, judge in study.judges.items():
        for key in judge.scorers if isinstance(judge, MetricJudge) else ():
            if key not in known:
                message = f"unknown category {key!r}{nearest(key, known)}"
                yield ("judges", name, "scorers"), message
    for name, pool in study.pools.items():
        for location, key in _pool_categories(pool):
            if canonical_category(key, known) is None:
                message = f"unknown category {key!r}{nearest(key, (*CATEGORIES, *known))}"
                yield ("pools", name, *location), message


def _pool_categories(pool: Pool) -> Iterator[tuple[Location, str]]:
    """Every category that a pool names, and where."""
    for index, step in enumerate(pool.steps):
        for name in (step.categories or ()) if isinstance(step, Filter) else ():
            yield ("steps", index, "categories"), name
    for index, source in enumerate(pool.sources):
        if isinstance(source, RowSource) and source.category is not None:
            yield ("sources", index, "category"), source.category


def _missing_files(study: Study) -> Iterator[Problem]:
    for name, pool in study.pools.items():
        for index, source in enumerate(pool.sources):
            location = ("pools", name, "sources", index)
            if isinstance(source, FileSource) and not Path(source.path).is_file():
                yield (*location, "path"), f"no such file: {source.path}"
            local = isinstance(source, HubSource) and source.is_local
            if local and not Path(source.dataset).expanduser().is_dir():
                yield (*location, "dataset"), f"no such folder: {source.dataset}"
    for index, source in enumerate(study.evalset.sources):
        if isinstance(source, EvalFile) and not Path(source.path).is_file():
            yield ("evalset", "sources", index, "path"), f"no such file: {source.path}"
    for name, base in study.bases.items():
        local = isinstance(base, PretrainedBase) and base.is_local
        if local and not Path(base.model).expanduser().joinpath("config.json").is_file():
            message = f"no model here (config.json is missing): {base.model}"
            yield ("bases", name, "model"), message
        in_folder = isinstance(base, GgufBase) and base.package is None
        if in_folder and not Path(base.file).expanduser().is_file():
            yield ("bases", name, "file"), f"no such file: {base.file}"


def _unpinned_sources(study: Study) -> Iterator[Problem]:
    for name, pool in study.pools.items():
        for index, source in enumerate(pool.sources):
            location = ("pools", name, "sources", index)
            if not isinstance(source, HubSource) or source.is_local:
                continue
            if source.revision is None:
                yield location, "a hub id needs a `revision`: a commit of 40 hex digits"
            elif not source.is_pinned and source.unpinned is None:
                yield (
                    (*location, "revision"),
                    f"{source.revision!r} is not a commit (40 hex digits) and may stand for other "
                    "data tomorrow; give the commit, or say in `unpinned` why there is none",
                )
            elif source.is_pinned and source.unpinned is not None:
                yield (
                    (*location, "unpinned"),
                    "the revision is a commit; remove `unpinned`",
                )


def _too_small_pools(study: Study) -> Iterator[Problem]:
    """Pools whose size is known before they are built."""
    largest = study.ladder.values()[-1]
    reserved = study.validation.records
    for name in sorted({arm.pool for arm in study.arms.values()} & set(study.pools)):
        sizes = [
            source.records if isinstance(source, SyntheticSource) else None
            for source in study.pools[name].sources
        ]
        if None in sizes:
            continue
        size = sum(sizes)
        if reserved > size // 2:
            yield (
                ("validation", "records"),
                f"{reserved} records are more than half of pool {name!r}, which has {size}; "
                "validation records are at most half of each category",
            )
        elif largest + reserved > size:
            less = f", {reserved} of them for validation" if reserved else ""
            lower = " or `validation.records`" if reserved else ""
            yield (
                ("ladder",),
                f"scale {largest} is larger than pool {name!r}, which has {size} records{less}; "
                f"lower the ladder{lower}, or raise `pools.{name}.sources`",
            )


def _repeated_seeds(study: Study) -> Iterator[Problem]:
    lists: dict[Location, Sequence[object]] = {
        ("seeds", key): getattr(study.seeds, key) for key in ("replicates", "vary")
    }
    if study.seeds.crossed is not None:
        lists[("seeds", "crossed", "subset")] = study.seeds.crossed.subset
        lists[("seeds", "crossed", "training")] = study.seeds.crossed.training
    for location, values in lists.items():
        if len(set(values)) < len(values):
            yield location, "a value occurs twice"


def _few_shot_problems(study: Study) -> Iterator[Problem]:
    """Few-shot examples without a base that answers, or without records to take them from."""
    shots, records = study.ladder.few_shot, study.validation.records
    if shots and not study.ladder.base:
        yield ("ladder", "few_shot"), "it is the base that answers: set `ladder.base: true`"
    if shots > records:
        message = f"{shots} examples of {records} validation records: raise `validation.records`"
        yield ("ladder", "few_shot"), message
