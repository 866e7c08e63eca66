"""Overlap of an answer with its reference."""

from __future__ import annotations

from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import CHRF

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.judgements import Outcome, scored, scored_unparsable
from instruct_scaling.evaluation.judge.scorers.matching import MixedTokenizer, same_text, tokenize

_ROUGE_L = RougeScorer(["rougeL"], tokenizer=MixedTokenizer())
_CHRF = CHRF()


def rouge_l(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """ROUGE-L F-measure: longest common subsequence of tokens (Lin, 2004)."""
    reference = item.reference or ""
    if not tokenize(reference):
        return scored(float(same_text(response, reference)), "reference without words")
    return scored(_ROUGE_L.score(reference, response)["rougeL"].fmeasure)


def chrf(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """chrF2 / 100: F2 of character n-grams up to 6, white space ignored (Popovic, 2015)."""
    reference = item.reference or ""
    if not response.strip():
        return scored_unparsable("empty response")
    return scored(chrf_of(response, reference))


def chrf_of(text: str, reference: str) -> float:
    """chrF2 of a text in [0, 1]."""
    return _CHRF.sentence_score(text, [reference]).score / 100
