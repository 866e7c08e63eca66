"""The site file: what a cluster's nodes are, and under which account jobs run there.

It is found, in this order, by `--site`, by INSTRUCT_SCALING_SITE, or as `site.yaml` beside the
study. No result depends on it.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.load import describe, documents_of, read_yaml
from instruct_scaling.config.section import Strict

VARIABLE = "INSTRUCT_SCALING_SITE"
FILE_NAME = "site.yaml"


class Nodes(Strict):
    """The nodes of one partition: what a job may request of each."""

    partition: str = Field(min_length=1)
    """Name of the partition (`sinfo`)."""
    cpus: int = Field(gt=0)
    """CPUs of a node, as SLURM counts them (`sinfo -o '%P %c'`)."""
    memory_gb: float = Field(gt=0)
    """Memory of a node that jobs may request (`sinfo -o '%P %m'`, in MB there)."""
    hours: float = Field(gt=0)
    """Time limit of the partition (`sinfo -o '%P %l'`)."""
    constraint: str | None = Field(None, min_length=1)
    """Features that a node must have (`sbatch --constraint`)."""


class GpuNodes(Nodes):
    """The nodes with GPUs."""

    gpus: int = Field(gt=0)
    """GPUs of a node (`sinfo -o '%P %G'`)."""
    gpu_type: str | None = Field(None, pattern=r"^[A-Za-z0-9_.]+$")
    """Type in the name of the resource: `a100` in `gpu:a100:8`."""

    @model_validator(mode="after")
    def _a_cpu_for_each(self) -> GpuNodes:
        if self.cpus < self.gpus:
            raise ValueError(f"{self.cpus} CPUs for {self.gpus} GPUs: every rank needs one")
        return self


class Site(Strict):
    """One cluster."""

    account: str | None = Field(None, min_length=1)
    """Account that jobs are charged to (`sbatch --account`)."""
    qos: str | None = Field(None, min_length=1)
    """Quality of service (`sbatch --qos`)."""
    cpu: Nodes
    """Where data, judges and tables are made."""
    gpu: GpuNodes
    """Where models are tuned and answer."""
    finetune_nodes: int = Field(1, gt=0)
    """Nodes of each fine-tuning; with two or more the ranks are started by srun."""
    jobs: int = Field(64, gt=0)
    """Jobs in the queue at a time."""
    offline: Path | None = None
    """Folder that `instruct-scaling prefetch --to` has filled, on a shared file system; jobs then
    open no connection outside the cluster."""


def find_site(study: Path, given: Path | None) -> Path | None:
    """The site file of a study, None where there is none.

    Raises:
        InputError: the one that is named does not exist.
    """
    named = given or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if named is None:
        beside = study.parent / FILE_NAME
        return beside if beside.is_file() else None
    if not named.is_file():
        where = "--site" if given else VARIABLE
        raise InputError("no such site file", where=f"{where} {named}", fix="see docs/cluster.md")
    return named


def load_site(path: Path) -> Site:
    """Read a site file.

    Raises:
        InputError: it is no YAML or no site; a line for each mistake, with file, line and key.
    """
    value = read_yaml(path)
    try:
        return Site.model_validate(value)
    except ValidationError as error:
        documents = documents_of([path])
        lines = [describe(detail, documents, Site) for detail in error.errors()]
        raise InputError("\n".join(lines)) from None
