"""Category summarization: a passage of three short sentences, its point in one."""

from __future__ import annotations

from random import Random

from instruct_scaling.data.synthetic import words
from instruct_scaling.data.synthetic.draft import Draft, Language, a
from instruct_scaling.data.synthetic.facts import named
from instruct_scaling.data.synthetic.words import Pair

_ASKS = {
    "en": ("Summarize.", "Sum it up.", "In one sentence:", "Main point?"),
    "zh": ("概括大意。", "总结。", "用一句话说：", "要点是什么？"),
}
_WEATHER = (
    Pair("It was hot.", "天很热。"),
    Pair("It rained.", "下雨了。"),
    Pair("It was late.", "天晚了。"),
    Pair("It was windy.", "刮着风。"),
    Pair("It snowed.", "下雪了。"),
)


def _draft(
    rng: Random,
    language: Language,
    sentences: list[str],
    point: str,
    *keys: tuple[object, ...],
    facts: list[list[str]],
    forbidden: list[list[str]] | None = None,
) -> Draft:
    """A passage with its point; `facts` are what a summary must say."""
    passage = (" " if language == "en" else "").join(sentences)
    checks: dict[str, object] = {"answer": "text", "required_facts": facts, "language": language}
    # A passage is short: its summary may be as long, no longer.
    checks["max_chars"] = len("".join(passage.split())) + 20
    if forbidden:
        checks["forbidden_facts"] = forbidden
    return Draft(rng.choice(_ASKS[language]), point, keys, passage, checks)


def shopping(rng: Random, language: Language) -> Draft:
    """Somebody goes somewhere and buys something; the weather is beside the point."""
    name = rng.choice(words.PEOPLE[language])
    place, thing, aside = (
        rng.choice(words.PLACES),
        rng.choice(words.THINGS),
        rng.choice(_WEATHER),
    )
    sentences = {
        "en": [f"{name} went to the {place.en}.", aside.en, f"{name} bought a new {thing.en}."],
        "zh": [f"{name}去了{place.zh}。", aside.zh, f"{name}买了新{thing.zh}。"],
    }
    point = {
        "en": f"{name} bought a new {thing.en} at the {place.en}.",
        "zh": f"{name}在{place.zh}买了新{thing.zh}。",
    }
    keys = (("shopping", name, place.en, thing.en), (name, place.en), (name, thing.en))
    bought = {"en": ["bought", "purchased", "got"], "zh": ["买", "购买"]}
    facts = [[name], named(place, language), named(thing, language), bought[language]]
    return _draft(rng, language, sentences[language], point[language], *keys, facts=facts)


def career(rng: Random, language: Language) -> Draft:
    """What somebody was and has become."""
    name, city = rng.choice(words.PEOPLE[language]), rng.choice(words.CITIES)
    before, after = rng.sample(words.JOBS, 2)
    sentences = {
        "en": [
            f"{name} lives in {city.en}.",
            f"{name} was {a(before.en)}.",
            f"{name} is now {a(after.en)}.",
        ],
        "zh": [f"{name}住在{city.zh}。", f"{name}以前是{before.zh}。", f"{name}现在是{after.zh}。"],
    }
    point = {
        "en": f"{name} in {city.en}, once {a(before.en)}, is now {a(after.en)}.",
        "zh": f"住在{city.zh}的{name}以前是{before.zh}，现在是{after.zh}。",
    }
    keys = (("career", name, city.en), ("career", name, before.en, after.en))
    facts = [[name], named(city, language), named(before, language), named(after, language)]
    turned = {"en": [f"now {a(before.en)}", f"is {a(before.en)}"], "zh": [f"现在是{before.zh}"]}
    return _draft(
        rng,
        language,
        sentences[language],
        point[language],
        *keys,
        facts=facts,
        forbidden=[turned[language]],
    )


def opinions(rng: Random, language: Language) -> Draft:
    """Two people praise or blame the same thing."""
    names = rng.sample(words.PEOPLE[language], 2)
    thing, good = rng.choice(words.REVIEWED), rng.random() < 0.5
    first, second = rng.sample(words.GOOD if good else words.BAD, 2)
    if language == "en":
        sentences = [f"The {thing.en}.", f"{names[0]}: {first.en}!", f"{names[1]}: {second.en}!"]
        point = f"{names[0]} and {names[1]} {'liked' if good else 'disliked'} the {thing.en}."
    else:
        sentences = [f"{thing.zh}。", f"{names[0]}：{first.zh}！", f"{names[1]}：{second.zh}！"]
        point = f"{names[0]}和{names[1]}{'喜欢' if good else '不喜欢'}{thing.zh}。"
    key = ("opinions", *names, thing.en, first.en)
    facts = [[names[0]], [names[1]], _opinions_of(thing, language, good=good)]
    return _draft(rng, language, sentences, point, key, facts=facts)


def _opinions_of(thing: Pair, language: Language, *, good: bool) -> list[str]:
    """Ways to say what people think of a thing."""
    if language == "zh":
        verbs = ("喜欢", "喜爱", "称赞", "夸") if good else ("不喜欢", "讨厌", "不满意")
        said = ("好", "不错", "很好") if good else ("不好", "很差", "差")
        return [f"{verb}{thing.zh}" for verb in verbs] + [f"{thing.zh}{how}" for how in said]
    verbs = (
        ("liked", "loved", "enjoyed", "praised")
        if good
        else ("disliked", "hated", "did not like", "criticized", "did not enjoy")
    )
    said = ("good", "great") if good else ("bad", "not good", "awful")
    found = [f"{verb} {the}{thing.en}" for verb in verbs for the in ("the ", "this ", "")]
    return found + [f"{thing.en} {be} {how}" for be in ("was", "is") for how in said]


def notice(rng: Random, language: Language) -> Draft:
    """A place that opens or closes on a day, with a reason that may be left out."""
    place, day, reason = rng.choice(words.PLACES), rng.choice(words.DAYS), rng.choice(words.JOBS)
    closed, hour = rng.random() < 0.5, rng.randint(1, 12)
    sentences = {
        "en": [
            f"Notice of the {place.en}.",
            f"The {reason.en} {'left' if closed else 'is back'}.",
            f"{'Closed' if closed else 'Open'} on {day.en} from {hour}.",
        ],
        "zh": [
            f"{place.zh}通知。",
            f"{reason.zh}{'走了' if closed else '回来了'}。",
            f"{day.zh}{hour}点起{'关门' if closed else '开门'}。",
        ],
    }
    point = {
        "en": f"The {place.en} is {'closed' if closed else 'open'} on {day.en} from {hour}.",
        "zh": f"{place.zh}{day.zh}{hour}点起{'关门' if closed else '开门'}。",
    }
    keys = (("notice", place.en, reason.en), ("notice", reason.en, day.en, hour))
    state = {
        ("en", True): ["closed", "shut", "not open"],
        ("en", False): ["open", "not closed"],
        ("zh", True): ["关门", "关闭", "不开门", "不开放"],
        ("zh", False): ["开门", "开放", "营业"],
    }[language, closed]
    start = {"en": [str(hour), f"{hour}:00"], "zh": [f"{hour}点", f"{hour}时"]}
    facts = [named(place, language), named(day, language), start[language], state]
    return _draft(rng, language, sentences[language], point[language], *keys, facts=facts)


FAMILIES = {"shopping": shopping, "career": career, "opinions": opinions, "notice": notice}
