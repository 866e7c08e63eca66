"""Sample responses: the same few items of each category, answered at every scale."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from instruct_scaling.common.records import EvalItem, Judgement, Response
from instruct_scaling.config.runs import RunRow
from instruct_scaling.reporting.report.tables import Row

ITEMS_PER_CATEGORY = 3
TEXT_CHARS = 1200
TEXT_BUDGET_CHARS = 1_500_000
"""All answers together: with many arms and scales fewer items are shown."""

Answers = dict[tuple[str, str], list[Row]]
"""(item id, arm) -> its answers: scale, seed, text, tokens, finish, scores."""

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_LETTER = re.compile(r"[^\W\d_]")


def items_to_show(
    items: Iterable[EvalItem], categories: Sequence[str], answers_per_item: int
) -> list[EvalItem]:
    """The items of each category with the smallest hash: the same ones for every run and judge.

    The hash is keyed, so that the choice does not follow any other order by id.

    Args:
        items: the whole eval set.
        categories: in the order in which they are shown.
        answers_per_item: arms x scales; it lowers the number of items where a page would grow
            beyond what a browser shows well, never below one.
    """
    most = TEXT_BUDGET_CHARS // max(1, len(categories) * answers_per_item * TEXT_CHARS)
    per_category = max(1, min(ITEMS_PER_CATEGORY, most))
    by_category = defaultdict(list)
    for item in sorted(items, key=lambda item: _rank(item.id)):
        by_category[item.category].append(item)
    return [item for category in categories for item in by_category[category][:per_category]]


def _rank(item_id: str) -> str:
    return hashlib.blake2b(item_id.encode(), digest_size=8, person=b"sample").hexdigest()


def sample_answers(
    answers: Answers,
    run: RunRow,
    responses: Iterable[Response],
    judgements: Iterable[Judgement],
    judges: Sequence[str],
) -> None:
    """Add the responses of a run, with what each judge made of them, to `answers`."""
    judged = defaultdict(list)
    for row in judgements:
        judged[row.response, row.judge].append(row)
    for response in responses:
        answer = {
            "scale": run.scale,
            "seed": run.seed,
            "text": response.text,
            "tokens": response.tokens,
            "finish": response.finish,
            "scores": [_score(judge, judged[response.id, judge]) for judge in judges],
        }
        answers.setdefault((response.item, run.arm), []).append(answer)


def _score(judge: str, judgements: Sequence[Judgement]) -> Row:
    """The mean over repeats, or why there is none."""
    scored = [row.score for row in judgements if row.score is not None]
    failed = [row for row in judgements if row.score is None]
    if scored:
        reason = f"{len(failed)} of {len(judgements)} repeats missing" if failed else ""
        return {"judge": judge, "value": fmean(scored), "status": "ok", "reason": reason}
    reasons = dict.fromkeys(row.reason for row in failed if row.reason)
    status = failed[0].status if failed else "not judged"
    return {"judge": judge, "value": None, "status": status, "reason": "; ".join(reasons)}


def samples(
    chosen: Iterable[EvalItem], answers: Mapping[tuple[str, str], list[Row]], arms: Sequence[str]
) -> list[Row]:
    """Each chosen item that was answered, with `answers` (arm -> answers by increasing scale)."""
    found = []
    for item in chosen:
        by_arm = {arm: answers.get((item.id, arm), []) for arm in arms}
        if any(by_arm.values()):
            ordered = {
                arm: sorted(own, key=lambda answer: answer["scale"]) for arm, own in by_arm.items()
            }
            found.append({"item": item, "answers": ordered})
    return found


def language_of(text: str | None, declared: str | None = None) -> str | None:
    """The `lang` attribute that a text needs on an English page, or None.

    A text counts as Chinese if at least a fifth of its letters are Han characters; otherwise the
    declared language stands, unless it is Chinese and the text has no Han character at all.
    """
    if not text:
        return None
    han = len(_HAN.findall(text))
    if han and han >= 0.2 * len(_LETTER.findall(text)):
        return "zh"
    if declared in (None, "en", "zh"):
        return None
    return declared
