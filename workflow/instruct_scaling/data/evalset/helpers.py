"""What the prompt of a code item gives: imports and complete functions before the one asked for.

HumanEval's prompts are such programs: the text up to a function that has a docstring and no body.
Three of its tests call a function that the prompt gives (`poly`, `encode_cyclic`, `encode_shift`).
It belongs to the item, so that no program can replace it for the tests.
"""

from __future__ import annotations

import ast
import re

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*\n(.*?)^[ \t]*(?:```|~~~)", re.DOTALL | re.MULTILINE)


def helpers_in(prompt: str) -> str | None:
    """The part of a prompt before the function that it asks for, None where there is none.

    The prompt, or one of its fenced blocks, must be a Python program whose last statement is a
    function without a body. Of the functions before it only those with a body are taken.
    """
    for part in (prompt, *(match.group(1) for match in _FENCE.finditer(prompt))):
        tree = _parsed(part)
        if tree is not None and tree.body and _is_asked_for(tree.body[-1]):
            given = [node for node in tree.body[:-1] if not _is_asked_for(node)]
            return "\n\n".join(ast.get_source_segment(part, node) or "" for node in given) or None
    return None


def _parsed(prompt: str) -> ast.Module | None:
    """The prompt as a program; one that ends in a function's head is given a body."""
    for source in (prompt, f"{prompt.rstrip()}\n    pass"):
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


def _is_asked_for(node: ast.stmt) -> bool:
    """A function of nothing but a docstring, `pass` or `...`."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return all(
        isinstance(part, ast.Pass)
        or (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
        for part in node.body
    )
