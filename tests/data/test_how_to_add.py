"""The page `docs/how-to-add.md` is followed to the letter, in a copy of the package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

TEST = '''
from instruct_scaling.common.records import EvalItem, Record
from instruct_scaling.config.pools import Pool
from instruct_scaling.data.pool.stage import build_pool
from instruct_scaling.data.pool.store import iter_records

ROWS = """\\
{"instruction": "q1", "output": "As an AI, I say yes"}
{"instruction": "q2", "output": "As an AI, "}
{"instruction": "q3", "output": "no"}
"""


def test_phrases_are_cut_and_counted(tmp_path):
    (tmp_path / "a.jsonl").write_text(ROWS)
    step = {"type": "cut_phrases", "phrases": ["As an AI,"]}
    sources = [{"type": "file", "path": str(tmp_path / "a.jsonl")}]
    config = Pool.model_validate({"sources": sources, "steps": [step, {"type": "deduplicate"}]})
    items = [EvalItem.make("math", "1 + 1?")]
    audit = build_pool(config, items, tmp_path / "records")
    kept = list(iter_records(tmp_path / "records"))
    assert kept[0].id == Record.make("q1", "I say yes").id
    assert [one.output for one in kept] == ["I say yes", "no"]
    cut = audit["steps"][1]
    assert (cut["name"], cut["read"], cut["kept"], cut["removed"]) == ("cut_phrases", 3, 2, 1)
    assert cut["changed"] == 1
    assert cut["reasons"]["nothing_left"]["count"] == 1
'''


def blocks(page: str, title: str) -> dict[str, str]:
    """The code of a section by the file that its first line names."""
    section = page.split(f"## {title}\n")[1].split("\n## ")[0]
    found = re.findall(r"```python\n# (\S+)\n(.*?)```", section, re.S)
    return dict(found)


def insert(path: Path, before: str, text: str) -> None:
    content = path.read_text("utf-8")
    assert content.count(before) == 1
    path.write_text(content.replace(before, text + before), "utf-8")


def test_a_pool_step_is_added_as_the_page_says(root, tmp_path):
    code = blocks((root / "docs" / "how-to-add.md").read_text("utf-8"), "A pool step")
    lines = [line for text in code.values() for line in text.splitlines() if line.strip()]
    assert len(lines) <= 40
    package = tmp_path / "workflow" / "instruct_scaling"
    shutil.copytree(root / "workflow" / "instruct_scaling", package)
    insert(
        package / "config/pool_steps.py", "Step = Annotated[", code["config/pool_steps.py"] + "\n\n"
    )
    insert(package / "config/pool_steps.py", " | Deduplicate |", " | CutPhrases")
    (package / "data/pool/cut_phrases.py").write_text(code["data/pool/cut_phrases.py"], "utf-8")
    stage = package / "data/pool/stage.py"
    insert(stage, "    raise TypeError(type(config)", code["data/pool/stage.py"])
    imports = (
        "from instruct_scaling.config.pool_steps import CutPhrases\n"
        "from instruct_scaling.data.pool.cut_phrases import CutPhrasesStep\n"
    )
    insert(stage, "from instruct_scaling.config.pools import Pool", imports)
    (tmp_path / "test_cut_phrases.py").write_text(TEST, "utf-8")
    paths = [str(package.parent), str(root)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_cut_phrases.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
