"""A phase imports those before it, `config` and `common`, never one after it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "workflow" / "instruct_scaling"
# In the order of the pipeline. `cli` and `commands` stand above all of them.
PHASES = ("common", "config", "data", "models", "training", "evaluation", "reporting")


def imports(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of every import of a file, those inside functions too.

    Args:
        path: the file.
        root: the folder that holds the top-level package.
    """
    package = path.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield node.lineno, module
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def phase_of(module: str) -> str | None:
    """The phase that a module belongs to, None for one outside the package or at its root."""
    parts = module.split(".")
    found = len(parts) > 1 and parts[0] == "instruct_scaling" and parts[1] in PHASES
    return parts[1] if found else None


def violations(root: Path) -> list[str]:
    """Every import of a later phase, as `file:line: phase imports module`."""
    found = []
    for path in sorted((root / "instruct_scaling").rglob("*.py")):
        relative = path.relative_to(root)
        own = phase_of(".".join(relative.with_suffix("").parts))
        if own is None:
            continue
        for line, module in imports(path, root):
            other = phase_of(module)
            if other is not None and PHASES.index(other) > PHASES.index(own):
                found.append(f"{relative}:{line}: {own} imports {module}")
            elif module.startswith(("instruct_scaling.cli", "instruct_scaling.commands")):
                found.append(f"{relative}:{line}: {own} imports the command line")
    return found


def test_no_phase_imports_a_later_one():
    assert violations(ROOT / "workflow") == []


def test_every_module_belongs_to_a_phase():
    loose = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py", "__main__.py", "cli.py"}
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert loose == set(), "a module beside the phases"
    assert folders - {"commands"} == set(PHASES)


def test_the_analysis_imports_nothing_of_the_package():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {module}"
        for path in sorted((ROOT / "analysis").rglob("*.py"))
        for line, module in imports(path, ROOT)
        if module.split(".")[0] == "instruct_scaling"
    ]
    assert found == []


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("data/pool/a.py", "from instruct_scaling.training.loop import x", "data imports"),
        ("common/a.py", "import instruct_scaling.config.load", "common imports"),
        ("config/a.py", "def f():\n    from ..models import base", "a.py:2: config imports"),
        ("models/a.py", "from instruct_scaling import evaluation", "models imports"),
        ("training/a.py", "from instruct_scaling.cli import main", "the command line"),
    ],
)
def test_a_wrong_import_is_named(tmp_path, file, text, says):
    path = tmp_path / "instruct_scaling" / file
    path.parent.mkdir(parents=True)
    path.write_text(text, "utf-8")
    assert any(says in line for line in violations(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "from instruct_scaling.common.files import x",
        "from instruct_scaling.config import runs",
        "from instruct_scaling.data.pool.store import x",
        "from analysis.errors import InputError",
        "from . import packing",
    ],
)
def test_imports_of_earlier_phases_are_allowed(tmp_path, text):
    path = tmp_path / "instruct_scaling" / "models" / "a.py"
    path.parent.mkdir(parents=True)
    path.write_text(text, "utf-8")
    assert violations(tmp_path) == []
