"""Category open_qa: facts. The pool asks for every fact, but never in an eval item's words.

The key is the pair of fact and wording: an eval item asks a fact in words in which no pool
record asks it, so that both the fact and the wording must have been learned, each from others.
"""

from __future__ import annotations

from random import Random

from instruct_scaling.data.synthetic.draft import Draft, Language
from instruct_scaling.data.synthetic.words import FACTS, say

_BY_RELATION = {
    relation: tuple(fact for fact in FACTS if fact.relation == relation)
    for relation in dict.fromkeys(fact.relation for fact in FACTS)
}

_QUESTIONS = {
    "capital": {
        "en": (
            "What is the capital of {s}?",
            "Name the capital of {s}.",
            "Which city is the capital of {s}?",
            "{s}: capital?",
        ),
        "zh": ("{s}的首都是哪里？", "{s}的首都叫什么？", "哪座城市是{s}的首都？", "{s}首都？"),
    },
    "continent": {
        "en": (
            "Which continent is {s} in?",
            "Name the continent of {s}.",
            "{s} lies on which continent?",
            "{s}: continent?",
        ),
        "zh": ("{s}在哪个洲？", "{s}属于哪个大洲？", "哪个洲有{s}？", "{s}所在的洲？"),
    },
    "class": {
        "en": (
            "What kind of animal is a {s}?",
            "A {s} is what kind of animal?",
            "Name the animal class of the {s}.",
            "{s}: animal class?",
        ),
        "zh": ("{s}是哪类动物？", "{s}属于哪一类动物？", "哪一类动物包括{s}？", "{s}的类别？"),
    },
    "opposite": {
        "en": (
            "What is the opposite of {s}?",
            "Name the opposite of {s}.",
            "Which word is opposite to {s}?",
            "{s}: opposite?",
        ),
        "zh": ("{s}的反义词是什么？", "写出{s}的反义词。", "哪个词和{s}相反？", "{s}的反面？"),
    },
    "colour": {
        "en": (
            "What colour is {s}?",
            "Name the colour of {s}.",
            "Which colour is typical of {s}?",
            "{s}: colour?",
        ),
        "zh": ("{s}是什么颜色？", "说出{s}的颜色。", "哪种颜色是{s}的颜色？", "{s}颜色？"),
    },
    "workplace": {
        "en": (
            "Where does a {s} work?",
            "Name the workplace of a {s}.",
            "In which place does a {s} work?",
            "{s}: workplace?",
        ),
        "zh": ("{s}在哪里工作？", "说出{s}工作的地方。", "哪里是{s}工作的地方？", "{s}工作地点？"),
    },
}
_FRAMES = {
    "en": ("{}", "Quick question. {}", "{} Be brief.", "Please answer. {}"),
    "zh": ("{}", "请问：{}", "{}请简短回答。", "请回答：{}"),
}


def _article(question: str) -> str:
    """`a` before a vowel becomes `an`."""
    for vowel in "aeiou":
        question = question.replace(f" a {vowel}", f" an {vowel}")
        question = question.replace(f"A {vowel}", f"An {vowel}")
    return question


def _write(rng: Random, language: Language, relation: str) -> Draft:
    fact = rng.choice(_BY_RELATION[relation])
    number = rng.randrange(len(_QUESTIONS[relation][language]))
    question = _QUESTIONS[relation][language][number].format(s=say(fact.subject, language))
    if language == "en":
        question = _article(question)
    prompt = rng.choice(_FRAMES[language]).format(question[0].upper() + question[1:])
    key = (relation, fact.subject.en, number)
    return Draft(prompt, say(fact.value, language), (key,), checks={"answer": "text"})


def capital(rng: Random, language: Language) -> Draft:
    """The capital of a country."""
    return _write(rng, language, "capital")


def continent(rng: Random, language: Language) -> Draft:
    """The continent of a country."""
    return _write(rng, language, "continent")


def animal_class(rng: Random, language: Language) -> Draft:
    """Mammal, bird, fish or insect."""
    return _write(rng, language, "class")


def opposite(rng: Random, language: Language) -> Draft:
    """The opposite of an adjective."""
    return _write(rng, language, "opposite")


def common_sense(rng: Random, language: Language) -> Draft:
    """The color of a thing or where somebody works."""
    return _write(rng, language, rng.choice(("colour", "workplace")))


FAMILIES = {
    "capital": capital,
    "continent": continent,
    "animal_class": animal_class,
    "opposite": opposite,
    "common_sense": common_sense,
}
