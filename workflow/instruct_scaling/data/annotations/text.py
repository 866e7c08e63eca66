"""Annotations that a record's own text gives: length, and language by script."""

from __future__ import annotations

import re
from collections.abc import Callable

from instruct_scaling.common.records import Record
from instruct_scaling.config.annotations import LanguageAnnotation, LengthAnnotation, Part

# What counts as one word of each script. Scripts without blanks between words count characters;
# kana and Hangul tell Japanese and Korean, Han without kana is Chinese.
_WORDS = {
    "latin": re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+"),
    "han": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]"),
    "kana": re.compile(r"[\u3041-\u30ff\u31f0-\u31ff]"),
    "ko": re.compile(r"[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]+"),
    "ru": re.compile(r"[\u0400-\u04ff]+"),
    "ar": re.compile(r"[\u0600-\u06ff]+"),
    "hi": re.compile(r"[\u0900-\u097f]+"),
    "el": re.compile(r"[\u0370-\u03ff]+"),
    "he": re.compile(r"[\u0590-\u05ff]+"),
    "th": re.compile(r"[\u0e01-\u0e3a\u0e40-\u0e5b]"),
}
# Japanese mixes Han and kana; from this share of kana on, a text is Japanese.
_KANA_SHARE = 0.1


def length_of(config: LengthAnnotation) -> Callable[[Record], float]:
    """Characters of a record's text, as a function of the record."""

    def characters(record: Record) -> float:
        return float(sum(map(len, _parts(record, config.of))))

    return characters


def language_of(config: LanguageAnnotation) -> Callable[[Record], str | None]:
    """Language of a record's text, as a function of the record."""

    def language(record: Record) -> str | None:
        return script_language("\n".join(_parts(record, config.of)), config.latin)

    return language


def script_language(text: str, latin: str) -> str | None:
    """The language whose script has most words; None for a text without any.

    Args:
        text: the text.
        latin: language of Latin letters.
    """
    counts = {name: len(words.findall(text)) for name, words in _WORDS.items()}
    kana, han = counts.pop("kana"), counts.pop("han")
    japanese = kana > _KANA_SHARE * (kana + han)
    counts["ja" if japanese else "zh"] = kana + han
    counts[latin] = counts.pop("latin") + counts.get(latin, 0)
    best = max(counts, key=lambda name: (counts[name], name))
    return best if counts[best] else None


def _parts(record: Record, part: Part) -> list[str]:
    texts = {"prompt": [record.prompt], "output": [record.output]}
    return texts.get(part, [record.prompt, record.output])
