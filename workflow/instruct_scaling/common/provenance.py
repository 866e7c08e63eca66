"""Which config, code, data and packages made an artifact."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from instruct_scaling import __version__
from instruct_scaling.common.versions import STAGE_VERSIONS

PACKAGE_ROOT = Path(__file__).resolve().parents[1]

# Packages whose version can change a result; those not installed are left out.
PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "deepspeed",
    "peft",
    "datasets",
    "datasketch",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "sacrebleu",
    "regex",
    "rouge-score",
    "math-verify",
    "openai",
    "matplotlib",
    "seaborn",
    "snakemake",
    "sympy",
)


def provenance(stage: str, identity: dict[str, Any], inputs: dict[str, str]) -> dict[str, Any]:
    """The provenance of one artifact, as a JSON value.

    Args:
        stage: name of the stage that made it.
        identity: the config section and seeds that the stage was given.
        inputs: name of each input -> its SHA-256.
    """
    return {
        "stage": stage,
        "stage_version": STAGE_VERSIONS[stage],
        "instruct_scaling": __version__,
        "commit": git_commit(),
        "source_hash": source_hash(),
        "identity": identity,
        "identity_hash": identity_hash(identity),
        "inputs": inputs,
        "packages": package_versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def identity_hash(identity: Any) -> str:
    """16 hex digits that stand for a JSON value, whatever the order of its keys."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8"), digest_size=8).hexdigest()


@cache
def package_versions() -> dict[str, str]:
    """Installed versions of the packages that can change a result."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def git_commit() -> str | None:
    """Commit of the checkout this code runs from, with `+` if it has uncommitted changes."""
    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            cwd=PACKAGE_ROOT,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip() or None


@cache
def source_hash() -> str:
    """Hash of the package's own source files: a commit says nothing of edited ones."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE_ROOT.rglob("*.py")):
        digest.update(str(path.relative_to(PACKAGE_ROOT)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
