"""Units of measure and money: what "3 km", "3公里" and "3000 m" have in common."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Unit:
    """A dimension, and how many of the dimension's base unit one of these is."""

    dimension: str
    factor: Fraction


# dimension -> factor -> names. Months and years are counted, not converted into days.
_TABLE: dict[str, dict[str, str]] = {
    "length": {
        "1000": "km kilometer kilometers kilometre kilometres 公里 千米",
        "1": "m meter meters metre metres 米",
        "1/10": "dm 分米",
        "1/100": "cm centimeter centimeters centimetre centimetres 厘米 公分",
        "1/1000": "mm millimeter millimeters millimetre millimetres 毫米",
        "500": "里 华里",
        "1609.344": "mile miles mi 英里",
        "0.3048": "foot feet ft 英尺",
        "0.0254": "inch inches 英寸",
        "0.9144": "yard yards",
    },
    "mass": {
        "1": "kg kilogram kilograms kilo kilos 公斤 千克",
        "1/1000": "g gram grams 克",
        "1/1000000": "mg milligram milligrams 毫克",
        "1000": "ton tons tonne tonnes 吨",
        "1/2": "斤 市斤",
        "0.45359237": "lb lbs 磅",
        "0.028349523": "oz ounce ounces 盎司",
    },
    "time": {
        "1": "s sec secs second seconds 秒 秒钟",
        "60": "min mins minute minutes 分钟",
        "3600": "h hr hrs hour hours 小时 个小时 钟头 个钟头",
        "86400": "day days 天",
        "604800": "week weeks 星期 个星期 周 个周",
    },
    "month": {"1": "month months 个月 月"},
    "year": {"1": "year years yr yrs 年"},
    "volume": {
        "1": "l liter liters litre litres 升",
        "1/1000": "ml milliliter milliliters millilitre millilitres 毫升",
        "1000": "立方米",
    },
    "area": {
        "1": "m^2 sqm 平方米 平米 square_meters square_meter",
        "1000000": "km^2 平方公里 平方千米 square_kilometers square_kilometer",
        "1/10000": "cm^2 平方厘米",
        "10000": "hectare hectares 公顷",
        "2000/3": "亩",
    },
    "speed": {
        "1": "km/h kph kmh km_per_hour kilometers_per_hour kilometres_per_hour "
        "公里/小时 千米/小时 公里每小时 千米每小时",
        "3.6": "m/s meters_per_second metres_per_second 米/秒 米每秒",
        "1.609344": "mph miles_per_hour mile_per_hour",
    },
    "celsius": {"1": "°c 摄氏度 degrees_celsius degree_celsius"},
    "fahrenheit": {"1": "°f 华氏度 degrees_fahrenheit degree_fahrenheit"},
    "usd": {
        "1": "$ us$ usd dollar dollars buck bucks 美元 美金",
        "1/100": "cent cents ¢ 美分",
    },
    "eur": {"1": "€ eur euro euros 欧元"},
    "gbp": {"1": "£ gbp 英镑"},
    "jpy": {"1": "jpy yen 日元 日圆"},
    "cny": {
        "1": "¥ 元 块 块钱 元钱 圆 元人民币 人民币 yuan rmb cny kuai",
        "1/10": "角 角钱 毛 毛钱 jiao",
        "1/100": "分钱 fen",
    },
    "percent": {"1": "% percent per_cent pct", "1/10": "‰"},
    "ordinal": {"1": "st nd rd th"},
}

UNITS: dict[str, Unit] = {
    name.replace("_", " "): Unit(dimension, Fraction(factor))
    for dimension, by_factor in _TABLE.items()
    for factor, names in by_factor.items()
    for name in names.split()
}
