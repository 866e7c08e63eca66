"""The program of an answer, as people write answers.

An answer has fenced blocks, or code with prose around it. Its *pieces* are the blocks that are
Python; the program is the last piece that defines what the tests call (a correction follows what it
corrects), with the pieces that define what it uses. Pieces that only show how it is used, its
output, and versions that a later one replaces are left out.
"""

from __future__ import annotations

import ast
import html
import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import regex

from instruct_scaling.evaluation.judge.programs.task import (
    free_names,
    parse,
    parse_or_error,
    top_level_names,
)

MAX_CHARS = 200_000  # of an answer that is taken apart; a longer one is a program as it stands
PARSED_CHARS = 1_000_000  # in the search for code in prose: a second at most
_PYTHON = {"", "python", "python2", "python3", "py", "py3", "pycon", "ipython", "sage"}
_FENCE = regex.compile(r"^(?P<indent>[ \t>]*)(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)$")
_INLINE = regex.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_CODE_LINE = regex.compile(
    r"(?:async |def |class |import |from \S+ import |@\w|if |for |while |try:|with |return |"
    r"print\(|assert |[A-Za-z_][\w.\[\]'\", ]*\s*(?:[-+*/|&%]|//|\*\*)?=(?!=)|"
    r"[A-Za-z_]\w*:\s*\w+.*=)"
)
_GOES_ON = regex.compile(r"(?:else|elif|except|finally)\b")


@dataclass(frozen=True, slots=True)
class Piece:
    """One block of an answer that is a Python program."""

    text: str
    tree: ast.Module

    @property
    def defines(self) -> set[str]:
        """Its names, without functions that have no body yet."""
        return top_level_names(self.tree) - _stubs(self.tree)


def extract_program(answer: str, wanted: Collection[str] = ()) -> str:
    """The Python program of an answer.

    Args:
        answer: the text, without what a model thinks aloud before it.
        wanted: names that the tests call; without them, every block with definitions is taken.

    Returns:
        The program; where nothing in the answer is Python, its first Python block or all of it,
        which then fails with a syntax error.
    """
    text = _clean(answer)
    if len(text) > MAX_CHARS:
        return text
    blocks = list(_fenced(text.split("\n")))
    named = [body for language, body in blocks if language in _PYTHON]
    whole = None if named else parse(text)
    if whole is not None and not any(_is_prose(node) for node in whole.body):
        return text
    pieces = _pieces(named)
    if not _useful(pieces, wanted):
        pieces = _useful(_pieces(Search(text).found), wanted) or pieces
    if not _useful(pieces, wanted):
        pieces = _useful(_pieces([_without_prompts(text)]), wanted) or pieces
    if not _useful(pieces, wanted):
        pieces = _useful(_pieces(_INLINE.findall(text)), wanted) or pieces
    if not _useful(pieces, wanted) and "&" in text:  # once escaped for a web page
        escaped = [body for _, body in _fenced(html.unescape(text).split("\n"))]
        pieces = _useful(_pieces(escaped), wanted) or pieces
    if not pieces:
        return named[0] if named else text
    return "\n\n".join(piece.text for piece in choose(pieces, wanted))


def choose(pieces: Sequence[Piece], wanted: Collection[str]) -> list[Piece]:
    """The pieces that make the program, in their order."""
    targets = {name for name in wanted if any(name in piece.defines for piece in pieces)}
    if not targets:
        with_definitions = [piece for piece in pieces if _has_definitions(piece)]
        return with_definitions or list(pieces[:1])
    chosen: set[int] = set()
    while targets:
        name = targets.pop()
        if any(name in pieces[number].defines for number in chosen):
            continue
        number = _last_that_defines(name, pieces, len(pieces))
        if number is None:
            continue
        chosen.add(number)
        targets |= _lacks(pieces[number])
    return [pieces[number] for number in sorted(chosen)]


def _last_that_defines(name: str, pieces: Sequence[Piece], below: int) -> int | None:
    for number in reversed(range(below)):
        if name in pieces[number].defines:
            return number
    return None


def _lacks(piece: Piece) -> set[str]:
    """Names that a piece reads and does not define."""
    try:
        return free_names(piece.text) - piece.defines
    except ValueError:
        return set()


def _useful(pieces: list[Piece], wanted: Collection[str]) -> list[Piece]:
    """The pieces, or none of them where they define nothing (or nothing of what is wanted)."""
    found = {name for piece in pieces for name in piece.defines}
    useful = bool(found & set(wanted)) if wanted else bool(found)
    return pieces if useful else []


def _is_prose(node: ast.stmt) -> bool:
    """A statement of nothing but names, such as "Sure" or "[DONE]"."""
    kinds = (ast.Expr, ast.Name, ast.List, ast.Tuple, ast.expr_context)
    return isinstance(node, ast.Expr) and all(isinstance(part, kinds) for part in ast.walk(node))


def _has_definitions(piece: Piece) -> bool:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return any(isinstance(node, kinds) for node in piece.tree.body)


def _stubs(tree: ast.Module) -> set[str]:
    """Functions of nothing but a docstring or `...`, which only show a signature."""
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and all(
            isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
            for part in node.body
        )
    }


def _clean(text: str) -> str:
    """Without byte order marks; line ends as LF; the spaces of web pages as spaces."""
    text = text.replace("\ufeff", "").replace("\u200b", "")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\u00a0", " ").replace("\u3000", " ") if "\n" in text else text.strip()


def _fenced(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Language and content of each fenced block; one that is cut off ends with the text."""
    number = 0
    while number < len(lines):
        opened = _FENCE.match(lines[number])
        number += 1
        if opened is None:
            continue
        body = []
        while number < len(lines) and not _closes(lines[number], opened["mark"]):
            body.append(_unindented(lines[number], opened["indent"]))
            number += 1
        number += 1
        info = opened["info"].strip().lower().split()
        language = info[0].strip("{}.") if info else ""
        yield language, "\n".join(body)


def _closes(line: str, mark: str) -> bool:
    line = line.strip(" \t>")
    return len(line) >= len(mark) and set(line) == {mark[0]}


def _unindented(line: str, indent: str) -> str:
    """A line without the indent (or quotation mark) of its fence, as far as it has it."""
    for character in indent:
        if not line.startswith(character):
            break
        line = line[1:]
    return line


def _pieces(texts: Sequence[str]) -> list[Piece]:
    pieces = []
    for text in texts:
        for version in (text, textwrap.dedent(text), _without_prompts(text)):
            tree = parse(version)
            if tree is not None and tree.body:
                pieces.append(Piece(version.strip("\n"), tree))
                break
    return pieces


def _without_prompts(text: str) -> str:
    """The input of an interactive session: lines after `>>>` and `...`."""
    lines = text.split("\n")
    kept = [line.lstrip()[4:] for line in lines if regex.match(r"\s*(?:>>>|\.\.\.)(?: |$)", line)]
    return "\n".join(kept)


class Search:
    """Looks for runs of lines that are Python, in a text of prose and code.

    Attributes:
        found: the runs, in their order.
    """

    def __init__(self, text: str) -> None:
        self._lines = [line for line in text.split("\n") if not _FENCE.match(line)]
        self._left = PARSED_CHARS
        self.found: list[str] = []
        number = 0
        while number < len(self._lines) and self._left > 0:
            if not _CODE_LINE.match(self._lines[number].lstrip()):
                number += 1
                continue
            run = self._longest(number, self._end(number))
            if run:
                self.found.append("\n".join(run))
            number += max(len(run), 1)

    def _parse(self, source: str) -> ast.Module | SyntaxError | None:
        """The tree, or what is wrong; None as well when all the allowed text was parsed."""
        self._left -= len(source)
        if self._left < 0:
            return None
        return parse_or_error(source)

    def _end(self, start: int) -> int:
        """Where lines that look like code end: at prose no deeper than the first of them.

        A line within an open bracket or text may look like prose: what comes before it is no
        program.
        """
        depth = _depth(self._lines[start])
        for number in range(start + 1, len(self._lines)):
            line = self._lines[number].lstrip()
            own = _depth(self._lines[number])
            goes_on = line[:1] in ")]}#'\"" or own > depth or _GOES_ON.match(line)
            if goes_on or (own == depth and _CODE_LINE.match(line)):
                continue
            before = textwrap.dedent("\n".join(self._lines[start:number]))
            if isinstance(self._parse(before), ast.Module) or self._left < 0:
                return number
        return len(self._lines)

    def _longest(self, start: int, end: int) -> list[str]:
        """The longest beginning of some lines that is a program, empty where none is."""
        while end > start:
            source = textwrap.dedent("\n".join(self._lines[start:end]))
            result = self._parse(source)
            if isinstance(result, ast.Module):
                return source.split("\n") if result.body else []
            if self._left < 0:
                return []
            line = result.lineno if result is not None and result.lineno else end - start
            end = min(end - 1, start + line - 1)
        return []


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
