"""What a response says in the end: its text in one form, and the part that states the answer."""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache

import regex

from instruct_scaling.evaluation.judge.scorers.numerals import raised

_THINKING = regex.compile(r"^\s*<think(?:ing)?>.*?</think(?:ing)?>", regex.DOTALL)
_LONG, _BEGIN, _END = 1000, 2000, 6000
_REPEATED = regex.compile(r"(.{1,12}?)\1{40,}", regex.DOTALL)
# Digits of other scripts; of some, newer than Python's tables, nothing is known.
_OTHER_DIGIT = regex.compile(r"(?![0-9])\p{Nd}")
_HAN = regex.compile(r"\p{Han}")
_EMPHASIS = regex.compile(
    r"(?<!\w)(\*\*|__|\*|`+)(?=\S)(.+?)(?<=\S)\1(?!\w)|(?<=\p{Han})\*\*(.+?)\*\*"
)
_HEADING = regex.compile(r"^\s{0,3}(?:#{1,3}\s+|>\s?|```\w*$)", regex.MULTILINE)
_LATEX_TEXT = regex.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}")
_QUOTES = str.maketrans("“”„‟「」『』《》〈〉‘’", '""""""""""""\'\'')
_BOXED = regex.compile(r"\\boxed\s*(\{(?:[^{}]|(?1))*\})")
_MARK = regex.compile(
    r"####|(?<![\p{L}])(?:(?:final|correct|right)\s)?(?:answer|result|solution)(?:s)?\s*"
    r"(?:(?:\bis\b|\bare\b|\bwould be\b|\bmust be\b|[:=])\s*[:=]?|(?=\s*[-$\\\d]))|"
    r"(?:答案|结果|答复)(?:应该?|就|大概|可能|应当)?(?:\s*(?:是|为|选|[:=])\s*[:=]?|"
    r"(?=\s*[-$\\\d]))|答\s*:",
    regex.IGNORECASE,
)
_CORRECTION = regex.compile(
    r"\b(?:wait|actually|correction|scratch that|oops|i mean|on second thoughts?|let me correct\w*|"
    r"in fact)\b[,:.\s]*(?:no\b)?|(?<=\?\s*)no\b|"
    r"(?<=^|[\s,.。;!?])不对(?=[,。.!\s])|更正|等等[,。]|等一下|重新(?:算|计算|想)一?[下遍]|"
    r"[说算弄]错了|"
    r"(?<!答案)应该是|其实|(?<=\?\s*)不(?=[,是])",
    regex.IGNORECASE,
)
_THEREFORE = regex.compile(
    r"\b(?:therefore|thus|hence|consequently|(?<!\bor\s)so(?!\s(?:far|that|many|much|on|called))|"
    r"which (?:makes|means|gives|rounds (?:up |down |off )?to)|"
    r"that (?:makes|means|gives))\b|因此|所以|因而|综上|总之|可见|"
    r"故(?![事意障乡宫])",
    regex.IGNORECASE,
)
_BOLD = regex.compile(r"(?:\*\*|__)(?=\S)([^*\n]+?)(?:\*\*|__)")
_HEADS = regex.compile(
    r"[:：]\s*$|^\W*(?:step|part|case|method|solution)\b|^\W*第.{1,3}[步部步种]|^\W*步骤|^\W*方法",
    regex.IGNORECASE,
)
# What begins a sentence after the result: a check, a remark, a comparison.
_AFTERTHOUGHT = regex.compile(
    r"(?<=[.!?。;\n]\s*)(?:(?:let's |let us |to |we can |you can |a |quick |double-?)*"
    r"(?:check|verify|verification|double-check)\w*\b|plugging|"
    r"(?:please |also )?note\b|by the way|incidentally|(?:for|in|by) comparison|"
    r"compared (?:to|with)|as a check|this is because|fun fact|p\.?s\b|"
    r"(?:经)?(?:验算|检验|检查|验证)|代入|把.{1,8}代入|注意|顺便|另外|补充|相比|比原[价来]|备注|"
    r"提示|说明:|也就是说|换句话说)",
    regex.IGNORECASE,
)
_REASON_AFTER = regex.compile(
    r"(?<=\w[^.!?。\n]*)[,(\s]*(?:\b(?:because|since|given that|considering|even though|"
    r"although)\b|因为|由于|"
    r"理由是|理由:|原因是)(?:[^.!?。;\n]|\.(?=\d))*",
    regex.IGNORECASE,
)
_REASON_BEFORE = regex.compile(
    r"(?<=^|[.!?。;\n]\s*)(?:because|since|given that|considering|although|though|while|因为|"
    r"由于|虽然|尽管)[^,.。;\n]*,\s*",
    regex.IGNORECASE,
)
# "Geneva (日内瓦)": the same name in the other script is no aside.
_OTHER_SCRIPT = regex.compile(
    r"(?<=[A-Za-z.]\s*)\(\p{Han}[\p{Han}·]*\)|(?<=\p{Han}\s*)\([A-Za-z][A-Za-z .'-]*\)"
)
_TABLE_RULE = regex.compile(r"^\s*\|?\s*:?-{2,}[-:|\s]*$")
_ASIDE = regex.compile(r"\s*[(\[](?!\w{1,2}[)\]])[^()\[\]]{3,}[)\]]")
_SENTENCE = regex.compile(
    r"(?<=[.!?])(?<!\b(?:p|a|m|Mr|Dr|St|vs|No|e\.g|i\.e)\.)\s+|(?<=[。!?;])|\n+"
)
_REFUSAL = regex.compile(
    r"\b(?:i(?:'m| am) (?:not sure|sorry|unable|afraid)|i (?:don't|do not|cannot|can't|can not|"
    r"could not) "
    r"(?:know|answer|help|tell|determine|classify|say|provide|find)|nobody knows|no idea|as an ai|"
    r"(?:text|passage|article|document|context|message) (?:does not|doesn't) (?:say|mention|"
    r"state|specify|"
    r"contain|provide)|not (?:mentioned|stated|specified|given|provided|enough information)|"
    r"unanswerable|"
    r"(?:cannot|can't) be (?:determined|answered|known)|impossible to (?:say|tell|know)|"
    r"there is no (?:information|answer|mention))\b|"
    r"不知道|不清楚|无法(?:回答|判断|确定|提供|得知|分类|知道)|抱歉|对不起|没有?提[到及供]|"
    r"未提[到及供]|"
    r"不确定|作为(?:一个)?(?:ai|人工智能)|没有(?:说明|说|相关信息|足够)|不得而知|无从得知",
    regex.IGNORECASE,
)


@cache
def _converter() -> object:
    from opencc import OpenCC  # imported here: it reads its dictionaries when made

    return OpenCC("t2s")


def simplified(text: str) -> str:
    """Traditional Chinese characters as simplified ones; other texts as they are."""
    return _converter().convert(text) if _HAN.search(text) else text  # type: ignore[attr-defined]


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """One form for all that looks alike: no thinking, markup, wide forms or traditional script."""
    text = _bounded(_THINKING.sub("", text))
    text = raised(text.replace("，", ", ").replace("…", "..."))
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    text = _OTHER_DIGIT.sub(lambda m: str(unicodedata.decimal(m[0], " ")), text)
    text = text.replace("−", "-").replace("–", "-").replace("—", " - ").replace("\\$", "$")
    text = _HEADING.sub("", text)
    for _ in range(2):
        text = _EMPHASIS.sub(lambda m: m[2] if m[2] is not None else m[3], text)
    text = _LATEX_TEXT.sub(r" \1 ", text)
    return simplified(without_tables(text)).strip()


def without_tables(text: str) -> str:
    """Markdown tables as lines "first cell: others"; one of a single row as "head: cell" lines."""
    if "|" not in text:
        return text
    lines = text.split("\n")
    found: list[str] = []
    number = 0
    while number < len(lines):
        if (
            number + 1 < len(lines)
            and "|" in lines[number]
            and _TABLE_RULE.match(lines[number + 1])
        ):
            head = _cells(lines[number])
            end = number + 2
            while end < len(lines) and "|" in lines[end]:
                end += 1
            rows = [_cells(line) for line in lines[number + 2 : end]]
            if len(rows) == 1:
                found += [f"{name}: {cell}" for name, cell in zip(head, rows[0], strict=False)]
            else:
                found += [": ".join([row[0], ", ".join(row[1:])]).rstrip(" :") for row in rows]
            number = end
        else:
            found.append(lines[number])
            number += 1
    return "\n".join(found)


def _cells(line: str) -> list[str]:
    """The cells of a row that hold a word; the first in any case."""
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    return [cells[0], *(cell for cell in cells[1:] if regex.search(r"\w", cell))]


def _bounded(text: str) -> str:
    """A long text without what it repeats, and without its middle: patterns stay quick on it."""
    if len(text) <= _LONG:
        return text
    text = _REPEATED.sub(" ", text)
    return text if len(text) <= _BEGIN + _END else f"{text[:_BEGIN]}\n{text[-_END:]}"


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text, without the empty ones."""
    return [part.strip() for part in _SENTENCE.split(text) if part and part.strip()]


def refuses(text: str) -> bool:
    """Whether a text says that there is no answer, or that it gives none."""
    return _REFUSAL.search(text) is not None


def boxed(text: str) -> str | None:
    r"""What the last \boxed{} holds."""
    match = _BOXED.match(text, max(0, text.rfind("\\boxed")))
    return match[1][1:-1].strip() if match else None


def marked(text: str) -> str | None:
    """What follows the last answer mark ("the answer is", 答案：), to the end of its line.

    Where nothing does, the next line that holds something. None without a mark.
    """
    ends = [match.end() for match in _MARK.finditer(text)]
    rest = text[ends[-1] :].strip(" .,:;。\n") if ends else ""
    return rest.split("\n")[0].strip() or None


def corrected(text: str) -> str:
    """The text after its last correction of itself ("wait, actually", 不对), if words follow."""
    for match in reversed(list(_CORRECTION.finditer(text))):
        rest = text[match.end() :].strip(" ,.:。!?\n")
        if regex.search(r"\w", rest):
            return rest
    return text


def conclusion(text: str) -> str | None:
    """What follows the last "therefore" to the end of its sentence; None without one."""
    for match in reversed(list(_THEREFORE.finditer(text))):
        rest = text[match.end() :].strip(" ,:\n")
        parts = sentences(rest)
        if parts and regex.search(r"\w", parts[0]):
            return parts[0]
    return None


def emphasized(text: str) -> str | None:
    """The last bold passage of a raw text that holds a number and is no heading or label."""
    found = [
        match[1]
        for match in _BOLD.finditer(text)
        if regex.search(r"[\d零一二两三四五六七八九十]", match[1]) and not _HEADS.search(match[1])
    ]
    return found[-1] if found else None


def without_afterthoughts(text: str) -> str:
    """The text before a check of its result or a remark on it: "Plugging it back", 验算, "Note"."""
    for match in _AFTERTHOUGHT.finditer(text):
        before = text[: match.start()]
        if regex.search(r"\d", before):
            return before.rstrip()
    return text


def without_questions(text: str) -> str:
    """The text without the questions that it asks itself before it answers: 不可以吗？当然可以。"""
    parts = sentences(text)
    kept = [part for part in parts[:-1] if not part.endswith(("?", "？"))] + parts[-1:]
    return "\n".join(kept) if len(kept) < len(parts) else text


def without_reasons(text: str) -> str:
    """The text without asides in brackets and without what follows "because"."""
    shorter = _OTHER_SCRIPT.sub(lambda m: f", {m[0][1:-1]}", text)
    shorter = _REASON_AFTER.sub("", _REASON_BEFORE.sub("", _ASIDE.sub("", shorter))).strip()
    return shorter if regex.search(r"\w", shorter) else text


def _last_line(text: str) -> str | None:
    """The last of several lines where it is a word or three: an answer below its reasons."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    words = len(regex.findall(r"\p{Han}|[^\W\p{Han}]+", lines[-1])) if len(lines) > 1 else 0
    listed = words and regex.match(r"[-*•]|\d+[.)]", lines[-1])
    return lines[-1] if 0 < words <= 3 and not listed else None


def statement(text: str) -> str:
    """The part of a plain text that states its answer: boxed, marked, concluded, or all of it."""
    found = boxed(text)
    if found is not None:
        return found
    text = corrected(text)
    stated = marked(text) or _last_line(text) or conclusion(text) or text
    return without_reasons(stated)
