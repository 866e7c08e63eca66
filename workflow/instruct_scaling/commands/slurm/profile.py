"""From a shipped profile and a site to the profile of one cluster.

Snakemake merges profiles and options by whole top-level keys: `--set-resources finetune:ranks=16`
drops every other resource that the profile sets, for all rules (snakemake 3429). The numbers of a
cluster therefore go into a profile that we write, and options that would replace a block of
it are refused.
"""

from __future__ import annotations

import copy
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from instruct_scaling.commands.slurm.site import Site, load_site
from instruct_scaling.common.checkout import ROOT
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path

Profile = dict[str, Any]

SHIPPED = ROOT / "workflow" / "profiles"
ONE_NODE, SEVERAL_NODES = "slurm", "slurm-multinode"
GPU_PARTITION = "gpu"  # in the shipped profiles
ALL_RANKS = "finetune"
"""The rule that has whole nodes; the others with a GPU have one each."""
BASE_LIMITS = {"limit_minutes": 480, "limit_megabytes": 100_000}
"""What rule `base` may ask for at most where a profile does not say."""
TASKS = ("tasks", "tasks_per_node")
BLOCKS = {
    "--set-resources": "set-resources",
    "--set-resource": "set-resources",
    "--set-threads": "set-threads",
    "--default-resources": "default-resources",
    "--default-res": "default-resources",
    "--groups": "groups",
    "--group-components": "group-components",
    "--resources": "resources",
    "--res": "resources",
    "--set-resource-scopes": "set-resource-scopes",
}
"""Option of Snakemake -> the key of a profile that it replaces as a whole."""


def profile(
    site: Annotated[Path, typer.Argument(help="Site file (docs/cluster.md).")],
    out: Annotated[Path, typer.Option(help="Folder of the profile to write.")],
) -> None:
    """Write the profile of a cluster, for Snakemake called without `instruct-scaling run`."""
    content = load_site(site)
    write_profile(out, site_profile(content), site)
    print(site_line(content))
    print(f"snakemake --workflow-profile {shlex.quote(str(out))} --configfile STUDY")


def site_line(site: Site) -> str:
    """What a site's jobs get, in a line."""
    gpus = site.gpu.gpus * site.finetune_nodes
    nodes = "a node" if site.finetune_nodes == 1 else f"{site.finetune_nodes} nodes"
    return (
        f"finetune: {gpus} ranks on {nodes} of {site.gpu.partition}, "
        f"{site.gpu.cpus // site.gpu.gpus} threads each; generate: 1 GPU of {site.gpu.partition}; "
        f"the rest: {site.cpu.partition}"
    )


def read_profile(folder: Path) -> Profile:
    """The content of a profile's `config.yaml`.

    Raises:
        InputError: it is not YAML or no mapping.
    """
    path = folder / "config.yaml"
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"not valid YAML: {error}", where=path) from error
    if not isinstance(content, dict):
        raise InputError("not a profile of Snakemake", where=path)
    return content


def write_profile(folder: Path, content: Profile, site: Path) -> None:
    """Write `config.yaml` of a profile's folder, whole or not at all."""
    head = f"# Written by instruct-scaling from {site}; edit that file, not this one.\n"
    with atomic_path(folder / "config.yaml") as temporary:
        temporary.write_text(head + yaml.safe_dump(content, sort_keys=False), "utf-8")


def site_profile(site: Site) -> Profile:
    """The shipped profile for one or several nodes with the numbers of a site."""
    shipped = ONE_NODE if site.finetune_nodes == 1 else SEVERAL_NODES
    return fitted(read_profile(SHIPPED / shipped), site)


def fitted(shipped: Mapping[str, Any], site: Site) -> Profile:
    """A profile whose requests fit a site's nodes.

    Partitions, account, constraints, GPUs, ranks and threads come from the site. Memory, CPUs and
    time of other rules stay what the profile says, at most what a node has; a rule with one GPU
    gets that GPU's share of its node.
    """
    found = copy.deepcopy(dict(shipped))
    found["jobs"] = site.jobs
    found["default-resources"] = _on_cpu(found.get("default-resources", {}), site)
    for name in ("slurm_account", "qos"):
        value = {"slurm_account": site.account, "qos": site.qos}[name]
        if value is not None:
            found["default-resources"][name] = _text(value)
    blocks = found.get("set-resources", {})
    # Its memory follows the size of the model, up to what the rule states or a node has.
    blocks["base"] = BASE_LIMITS | blocks.get("base", {})
    for rule, block in blocks.items():
        if rule == ALL_RANKS:
            blocks[rule] = _on_all_gpus(block, site)
        elif _text_of(block.get("slurm_partition")) == GPU_PARTITION:
            blocks[rule] = _on_one_gpu(block, site)
        else:
            blocks[rule] = _on_cpu(block, site)
    threads = found.setdefault("set-threads", {})
    threads[ALL_RANKS] = blocks[ALL_RANKS]["cpus_per_task"]
    return found


def _on_cpu(block: Mapping[str, Any], site: Site) -> Profile:
    found = {
        **block,
        **_at_most(block, site.cpu.cpus, site.cpu.memory_gb, site.cpu.hours),
        "slurm_partition": _text(site.cpu.partition),
    }
    return found | _constraint(site.cpu.constraint)


def _on_one_gpu(block: Mapping[str, Any], site: Site) -> Profile:
    gpu = site.gpu
    share = _at_most(block, gpu.cpus // gpu.gpus, gpu.memory_gb / gpu.gpus, gpu.hours)
    found = {**block, **share, "slurm_partition": _text(gpu.partition), "gres": _gres(site, 1)}
    return found | _gpu_constraint(site)


def _on_all_gpus(block: Mapping[str, Any], site: Site) -> Profile:
    gpu, nodes = site.gpu, site.finetune_nodes
    ranks = gpu.gpus * nodes
    found = {
        **block,
        "slurm_partition": _text(gpu.partition),
        "gres": _gres(site, gpu.gpus),
        "nodes": nodes,
        "ranks": ranks,
        # On one node the ranks share the CPUs of a single task; else each is a task.
        "cpus_per_task": gpu.cpus if nodes == 1 else gpu.cpus // gpu.gpus,
        "limit_megabytes": _megabytes(gpu.memory_gb),
        "limit_minutes": round(gpu.hours * 60),
    }
    if nodes > 1:
        found = {key: value for key, value in found.items() if key not in TASKS} | _tasks(site)
    return found | _gpu_constraint(site)


def _tasks(site: Site) -> Profile:
    """A task for each GPU of each node. They are given by node, for SLURM may put all but one of
    `tasks` on one node; the plugin refuses one a node, which is stated as their number."""
    if site.gpu.gpus == 1:
        return {"tasks": site.finetune_nodes}
    return {"tasks_per_node": site.gpu.gpus}


def _at_most(block: Mapping[str, Any], cpus: int, memory_gb: float, hours: float) -> Profile:
    megabytes, minutes = _megabytes(memory_gb), round(hours * 60)
    bounds = {
        "cpus_per_task": cpus,
        "mem_mb": megabytes,
        "runtime": minutes,
        "limit_megabytes": megabytes,
        "limit_minutes": minutes,
    }
    return {name: _smaller(block[name], bound) for name, bound in bounds.items() if name in block}


def _smaller(value: Any, bound: int) -> Any:
    """A number, or an expression that Snakemake evaluates, bounded from above."""
    return min(value, bound) if isinstance(value, int | float) else f"min({value}, {bound})"


def _megabytes(gigabytes: float) -> int:
    return int(gigabytes * 1000)


def _gres(site: Site, gpus: int) -> str:
    kind = f":{site.gpu.gpu_type}" if site.gpu.gpu_type else ""
    return _text(f"gpu{kind}:{gpus}")


def _constraint(value: str | None) -> Profile:
    return {} if value is None else {"constraint": _text(value)}


def _gpu_constraint(site: Site) -> Profile:
    """That of the GPU nodes; an empty one where the default of all jobs would hold for them."""
    if site.gpu.constraint is None and site.cpu.constraint is not None:
        return {"constraint": _text("")}
    return _constraint(site.gpu.constraint)


def _text(value: str) -> str:
    """A text as a profile holds it: Snakemake evaluates what is not quoted as an expression."""
    return repr(value)


def _text_of(value: Any) -> str:
    return str(value).strip("'\"")


def refuse_replaced_blocks(arguments: Sequence[str], profile: Mapping[str, Any]) -> None:
    """Refuse an option that would drop a block of the profile.

    Raises:
        InputError: it names the option, what would be lost, and where to set the value instead.
    """
    for argument in arguments:
        option = argument.split("=")[0]
        key = BLOCKS.get(option)
        if key is None or key not in profile:
            continue
        lost = profile[key]
        rules = ", ".join(lost) if isinstance(lost, dict) else "what it holds"
        raise InputError(
            f"it would replace the whole block `{key}` of the profile ({rules})",
            where=option,
            fix="set GPUs, nodes and limits in the site file (docs/cluster.md), or write the "
            "profile out with `instruct-scaling profile SITE --out FOLDER`, edit it there and use "
            "`--profile FOLDER`",
        )
