"""Other names of the same thing: countries, well-known bodies, substances, chemical formulas.

A small table by hand, of names that everybody uses for each other. Upper-case abbreviations are
matched in their case, for "us" and "who" are words.
"""

from __future__ import annotations

from functools import cache

# One group a line, names separated by bars.
_TABLE = """
United States|United States of America|the States|America|USA|U.S.A.|US|U.S.|美国|美利坚合众国
United Kingdom|Great Britain|Britain|UK|U.K.|英国|大不列颠
Russia|Russian Federation|俄罗斯|俄罗斯联邦|俄国
China|People's Republic of China|PRC|中国|中华人民共和国
South Korea|Republic of Korea|Korea, South|韩国|大韩民国
North Korea|DPRK|朝鲜|北朝鲜
Germany|Federal Republic of Germany|德国|德意志
Netherlands|The Netherlands|Holland|荷兰
Czech Republic|Czechia|捷克|捷克共和国
United Arab Emirates|UAE|U.A.E.|阿联酋|阿拉伯联合酋长国
Myanmar|Burma|缅甸
Turkey|Türkiye|Turkiye|土耳其
Ivory Coast|Côte d'Ivoire|Cote d'Ivoire|科特迪瓦
France|法国|法兰西
Japan|日本
India|印度
Italy|意大利
Spain|西班牙
Canada|加拿大
Australia|澳大利亚|澳洲
Brazil|巴西
Mexico|墨西哥
Egypt|埃及
Greece|希腊
Switzerland|瑞士
Sweden|瑞典
Norway|挪威
Vatican City|Vatican|Holy See|梵蒂冈
New York City|New York|NYC|纽约|纽约市
Los Angeles|LA|L.A.|洛杉矶
Washington, D.C.|Washington D.C.|Washington DC|华盛顿|华盛顿特区
United Nations|UN|U.N.|联合国
World Health Organization|World Health Organisation|WHO|世界卫生组织|世卫组织
World Trade Organization|World Trade Organisation|WTO|世界贸易组织|世贸组织
European Union|EU|E.U.|欧盟|欧洲联盟
International Monetary Fund|IMF|国际货币基金组织
North Atlantic Treaty Organization|NATO|北约|北大西洋公约组织
UNESCO|联合国教科文组织
NASA|National Aeronautics and Space Administration|美国国家航空航天局|美国宇航局
Mount Everest|Everest|珠穆朗玛峰|珠峰
Pacific Ocean|the Pacific|Pacific|太平洋
Atlantic Ocean|the Atlantic|Atlantic|大西洋
Indian Ocean|印度洋
Arctic Ocean|北冰洋
Yangtze River|Yangtze|长江|扬子江
Yellow River|黄河
Nile|Nile River|尼罗河
Amazon River|Amazon|亚马逊河|亚马孙河
Leonardo da Vinci|Da Vinci|达·芬奇|达芬奇|列奥纳多·达·芬奇
carbon dioxide|CO2|CO^2|CO₂|二氧化碳
carbon monoxide|CO|一氧化碳
water|H2O|H₂O|水
oxygen|O2|O₂|氧气|氧
hydrogen|H2|H₂|氢气|氢
nitrogen|N2|N₂|氮气|氮
sodium chloride|NaCl|table salt|氯化钠
gold|Au|金
silver|Ag|银
iron|Fe|铁
deoxyribonucleic acid|DNA|脱氧核糖核酸
ribonucleic acid|RNA|核糖核酸
artificial intelligence|AI|A.I.|人工智能
central processing unit|CPU|中央处理器
television|TV|电视|电视机
kilometers per hour|km/h|kph
"""
_GROUPS = [tuple(line.split("|")) for line in _TABLE.strip().splitlines()]


@cache
def aliases(name: str) -> tuple[str, ...]:
    """The other names of `name`; () where the table has none.

    An abbreviation is known by its case, any other name in every case.
    """
    wanted = _key(name)
    found = [group for group in _GROUPS if any(_key(one) == wanted for one in group)]
    return tuple(other for group in found for other in group if _key(other) != wanted)


def is_abbreviation(name: str) -> bool:
    """Whether a name differs from a word by its case alone: US, WHO, U.S., Au."""
    letters = name.replace(".", "")
    return letters.isascii() and len(letters) <= 5 and (letters[1:] != letters[1:].lower() or (
        len(letters) == 2
    ))  # fmt: skip


def _key(name: str) -> str:
    bare = name.strip(" .,").removeprefix("the ").removeprefix("The ")
    return bare if is_abbreviation(bare) else bare.casefold()
