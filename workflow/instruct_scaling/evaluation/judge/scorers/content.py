"""The scorer `content`: translation, rewriting and summaries against references and facts.

The answer's body is compared with each reference (`comparison`); what decides beside it are the
item's facts and constraints, language, length, what was kept of the text to work on, and whether
the answer ends.
"""

from __future__ import annotations

import regex

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.judgements import Outcome, scored, scored_unparsable
from instruct_scaling.evaluation.judge.scorers.body import answer_body, first_version
from instruct_scaling.evaluation.judge.scorers.comparison import Comparison, compare, interpolate
from instruct_scaling.evaluation.judge.scorers.constraints import (
    INCOMPLETE,
    bounds_kept,
    facts_kept,
)
from instruct_scaling.evaluation.judge.scorers.content_units import lexicon
from instruct_scaling.evaluation.judge.scorers.corrections import (
    asks_for_correction,
    corrections_made,
    voice_kept,
)
from instruct_scaling.evaluation.judge.scorers.degenerate import (
    copied_share,
    copies_passage,
    freshness,
    refuses,
)
from instruct_scaling.evaluation.judge.scorers.language import (
    guess_language,
    language_of,
    language_share,
)
from instruct_scaling.evaluation.judge.scorers.matching import same_text, tokenize
from instruct_scaling.evaluation.judge.scorers.off_task import (
    DEFINES_INSTEAD,
    asks_back,
    defines_instead,
    is_cut_off,
    only_promises,
)

# A summary that is the passage is no summary, though what it says is right.
COPIED_SUMMARY = 0.4
MAY_STAY, UNCHANGED = 0.3, 0.1
LONGEST_RATIO = 2.5
# With facts in the checks, overlap decides this much.
WEIGHT_BESIDE_FACTS = 0.15

# Where a part may be left out.
_SHORTER = regex.compile(
    r"summar|short|brief|concise|condense|simpl|tl;?dr|one sentence|简|短|概括|总结|摘要|缩|精炼",
    regex.IGNORECASE,
)


def content(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """In [0, 1]: facts and constraints of the item, and the best of its references.

    0 for another language than the references', a refusal, a question back, and in rewriting for
    what was given.
    """
    references = [text for text in (item.reference, *(checks.references or ())) if text]
    body = _body(item, references, response)
    if not tokenize(body) or only_promises(body):
        return scored_unparsable("no words")
    wanted = checks.language
    if wanted is None:
        asked = item.language or guess_language(item.full_prompt)
        wanted = language_of(references[0], asked) if references else asked
    language = language_share(body, wanted)
    if language == 0:
        return scored(0.0, f"not in language {wanted}")
    if refuses(response) and not any(refuses(text) for text in references):
        return scored_unparsable("declines to answer")
    if asks_back(response, tuple(references)):
        return scored_unparsable("asks back")
    given = _copied(item, references, body)
    if given == 0:
        return scored(0.0, "what was given, unchanged")
    factor = language * given * freshness(body) * bounds_kept(checks, body)
    if item.category == "rewrite" and defines_instead(item.full_prompt, body):
        factor *= DEFINES_INSTEAD
    passage = item.full_prompt if item.category == "summarization" else ""
    compared = (compare(text, body, passage) for text in references)
    best = max(compared, key=_score, default=None)
    reason = "" if best is None else f"overlap {best.overlap:.2f}"
    if best is not None and best.contradictions:
        reason += ": " + ", ".join(best.contradictions)
    if checks.required_facts or checks.forbidden_facts or best is None:
        kept = facts_kept(checks, body, references)
        if kept == 1 and best is not None:
            kept -= WEIGHT_BESIDE_FACTS * (1 - interpolate(best.overlap))
        return scored(kept * factor, f"facts {kept:.2f}, {reason}, the rest {factor:.2f}")
    value = best.score * facts_kept(checks, body)  # the words that must occur
    if is_cut_off(body) and not any(map(is_cut_off, references)):
        value, reason = min(value, INCOMPLETE), reason + ", cut off"
    may_omit = _SHORTER.search(item.full_prompt) or asks_for_correction(item.full_prompt)
    if best.leaves_out and not may_omit:
        value, reason = min(value, INCOMPLETE), reason + ", a part left out"
    factor *= _length_kept(references, body)
    if item.category == "rewrite":
        factor *= _change_made(item, references, body)
    return scored(value * factor, f"{reason}, the rest {factor:.2f}")


def _body(item: EvalItem, references: list[str], response: str) -> str:
    """The answer's body; the whole where a reference itself has what would be left out.

    Of several versions of a translation or a rewriting the first.
    """
    if any(tokenize(answer_body(text)) != tokenize(text) for text in references):
        return response
    body = answer_body(response)
    if item.category == "summarization" or any("\n" in text for text in references):
        return body
    return first_version(body)


def _score(comparison: Comparison) -> float:
    return comparison.score


def _copied(item: EvalItem, references: list[str], response: str) -> float:
    """1 for an answer of its own, 0 for the text to work on, less for a copied passage."""
    if any(same_text(response, text) for text in references):
        return 1.0
    if item.category == "summarization":
        return COPIED_SUMMARY if copied_share(item.full_prompt, response) >= 0.6 else 1.0
    if copies_passage(item.full_prompt, response):
        return 0.0
    return 0.0 if copied_share(item.full_prompt, response) >= 0.6 else 1.0


def _change_made(item: EvalItem, references: list[str], response: str) -> float:
    """1 for a rewriting that changes what the references change, less if it does not.

    A correction is judged by its edits, a change of voice by the words that make it.

    Of the words of the text to work on that no reference keeps, in the same form, up to 30% may
    stay.
    """
    passage = item.input or regex.split(r"[\n:：]", item.full_prompt, maxsplit=1)[-1]
    if asks_for_correction(item.full_prompt):
        return max(corrections_made(passage, text, response) for text in references)
    if voice_kept(item.full_prompt, references, response):
        return UNCHANGED
    function = lexicon().function
    kept = {token for text in references for token in tokenize(text)}
    given = set(tokenize(passage)) - function
    replaced = given - kept
    if not 0 < len(replaced) <= len(given) / 2:
        return 1.0  # a free rewriting, which may keep other words
    stay = len(replaced & set(tokenize(response))) / len(replaced)
    return 1 - (1 - UNCHANGED) * max(0.0, stay - MAY_STAY) / (1 - MAY_STAY)


def _length_kept(references: list[str], response: str) -> float:
    """1 up to 2.5 times the longest reference, less in proportion beyond it."""
    bound = LONGEST_RATIO * max(len(tokenize(text)) for text in references) + 3
    return min(1.0, bound / len(tokenize(response)))
