"""Generation and brainstorming: what can be checked of them without a reader."""

from __future__ import annotations

import regex

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.judgements import Outcome, scored, scored_unparsable
from instruct_scaling.evaluation.judge.scorers.body import without_lead_in
from instruct_scaling.evaluation.judge.scorers.constraints import (
    INCOMPLETE,
    at_least,
    bounds_kept,
    facts_kept,
)
from instruct_scaling.evaluation.judge.scorers.degenerate import (
    copies_prompt,
    echoed_share,
    freshness,
    is_scattered,
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
from instruct_scaling.evaluation.judge.scorers.off_task import (
    DEFINES_INSTEAD,
    asks_back,
    defines_instead,
    is_cut_off,
    only_promises,
)
from instruct_scaling.evaluation.judge.scorers.stated_shape import (
    asked_number,
    form_kept,
    items_kept,
    length_kept,
)

# Expected of an answer whose item has no checks: a sentence or two.
USUAL_TOKENS = 16
# Something other than the number of an entry.
_LETTERS = regex.compile(r"\p{L}|\d+(?![.)、\d])")


def open_ended(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """`constraints_kept` x `fluency`; the reason names both factors.

    0 for another language, a refusal and a copy of the prompt.
    """
    if not tokenize(response):
        return scored_unparsable("no words")
    if refuses(response):
        return scored_unparsable("declines to answer")
    if asks_back(response, (item.reference,) if item.reference else ()):
        return scored_unparsable("asks back")
    body = without_lead_in(response)
    if not _LETTERS.search(body) or only_promises(body):
        return scored_unparsable("nothing after its lead-in")
    if copies_prompt(item.full_prompt, response):
        return scored_unparsable("the prompt, repeated")
    kept = task_kept(item, checks, body)
    if _asked_by_checks(checks):
        kept *= constraints_kept(checks, response)
    elif item.category != "brainstorming" or asked_number(item.full_prompt) is None:
        kept = min(kept, constraints_kept(checks, response))
    distinct = " ".join(dict.fromkeys(listed_items(response)))
    if _asks_for_list(checks):
        # Repeated entries have cost their share in `list_kept`.
        fresh = freshness(distinct)
    elif item.category == "brainstorming" and asked_number(item.full_prompt) is not None:
        # And in `items_kept`; an answer that does little else than repeat costs more.
        fresh = min(freshness(distinct), 2 * freshness(response))
    else:
        fresh = freshness(response)
    wanted = wanted_language(item, checks)
    # The identifier guesses at a row of names, and the allowed ones are in the right language.
    share = script_share if checks.allowed_items else language_share
    smooth = fresh * share(response, wanted)
    if is_scattered(response):
        smooth = 0.0
    return scored(kept * smooth, f"constraints {kept:.3f}, fluency {smooth:.3f}")


def task_kept(item: EvalItem, checks: Constraints, body: str) -> float:
    """In [0, 1]: what the prompt itself asks for: length, form, the number of entries, ideas.

    Less for a definition where none was asked for, and for words of the prompt as a list.
    """
    prompt = item.full_prompt
    bounded = checks.min_chars is not None or checks.max_chars is not None
    kept = 1.0 if bounded else length_kept(prompt, body)
    if is_cut_off(body):
        kept *= INCOMPLETE
    if item.category == "generation":
        kept *= form_kept(prompt, body)
    elif item.category == "brainstorming" and not _asks_for_list(checks):
        kept *= items_kept(prompt, body)
    if item.category == "brainstorming" and checks.allowed_items is None:
        kept *= 1 - echoed_share(prompt, listed_items(body))
    if defines_instead(prompt, body):
        kept *= DEFINES_INSTEAD
    return kept


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
    if not _asked_by_checks(checks):
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


def _asked_by_checks(checks: Constraints) -> bool:
    return bool(checks.model_dump(exclude_none=True, exclude={"language", "answer"}))


def _asks_for_list(checks: Constraints) -> bool:
    return (checks.allowed_items, checks.min_items, checks.max_items) != (None, None, None)
