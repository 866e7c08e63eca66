"""What works on this machine, what is missing, and what to install."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from instruct_scaling.common import fetch
from instruct_scaling.common.errors import InputError

TIMEOUT_SECONDS = 3.0
PACKAGES = ("transformers", "deepspeed", "peft", "datasets", "snakemake")
COLUMN = 18
CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
# Settings that forbid user namespaces: name, the value that forbids, the value that allows.
SYSCTLS = (
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),  # Ubuntu 24.04
    ("kernel.unprivileged_userns_clone", "0", "1"),  # Debian 10
    ("user.max_user_namespaces", "0", "15000"),  # RHEL 7
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: `ok`, `none` (optional, and what happens without it) or `missing`."""

    what: str
    status: Literal["ok", "none", "missing"]
    text: str
    fix: str | None = None

    def __str__(self) -> str:
        line = f"{self.status:<8}{self.what:<{COLUMN}}{self.text}"
        return line if self.fix is None else f"{line}\n{' ' * (8 + COLUMN)}{self.fix}"


def doctor() -> None:
    """Say what works on this machine, what is missing, and what to install."""
    for finding in findings():
        print(finding, flush=True)


def findings() -> Iterator[Finding]:
    """The findings of every check; a check that fails itself is one too."""
    checks: dict[str, Callable[[], Finding]] = {
        "Python": python,
        "packages": packages,
        "PyTorch": torch,
        "GPUs": gpus,
        "compilers": compilers,
        "programs": programs,
        "SLURM": slurm,
        "Hugging Face hub": hub,
        "offline folder": offline_folder,
        "disk": disk,
    }
    for what, check in checks.items():
        try:
            yield check()
        except Exception as error:  # one broken installation must not hide the other checks
            yield Finding(what, "missing", f"the check failed: {type(error).__name__}: {error}")


def python() -> Finding:
    """The interpreter's version and machine."""
    system = f"{platform.system()} {platform.machine()}, {_cores()} cores"
    return Finding("Python", "ok", f"{platform.python_version()}, {system}")


def packages() -> Finding:
    """The larger packages of the stages, by their metadata alone."""
    found = {name: _version(name) for name in PACKAGES}
    lacking = [name for name, version in found.items() if version is None]
    if lacking:
        fix = "pip install -c envs/constraints.txt -e ."
        return Finding("packages", "missing", ", ".join(lacking), fix)
    return Finding("packages", "ok", ", ".join(f"{n} {v}" for n, v in found.items()))


def torch() -> Finding:
    """PyTorch, imported."""
    try:
        import torch
    except ImportError as error:
        fix = "pip install -c envs/constraints.txt -e ."
        return Finding("PyTorch", "missing", f"cannot be imported: {error}", fix)
    return Finding("PyTorch", "ok", torch.__version__)


def gpus() -> Finding:
    """The GPUs that PyTorch sees."""
    import torch

    if not torch.cuda.is_available():
        if shutil.which("nvidia-smi"):
            fix = "install a PyTorch build for this driver's CUDA version"
            return Finding("GPUs", "missing", "nvidia-smi is here, but PyTorch sees no GPU", fix)
        return Finding("GPUs", "none", "fine-tuning runs on the CPU, two ranks by default")
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    memory = torch.cuda.get_device_properties(0).total_memory / 1e9
    half = "bf16" if torch.cuda.is_bf16_supported() else "no bf16: set precision to fp16 or fp32"
    return Finding("GPUs", "ok", f"{len(names)} x {names[0]}, {memory:.0f} GB, {half}")


def compilers() -> Finding:
    """The compilers that DeepSpeed and torch.compile build their extensions with."""
    host = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    device = shutil.which("nvcc")
    if host is None:
        fix = "apt install g++ (only DeepSpeed's CPU offload needs it)"
        return Finding("compilers", "none", "no C++ compiler", fix)
    return Finding("compilers", "ok", ", ".join(filter(None, [host, device])))


def programs() -> Finding:
    """How programs that models write are kept apart: each way is tried with a program."""
    from instruct_scaling.evaluation.judge.programs.walls import NoIsolation, Walls

    try:
        walls = Walls(timeout_seconds=5, memory_mb=512)
    except NoIsolation as error:
        without = "programs that models write are not run, code stays without a score"
        return Finding("programs", "none", f"{without}: {error}", bubblewrap_advice(str(error)))
    text = str(walls.isolation)
    if walls.isolation.rung == "bubblewrap":
        return Finding("programs", "ok", text)
    reasons = "; ".join(dict.fromkeys(walls.passed_over))
    advice = f"{bubblewrap_advice(reasons)} (stronger, not needed)"
    return Finding("programs", "ok", f"{text}; {reasons}", advice)


def bubblewrap_advice(reasons: str) -> str:
    """What to install or to allow so that bubblewrap works here.

    Args:
        reasons: why it does not.
    """
    if "Unknown option" in reasons:
        return "install bubblewrap 0.7 or later"
    if not shutil.which("bwrap"):
        return "apt install bubblewrap"
    if any(Path(mark).exists() for mark in CONTAINER_MARKS):
        return (
            "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined, "
            "as an ordinary user, or as root with --cap-add SYS_ADMIN"
        )
    wrong = [f"sysctl {name}={right}" for name, value, right in SYSCTLS if _sysctl(name) == value]
    return f"sudo {' '.join(wrong[:1])}" if wrong else "allow user namespaces to bubblewrap"


def _sysctl(name: str) -> str | None:
    """A setting of the kernel, None where it has none of that name."""
    try:
        return Path("/proc/sys", *name.split(".")).read_text("ascii").strip()
    except OSError:
        return None


def slurm() -> Finding:
    """SLURM's commands and Snakemake's plugin for it."""
    here, plugin = shutil.which("sbatch"), _version("snakemake-executor-plugin-slurm")
    if here is None:
        return Finding("SLURM", "none", "no sbatch: studies run on this machine (profile local)")
    if plugin is None:
        fix = "pip install -c envs/constraints.txt -e '.[slurm]'"
        return Finding("SLURM", "missing", "sbatch is here, Snakemake's plugin is not", fix)
    command = ["sinfo", "--noheader", "--format", "%P"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    partitions = ", ".join(listed.stdout.split())
    if listed.returncode != 0 or not partitions:
        return Finding("SLURM", "missing", "sinfo lists no partition", "check the cluster")
    from instruct_scaling.commands.slurm.controller import (
        accounting_error,
        choose_status,
        controller_config,
    )

    status = choose_status(controller_config(), accounting_error())
    text = f"partitions {partitions}; plugin {plugin}; {status}"
    return Finding("SLURM", "ok", text)


def hub() -> Finding:
    """Whether models and data sets can be fetched from the Hugging Face hub."""
    if os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on"):
        return Finding("Hugging Face hub", "none", "HF_HUB_OFFLINE is set: local files only")
    address = os.environ.get("HF_ENDPOINT", fetch.HUB)
    try:
        request = urllib.request.Request(address, method="HEAD")
        urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS).close()
    except urllib.error.HTTPError as error:  # it answers
        return Finding("Hugging Face hub", "ok", f"{address} answers ({error.code})")
    except OSError as error:
        reason = getattr(error, "reason", error)
        fix = "only needed for hub bases and hub sources; set HF_ENDPOINT for a mirror"
        return Finding("Hugging Face hub", "none", f"{address}: {reason}", fix)
    login = "with a token" if os.environ.get("HF_TOKEN") else "without a token"
    return Finding("Hugging Face hub", "ok", f"{address} answers, {login}")


def offline_folder() -> Finding:
    """The folders with copies of what studies take from the web."""
    try:
        offline = fetch.offline_folder()
    except InputError as error:
        return Finding("offline folder", "missing", f"{error.where}: {error.what}", error.fix)
    cache = fetch.cache_folder()
    cached = f"cache {cache}: {_files(cache)} files"
    if offline is None:
        fix = (
            f"only needed without a network: prefetch CONFIG --to FOLDER, then set {fetch.OFFLINE}"
        )
        return Finding("offline folder", "none", f"{fetch.OFFLINE} is not set; {cached}", fix)
    return Finding("offline folder", "ok", f"{offline}: {_files(offline)} files; {cached}")


def _files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def disk() -> Finding:
    """Free space where a study's results go by default."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    return Finding("disk", "ok", f"{free:,.0f} GB free in {Path.cwd()}")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
