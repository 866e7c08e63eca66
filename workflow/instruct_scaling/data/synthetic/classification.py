"""Category classification: the answer is one label of a set that the question names."""

from __future__ import annotations

from random import Random

from instruct_scaling.data.synthetic import words
from instruct_scaling.data.synthetic.draft import Draft, Language
from instruct_scaling.data.synthetic.words import Pair, say

_KINDS: dict[Pair, tuple[Pair, ...]] = {
    Pair("animal", "动物"): sum(words.ANIMALS.values(), ()),
    Pair("food", "食物"): words.FRUITS + words.VEGETABLES,
    Pair("tool", "工具"): words.TOOLS,
    Pair("sport", "运动"): words.SPORTS,
}
_POSITIVE, _NEGATIVE, _MIXED = (
    Pair("positive", "正面"),
    Pair("negative", "负面"),
    Pair("mixed", "褒贬不一"),
)
_EVEN, _ODD = Pair("even", "偶数"), Pair("odd", "奇数")
_QUESTION, _COMMAND, _STATEMENT = (
    Pair("ask", "疑问"),
    Pair("order", "命令"),
    Pair("tell", "陈述"),
)

_KIND_ASKS = {
    "en": (
        "Animal, food, tool or sport? {}",
        "Sort into animal, food, tool, sport: {}",
        "What is it (animal, food, tool, sport)? {}",
    ),
    "zh": (
        "动物、食物、工具还是运动？{}",
        "归类（动物、食物、工具、运动）：{}",
        "它是动物、食物、工具或运动？{}",
    ),
}
_TONE_ASKS = {
    "en": (
        "Positive or negative? {}",
        "Tone (positive, negative): {}",
        "Say positive or negative. {}",
    ),
    "zh": ("正面还是负面？{}", "语气（正面、负面）：{}", "评价如何？答正面或负面。{}"),
}
_PARITY_ASKS = {
    "en": ("Is {} even or odd?", "Even or odd: {}", "Parity of {} (even, odd)?"),
    "zh": ("{}是偶数还是奇数？", "偶数或奇数：{}", "{}的奇偶性（偶数、奇数）？"),
}


def _draft(
    question: str, label: Pair, labels: tuple[Pair, ...], language: Language, *keys: tuple[str, ...]
) -> Draft:
    checks = {"answer": "label", "labels": [say(each, language) for each in labels]}
    return Draft(question, say(label, language), keys, checks=checks)


def kind(rng: Random, language: Language) -> Draft:
    """Animal, food, tool or sport; the same word may stand in the pool in another question."""
    label = rng.choice(tuple(_KINDS))
    word = rng.choice(_KINDS[label])
    number = rng.randrange(len(_KIND_ASKS[language]))
    question = _KIND_ASKS[language][number].format(say(word, language))
    return _draft(question, label, tuple(_KINDS), language, ("kind", word.en, str(number)))


def _opinion(rng: Random) -> tuple[Pair, Pair, bool]:
    """A thing, an adjective, and whether the adjective is good."""
    good = rng.random() < 0.5
    return rng.choice(words.REVIEWED), rng.choice(words.GOOD if good else words.BAD), good


def tone(rng: Random, language: Language) -> Draft:
    """A thing praised or blamed in one sentence."""
    thing, adjective, good = _opinion(rng)
    sentence = {"en": f"The {thing.en} is {adjective.en}.", "zh": f"这{thing.zh}很{adjective.zh}。"}
    if language == "zh" and adjective.zh.startswith("很"):
        sentence["zh"] = f"这{thing.zh}{adjective.zh}。"
    question = rng.choice(_TONE_ASKS[language]).format(sentence[language])
    label = _POSITIVE if good else _NEGATIVE
    return _draft(
        question, label, (_POSITIVE, _NEGATIVE), language, ("tone", thing.en, adjective.en)
    )


def negated_tone(rng: Random, language: Language) -> Draft:
    """An adjective that a negation turns round."""
    thing, adjective, good = _opinion(rng)
    plain = adjective.zh.removeprefix("很")
    sentence = {"en": f"The {thing.en} is not {adjective.en}.", "zh": f"这{thing.zh}不{plain}。"}
    if plain.startswith(("没", "不")):
        sentence["zh"] = f"这{thing.zh}并非{plain}。"
    question = rng.choice(_TONE_ASKS[language]).format(sentence[language])
    label = _NEGATIVE if good else _POSITIVE
    return _draft(
        question, label, (_POSITIVE, _NEGATIVE), language, ("not", thing.en, adjective.en)
    )


def mixed_tone(rng: Random, language: Language) -> Draft:
    """Two opinions that agree or do not."""
    (one, first, good), (other, second, fine) = _opinion(rng), _opinion(rng)
    if language == "en":
        question = f"Positive, negative or mixed? {one.en}: {first.en}. {other.en}: {second.en}."
    else:
        question = f"正面、负面还是褒贬不一？{one.zh}{first.zh}，{other.zh}{second.zh}。"
    label = _MIXED if good != fine else _POSITIVE if good else _NEGATIVE
    key = ("mixed", one.en, first.en)
    return _draft(question, label, (_POSITIVE, _NEGATIVE, _MIXED), language, key)


def parity(rng: Random, language: Language) -> Draft:
    """Even or odd numbers of up to three digits."""
    number = rng.randint(10, 999)
    question = rng.choice(_PARITY_ASKS[language]).format(number)
    label = _ODD if number % 2 else _EVEN
    return _draft(question, label, (_EVEN, _ODD), language, ("parity", str(number)))


def intent(rng: Random, language: Language) -> Draft:
    """A question, a command or a statement on the same words, without its punctuation mark."""
    verb, thing = rng.choice(words.VERBS), rng.choice(words.THINGS)
    name = rng.choice(words.PEOPLE[language])
    label, en, zh = rng.choice(
        (
            (_QUESTION, f"did {name} {verb.base} the {thing.en}", f"{name}{verb.zh}{thing.zh}了吗"),
            (_COMMAND, f"{verb.base} the {thing.en} {name}", f"{name}快去{verb.zh}{thing.zh}"),
            (_STATEMENT, f"{name} {verb.past} the {thing.en}", f"{name}{verb.zh}{thing.zh}了"),
        )
    )
    ask = {"en": f"Ask, order or tell? {en}", "zh": f"疑问、命令还是陈述？{zh}"}
    key = ("intent", name, verb.base, thing.en)
    return _draft(ask[language], label, (_QUESTION, _COMMAND, _STATEMENT), language, key)


FAMILIES = {
    "kind": kind,
    "tone": tone,
    "negated_tone": negated_tone,
    "mixed_tone": mixed_tone,
    "parity": parity,
    "intent": intent,
}
