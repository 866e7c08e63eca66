"""Fetch everything that a study takes from the web, before it runs where there is no network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from instruct_scaling.common.fetch import (
    OFFLINE,
    cache_folder,
    fetch_file,
    fetch_snapshot,
    location,
    snapshot_url,
)
from instruct_scaling.common.files import atomic_path
from instruct_scaling.config.bases import PretrainedBase
from instruct_scaling.config.evaluation import EvalUrl
from instruct_scaling.config.load import load_study
from instruct_scaling.config.pools import HubSource, UrlSource
from instruct_scaling.config.study import Study


@dataclass(frozen=True)
class Snapshot:
    """A repository of the Hugging Face hub at a commit."""

    repository: str
    revision: str
    kind: str  # model or dataset


def prefetch(
    config: Annotated[Path, typer.Argument(help="Config file of the study.")],
    to: Annotated[
        Path | None,
        typer.Option(help=f"Folder for the copies, to be named by {OFFLINE}; default: the cache."),
    ] = None,
) -> None:
    """Fetch every file, data set and model that a study names, each checked by its hash."""
    study = load_study(config)
    files, snapshots = list(web_files(study)), list(hub_snapshots(study))
    folder = to or cache_folder()
    for file in files:
        print(f"{_size(file.bytes):>10}  {file.url}  ({file.license or 'license not stated'})")
        path = fetch_file(file.url, file.sha256)
        if to is not None:
            _copy(path, to / location(file.url))
    for one in snapshots:
        print(f"{'':>10}  {snapshot_url(one.repository, one.revision, one.kind)}")
        fetch_snapshot(one.repository, one.revision, one.kind, folder)
    unpinned = [source.dataset for source in _hub_sources(study) if not source.is_pinned]
    for name in unpinned:
        print(f"not fetched: {name}, whose revision is no commit")
    if not files and not snapshots:
        print("the study takes nothing from the web")
        return
    print(f"{len(files)} files and {len(snapshots)} repositories are in {folder}")
    if to is not None:
        print(f"set {OFFLINE}={to.resolve()} where the study runs without a network")


def web_files(study: Study) -> Iterator[UrlSource | EvalUrl]:
    """The sources of pools and eval set that are files on the web, each address once."""
    pools = [source for pool in study.pools.values() for source in pool.sources]
    found = [s for s in (*study.evalset.sources, *pools) if isinstance(s, UrlSource | EvalUrl)]
    yield from {(source.url, source.sha256): source for source in found}.values()


def hub_snapshots(study: Study) -> Iterator[Snapshot]:
    """The pinned data sets and models of the hub, each once."""
    sets = [
        Snapshot(source.dataset, source.revision, "dataset")
        for source in _hub_sources(study)
        if source.is_pinned and source.revision is not None
    ]
    models = [
        Snapshot(base.model, base.revision, "model")
        for base in study.bases.values()
        if isinstance(base, PretrainedBase) and not base.is_local and base.revision is not None
    ]
    yield from dict.fromkeys([*sets, *models])


def _hub_sources(study: Study) -> list[HubSource]:
    return [
        source
        for pool in study.pools.values()
        for source in pool.sources
        if isinstance(source, HubSource) and not source.is_local
    ]


def _copy(path: Path, target: Path) -> None:
    if path.resolve() == target.resolve():
        return
    with atomic_path(target) as temporary:
        shutil.copyfile(path, temporary)


def _size(count: int | None) -> str:
    return "size ?" if count is None else f"{count / 1e6:,.1f} MB"
