"""Plain prose for the base model: the words and things of the records, none of their tasks.

Every document keeps to a few people and things and comes back to them, because a model learns
to copy from text that repeats itself. Facts of the relations in `words.WIDELY_KNOWN` are stated;
the others are not, so that only instruction records can teach them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from instruct_scaling.data.synthetic import words
from instruct_scaling.data.synthetic.draft import LANGUAGES, Language, a
from instruct_scaling.data.synthetic.words import COUNTRIES, FACTS, WIDELY_KNOWN, say

# Sentences about learning and asking: the words of the instructions, without an instruction.
LESSONS = {
    "en": (
        "Human: somebody who asks. Assistant: somebody who answers.",
        "Who, what, where, when, which, how and whose ask; say, name and tell order.",
        "Write, find, give, make, use, put, add and take begin an order.",
        "What is it? Which is it? Where is it? How many legs does it have?",
        "An assistant can write, read, count and translate English and Chinese.",
        "A function returns a value: x plus one, x minus two, x times three, if not, else.",
        "The sum, the length, the largest, the smallest, the first and the last item of a list.",
        "A string in upper case or lower case can be reversed or repeated many times.",
        "Numbers above ten and below twenty are even or odd; add them up, then multiply.",
        "Two, three, four, five, six, seven, eight, nine items other than these.",
        "A review is positive, negative or mixed in tone.",
        "Make a polite request, use the passive, negate it, or put it in the past tense.",
        "Every country has a capital and lies on a continent.",
        "Some words have an opposite; some animals have legs; some things have a colour.",
        "Extract a name, a number, an email, a price, a day, a job, a city and a place.",
        "In one sentence, the main point of a text sums it up; summarize it, be brief.",
        "Invite a friend, tell a short story, write an ad or advertise a gift, please.",
        "Suggest ideas, think of fruits, vegetables, drinks, tools, sports and jobs.",
        "Mammals, birds, insects, clothes, instruments and furniture are kinds of things.",
        "How old is one in years, older or younger? Who buys, pays and gets the change?",
        "Where does one work, which kind, what is typical of it, and whether it is so?",
        "Notice: the office is closed now, or open from two; the guard left and is back.",
        "Animal, food, tool or sport? A quick answer, please. Could you do it with me?",
        "If I had all of them and got more, how many would I have now?",
        "It was hot, cold or windy; it rained or snowed; it was early or late that day.",
        "Fun with a friend: meet at five, call me, go home, come back, hope to see you.",
        "Some people are taller than others; who is tallest, who is shortest?",
    ),
    "zh": (
        "人提问，助手回答。",
        "谁，什么，哪里，哪天，哪种，多少，如何，为什么，都是疑问；说、写、列是命令。",
        "助手会写，会读，会计算，会翻译英文和中文，会变成别的。",
        "函数返回一个值：加一，减二，乘三，等于多少，否则是别的。",
        "列表的总和、长度、最大值、最小值、第一项和最后一项。",
        "把字符转成大写或小写，倒过来，重复多次，后面加上别的。",
        "大于十、小于二十的数是偶数或奇数，求和，求积，再计算个数（还有奇偶性）。",
        "一、两、三、四、五、六、七、八、九只，比这些还多。",
        "评价的语气是正面、负面或褒贬不一；陈述、命令和疑问不同，可以归类。",
        "否定句、疑问句、“被”字句、被动语态和礼貌客气的请求都可以改写成下句。",
        "每个国家有首都，属于一个大洲，也有叫得出的城市，一座又一座。",
        "有的词有反义词，有的词相反，有的动物有几条腿，有的东西有颜色。",
        "信里有人名、职业、号码、邮箱、价格、日期、地点、物品和城市，把它提取、找出、写出。",
        "用一句话概括大意，总结要点，含义不变。",
        "写信邀请亲爱的朋友，讲个短故事，写广告，造句，送礼物，主角是谁都好。",
        "推荐并列出动物、食物、水果、蔬菜、饮料、工具、运动、衣物、乐器、家具和职业。",
        "谁的年纪大？几年后多少岁？一共多少？付多少，找回多少？又分到多少，现有多少？",
        "在哪里工作？属于哪一类？什么颜色？请问，请简短回答，从中想出除此以外的。",
        "通知：今天起关门，或者两点开门；昨天保安走了，现在回来了。",
        "答案：这是对的。我要你快来，您好吗？希望见到你，会很有趣吧！",
        "天很热，天晚了，刮着风，下雪了，下雨了；以前也当过老师。",
        "从前有人遇见它，它就跑了。",
        "有人出发，几天后回来；周几？谁比谁高，谁最矮？",
    ),
}

_KNOWN = {
    relation: tuple(fact for fact in FACTS if fact.relation == relation)
    for relation in WIDELY_KNOWN
}
_LISTS = (
    words.FRUITS,
    words.VEGETABLES,
    words.DRINKS,
    words.TOOLS,
    words.SPORTS,
    words.CLOTHES,
    words.INSTRUMENTS,
    words.FURNITURE,
    *words.ANIMALS.values(),
)
_NOUNS = tuple(
    dict.fromkeys(
        [pair for group in (*_LISTS, words.JOBS, words.CITIES, words.PLACES) for pair in group]
        + [words.Pair(thing.en, thing.zh) for thing in words.THINGS]
        + [pair for country in COUNTRIES for pair in country]
    )
)


def _life(rng: Random, language: Language) -> list[str]:
    """One person's job, home and days."""
    name = rng.choice(words.PEOPLE[language])
    job, city = rng.choice(words.JOBS), rng.choice(words.CITIES)
    place, day = rng.choice(words.PLACES), rng.choice(words.DAYS)
    thing, verb = rng.choice(words.THINGS), rng.choice(words.VERBS)
    color, drink = rng.choice(words.COLORS), rng.choice(words.DRINKS)
    if language == "en":
        return [
            f"{name} is {a(job.en)} and lives in {city.en}.",
            f"On {day.en} {name} went to the {place.en}.",
            f"At the {place.en} {name} {verb.past} a {color.en} {thing.en}.",
            f"The {thing.en} was {verb.participle} by {name} the {job.en} on {day.en}.",
            f"Then {name} drank {drink.en} and went home to {city.en}.",
        ]
    return [
        f"{name}是{job.zh}，住在{city.zh}。",
        f"{day.zh}{name}去了{place.zh}。",
        f"{name}在{place.zh}{verb.zh}了{color.zh}色的{thing.zh}。",
        f"{day.zh}，{job.zh}{name}的{thing.zh}很{rng.choice(words.SIZES).zh}。",
        f"后来{name}喝了{drink.zh}，回到{city.zh}。",
    ]


def _talk(rng: Random, language: Language) -> list[str]:
    """Two people, two things, and what they think of them."""
    one, two = rng.sample(words.PEOPLE[language], 2)
    first, second = rng.sample(words.THINGS, 2)
    verb, seen = rng.choice(words.VERBS), rng.choice(words.REVIEWED)
    good, bad = rng.choice(words.GOOD), rng.choice(words.BAD)
    count, place = rng.randint(2, 9), rng.choice(words.PLACES)
    if language == "en":
        return [
            f"{one} and {two} met at the {place.en}.",
            f"{one} had {count} {first.plural} and {two} had one {second.en}.",
            f"{one} did not {verb.base} the {second.en} of {two}.",
            f"{two} said that the {seen.en} was {good.en}, but {one} found it {bad.en}.",
            f"{two} {verb.past} the {count} {first.plural} of {one} at the {place.en}.",
            f"{one} often {verb.present} {first.plural} and likes the {seen.en}.",
        ]
    return [
        f"{one}和{two}在{place.zh}见面。",
        f"{one}有{count}{first.measure}{first.zh}，{two}有一{second.measure}{second.zh}。",
        f"{one}没有{verb.zh}{two}的{second.zh}。",
        f"{two}说{seen.zh}{good.zh}，可是{one}觉得{bad.zh}。",
        f"{two}在{place.zh}{verb.zh}了{one}的{count}{first.measure}{first.zh}。",
    ]


def _nature(rng: Random, language: Language) -> list[str]:
    """Widely known facts."""
    animals = rng.sample(_KNOWN["class"], 2)
    colored, worker = rng.choice(_KNOWN["colour"]), rng.choice(_KNOWN["workplace"])
    country = rng.choice(COUNTRIES)[0]
    if language == "en":
        stated = [f"{a(f.subject.en).capitalize()} is {a(f.value.en)}." for f in animals]
        return [
            *stated,
            f"In {country.en} {colored.subject.en} is {colored.value.en}.",
            f"{a(worker.subject.en).capitalize()} works in the {worker.value.en}.",
            f"Many people in {country.en} like the {animals[0].subject.en}.",
        ]
    stated = [f"{f.subject.zh}是一种{f.value.zh}。" for f in animals]
    return [
        *stated,
        f"在{country.zh}，{colored.subject.zh}是{colored.value.zh}的。",
        f"{worker.subject.zh}在{worker.value.zh}工作。",
        f"{country.zh}很多人喜欢{animals[0].subject.zh}。",
    ]


def _shop(rng: Random, language: Language) -> list[str]:
    """Goods of one kind and their prices."""
    goods = rng.sample(rng.choice(_LISTS), 3)
    prices = [rng.randint(2, 99) for _ in goods]
    name, day = rng.choice(words.PEOPLE[language]), rng.choice(words.DAYS)
    listed = [say(item, language) for item in goods]
    if language == "en":
        return [
            f"The shop of {name} has {', '.join(listed)}.",
            *(
                f"The {item} is {price} dollars."
                for item, price in zip(listed, prices, strict=True)
            ),
            f"On {day.en} {name} sold {listed[0]}, {listed[2]} and {listed[1]}.",
        ]
    return [
        f"{name}的店里有{'、'.join(listed)}。",
        *(f"{item}{price}元。" for item, price in zip(listed, prices, strict=True)),
        f"{day.zh}{name}卖了{listed[0]}、{listed[2]}和{listed[1]}。",
    ]


def _glossary(rng: Random, language: Language) -> list[str]:
    """Words in both languages."""
    pairs = rng.sample(_NOUNS, 5)
    if language == "en":
        return [f"The Chinese word for {pair.en} is {pair.zh}." for pair in pairs]
    return [f"{pair.zh}的英文是{pair.en}。" for pair in pairs]


def _counting(rng: Random, language: Language) -> list[str]:
    """Numbers in order, and small programs in prose."""
    start, step = rng.randint(0, 90), rng.choice((1, 1, 2, 5, 10))
    run = ", ".join(str(start + step * index) for index in range(6))
    c, name = rng.randint(2, 60), rng.choice("xvs")
    op, en, zh = rng.choice((("+", "adds", "加"), ("-", "takes away", "减"), ("*", "times", "乘")))
    if language == "en":
        return [
            f"Counting goes {run}.",
            f"In Python, {name} {op} {c} {en} {c}.",
            f"A line such as return {name} {op} {c} ends the program f({name}).",
        ]
    return [
        f"数数是{run}。",
        f"在Python里，{name} {op} {c}是{zh}{c}。",
        f"return {name}结束程序f({name})。",
    ]


_STATES = tuple(word for pair in words.OPPOSITES for word in pair)


def _weather(rng: Random, language: Language) -> list[str]:
    """Adjectives, none beside its opposite but by chance."""
    name, city = rng.choice(words.PEOPLE[language]), rng.choice(words.CITIES)
    one, two, three = (rng.choice(_STATES) for _ in range(3))
    if language == "en":
        return [
            f"{name} was {one.en} and {two.en} in {city.en}.",
            f"The {two.en} day in {city.en} was {three.en}, and so was {name}.",
        ]
    return [
        f"{name}在{city.zh}，又{one.zh}又{two.zh}。",
        f"{two.zh}的一天，{city.zh}很{three.zh}，{name}也一样。",
    ]


def _school(rng: Random, language: Language) -> list[str]:
    """What people learn to do, said in general."""
    return rng.sample(LESSONS[language], 4)


def _quotation(rng: Random, language: Language) -> list[str]:
    """One person says or writes a line, another repeats it word for word: only copying helps."""
    one, two, three = rng.sample(words.PEOPLE[language], 3)
    if rng.random() < 0.5:
        line = _unrelated_words(rng, language)
    else:
        line = rng.choice(rng.choice((_life, _talk, _nature))(rng, language))
    if language == "en":
        frames = (
            (f'{one} said: "{line}"', f'{two} heard "{line}" and told {three}: "{line}"'),
            (f"{one} wrote on the wall: {line}", f"{two} read it aloud: {line}"),
            (f"In the letter from {one} stood: {line}", f"{two} showed {three} the line: {line}"),
            (f"{one} forgot it, {two} did not: {line}", f"So {one} asked, and heard: {line}"),
        )
    else:
        frames = (
            (f"{one}说：“{line}”", f"{two}听见“{line}”，告诉{three}：“{line}”"),
            (f"{one}在墙上写：{line}", f"{two}读了出来：{line}"),
            (f"{one}的信里写着：{line}", f"{two}给{three}看这一行：{line}"),
            (f"{one}忘了，{two}没忘：{line}", f"{one}问了，听见：{line}"),
        )
    return list(rng.choice(frames))


def _unrelated_words(rng: Random, language: Language) -> str:
    """A few words and numbers that have nothing to do with each other."""
    listed = [say(pair, language) for pair in rng.sample(_NOUNS, rng.randint(1, 4))]
    listed += [str(rng.randint(2, 9999)) for _ in range(rng.randint(0, 2))]
    rng.shuffle(listed)
    return (rng.choice((" ", ", ")) if language == "en" else "、").join(listed)


def _directory(rng: Random, language: Language) -> list[str]:
    """A list of people with two or three facts each, then the same facts in another order."""
    names = rng.sample(words.PEOPLE[language], rng.randint(2, 4))
    relation = rng.choice((_whereabouts, _employment, _purchase, _possession))
    entries = [(name, *relation(rng, language)) for name in names]
    reordered = rng.sample(entries, len(entries))
    if language == "en":
        return [
            "; ".join(f"{name}: {short}" for name, short, _ in entries) + ".",
            *(f"{name} {predicate}." for name, _, predicate in reordered),
        ]
    return [
        "；".join(f"{name}：{short}" for name, short, _ in entries) + "。",
        *(f"{name}{predicate}。" for name, _, predicate in reordered),
    ]


# Facts about a person, each as an entry of a list and as the predicate of a sentence.


def _whereabouts(rng: Random, language: Language) -> tuple[str, str]:
    place, day = rng.choice(words.PLACES), rng.choice(words.DAYS)
    if language == "en":
        return f"{place.en}, {day.en}", f"was in the {place.en} on {day.en}"
    return f"{place.zh}，{day.zh}", f"{day.zh}在{place.zh}"


def _employment(rng: Random, language: Language) -> tuple[str, str]:
    job, city = rng.choice(words.JOBS), rng.choice(words.CITIES)
    if language == "en":
        return f"{city.en}, {job.en}", f"works as {a(job.en)} in {city.en}"
    return f"{city.zh}，{job.zh}", f"是{city.zh}的{job.zh}"


def _purchase(rng: Random, language: Language) -> tuple[str, str]:
    thing, price = rng.choice(words.THINGS), rng.randint(2, 999)
    if language == "en":
        return f"{price}, {thing.en}", f"paid {price} for the {thing.en}"
    return f"{price}，{thing.zh}", f"的{thing.zh}要{price}元"


def _possession(rng: Random, language: Language) -> tuple[str, str]:
    thing, color = rng.choice(words.THINGS), rng.choice(words.COLORS)
    size = rng.choice(words.SIZES)
    if language == "en":
        return f"{thing.en}, {color.en}, {size.en}", f"owns the {size.en} {color.en} {thing.en}"
    return f"{thing.zh}，{color.zh}，{size.zh}", f"有{size.zh}的{color.zh}色{thing.zh}"


_KINDS: tuple[tuple[Callable[[Random, Language], list[str]], int], ...] = (
    (_life, 4),
    (_talk, 4),
    (_nature, 2),
    (_shop, 2),
    (_glossary, 2),
    (_counting, 1),
    (_school, 2),
    (_weather, 1),
    (_quotation, 4),
    (_directory, 4),
)


def generate_text(documents: int, seed: int) -> Iterator[str]:
    """Yield plain-text documents of a few sentences each, English and Chinese in turn.

    A smaller number of documents gives a prefix of a larger one with the same seed.
    """
    rng = Random(f"{seed}/text")
    kinds = [kind for kind, weight in _KINDS for _ in range(weight)]
    for number in range(documents):
        language = LANGUAGES[number % len(LANGUAGES)]
        sentences = rng.choice(kinds)(rng, language)
        yield (" " if language == "en" else "").join(sentences)
