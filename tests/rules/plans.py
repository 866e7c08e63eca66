"""Many dry runs in one process that imports Snakemake once: `python -m tests.rules.plans < JSON`.

Each request is a fork of its own, so that no dry run sees what another has left behind.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import snakemake.cli

import instruct_scaling.config.load
import instruct_scaling.reporting.budget  # noqa: F401  (loaded before the forks)
from instruct_scaling.common.versions import STAGE_VERSIONS


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run Snakemake with the request's arguments; `raised` names a stage of a version above."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("stdout", "stderr")]
        child = os.fork()
        if child == 0:
            for number, path in enumerate(paths, 1):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
            _dry_run(request)
        _, status = os.waitpid(child, 0)
        stdout, stderr = (path.read_text("utf-8") for path in paths)
        return {"code": os.waitstatus_to_exitcode(status), "stdout": stdout, "stderr": stderr}


def _dry_run(request: dict[str, Any]) -> NoReturn:
    if request["raised"]:
        STAGE_VERSIONS[request["raised"]] += 1
    code = 1
    try:
        snakemake.cli.main(request["arguments"])
    except SystemExit as done:
        code = int(done.code or 0)
    finally:  # never back into the parent's code
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    json.dump([answer(request) for request in json.load(sys.stdin)], sys.stdout)
