"""What an item asks of a program: tests, helpers, and the names that pass between the two."""

from __future__ import annotations

import ast
import builtins
import symtable
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

from instruct_scaling.common.records import Constraints

_PARSER = Lock()  # `catch_warnings` changes the whole process


@dataclass(frozen=True, slots=True)
class Task:
    """One item's tests, ready to be run.

    Attributes:
        helpers: what the prompt gives, run on both sides; the program cannot replace it for the
            tests.
        prelude: imports of the reference that the tests use without importing.
        names: names of the program that the tests use.
        reference: the item's own program, None where it has none.
    """

    tests: str
    helpers: str
    prelude: str
    names: tuple[str, ...]
    reference: str | None
    same_process: bool = False


def make_task(checks: Constraints, reference: str | None) -> Task:
    """The task of an item's checks.

    Args:
        reference: the item's program, already taken out of its fences.

    Raises:
        ValueError: tests or helpers are no Python.
    """
    tests, helpers = checks.tests or "", checks.helpers or ""
    for name, source in (("tests", tests), ("helpers", helpers)):
        if parse(source) is None:
            raise ValueError(f"`checks.{name}` is no Python program")
    tree = parse(reference or "") or ast.Module([], [])
    defined = top_level_names(tree)
    own = top_level_names(parse(helpers)) | top_level_names(parse(tests))
    used = free_names(tests) | free_names(helpers)
    imports = _imports(tree)
    modules = {name for name in used - own if name in imports or name in sys.stdlib_module_names}
    modules -= set(defined) - set(imports) | set(vars(builtins))
    names = {
        name for name in used - own - modules if not hasattr(builtins, name) or name in defined
    }
    return Task(
        tests=tests,
        helpers=helpers,
        prelude="\n".join(imports.get(name, f"import {name}") for name in sorted(modules)),
        names=tuple(sorted(names)),
        reference=reference,
        same_process=bool(checks.same_process),
    )


def parse(source: str) -> ast.Module | None:
    """The syntax tree of a program, None where it is none (or more than the parser can take)."""
    result = parse_or_error(source)
    return result if isinstance(result, ast.Module) else None


def parse_or_error(source: str) -> ast.Module | SyntaxError | None:
    """The syntax tree or the syntax error, None where the parser can do nothing with the text."""
    with _PARSER, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in the program's texts
        try:
            return ast.parse(source)
        except SyntaxError as error:
            return error
        except (ValueError, RecursionError, MemoryError):
            return None


def top_level_names(tree: ast.Module | None) -> set[str]:
    """Names that a module's own statements define, also within its `if`, `try` and `with`."""
    return {name for node in _statements(tree.body if tree else []) for name in _defined(node)}


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        for part in ("body", "orelse", "finalbody"):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _statements(getattr(node, part, []))
        for handler in getattr(node, "handlers", []):
            yield from _statements(handler.body)


def _defined(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Import() | ast.ImportFrom():
            yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign() | ast.For() | ast.With():
            for part in ast.walk(node):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    yield part.id


def _imports(tree: ast.Module) -> dict[str, str]:
    """Name -> statement of each import of the standard library at the top of a program."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.split(".")[0]
                if alias.name.split(".")[0] in sys.stdlib_module_names:
                    found[name] = ast.unparse(ast.Import([alias]))
        elif isinstance(node, ast.ImportFrom) and _is_of_library(node):
            for alias in node.names:
                one = ast.ImportFrom(node.module, [alias], 0)
                found[alias.asname or alias.name] = ast.unparse(one)
    return found


def _is_of_library(node: ast.ImportFrom) -> bool:
    return not node.level and (node.module or "").split(".")[0] in sys.stdlib_module_names


def free_names(source: str) -> set[str]:
    """Global names that a program reads, whether it defines them or not.

    Raises:
        ValueError: it is no Python program.
    """
    with _PARSER, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return set(_free(symtable.symtable(source, "<item>", "exec")))
        except (SyntaxError, RecursionError, MemoryError) as error:
            raise ValueError(str(error)) from None


def _free(table: symtable.SymbolTable) -> Iterator[str]:
    top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (top or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _free(child)
