"""What `run` does before Snakemake starts on a SLURM cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from instruct_scaling.commands.slurm.controller import (
    accounting_error,
    choose_status,
    controller_config,
    programs_missing,
    status_arguments,
    use_commands,
)
from instruct_scaling.commands.slurm.profile import (
    ONE_NODE,
    SEVERAL_NODES,
    read_profile,
    refuse_replaced_blocks,
    site_line,
    site_profile,
    write_profile,
)
from instruct_scaling.commands.slurm.site import FILE_NAME, VARIABLE, find_site, load_site
from instruct_scaling.common import fetch
from instruct_scaling.common.errors import InputError

DRY = frozenset({"-n", "--dry-run", "--dryrun"})
SHIPPED_NAMES = (ONE_NODE, SEVERAL_NODES)


def runs_on_slurm(folder: Path) -> bool:
    """Whether a profile submits its jobs to SLURM."""
    return read_profile(folder).get("executor") == "slurm"


def fitted_profile(name: str, folder: Path, study: Path, given: Path | None, results: Path) -> Path:
    """The folder of the profile to use: one that fits the site, where a site file is found.

    A folder of one's own is used as it is.

    Args:
        name: as `--profile` gave it; of the shipped ones the site decides which.
        folder: where it lies.
        study: the config file.
        given: `--site`.
        results: results folder of the study; the profile is written beside it.

    Raises:
        InputError: the site file is missing or wrong, or is given with a profile of one's own.
    """
    if name not in SHIPPED_NAMES:
        if given is not None:
            raise InputError(
                f"it fits the shipped profiles, and {name} is one of your own",
                where="--site",
                fix=f"use --profile {ONE_NODE}",
            )
        return folder
    path = find_site(study, given)
    if path is None:
        print(
            f"no site file: the shipped profile {name} is used as it is ({FILE_NAME} beside the "
            f"study, --site or {VARIABLE} would fit it to your cluster)",
            file=sys.stderr,
        )
        return folder
    site = load_site(path)
    if site.offline is not None and not os.environ.get(fetch.OFFLINE):
        os.environ[fetch.OFFLINE] = str(site.offline)
        fetch.offline_folder()  # it must be there
    target = results.parent / ".profile" / results.name
    write_profile(target, site_profile(site), path)
    print(f"site {path}: {site_line(site)}", file=sys.stderr)
    return target


def slurm_arguments(folder: Path, arguments: Sequence[str]) -> list[str]:
    """Further arguments of Snakemake for a cluster; says how jobs are asked for.

    Without SLURM a dry run is planned all the same.

    Raises:
        InputError: an option would drop a block of the profile, or SLURM is not here or does not
            answer.
    """
    refuse_replaced_blocks(arguments, read_profile(folder))
    given = {argument.split("=")[0] for argument in arguments}
    try:
        status = choose_status(controller_config(), accounting_error())
    except InputError:
        if given & DRY:
            return []
        raise
    if missing := programs_missing():
        raise InputError(
            f"SLURM's commands are missing: {', '.join(missing)}",
            where="--profile",
            fix="start the study on the cluster's login node",
        )
    print(status, file=sys.stderr)
    use_commands(status)
    return status_arguments(status, given)
