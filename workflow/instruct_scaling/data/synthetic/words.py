"""Words and facts, English beside Chinese. Every list is short: a small model must learn the words.

The facts are a closed world that a well-read person knows.
"""

from __future__ import annotations

from typing import NamedTuple


class Pair(NamedTuple):
    """One word in both languages; index it by language."""

    en: str
    zh: str


class Noun(NamedTuple):
    """A thing that can be counted. `measure` is the Chinese measure word."""

    en: str
    plural: str
    zh: str
    measure: str


class Verb(NamedTuple):
    """A transitive verb. The Chinese form serves every tense."""

    base: str
    present: str
    past: str
    participle: str
    zh: str


def say(entry: Pair | Noun, language: str) -> str:
    """The word in one language."""
    return entry.en if language == "en" else entry.zh


def _pairs(text: str) -> tuple[Pair, ...]:
    return tuple(Pair(*item.strip().split("=")) for item in text.split(",") if item.strip())


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PEOPLE = {
    "en": _words(
        "Anna Tom Leo Mia Ben Eva Max Zoe Sam Lily Jack Nina Paul Rosa Omar Kate Ivan Sara Hugo "
        "Emma Luke Nora Adam Ruth Carl Jane Dean Vera Noah Ella"
    ),
    "zh": _words(
        "小明 小红 小刚 小丽 小华 小军 小芳 小燕 李雷 李娜 王强 王芳 张伟 张敏 刘洋 刘静 "
        "陈晨 陈杰 赵磊 赵雪 孙涛 孙梅 周林 周雨 吴昊 吴丹 郑凯 郑云 马超 马兰"
    ),
}

JOBS = _pairs(
    "nurse=护士, cook=厨师, teacher=老师, farmer=农民, driver=司机, doctor=医生, writer=作家, "
    "singer=歌手, painter=画家, pilot=飞行员, baker=面包师, lawyer=律师, judge=法官, guard=保安, "
    "tailor=裁缝, actor=演员, dancer=舞者, guide=导游, student=学生, soldier=士兵"
)

PLACES = _pairs(
    "park=公园, school=学校, market=市场, station=车站, library=图书馆, zoo=动物园, beach=海滩, "
    "museum=博物馆, hospital=医院, office=办公室, farm=农场, garden=花园, bank=银行, hotel=酒店, "
    "theatre=剧院, church=教堂"
)

CITIES = _pairs(
    "Paris=巴黎, London=伦敦, Rome=罗马, Berlin=柏林, Tokyo=东京, Beijing=北京, Cairo=开罗, "
    "Delhi=德里, Lima=利马, Oslo=奥斯陆, Madrid=马德里, Vienna=维也纳, Athens=雅典, Moscow=莫斯科, "
    "Seoul=首尔, Hanoi=河内, Dublin=都柏林, Lisbon=里斯本, Prague=布拉格, Havana=哈瓦那, "
    "Boston=波士顿, Sydney=悉尼, Milan=米兰, Geneva=日内瓦"
)

DAYS = _pairs(
    "Monday=周一, Tuesday=周二, Wednesday=周三, Thursday=周四, Friday=周五, Saturday=周六, "
    "Sunday=周日"
)

COLORS = _pairs("red=红, blue=蓝, green=绿, white=白, black=黑, yellow=黄")

SIZES = _pairs("big=大, small=小, old=旧, new=新")

THINGS: tuple[Noun, ...] = (
    Noun("pen", "pens", "笔", "支"),
    Noun("book", "books", "书", "本"),
    Noun("cup", "cups", "杯子", "个"),
    Noun("hat", "hats", "帽子", "顶"),
    Noun("bag", "bags", "包", "个"),
    Noun("map", "maps", "地图", "张"),
    Noun("ball", "balls", "球", "个"),
    Noun("chair", "chairs", "椅子", "把"),
    Noun("table", "tables", "桌子", "张"),
    Noun("lamp", "lamps", "灯", "盏"),
    Noun("car", "cars", "汽车", "辆"),
    Noun("bike", "bikes", "自行车", "辆"),
    Noun("shirt", "shirts", "衬衫", "件"),
    Noun("coat", "coats", "大衣", "件"),
    Noun("flower", "flowers", "花", "朵"),
    Noun("letter", "letters", "信", "封"),
    Noun("clock", "clocks", "钟", "个"),
    Noun("apple", "apples", "苹果", "个"),
    Noun("egg", "eggs", "鸡蛋", "个"),
    Noun("cake", "cakes", "蛋糕", "个"),
)

VERBS: tuple[Verb, ...] = (
    Verb("see", "sees", "saw", "seen", "看见"),
    Verb("buy", "buys", "bought", "bought", "买"),
    Verb("sell", "sells", "sold", "sold", "卖"),
    Verb("find", "finds", "found", "found", "找到"),
    Verb("want", "wants", "wanted", "wanted", "想要"),
    Verb("take", "takes", "took", "taken", "拿走"),
    Verb("lose", "loses", "lost", "lost", "弄丢"),
    Verb("clean", "cleans", "cleaned", "cleaned", "弄干净"),
    Verb("break", "breaks", "broke", "broken", "弄坏"),
    Verb("draw", "draws", "drew", "drawn", "画"),
)
# Verbs that the Chinese 把 and 被 sentences take: the action changes or moves its object.
CHANGING_VERBS = tuple(verb for verb in VERBS if verb.zh[0] in "拿弄")

ANIMALS = {
    "mammal": _pairs(
        "cat=猫, dog=狗, horse=马, cow=牛, sheep=羊, lion=狮子, tiger=老虎, bear=熊, wolf=狼, "
        "monkey=猴子, rabbit=兔子, elephant=大象"
    ),
    "bird": _pairs(
        "eagle=老鹰, duck=鸭子, turkey=火鸡, hen=母鸡, owl=猫头鹰, crow=乌鸦, swan=天鹅, "
        "parrot=鹦鹉, penguin=企鹅, sparrow=麻雀"
    ),
    "fish": _pairs("shark=鲨鱼, salmon=三文鱼, carp=鲤鱼, tuna=金枪鱼, eel=鳗鱼, cod=鳕鱼"),
    "insect": _pairs(
        "bee=蜜蜂, ant=蚂蚁, fly=苍蝇, moth=飞蛾, butterfly=蝴蝶, beetle=甲虫, mosquito=蚊子"
    ),
}

FRUITS = _pairs(
    "apple=苹果, pear=梨, plum=李子, peach=桃子, grape=葡萄, lemon=柠檬, mango=芒果, banana=香蕉, "
    "cherry=樱桃, orange=橙子"
)
VEGETABLES = _pairs(
    "carrot=胡萝卜, potato=土豆, onion=洋葱, cabbage=白菜, spinach=菠菜, celery=芹菜, "
    "cucumber=黄瓜, pumpkin=南瓜, eggplant=茄子, corn=玉米"
)
DRINKS = _pairs(
    "tea=茶, coffee=咖啡, milk=牛奶, juice=果汁, water=水, beer=啤酒, wine=葡萄酒, soda=汽水"
)
TOOLS = _pairs(
    "hammer=锤子, saw=锯子, knife=刀, spoon=勺子, brush=刷子, needle=针, axe=斧头, ladder=梯子, "
    "shovel=铲子, drill=电钻"
)
SPORTS = _pairs(
    "football=足球, tennis=网球, chess=国际象棋, golf=高尔夫, hockey=曲棍球, rugby=橄榄球, "
    "boxing=拳击, swimming=游泳, running=跑步, skiing=滑雪"
)
CLOTHES = _pairs(
    "shirt=衬衫, coat=大衣, hat=帽子, skirt=裙子, sock=袜子, shoe=鞋子, scarf=围巾, glove=手套, "
    "jacket=夹克, belt=腰带"
)
INSTRUMENTS = _pairs(
    "piano=钢琴, violin=小提琴, guitar=吉他, drum=鼓, flute=长笛, harp=竖琴, trumpet=小号, "
    "cello=大提琴"
)
FURNITURE = _pairs(
    "chair=椅子, table=桌子, bed=床, sofa=沙发, desk=书桌, shelf=架子, lamp=灯, mirror=镜子"
)

OPPOSITES: tuple[tuple[Pair, Pair], ...] = tuple(
    zip(
        _pairs(
            "big=大, hot=热, high=高, fast=快, new=新, open=开, long=长, rich=富, wet=湿, "
            "full=满, light=轻, clean=干净, near=近, early=早, happy=快乐, strong=强, loud=吵闹, "
            "thick=厚, safe=安全, easy=容易"
        ),
        _pairs(
            "small=小, cold=冷, low=低, slow=慢, old=旧, shut=关, short=短, poor=穷, dry=干, "
            "empty=空, heavy=重, dirty=脏, far=远, late=晚, sad=悲伤, weak=弱, quiet=安静, "
            "thin=薄, dangerous=危险, hard=困难"
        ),
        strict=True,
    )
)

GOOD = _pairs(
    "great=很棒, lovely=可爱, superb=出色, nice=不错, excellent=优秀, pleasant=舒服, perfect=完美, "
    "wonderful=精彩, charming=迷人, useful=有用"
)
BAD = _pairs(
    "awful=糟糕, terrible=可怕, ugly=难看, boring=无聊, horrible=恶劣, poor=差劲, useless=没用, "
    "annoying=烦人, broken=破烂, nasty=讨厌"
)
REVIEWED = _pairs(
    "film=电影, song=歌曲, hotel=酒店, meal=饭菜, phone=手机, game=游戏, room=房间, story=故事, "
    "coat=大衣, show=节目, lesson=课程, trip=旅行, bike=自行车, cafe=咖啡馆, novel=小说, "
    "garden=花园"
)


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

_COLORED = (
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
    facts += [Fact("colour", Pair(e, z), Pair(ce, cz)) for e, z, ce, cz in _COLORED]
    facts += [Fact("workplace", Pair(e, z), Pair(pe, pz)) for e, z, pe, pz in _WORKPLACES]
    return tuple(facts)


FACTS = _facts()

# Relations of which plain text speaks. The others can be learned from instruction records only.
WIDELY_KNOWN = ("class", "colour", "workplace")
