"""Whether a text affirms what it mentions: denied, compared with, or one of several."""

from __future__ import annotations

import regex

_BOUNDARY = regex.compile(
    r"[,.;:!?。、\n\"](?!\d)|\s-\s|(?<!\b(?:any|no)thing\s)\bbut\b(?! also)|而是|而应|"
    r"\brather\b(?! than)|\bso\b|所以|\bit is\b(?<=, it is)",
    regex.IGNORECASE,
)
_DENIAL = regex.compile(
    r"\b(?:not(?!\s(?:only|just|until|merely))|never|no longer|cannot|neither|nor|rather than|"
    r"instead of|"
    r"(?<!none )other than|except|excluding|anything but|far from|unlike|without|nothing(?! but)|"
    r"none(?! other)|hardly|"
    r"no(?!\s(?:doubt|wonder|matter|1|one)))\b|n't\b(?!\s(?:only|just|until))|≠|!=|"
    r"并?非(?![常洲])|没有?(?!错|问题)|而非|除了?|"
    r"(?<!差|对|毫|得|无)不(?![久仅但过少断得只止论管错妨如同久远多时禁])",
    regex.IGNORECASE,
)
_MAX_WORDS = 9
_DENIED_AFTER = regex.compile(
    r"^[\"')\]]*\s*(?:(?:is|are|was|were|does|do|did|has|have|would|could|can|will)(?:n't|\snot)"
    r"(?!\s(?:only|just|until))|"
    r"(?:is|are|was|were|would be|seems)\s(?:\w+ly\s)?(?:wrong|incorrect|false|untrue|ruled out|"
    r"out|excluded)|"
    r"(?:cannot|can't|won't)\sbe|"
    r"[\w\p{Han}]{0,3}?(?:也|都|就|并|根本|肯定)?(?:不是|并非|不对|错误|有误|错了|不正确|不属于|"
    r"不比|不算|不行|不可能|不符)|"
    r"没有?.{1,5}[大高多长快重老贵远])",
    regex.IGNORECASE,
)
_JOINED_AFTER = regex.compile(
    r"^[\"')\]]*\s*[,、]?\s*(?:\bor\b(?!\s(?:so|rather)\b)|或者?|还是|抑或|[,、;]?\s*(?:也可能|"
    r"也许是|要么)|"
    r"~|"
    r"[,.;]\s*(?:or\s)?(?:(?:maybe|perhaps|possibly)(?!\s(?:with|because|due|some|a bit|also))|"
    r"it (?:could|might|may) (?:also )?be|might be))",
    regex.IGNORECASE,
)
_JOINED_BEFORE = regex.compile(
    r"(?:\bor\b\s(?:it\s)?(?:(?:could|might|may|can)\s(?:also\s)?be\s|is\s|was\s)?|\beither\b\s|"
    r"或者?(?:是|在)?|还是|也可能[是在]?|要么是?|~|"
    r"\bbetween\b\s(?:[\w.]+\sand\s)?|介于)"
    r"(?:(?:the|an?|in|at|on|to)\s)*[\"'(]*$",
    regex.IGNORECASE,
)
_COMPARED = regex.compile(
    r"(?:\bthan|比|相比|比起|不如|\bunlike|\blike|不像|\bcompared (?:to|with)|\binstead of|"
    r"\brather than|而不是)\s?"
    r"(?:the\s|an?\s)?[\"']?$",
    regex.IGNORECASE,
)


def clause_before(text: str, start: int) -> str:
    """The part of the mention's clause that stands before it."""
    before = text[:start]
    ends = [match.end() for match in _BOUNDARY.finditer(before)]
    return before[ends[-1] :] if ends else before


def denied(text: str, start: int, end: int) -> bool:
    """Whether the mention from `start` to `end` is negated: "not X", "X is wrong", 不是X, X不对."""
    before = clause_before(text, start)
    for match in _DENIAL.finditer(before):
        between = before[match.end() :]
        words = len(regex.findall(r"\p{Han}|[^\W\p{Han}]+", between))
        if words <= _MAX_WORDS:
            return True
    return _DENIED_AFTER.match(text[end:]) is not None


def compared(text: str, start: int) -> bool:
    """Whether the mention is what something else is compared with: "older than X", 比X大."""
    return _COMPARED.search(text[:start]) is not None


def one_of_several(text: str, start: int, end: int) -> bool:
    """Whether the mention is an alternative: "X or Y", X还是Y, "maybe X, maybe Y"."""
    return (
        _JOINED_AFTER.match(text[end:]) is not None
        or _JOINED_BEFORE.search(text[:start]) is not None
    )


def slashed(text: str, start: int, end: int) -> bool:
    """Whether a mention stands beside a slash: "negative/neutral". Numbers have units there."""
    return regex.match(r"\s?/\s?\w", text[end:]) is not None or text[:start].endswith("/")


def affirmed(text: str, start: int, end: int) -> bool:
    """Neither denied nor an alternative nor only compared with."""
    return not (
        denied(text, start, end)
        or one_of_several(text, start, end)
        or slashed(text, start, end)
        or compared(text, start)
    )


def negations(text: str) -> int:
    """How many denials a text has."""
    return len(_DENIAL.findall(text))


def denied_words(text: str) -> list[str]:
    """What follows each denial at once: the rest of its clause."""
    found = []
    for match in _DENIAL.finditer(text):
        rest = text[match.end() :]
        boundary = _BOUNDARY.search(rest)
        found.append(rest[: boundary.start()] if boundary else rest)
    return found
