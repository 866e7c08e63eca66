"""Which language a text is written in, and whether it is the wanted one.

The script decides where it can; Latin script goes to py3langid, which ships its model. Names and
terms of another script are common in good answers: a word counts as much as a Chinese character.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import regex

_HAN = regex.compile(r"\p{Script=Han}")
_KANA = regex.compile(r"[\p{Script=Hiragana}\p{Script=Katakana}]")
# A word of a script that separates its words, or a character of one that does not.
_WORD = regex.compile(
    r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]"
    r"|[\p{Script=Latin}\p{M}'’]+|[\p{L}\p{M}]+?(?=[\p{Script=Han}\p{Script=Latin}]|[^\p{L}\p{M}]|$)"
)
_LATIN = ("en", "de", "es", "fr", "it", "pt")
_SCRIPTS = {
    name: regex.compile(pattern)
    for name, pattern in (
        {
            "zh": r"\p{Script=Han}",
            "ja": r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]",
            "ko": r"[\p{Script=Hangul}\p{Script=Han}]",
            "ru": r"\p{Script=Cyrillic}",
            "ar": r"\p{Script=Arabic}",
        }
        | dict.fromkeys(_LATIN, r"\p{Script=Latin}")
    ).items()
}
# Of the words, those in the language's script; below it the language is another.
USUAL_SHARE = 0.5
# Below so many letters the identifier guesses.
FEWEST_LETTERS = 20
# The identifier is sure of another language, or sure that it is not this one.
SURE, UNLIKELY, IMPOSSIBLE = 0.4, 0.05, 0.001
# More kana than in a Chinese text that quotes a Japanese name.
KANA_SHARE = 0.1


def guess_language(prompt: str) -> str:
    """ "zh" for a prompt with any Chinese character, else "en"."""
    return "zh" if _HAN.search(prompt) else "en"


def language_of(text: str, expected: str) -> str:
    """The language of a text: the expected one where its script fits, else Chinese or English."""
    if language_share(text, expected) == 1:
        return expected
    return "zh" if language_share(text, "zh") == 1 else "en"


def script_share(text: str, language: str | None) -> float:
    """Share of the words of a text that are in the script of a language, over 0.5, at most 1.

    1 for a language whose script is not known here, and for a text without letters. A text with
    kana is not Chinese.
    """
    script = _SCRIPTS.get(language or "")
    written = _WORD.findall(text)
    if script is None or not written:
        return 1.0
    if language == "zh" and len(_KANA.findall(text)) > KANA_SHARE * len(written):
        return 0.0
    share = sum(script.match(word) is not None for word in written) / len(written)
    return min(1.0, share / USUAL_SHARE)


def language_share(text: str, language: str | None) -> float:
    """`script_share`, but 0 where py3langid is sure of another language of the same script or of
    none (letters at random)."""
    share = script_share(text, language)
    if share > 0 and language in _LATIN:
        latin = " ".join(word for word in _WORD.findall(text) if _SCRIPTS[language].match(word))
        if _is_another(latin, language):
            return 0.0
    return share


def _is_another(text: str, language: str) -> bool:
    if sum(map(str.isalpha, text)) < FEWEST_LETTERS:
        return False
    ranked: dict[str, float] = dict(_identifier().rank(text))
    likely = max(ranked, key=lambda name: ranked[name])
    wanted = ranked.get(language, 0)
    return wanted < IMPOSSIBLE or (
        likely != language and ranked[likely] >= SURE and wanted < UNLIKELY
    )


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
