"""Make jobs run the code and the Python that run the workflow."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def use_this_checkout() -> None:
    """Put this checkout first on PYTHONPATH and this interpreter's folder first on PATH.

    Jobs inherit both. A conda environment that Snakemake activates for a job still goes before
    PATH, so its Python is used, with this checkout's code. An installed package is no checkout:
    its folder would bring all other packages along.
    """
    if (ROOT / "workflow" / "Snakefile").is_file():
        _prepend("PYTHONPATH", ROOT / "workflow", ROOT)
    _prepend("PATH", Path(sys.executable).parent)


def _prepend(variable: str, *folders: Path) -> None:
    present = os.environ.get(variable, "").split(os.pathsep)
    rest = [entry for entry in present if entry and entry not in map(str, folders)]
    os.environ[variable] = os.pathsep.join([*map(str, folders), *rest])
