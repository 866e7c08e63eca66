"""A closed world of facts that a well-read person knows, in both languages."""

from __future__ import annotations

from typing import NamedTuple

from instruct_scaling.data.synthetic.words import ANIMALS, OPPOSITES, Pair


class Fact(NamedTuple):
    """`subject` stands in `relation` to `value`: France, capital, Paris."""

    relation: str
    subject: Pair
    value: Pair


_EUROPE, _ASIA = Pair("Europe", "欧洲"), Pair("Asia", "亚洲")
_AFRICA, _AMERICA = Pair("Africa", "非洲"), Pair("America", "美洲")

COUNTRIES: tuple[tuple[Pair, Pair, Pair], ...] = tuple(
    (Pair(en, zh), Pair(capital_en, capital_zh), continent)
    for en, zh, capital_en, capital_zh, continent in (
        ("France", "法国", "Paris", "巴黎", _EUROPE),
        ("England", "英国", "London", "伦敦", _EUROPE),
        ("Italy", "意大利", "Rome", "罗马", _EUROPE),
        ("Germany", "德国", "Berlin", "柏林", _EUROPE),
        ("Spain", "西班牙", "Madrid", "马德里", _EUROPE),
        ("Austria", "奥地利", "Vienna", "维也纳", _EUROPE),
        ("Greece", "希腊", "Athens", "雅典", _EUROPE),
        ("Norway", "挪威", "Oslo", "奥斯陆", _EUROPE),
        ("Ireland", "爱尔兰", "Dublin", "都柏林", _EUROPE),
        ("Portugal", "葡萄牙", "Lisbon", "里斯本", _EUROPE),
        ("Poland", "波兰", "Warsaw", "华沙", _EUROPE),
        ("Sweden", "瑞典", "Stockholm", "斯德哥尔摩", _EUROPE),
        ("China", "中国", "Beijing", "北京", _ASIA),
        ("Japan", "日本", "Tokyo", "东京", _ASIA),
        ("South Korea", "韩国", "Seoul", "首尔", _ASIA),
        ("India", "印度", "Delhi", "德里", _ASIA),
        ("Vietnam", "越南", "Hanoi", "河内", _ASIA),
        ("Thailand", "泰国", "Bangkok", "曼谷", _ASIA),
        ("Nepal", "尼泊尔", "Kathmandu", "加德满都", _ASIA),
        ("Iran", "伊朗", "Tehran", "德黑兰", _ASIA),
        ("Egypt", "埃及", "Cairo", "开罗", _AFRICA),
        ("Kenya", "肯尼亚", "Nairobi", "内罗毕", _AFRICA),
        ("Ghana", "加纳", "Accra", "阿克拉", _AFRICA),
        ("Mali", "马里", "Bamako", "巴马科", _AFRICA),
        ("Peru", "秘鲁", "Lima", "利马", _AMERICA),
        ("Cuba", "古巴", "Havana", "哈瓦那", _AMERICA),
        ("Canada", "加拿大", "Ottawa", "渥太华", _AMERICA),
        ("Chile", "智利", "Santiago", "圣地亚哥", _AMERICA),
    )
)

_CLASSES = {
    "mammal": Pair("mammal", "哺乳动物"),
    "bird": Pair("bird", "鸟"),
    "fish": Pair("fish", "鱼"),
    "insect": Pair("insect", "昆虫"),
}

_COLOURED = (
    ("a banana", "香蕉", "yellow", "黄色"),
    ("snow", "雪", "white", "白色"),
    ("coal", "煤", "black", "黑色"),
    ("grass", "草", "green", "绿色"),
    ("blood", "血", "red", "红色"),
    ("milk", "牛奶", "white", "白色"),
    ("a lemon", "柠檬", "yellow", "黄色"),
    ("spinach", "菠菜", "green", "绿色"),
    ("a cherry", "樱桃", "red", "红色"),
    ("salt", "盐", "white", "白色"),
    ("soot", "煤灰", "black", "黑色"),
    ("gold", "黄金", "yellow", "黄色"),
)

_WORKPLACES = (
    ("nurse", "护士", "hospital", "医院"),
    ("teacher", "老师", "school", "学校"),
    ("cook", "厨师", "kitchen", "厨房"),
    ("farmer", "农民", "farm", "农场"),
    ("actor", "演员", "theatre", "剧院"),
    ("judge", "法官", "court", "法院"),
    ("priest", "牧师", "church", "教堂"),
    ("baker", "面包师", "bakery", "面包店"),
    ("sailor", "水手", "ship", "船上"),
    ("miner", "矿工", "mine", "矿井"),
    ("banker", "银行家", "bank", "银行"),
    ("gardener", "园丁", "garden", "花园"),
)


def _facts() -> tuple[Fact, ...]:
    facts = [Fact("capital", country, capital) for country, capital, _ in COUNTRIES]
    facts += [Fact("continent", country, continent) for country, _, continent in COUNTRIES]
    facts += [
        Fact("class", animal, _CLASSES[kind]) for kind, group in ANIMALS.items() for animal in group
    ]
    facts += [Fact("opposite", one, other) for one, other in OPPOSITES]
    facts += [Fact("opposite", other, one) for one, other in OPPOSITES]
    facts += [Fact("colour", Pair(e, z), Pair(ce, cz)) for e, z, ce, cz in _COLOURED]
    facts += [Fact("workplace", Pair(e, z), Pair(pe, pz)) for e, z, pe, pz in _WORKPLACES]
    return tuple(facts)


FACTS = _facts()

# Relations of which plain text speaks. The others can be learnt from instruction records only.
WIDELY_KNOWN = ("class", "colour", "workplace")
