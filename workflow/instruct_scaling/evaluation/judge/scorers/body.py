"""The body of an answer: what is left without what a chat model writes around it.

"Sure! Here is a plainer version:", bold labels, quotation marks around the whole, an appended list
of changes, "Let me know if ...": none of it is the translation, the summary or the text asked for.
"""

from __future__ import annotations

import regex

from instruct_scaling.evaluation.judge.scorers.matching import tokenize

# A lead-in is short; a longer first paragraph that ends in a colon says something.
LONGEST_LEAD_IN = 24

_MARKUP = regex.compile(
    r"\*\*|__|`{3,}\w*|~{3,}|(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w)|`|^[ \t]*#{1,6}[ \t]+"
    r"|^[ \t]*[-*_]{3,}[ \t]*$",
    regex.MULTILINE,
)
_QUOTED_LINE = regex.compile(r"^[ \t]*>[ \t]?(.*)$", regex.MULTILINE)
# An acknowledgment that ends its own sentence: "Sure!", "好的，", "当然可以！".
_AGREES = regex.compile(
    r"\A\s*(?:sure(?: thing)?|certainly|of course|absolutely|no problem|gladly|okay|ok|great"
    r"|好的?|当然(?:可以)?|没问题|可以的?)(?:[!！.。,，~～:：\s]+|\Z)",
    regex.IGNORECASE,
)
# "I'd be happy to help!": a sentence about the answer.
_OFFER = regex.compile(
    r"\A\s*(?:i(?:'d| would| am|'m)? (?:be )?(?:happy|glad) to (?:help|assist)[^.!\n]*[.!]"
    r"|(?:很高兴|乐意)[^。！\n]{0,12}(?:帮|为)[^。！\n]{0,10}[。！])\s*",
    regex.IGNORECASE,
)
_PRODUCT = (
    r"(?:version|translation|translated|summar(?:y|ize[ds]?)|rewrit\w*|rewrote|corrected|correction"
    r"|revised|revision|rephrased|paraphrased?|polished|improved|formal|active voice|passive voice"
    r"|tl;?\s?dr|in short|answer|result|output|sentence"
    r"|译文|翻译|改写|改成|改为|修改|更正|改正|润色|摘要|概括|总结|概要|要点|答案|结果|版本|如下"
    r"|句子)"
)
_HERE = r"(?:here(?:'s| is| are)|this is|below (?:is|are)|以下|下面|这是|这里)"
_LABEL = regex.compile(
    rf"\A\s*(?:{_HERE}[^:：\n]*"
    rf"|[^:：\n.。!！?？]*?{_PRODUCT}[^:：\n.。!！?？]*)[:：]\s*",
    regex.IGNORECASE,
)
# The text that was given, and then "Translation:".
_LATER_LABEL = regex.compile(
    r"\A\s*(?:original|source|before|原文|原句|修改前|改写前)[^\n]{0,12}[:：].*?\n\s*"
    r"(?:translation|translated|after|rewritten|corrected|revised|new|译文|翻译|修改后|改写后"
    r"|改后|改写)"
    r"[^\n:：]{0,12}[:：]\s*",
    regex.IGNORECASE | regex.DOTALL,
)
_VERSION = regex.compile(
    r"^[ \t]*(?:[-*•]|\d{1,2}[.)、]|(?:option|version|版本"
    r"|方案)[ \t]*\w{1,2}[ \t]*[:：])[ \t]*(\S.*)$",
    regex.MULTILINE | regex.IGNORECASE,
)
# "Changes:", "说明：": a paragraph about the answer, and all that follows it.
_AFTERWORD = regex.compile(
    r"\n\s*[（(\[]?(?:(?:key |main )?changes(?: made)?|explanations?|notes?|corrections?|reasons?"
    r"|why|what (?:i )?changed|what's different|comments?|breakdown|说明|修改说明|解释|解析"
    r"|注释?|备注"
    r"|改动|修改(?:之处|点|要点)|改写说明|理由|翻译说明|译注|分析)(?: (?:made"
    r"|on)[^:：\n]*)?\s*[:：].*\Z",
    regex.IGNORECASE | regex.DOTALL,
)
_CLOSING = regex.compile(
    r"(?:\n|(?<=[.!?。！？”\"]))\s*(?:let me know if|i hope (?:this|that) helps|hope (?:this"
    r"|that) helps"
    r"|feel free to (?:ask|let me)|(?:if you|would you like|do you) (?:want|need|would like"
    r"|me to)[^\n]*"
    r"(?:let me know|\?|help)|希望(?:这|对你|对您|能帮)|如果?(?:你|您)?(?:还)?(?:需要|想要"
    r"|有其他|有任何)[^\n]*(?:告诉我|随时|帮|调整|吗)"
    r"|这样改|这个版本|这句话的?意思).*\Z",
    regex.IGNORECASE | regex.DOTALL,
)
# A remark in brackets at the end, on the words before it.
_REMARK = regex.compile(
    r"\s*[（(](?:注|比喻|直译|意译|意思|即|原文|字面|也可|或者?译|note|literal|lit\.|i\.e\."
    r"|meaning|or:)"
    r"[^（()）]*(?:[（(][^（()）]*[)）][^（()）]*)*[)）]\s*(?=[.。!！]?\s*\Z)",
    regex.IGNORECASE,
)
_QUOTES = {"“": "”", '"': '"', "「": "」", "『": "』", "‘": "’", "'": "'", "«": "»"}


def answer_body(text: str) -> str:
    """The answer itself; "" where a text has nothing but a lead-in.

    Markup, an acknowledgment, a label ("Corrected:", 译文如下：), a quoted block after it, notes
    and offers at the end, and quotation marks around the whole are left out.
    """
    plain = _MARKUP.sub("", without_lead_in(text))
    later = _LATER_LABEL.search(plain)
    if later is not None:
        plain = plain[later.end() :]
    quoted = _QUOTED_LINE.findall(plain)
    if quoted:
        plain = "\n".join(quoted)
    for ending in (_AFTERWORD, _CLOSING, _REMARK):
        plain = _before(ending, plain)
    return _without_quotes(plain.strip())


def first_version(text: str) -> str:
    """The first of several versions of a text, which are bulleted or numbered; else the text."""
    entries = _VERSION.findall(text)
    if len(entries) < 2 or _VERSION.match(text) is None:
        return text
    return _without_quotes(entries[0].strip())


def without_lead_in(text: str) -> str:
    """The text after its acknowledgment and label; "" where nothing follows."""
    plain = regex.sub(r"\A[ \t]*(?:#{1,6}[ \t]+|\*\*|__)+", "", text.replace("’", "'").lstrip())
    for pattern in (_AGREES, _OFFER):
        plain = pattern.sub("", plain, count=1)
    plain = regex.sub(r"\A[ \t]*(?:#{1,6}[ \t]+|\*\*|__)+", "", plain)
    label = _LABEL.match(plain)
    if label is not None and len(tokenize(label[0])) <= LONGEST_LEAD_IN:
        plain = plain[label.end() :]
    return regex.sub(r"\A\s*(?:\*\*|__)(?=\s)", "", plain).strip()


def _before(ending: regex.Pattern[str], text: str) -> str:
    """The text before an ending; the whole where nothing with words is before it."""
    found = ending.search(text)
    if found is None or not tokenize(text[: found.start()]):
        return text
    return text[: found.start()]


def _without_quotes(text: str) -> str:
    """The text inside quotation marks that hold all of it, or its first paragraph."""
    closing = _QUOTES.get(text[:1])
    if closing is None:
        return text
    end = text.find(closing, 1)
    rest = text[end + 1 :]
    if end > 0 and (not tokenize(rest) or rest.startswith("\n\n")):
        return text[1:end].strip()
    return text
