"""Generation and brainstorming: what can be checked of them without a reader."""

from __future__ import annotations

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.judgements import Outcome, scored, scored_unparsable
from instruct_scaling.evaluation.judge.scorers.constraints import at_least, bounds_kept, facts_kept
from instruct_scaling.evaluation.judge.scorers.degenerate import (
    copies_prompt,
    freshness,
    refuses,
)
from instruct_scaling.evaluation.judge.scorers.language import (
    guess_language,
    language_of,
    language_share,
    script_share,
)
from instruct_scaling.evaluation.judge.scorers.listing import list_kept, listed_items
from instruct_scaling.evaluation.judge.scorers.matching import tokenize

# Expected of an answer whose item has no checks: a sentence or two.
USUAL_TOKENS = 16


def open_ended(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """`constraints_kept` x `fluency`; the reason names both factors.

    0 for another language, a refusal and a copy of the prompt.
    """
    if not tokenize(response):
        return scored_unparsable("no words")
    if refuses(response):
        return scored_unparsable("declines to answer")
    if copies_prompt(item.full_prompt, response):
        return scored_unparsable("the prompt, repeated")
    kept = constraints_kept(checks, response)
    if _asks_for_list(checks):
        # Repeated entries have cost their share in `list_kept`.
        fresh = freshness(" ".join(dict.fromkeys(listed_items(response))))
    else:
        fresh = freshness(response)
    wanted = wanted_language(item, checks)
    # The identifier guesses at a row of names, and the allowed ones are in the right language.
    share = script_share if checks.allowed_items else language_share
    smooth = fresh * share(response, wanted)
    return scored(kept * smooth, f"constraints {kept:.3f}, fluency {smooth:.3f}")


def fluency_only(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """`fluency` alone, whatever the item asks for."""
    if not tokenize(response):
        return scored_unparsable("no words")
    return scored(fluency(response, wanted_language(item, checks)))


def wanted_language(item: EvalItem, checks: Constraints) -> str:
    """The language of the answer: that of the checks, else of the reference or the item's own."""
    asked = item.language or guess_language(item.full_prompt)
    reference = language_of(item.reference, asked) if item.reference else asked
    return checks.language or reference


def fluency(text: str, language: str | None) -> float:
    """`freshness` (no repetition) x `language_share`, in [0, 1]."""
    return freshness(text) * language_share(text, language)


def constraints_kept(checks: Constraints, text: str) -> float:
    """Product over the constraints that the item has of how far each is kept, in [0, 1].

    A product, so that a text of the right length about something else is worth nothing. An item
    without constraints asks for a usual length of 16 tokens.
    """
    asked = checks.model_dump(exclude_none=True, exclude={"language", "answer"})
    if not asked:
        return at_least(len(tokenize(text)), USUAL_TOKENS)
    value = facts_kept(checks, text)
    if checks.allowed_items is None:
        value *= bounds_kept(checks, text)
    else:  # an excluded entry is a wrong one among the others
        value *= bounds_kept(checks.model_copy(update={"must_exclude": None}), text)
        excluded = {name.casefold() for name in checks.must_exclude or ()}
        allowed = [name for name in checks.allowed_items if name.casefold() not in excluded]
        checks = checks.model_copy(update={"allowed_items": allowed})
    return value * list_kept(checks, text) if _asks_for_list(checks) else value


def _asks_for_list(checks: Constraints) -> bool:
    return (checks.allowed_items, checks.min_items, checks.max_items) != (None, None, None)
