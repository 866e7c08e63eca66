"""From the context to one HTML file: templates, style and script inlined, everything escaped."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from instruct_scaling.reporting.report import wording
from instruct_scaling.reporting.report.context import Report

STYLES = ("base.css", "layout.css", "tables.css", "samples.css", "print.css")
SCRIPTS = ("filter.js",)
OPEN_TABLES = 2
"""Tables of the same kind that stand open; further ones are folded."""
SECTIONS = (
    ("verdicts", "Verdicts"),
    ("scores", "Mean scores"),
    ("figures", "Figures"),
    ("method", "Method"),
    ("data", "Data audit"),
    ("judges", "Judge check"),
    ("costs", "Costs"),
    ("samples", "Samples"),
    ("limits", "Not measured"),
    ("config", "Config"),
    ("provenance", "Provenance"),
)


def render(report: Report) -> str:
    """The page. Style and script are allowed by their hashes, so nothing else can run or load."""
    style, script = _joined(STYLES), _joined(SCRIPTS)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            sections=SECTIONS,
            open_tables=OPEN_TABLES,
            style=Markup(style),
            script=Markup(script),
            policy=content_policy(style, script),
        )
    )


def content_policy(style: str, script: str) -> str:
    """A Content-Security-Policy that allows this style, this script and embedded images only."""
    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("instruct_scaling.reporting.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=wording.number,
        count=wording.count,
        percent=wording.percent,
        category=wording.category_name,
        scale=wording.scale_name,
        listing=wording.listing,
    )
    environment.globals.update(interval=wording.interval, plural=wording.plural)
    return environment


def _joined(names: tuple[str, ...]) -> str:
    folder = files("instruct_scaling.reporting.report") / "templates"
    return "\n" + "\n".join((folder / name).read_text("utf-8") for name in names)


def _hash(text: str) -> str:
    """Source expression of an inline element, CSP level 2: base64 of the SHA-256 of its text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()
