"""Sample responses: the same few items of each category, answered at every scale."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from instruct_scaling.common.records import EvalItem, Judgement, Response
from instruct_scaling.reporting.report.context import SampleItem, SampleResponse, Samples, Score
from instruct_scaling.reporting.report.runs import JudgementSurvey
from instruct_scaling.reporting.report.wording import language_of, plain, words

ITEMS_PER_CATEGORY = 3
PROMPT_CHARS = 1200
ANSWER_CHARS = 1200
TEXT_BUDGET_CHARS = 1_500_000
"""All answers together: with many arms and scales fewer items are shown."""


def items_to_show(
    items: Sequence[EvalItem], categories: list[str], answers_per_item: int
) -> dict[str, list[EvalItem]]:
    """The items of each category with the smallest hash: the same ones for every run and judge.

    The hash is keyed, so that the choice does not follow any other order by id.

    Args:
        items: the whole eval set.
        categories: in the order in which they are shown.
        answers_per_item: arms x scales; it lowers the number of items where a page would grow
            beyond what a browser shows well, never below one.
    """
    most = TEXT_BUDGET_CHARS // max(1, len(categories) * answers_per_item * ANSWER_CHARS)
    per_category = max(1, min(ITEMS_PER_CATEGORY, most))
    by_category = defaultdict(list)
    for item in items:
        by_category[item.category].append(item)
    return {
        category: sorted(by_category[category], key=lambda item: _rank(item.id))[:per_category]
        for category in categories
        if by_category[category]
    }


def sample_responses(
    chosen: dict[str, list[EvalItem]],
    responses: list[Response],
    judged: JudgementSurvey,
    arms: list[str],
    judges: list[str],
) -> Samples:
    """Answers of the first seed of every (arm, scale), with what each judge made of them."""
    first_seed: dict[tuple[str, int], int] = {}
    for row in responses:
        place = (row.arm, row.scale)
        first_seed[place] = min(row.seed, first_seed.get(place, row.seed))
    by_item: dict[str, list[Response]] = defaultdict(list)
    for row in responses:
        if row.seed == first_seed[row.arm, row.scale]:
            by_item[row.item].append(row)
    shown_arms = [arm for arm in arms if any(place[0] == arm for place in first_seed)]
    shown = [
        _sample(item, by_item[item.id], judged, shown_arms, judges)
        for items in chosen.values()
        for item in items
        if by_item[item.id]
    ]
    categories = list(dict.fromkeys(item.category for item in shown))
    return Samples(shown, categories, shown_arms)


def _sample(
    item: EvalItem,
    responses: list[Response],
    judged: JudgementSurvey,
    arms: list[str],
    judges: list[str],
) -> SampleItem:
    answers: dict[str, list[SampleResponse]] = {arm: [] for arm in arms}
    for row in sorted(responses, key=lambda row: row.scale):
        if row.arm not in answers:
            continue
        text, cut = _cut(row.text, ANSWER_CHARS)
        scores = [_score(judge, judged.sampled.get(row.id, [])) for judge in judges]
        answers[row.arm].append(
            SampleResponse(
                scale=row.scale,
                seed=row.seed,
                text=text,
                language=language_of(row.text, item.language),
                cut_chars=cut,
                tokens=row.tokens,
                finish=row.finish,
                scores=scores,
            )
        )
    prompt, prompt_cut = _cut(item.full_prompt, PROMPT_CHARS)
    reference, reference_cut = _cut(item.reference or "", ANSWER_CHARS)
    checks = {key: value for key, value in (item.checks or {}).items() if value is not None}
    return SampleItem(
        id=item.id,
        category=item.category,
        prompt=prompt + _left_out(prompt_cut),
        prompt_language=language_of(item.full_prompt, item.language),
        reference=reference + _left_out(reference_cut) if item.reference else None,
        reference_language=language_of(item.reference, item.language),
        checks="\n".join(f"{words(key)}: {plain(value)}" for key, value in checks.items()) or None,
        answers=answers,
    )


def _score(judge: str, judgements: list[Judgement]) -> Score:
    own = [row for row in judgements if row.judge == judge]
    scored = [row.score for row in own if row.score is not None]
    failed = [row for row in own if row.score is None]
    if not own:
        return Score(judge, None, 0, "not judged", "")
    if not scored:
        reasons = dict.fromkeys(row.reason for row in failed if row.reason)
        return Score(judge, None, 0, failed[0].status, "; ".join(reasons))
    remark = f"{len(failed)} of {len(own)} repeats missing" if failed else ""
    return Score(judge, fmean(scored), len(scored), "ok", remark)


def _rank(item_id: str) -> str:
    return hashlib.blake2b(item_id.encode(), digest_size=8, person=b"sample").hexdigest()


def _cut(text: str, limit: int) -> tuple[str, int]:
    return (text, 0) if len(text) <= limit else (text[:limit], len(text) - limit)


def _left_out(characters: int) -> str:
    return f" … ({characters:,} more characters)" if characters else ""
