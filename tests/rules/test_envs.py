"""Rules have what they need, and their environments what their stages import, at one version."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from instruct_scaling.cli import COMMANDS, DEVELOPMENT, STAGES, Subcommand

ROOT = Path(__file__).resolve().parents[2]
# Needed beside what is imported by name.
IMPLIED = {"accelerate", "ninja", "tensorboard", "pyarrow"}
# Imported only where they are installed (GPU back-ends, loggers, GGUF bases).
OPTIONAL = {"flash-attn", "gguf", "triton", "trl"}


def rule_bodies(path: Path) -> list[tuple[str, str]]:
    """Name and text of every rule of a file."""
    return re.findall(r"^rule (\w+):\n((?:[ \n].*\n?)+)", path.read_text("utf-8"), re.M)


def environments() -> dict[str, list[str]]:
    """Environment -> the stages whose rules run in it, as the rule files say."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        for name, body in rule_bodies(path):
            (environment,) = re.findall(r'"\.\./\.\./envs/(\w+)\.yaml"', body)
            found.setdefault(environment, []).append(name.replace("_", "-"))
    return found


ENVIRONMENTS = environments()
PAIRS = [(name, stage) for name, stages in ENVIRONMENTS.items() for stage in stages]


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lines: list[str]) -> dict[str, str]:
    found = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, version = line.split("==")
            found[normalized(name)] = version
    return found


@cache
def constraints() -> dict[str, str]:
    return pins((ROOT / "envs" / "constraints.txt").read_text("utf-8").splitlines())


@cache
def distributions() -> Mapping[str, list[str]]:
    """Top-level module -> the installed distributions that have it."""
    return packages_distributions()


def environment(name: str) -> dict[str, str]:
    content = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text("utf-8"))
    (pip,) = [entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict)]
    return pins(pip)


def location(module: str) -> Path:
    name = module if module.startswith("analysis") else f"workflow.{module}"
    return ROOT.joinpath(*name.split("."))


def imported_file(module: str) -> Path | None:
    """The file that importing one of our modules runs; None for a name inside a module."""
    path = location(module)
    files = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in files if file.is_file()), None)


@cache
def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def third_party(subcommand: Subcommand) -> set[str]:
    """Distributions that a subcommand imports, directly or through our own modules."""
    module = subcommand.function.split(":")[0]
    start = module if module.startswith("analysis") else f"instruct_scaling.{module}"
    todo, seen, names = [imported_file(start)], set(), set()
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
    known = distributions()
    return {normalized(known[name][0]) for name in names if name in known}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_every_stage_has_a_rule_with_an_environment_and_every_environment_a_rule():
    assert sorted(stage for _, stage in PAIRS) == sorted(STAGES)
    files = {path.stem for path in (ROOT / "envs").glob("*.yaml")}
    assert ENVIRONMENTS.keys() == files


@pytest.mark.parametrize("path", sorted((ROOT / "workflow" / "rules").glob("*.smk")), ids=str)
def test_a_rule_has_a_log_and_one_that_costs_something_a_benchmark_and_limits(path):
    for name, body in rule_bodies(path):
        parts = set(re.findall(r"^    (\w+):", body, re.M))
        assert {"output", "log", "conda", "params", "shell"} <= parts, name
        if "localrule" not in parts:
            assert {"benchmark", "resources"} <= parts, name
            assert {"mem_mb", "runtime"} <= set(re.findall(r"(\w+)=", body)), name


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_environment_pins_what_the_constraints_pin(name):
    for package, version in environment(name).items():
        assert constraints()[package] == version


@pytest.mark.parametrize(("name", "stage"), PAIRS)
def test_an_environment_has_what_its_stage_imports(name, stage):
    missing = third_party(STAGES[stage]) - set(environment(name)) - OPTIONAL
    assert missing == set()


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_environment_has_nothing_that_no_stage_imports(name):
    used = set().union(*(third_party(STAGES[stage]) for stage in ENVIRONMENTS[name]))
    assert set(environment(name)) - used - IMPLIED == set()


def test_the_image_is_built_from_the_same_versions_and_has_the_whole_checkout():
    """Apptainer itself cannot be run here: the definition is read."""
    text = (ROOT / "envs" / "instruct-scaling.def").read_text("utf-8")
    sections = dict(re.findall(r"^%(\w+)\n((?:(?:    .*)?\n)+)", text, re.M))
    assert sections.keys() == {"files", "post", "environment", "runscript", "test"}
    assert "pip install --no-cache-dir -c envs/constraints.txt -e '.[slurm]'" in sections["post"]
    copied = [line.split() for line in sections["files"].splitlines() if line]
    assert all(target == f"/opt/instruct-scaling/{name}" for name, target in copied)
    names = {name for name, _ in copied}
    assert all((ROOT / name).exists() for name in names)
    # What an installation from the checkout and the workflow read.
    assert {"Snakefile", "workflow", "analysis", "envs", "pyproject.toml", "README.md"} <= names
    version = re.search(r"^From: python:(\d+\.\d+)", text, re.M)
    assert version is not None
    wanted = {line for path in (ROOT / "envs").glob("*.yaml") for line in [path.read_text("utf-8")]}
    assert all(f"python={version[1]}" in environment for environment in wanted)


def test_every_dependency_of_the_project_is_pinned():
    wanted = project()["dependencies"] + [
        requirement
        for extra in project()["optional-dependencies"].values()
        for requirement in extra
        if not requirement.startswith("instruct-scaling")
    ]
    names = {normalized(re.match(r"[\w.\-]+", requirement)[0]) for requirement in wanted}
    assert names - set(constraints()) == set()


def test_what_stages_and_commands_import_is_declared():
    declared = {normalized(re.match(r"[\w.\-]+", line)[0]) for line in project()["dependencies"]}
    subcommands = [*STAGES.values(), *COMMANDS.values(), *DEVELOPMENT.values()]
    used = set().union(*map(third_party, subcommands))
    assert used - declared - OPTIONAL == set()
    assert IMPLIED - declared == set()
