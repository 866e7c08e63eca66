"""pip and the conda environments pin the same versions, and each has what its stages import."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
STAGES = {
    "data": ["evalset", "pool", "validation", "subset"],
    "train": ["base", "finetune", "generate"],
    "judge": ["judge", "scores"],
    "analysis": [
        "costs",
        "losses",
        "intermediate_checkpoints",
        "report",
        "budget",
        "analysis.curves",
        "analysis.figures",
    ],
}
COMMON = ROOT / "workflow" / "rules" / "common.smk"  # no rule in it
# Needed beside what is imported by name.
IMPLIED = {"accelerate", "ninja", "tensorboard", "pyarrow"}


def folded(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lines: list[str]) -> dict[str, str]:
    found = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, version = line.split("==")
            found[folded(name)] = version
    return found


@cache
def constraints() -> dict[str, str]:
    return pins((ROOT / "envs" / "constraints.txt").read_text("utf-8").splitlines())


def environment(name: str) -> dict[str, str]:
    content = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text("utf-8"))
    (pip,) = [entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict)]
    return pins(pip)


def location(module: str) -> Path:
    name = module if module.startswith("analysis") else f"workflow.{module}"
    return ROOT.joinpath(*name.split("."))


def stage_files(module: str) -> list[Path]:
    """Source files of a stage: its module, or all of its package."""
    path = location(module)
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def imported_file(module: str) -> Path | None:
    """The file that importing one of our modules runs; None for a name inside a module."""
    path = location(module)
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return file if file.exists() else None


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def third_party(stage: str) -> set[str]:
    """Distributions that a stage imports, directly or through our own modules."""
    start = stage if stage.startswith("analysis") else f"instruct_scaling.{stage}"
    todo, seen, names = stage_files(start), set(), set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for module in imports(path):
            top = module.split(".")[0]
            if top in ("instruct_scaling", "analysis"):
                todo += filter(None, [imported_file(module)])
            elif top not in sys.stdlib_module_names:
                names.add(top)
    known = packages_distributions()
    return {folded(known[name][0]) for name in names if name in known}


@pytest.mark.parametrize("name", STAGES)
def test_an_environment_pins_what_the_constraints_pin(name):
    for package, version in environment(name).items():
        assert constraints()[package] == version


@pytest.mark.parametrize(("name", "stage"), [(n, s) for n, all_ in STAGES.items() for s in all_])
def test_an_environment_has_what_its_stage_imports(name, stage):
    missing = third_party(stage) - set(environment(name)) - OPTIONAL
    assert missing == set()


@pytest.mark.parametrize("name", STAGES)
def test_an_environment_has_nothing_that_no_stage_imports(name):
    used = set().union(*(third_party(stage) for stage in STAGES[name]))
    assert set(environment(name)) - used - IMPLIED == set()


def test_every_dependency_of_the_project_is_pinned():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["dependencies"] + [
        requirement
        for extra in project["optional-dependencies"].values()
        for requirement in extra
        if not requirement.startswith("instruct-scaling")
    ]
    names = {folded(re.match(r"[\w.\-]+", requirement)[0]) for requirement in wanted}
    assert names - set(constraints()) == set()


def test_what_the_stages_import_is_declared():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {folded(re.match(r"[\w.\-]+", line)[0]) for line in project["dependencies"]}
    used = set().union(*(third_party(stage) for all_ in STAGES.values() for stage in all_))
    assert used - declared - OPTIONAL == set()
    assert IMPLIED - declared == set()


def test_every_rule_names_one_of_the_environments():
    for rule in set((ROOT / "workflow" / "rules").glob("*.smk")) - {COMMON}:
        named = re.findall(r'"\.\./\.\./envs/(\w+)\.yaml"', rule.read_text("utf-8"))
        assert len(named) == 1, rule.name
        assert named[0] in STAGES


# Imported only where they are installed (GPU back-ends, loggers).
OPTIONAL = {"flash-attn", "triton", "trl"}
