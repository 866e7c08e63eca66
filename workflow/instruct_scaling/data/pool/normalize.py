"""The form in which texts are compared, so that layout and case do not hide a copy."""

from __future__ import annotations

import unicodedata
from functools import lru_cache


@lru_cache(maxsize=4)  # one step after the other folds the same record
def normalize(text: str) -> str:
    """Compatibility forms unified (NFKC), case folded, all white space removed.

    NFKC makes full-width punctuation and digits, as Chinese text has them, equal to their ASCII
    forms.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return "".join(text.casefold().split())
