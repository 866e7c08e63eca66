"""Overlap of a response with its reference."""

from __future__ import annotations

from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import CHRF

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.outcome import Outcome, scored
from instruct_scaling.evaluation.judge.scorers.text import MixedTokenizer, same_text, tokenize

_ROUGE = RougeScorer(["rouge1", "rougeL"], tokenizer=MixedTokenizer())
_CHRF = CHRF()


def _rouge(item: EvalItem, response: str, kind: str) -> Outcome:
    reference = item.reference or ""
    if not tokenize(reference):
        return scored(float(same_text(response, reference)), "reference without words")
    return scored(_ROUGE.score(reference, response)[kind].fmeasure)


def token_f1(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """F1 of the two bags of tokens (ROUGE-1 F-measure; SQuAD's F1 with this tokenizer)."""
    return _rouge(item, response, "rouge1")


def rouge_l(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """ROUGE-L F-measure: longest common subsequence of tokens (Lin, 2004)."""
    return _rouge(item, response, "rougeL")


def chrf(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """chrF2 / 100: F2 of character n-grams up to 6, white space ignored (Popovic, 2015)."""
    reference = item.reference or ""
    if not response.strip():
        return scored(0.0, "empty response")
    return scored(_CHRF.sentence_score(response, [reference]).score / 100)


def exact_match(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """1 if response and reference are equal but for case, width, space and punctuation."""
    return scored(float(same_text(response, item.reference or "")))


def chrf_signature() -> str:
    """sacrebleu's own description of the chrF variant, for the judge's version."""
    return str(_CHRF.get_signature())
