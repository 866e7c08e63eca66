"""A page taken apart, and single templates rendered alone."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from instruct_scaling.reporting.report.render import OPEN_TABLES, environment

VOID = {"meta", "link", "input", "img", "br"}
ENDS = ("td", "th", "dt", "dd", "p", "li", "h3", "summary", "caption")
HEADER = '{% import "macros.html.j2" as m with context %}{% set level = "90%" %}'


class Page(HTMLParser):
    """The elements of a page, and its text by the id of the section it stands in."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.section = ""
        self.texts: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = dict(attrs)["id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes something else"
        if tag == "section":
            self.section = ""
        if tag in ENDS:
            self.handle_data(" ")

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]):
            self.texts[self.section] = self.texts.get(self.section, "") + data

    def text(self, section: str) -> str:
        """The text of a section with white space normalized."""
        return " ".join(self.texts.get(section, "").split())


def rendered(template: str, **context: Any) -> str:
    """One template as the page includes it, as HTML."""
    source = f'{HEADER}{{% include "{template}" %}}'
    return environment().from_string(source).render(open_tables=OPEN_TABLES, **context)


def texts(html: str, tag: str = "section") -> list[str]:
    """The text of every element of a kind, with white space normalized."""
    page = html.replace(f"<{tag}", f"\0<{tag}").split("\0")[1:]
    found = []
    for part in page:
        parser = Page(part.partition(f"</{tag}>")[0])
        found.append(" ".join("".join(parser.texts.values()).split()))
    return found
