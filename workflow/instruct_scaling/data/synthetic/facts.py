"""Facts of an eval item for its `checks`: what the generator knows, in the ways to put it."""

from __future__ import annotations

from instruct_scaling.data.synthetic.words import Noun, Pair, Verb

# Other words for the same, beside those of the word lists.
_ALSO = {
    **{"big": ("large",), "small": ("little",), "bike": ("bicycle",), "theatre": ("theater",)},
    **{"doctor": ("physician",), "guard": ("security guard",), "buy": ("purchase",)},
    **{"see": ("spot", "notice"), "take": ("take away",), "break": ("smash",)},
    **{"看见": ("看到", "见到"), "买": ("购买",), "卖": ("出售",), "找到": ("发现",)},
    **{"想要": ("想", "要"), "拿走": ("取走", "带走"), "弄丢": ("丢", "丢失", "丢了")},
    **{"弄干净": ("清洁", "打扫", "清理", "洗干净"), "弄坏": ("打破", "打碎", "损坏")},
    **{"自行车": ("单车",), "汽车": ("车", "轿车"), "老师": ("教师",), "医生": ("大夫",)},
    **{"保安": ("警卫", "门卫"), "笔": ("钢笔",), "钟": ("时钟", "闹钟"), "大衣": ("外套",)},
    **{"杯子": ("杯",), "帽子": ("帽",), "鸡蛋": ("蛋",), "农民": ("农夫",), "舞者": ("舞蹈家",)},
    **{"法官": ("审判官",), "士兵": ("军人",), "酒店": ("旅馆", "宾馆"), "剧院": ("剧场",)},
}


def named(entry: Pair | Noun | str, language: str) -> list[str]:
    """The ways to name a thing, a place, a person in one language."""
    if isinstance(entry, str):
        return [entry]
    word = entry.en if language == "en" else entry.zh
    found = [word, *_ALSO.get(word, ())]
    if language == "en" and isinstance(entry, Noun):
        found.append(entry.plural)
    return found


def done(verb: Verb, language: str) -> list[str]:
    """The ways to name an action, whatever its tense."""
    if language == "zh":
        return [verb.zh, *_ALSO.get(verb.zh, ())]
    return [verb.base, verb.present, verb.past, verb.participle, *_ALSO.get(verb.base, ())]
