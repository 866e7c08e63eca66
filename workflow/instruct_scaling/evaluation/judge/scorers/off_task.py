"""Fluent texts that do not do what was asked: a definition, a question back, a cut-off end."""

from __future__ import annotations

import regex

from instruct_scaling.evaluation.judge.scorers.matching import normalize, tokenize

# What a text that defines a word of the prompt, where a notice or ideas were asked for, is worth.
DEFINES_INSTEAD = 0.2
# A definition takes a sentence or two; a slogan may have its form.
SHORTEST_DEFINITION = 15

_DEFINITION = regex.compile(
    r"\A\W*(?:(?:an?|the) )?\p{Latin}[\p{Latin} -]{1,40}?(?:,? \(?(?:also|sometimes) (?:called"
    r"|known as)\b"
    r"|,? (?:is|are) (?:an? )?(?:type|kind|form|sort|species|genus|breed|group|class)s? of\b"
    r"|,? (?:refers? to|(?:is|are) defined as)\b"
    r"|,? (?:is|are) (?:an? )?(?:[\w-]+ ){0,2}(?:mammal|animal|plant|vehicle|device|substance"
    r"|term|name|word|person who|hobby)s?\b)"
    r"|\A\W*\p{Han}{1,10}(?:，?(?:又称|也叫|亦称|俗称)|是(?:一种|一类|指|用\p{Han}|由\p{Han})"
    r"|指的?是|属于)"
)
_ASKS_FOR_ONE = regex.compile(
    r"\b(?:explain|defin\w+|meaning|introduc\w+|encyclop\w+|facts?|riddles?|article|essay|report)\b"
    r"|解释|定义|介绍|说明|科普|百科|谜|文章|作文|论文|报告"
)
# A piece of writing or ideas, rather than knowledge.
_ASKS_TO_MAKE = regex.compile(
    r"\b(?:write|compose|draft|rewrite|rephrase|suggest|brainstorm|ideas?|names?|ways|tips|invent"
    r"|come up with|create)\b|写|想|改|主意|点子|建议|出\d*个|办法|起名"
)
_PERSONAL = regex.compile(r"\b(?:i|you|your|we|our|my|us)\b|[我你您咱]")

_MATERIAL = r"(?:text|paragraph|sentence|passage|article|e-?mail|message|original|content|document)"
_ASKS_BACK = regex.compile(
    rf"\b(?:please|could you|can you|would you) (?:please )?(?:share|provide|paste|send|give)\b"
    rf"[^.?!\n]{{0,30}}\b{_MATERIAL}s?\b[^.?!\n]{{0,40}}\b(?:you(?:'d| would)? (?:like|want)"
    rf"|to (?:be|work)|below|here|first|so (?:that )?i)"
    r"|\b(?:could|can) you (?:please )?(?:clarify|specify)\b|\bwhat (?:kind|type|sort|topic|tone"
    r"|style)[^.?!\n]{0,40}\byou(?:'d)?\b[^.?!\n]*\?"
    r"|\bwhat (?:would|do|should) (?:you|i|it)\b[^.?!\n]*\?\s*\Z"
    r"|请问?(?:您|你)?(?:想要?|需要|希望|打算|要)[^。！\n]{0,24}(?:什么|哪|怎样|吗|呢)"
    r"|请(?:您|你)?(?:先)?(?:提供|告诉我|发给?我|给出|输入|粘贴|补充)[^。！\n]{0,16}"
    r"(?:文本|句子|段落|内容|文章|主题|信息|原文|要求|细节|需求|文字|语句|材料)"
)
_OFFERS = regex.compile(
    r"\A\W*(?:sure|certainly|of course|absolutely|i(?:'d| would|'m| am)? (?:be )?(?:happy|glad)"
    r"|当然|好的|可以|没问题|很高兴|我可以)"
)
LONGEST_QUESTION = 50

_PROMISE = regex.compile(
    r"\A(?:i(?:'ll| will| can| could|'d be happy to| would be happy to)|let me) (?:\w+ )?"
    r"(?:write|help|rewrite|translate|summarize|create|come up with|list|give|provide|do)\b"
    r"[^.!?\n]*(?:for you|below|now|that|right away)?[.!…:]*\Z"
    r"|\A(?:下面|接下来|现在)?(?:我|让我)(?:来|会|可以|将|马上|这就)(?:帮|为|给)?(?:您|你)?"
    r"(?:写|翻译|改写|总结|概括|列出|想|提供|创作)[^。！!?？\n]*[。！!：:]?\Z"
)
LONGEST_PROMISE = 24

_HANGING = regex.compile(
    r"(?:\b(?:a|an|the|and|or|of|to|in|on|at|for|with|that|which|who|from|by|as|is|are|was|were|be"
    r"|will|would|has|have|had|my|your|his|her|its|our|their|because|if|when|than|into|about)"
    r"|[,，、;；:：(（“-]|(?<=[\p{Han}，])(?:因为|由于|并且|以及|而且|但是|如果|为了|和|与|或|并|把"
    r"|被|将))\s*\Z",
    regex.IGNORECASE,
)
SHORTEST_CUT = 6


def defines_instead(prompt: str, text: str) -> bool:
    """Whether a text opens as the definition of a word of a prompt that asks for none.

    Such a text speaks to nobody: notices, letters and advice have an I or a you.
    """
    plain, asked = normalize(text), normalize(prompt)
    if len(tokenize(plain)) < SHORTEST_DEFINITION or _ASKS_FOR_ONE.search(asked):
        return False
    if not _ASKS_TO_MAKE.search(asked):
        return False
    found = _DEFINITION.match(plain)
    if found is None or _PERSONAL.search(plain):
        return False
    subject = [token for token in tokenize(found[0])[:4] if token not in ("a", "an", "the")]
    return subject[0] in asked


def asks_back(text: str, references: tuple[str, ...] = ()) -> bool:
    """Whether a text asks for what it was given, or for what it may decide, and does no more."""
    plain = normalize(text).replace("’", "'").strip()
    if len(tokenize(plain)) > LONGEST_QUESTION or any(
        _ASKS_BACK.search(normalize(reference)) for reference in references
    ):
        return False
    found = _ASKS_BACK.search(plain)
    if found is None:
        return False
    before = tokenize(plain[: found.start()])
    return _OFFERS.match(plain) is not None or len(before) <= 3


def only_promises(text: str) -> bool:
    """Whether a text says that it will do what was asked, and does no more."""
    plain = normalize(text).replace("’", "'").strip()
    return len(tokenize(plain)) <= LONGEST_PROMISE and _PROMISE.match(plain) is not None


def is_cut_off(text: str) -> bool:
    """Whether a text ends on a word or a mark that something has to follow."""
    last = text.rstrip().rpartition("\n")[2]
    if len(tokenize(last)) < SHORTEST_CUT:  # "Best regards,"
        return False
    return _HANGING.search(last) is not None
