"""Provenance: which code, packages and seeds, and the hashes of what the page was made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from instruct_scaling.common.files import sha256_file
from instruct_scaling.common.provenance import provenance
from instruct_scaling.common.seeds import PURPOSES
from instruct_scaling.config.runs import seed_for
from instruct_scaling.config.study import Study
from instruct_scaling.reporting.report.context import Provenance, Table
from instruct_scaling.reporting.report.wording import NOTHING

_HASH_DIGITS = 16


def origin(study: Study, documents: dict[str, Any], hashed: Iterable[Path]) -> Provenance:
    """Where the page comes from.

    Args:
        study: the study.
        documents: name -> JSON value of the audits and train.json files; those with a
            `provenance` are compared with the code that writes the page.
        hashed: files whose SHA-256 is printed.
    """
    here = provenance("report", study.model_dump(mode="json"), {})
    facts = [
        ("instruct-scaling", here["instruct_scaling"]),
        ("commit", here["commit"] or "not a git checkout"),
        ("source hash", here["source_hash"]),
        ("study identity", here["identity_hash"]),
        ("Python", here["python"]),
        ("platform", here["platform"]),
    ]
    return Provenance(
        facts=facts,
        packages=sorted(here["packages"].items()),
        seeds=_seeds(study),
        inputs=_hashes(hashed),
        differences=list(dict.fromkeys(_differences(documents, here))),
    )


def _seeds(study: Study) -> Table:
    rows = [
        [str(replicate), *(str(seed_for(study, replicate, purpose)) for purpose in PURPOSES)]
        for replicate in study.seeds.replicates
    ]
    columns = ["replicate", *PURPOSES]
    return Table(columns, rows, numeric=frozenset(columns))


def _hashes(paths: Iterable[Path]) -> Table:
    rows = [[path.name, sha256_file(path)[:_HASH_DIGITS]] for path in paths if path.exists()]
    return Table(["file", f"SHA-256 (first {_HASH_DIGITS} digits)"], rows)


def _differences(documents: dict[str, Any], here: dict[str, Any]) -> Iterator[str]:
    """One line for each way in which an artefact was made by other code or packages."""
    for name, document in documents.items():
        made = document.get("provenance") if isinstance(document, dict) else None
        if not isinstance(made, dict):
            continue
        stage = made.get("stage", name)
        for key in ("instruct_scaling", "commit", "python"):
            if key in made and made[key] != here[key]:
                yield f"{stage}: {key} was {made[key] or NOTHING}, here {here[key] or NOTHING}"
        for package, version in (made.get("packages") or {}).items():
            now = here["packages"].get(package)
            if now is not None and now != version:
                yield f"{stage}: {package} was {version}, here {now}"
