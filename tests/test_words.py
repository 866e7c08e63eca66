"""The texts of the project use the terms of its field, in US spelling."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

SUFFIXES = (".py", ".md", ".smk", ".j2", ".rst", ".yaml", ".yml", ".toml", ".cff", "Makefile")
# Texts that quote other people's words, or generate prose on purpose.
EXEMPT = (
    "docs/gold.md",
    "workflow/instruct_scaling/evaluation/judge/scorers/aliases.py",  # names as others spell them
    "tests/test_words.py",
    "docs/release-notes.md",
    "workflow/instruct_scaling/data/synthetic/",
    "tests/data/synthetic/",
    "envs/constraints.txt",
)

# word -> what to write instead
WORDS = {
    r"mend(s|ed|ing)?": "fix, correct, change",
    r"anew": "again",
    r"dear(er|est)?": "expensive",
    r"moods?": "variation, mode",
    r"vouch(es|ed)?": "identify, guarantee",
    r"told of|is told|are told": "report, print",
    r"slip of the pen": "typing error",
    r"person at the keyboard": "user",
    r"whoever": "name the subject",
    r"(?<![\"'`])heldout(?![\"'`])": "validation",
    r"along the way|along its way|points along": "intermediate checkpoints",
    r"quieten|quicken": "silence, patch",
    r"ledgers?": "cache",
}
BRITISH = (
    r"(?<!\")\w+isations?",  # a quoted one is a name that a public file uses
    r"(token|normal|summar|optim|organ|general|minim|maxim|initial|serial|recogn|util|standard)is(e|es|ed|ing|er|ers)",
    r"analys(e|ed|es|ing)(?<!analyses)",
    r"behaviours?|colours?|neighbours?|favour\w*|honour\w*|centres?|centred|licence[sd]?",
    r"labell(ed|ing)|modell(ed|ing)|cancell(ed|ing)|travell(ed|ing)|judgments?",
)


@cache
def lines(root: Path) -> list[tuple[str, str]]:
    """Every line of the project's own texts, with its file and number."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=root, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("no git checkout: the list of files is unknown")
    return [
        (f"{name}:{number}", line)
        for name in listed.stdout.splitlines()
        if name.endswith(SUFFIXES) and not name.startswith(EXEMPT) and (root / name).is_file()
        for number, line in enumerate((root / name).read_text("utf-8").splitlines(), 1)
    ]


def found(root: Path, pattern: str) -> list[str]:
    """Where a whole word occurs, whatever its case."""
    wanted = re.compile(rf"(?<![\w-])(?:{pattern})(?![\w])", re.IGNORECASE)
    return [f"{where}: {line.strip()}" for where, line in lines(root) if wanted.search(line)]


@pytest.mark.parametrize("word", WORDS)
def test_words_of_the_field(root, word):
    assert found(root, word) == [], f"write: {WORDS[word]}"


@pytest.mark.parametrize("pattern", BRITISH)
def test_spelling_is_american(root, pattern):
    assert found(root, pattern) == []


def test_the_list_finds_what_it_names(tmp_path):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "page.md").write_text("Mend it.\nWe tokenise the text.\nCommendable.\n", "utf-8")
    subprocess.run(["git", "add", "page.md"], cwd=tmp_path, check=True)
    assert found(tmp_path, r"mend(s|ed|ing)?") == ["page.md:1: Mend it."]
    assert found(tmp_path, BRITISH[1]) == ["page.md:2: We tokenise the text."]
