"""From where to where a text goes, and whether another text goes the other way."""

from __future__ import annotations

import regex

_NAME = r"\p{Lu}[\p{L}'-]*(?:\s\p{Lu}[\p{L}'-]*){0,2}"
_PLACE = r"\p{Han}{2,4}?"
_GO = r"(?:飞往|飞到|飞抵|开往|开到|驶往|驶向|驶到|前往|去往|通往|到达|去|到|至|往)"
_ROUTES = (
    regex.compile(
        rf"(?:\bfrom\s)?(?<!\bto\s)\b(?P<origin>{_NAME})\s(?:to|->|→|-->)\s(?P<end>{_NAME})"
    ),
    regex.compile(rf"\b(?:[Tt]o|[Ff]or|[Ii]nto)\s(?P<end>{_NAME})\sfrom\s(?P<origin>{_NAME})"),
    regex.compile(rf"(?:从|由|自)(?P<origin>{_PLACE}){_GO}(?P<end>{_PLACE})(?=$|[^\p{{Han}}]|的)"),
    regex.compile(
        rf"^\W*(?![从由自])(?P<origin>{_PLACE})(?:到|至|->|→|—+|-+)(?P<end>{_PLACE})\W*$"
    ),
)
_WHERE_TO = regex.compile(
    r"\bwhere (?:did|does|do|is|are|was|were|will)\b(?!.*\bfrom\b).*\b(?:fly|flying|go|going|travel"
    r"|travell?ing|move|moving|sail|sailing|head|heading|drive|driving|to)\b"
    r"|\bdestination\b|[去到往]哪|目的地|飞哪",
    regex.IGNORECASE,
)
_WHERE_FROM = regex.compile(
    r"\bwhere\b.*\bfrom\b|\b(?:origin|starting point|point of departure)\b|从哪|出发地|起点",
    regex.IGNORECASE,
)
_FROM_BEFORE = regex.compile(r"(?:\bfrom\s(?:the\s)?|从|由)$", regex.IGNORECASE)
_TO_BEFORE = regex.compile(rf"(?:\b(?:to|into)\s(?:the\s)?|{_GO})$", regex.IGNORECASE)


def routes(text: str) -> set[tuple[str, str]]:
    """The pairs of places (from, to) that a text names: "from Lima to Quito", 从上海飞往成都."""
    return {
        (found["origin"].casefold(), found["end"].casefold())
        for pattern in _ROUTES
        for found in pattern.finditer(text)
    }


def goes_back(reference: str, text: str) -> bool:
    """Whether a text goes a way of the reference backwards, and none of its ways forwards."""
    wanted, given = routes(reference), routes(text)
    return not wanted & given and any((end, origin) in given for origin, end in wanted)


def same_way(reference: str, text: str) -> bool:
    """Whether a reference is a route and no more, and a text goes it."""
    whole = any(pattern.fullmatch(reference.strip(" .。")) for pattern in _ROUTES)
    return whole and bool(routes(reference) & routes(text))


def other_end(before: str, question: str) -> bool:
    """Whether a place is where one came from, and the question asks where to, or the reverse.

    Args:
        before: what stands before the place in its clause.
    """
    if _WHERE_FROM.search(question):
        return _TO_BEFORE.search(before) is not None
    return _WHERE_TO.search(question) is not None and _FROM_BEFORE.search(before) is not None
