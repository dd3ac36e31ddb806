"""The cells of tables: their texts, and the numbers, dates and missing values that people write in these.

Shapes: n rows, of all tables one behind the other; k distinct texts.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache, cached_property, partial
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from ..files import one_line
from .frames import RawFrame
from .suspects import far

_NOTHING = (
    "|?|NA|N/A|n/a|<NA>|#N/A|#N/A N/A|#NA|NaN|nan|-NaN|-nan|NULL|Null|null|None|NaT"
    "|1.#IND|-1.#IND|1.#QNAN|-1.#QNAN"
)
#: Nothing, in any column: what pandas takes for missing, and ARFF's question mark.
NOTHING = frozenset(_NOTHING.split("|"))
_MARKS = (
    "-|--|---|.|..|...|…|??|*|na|n/a|n.a.|n.a|n. a.|nan|null|none|nil|nd|n/d|n.d.|n.d|n. d.|nm|n.m.|missing"
    "|unknown|not determined|not detected|not measured|#div/0!|#value!|#ref!|#num!|#name?|#null!"
)
#: In small letters: nothing among numbers or dates; elsewhere it may be a category ('+' and '-').
MARKS = frozenset(_MARKS.split("|"))
TRUTH = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
#: What the first number of a date with slashes may be.
ORDERS = ("day first", "month first")

# Minus signs, spaces that do not break, apostrophes between thousands, micro signs, and what has no width.
_SIGNS = str.maketrans(
    dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d", "-")
    | dict.fromkeys("\u00a0\u2007\u2009\u202f", " ")
    | dict.fromkeys("\u2019\u02bc", "'")
    | dict.fromkeys("\u200b\ufeff", "")
    | {"\u03bc": "\u00b5"}
)
_PLAIN = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# Other letters right behind a number may be part of a code: 12A.
_GLUED = "[%‰€$£¥]|°[CF]?|[kmµn]g|[mµ][lL]|[kcmµn]m|[mµn]M|pp[mb]|[kM]?Pa|m?bar|[km]V|[kM]?Hz"
#: As pandas writes them.
_DURATION = re.compile(r"-?[0-9]+ days? [+-]?[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?")
_CELL = re.compile(
    r"(?P<limit>[<>≤≥]=?)? ?(?P<sign>[+-]?) ?(?P<money>[$€£¥]|(?:USD|EUR|GBP|CHF|JPY)(?= ))? ?(?P<minus>-?)"
    r"(?P<body>[0-9]+(?:[.,' ][0-9]+)*[.,]?|[.,][0-9]+)(?P<power>[eE][+-]?[0-9]+)?"
    rf"(?P<unit> ?(?:{_GLUED})| (?![A-Z][0-9])[A-Za-zµ][A-Za-zµ0-9²³/*·^ -]{{0,15}})?"
)


def _grammar(point: str, comma: str) -> re.Pattern[str]:
    """Numbers with `point` before the decimals, and `comma`, spaces or apostrophes between thousands."""
    point, comma = re.escape(point), re.escape(comma)
    groups = "|".join(rf"[1-9][0-9]{{0,2}}(?:{sign}[0-9]{{3}})+" for sign in (comma, " ", "'"))
    return re.compile(rf"(?:[0-9]+|{groups})(?:{point}[0-9]*)?|{point}[0-9]+")


_POINT, _COMMA = _grammar(".", ","), _grammar(",", ".")
_POINTS_AS_GROUPS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+(?:[eE][+-]?[0-9]+)?")


def clean(text: str) -> str:
    """A text with one kind of minus, space and apostrophe; single spaces, and none around it."""
    if not text.isascii():
        text = text.translate(_SIGNS)
    return " ".join(text.split())


def read_number(text: str) -> tuple[float, float, bool, str]:
    """A text made by `clean` as a number; one too large for a float is infinite.

    Returns:
        The value if a point begins the decimals (1,234 is 1234) and if a comma does (1,234 is 1.234), NaN if
        the text is not such a number; whether it is a limit such as <5 or ≥5; and the unit or sign next to
        the number, empty if there is none.
    """
    if _PLAIN.fullmatch(text):
        whole = "." not in text or _POINTS_AS_GROUPS.fullmatch(text)
        return float(text), float(text.replace(".", "")) if whole else np.nan, False, ""
    if cell := _CELL.fullmatch(text):
        body, power = cell["body"], cell["power"] or ""
        bare = "-" * ("-" in cell["sign"] + cell["minus"]) + re.sub("[ ']", "", body)
        point = float(bare.replace(",", "") + power) if _POINT.fullmatch(body) else np.nan
        comma = float(bare.replace(".", "").replace(",", ".") + power) if _COMMA.fullmatch(body) else np.nan
        unit = " ".join(filter(None, (cell["money"], (cell["unit"] or "").strip())))
        return point, comma, bool(cell["limit"]), unit
    if _DURATION.fullmatch(text):
        days = pd.Timedelta(text) / pd.Timedelta(days=1)
        return days, days, False, "days"
    return np.nan, np.nan, False, ""


#: The parts before and after the first space that a time follows.
_TIME = re.compile(r"(.*[0-9])[T ,]+([0-9]{1,2}:[0-9]{2}.*)")
_WEEKDAY = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*[., ]+")
_WEEK = re.compile("^([0-9]{4}/W[0-9]{2})$")
_FORMATS = (
    *("%Y/%m/%d", "%Y/%m", "%d.%m.%Y", "%d.%m.%y", "%d/%b/%Y", "%d/%b/%y", "%b/%d/%Y", "%d/%B/%Y"),
    *("%B/%d/%Y", "%b/%Y", "%B/%Y", "%b/%y", "%G/W%V/%u", "%Y%m%d"),
)
_BY_ORDER = (("%d/%m/%Y", "%d/%m/%y"), ("%m/%d/%Y", "%m/%d/%y"))
#: A date as a number: 20240131.
COMPACT_DATE = re.compile(r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:\.0*)?")
#: This, or a month and two figures of a year: Jan-24.
SHORT_DATE = re.compile(rf"{COMPACT_DATE.pattern}|[A-Za-z]{{3}}[-/. ]+[0-9]{{2}}")
_LIKE_A_DATE = re.compile(
    r"[0-9]{1,4}[-/. ].*(?:[0-9] ?(?:Z|UTC|GMT|[AaPp][Mm])?)|[A-Za-z]{3,9}[-/. ]+(?:[0-9]{1,2}, ?)?[0-9]{4}.*"
    rf"|{SHORT_DATE.pattern}"
)
#: A date whose month is named, in whatever language.
NAMED_DATE = re.compile(r"(?:[^\W\d]+[., ]+)?[0-9]{1,2}[. -]+[^\W\d]{3,}[., -]+(?:19|20)?[0-9]{2}")


def read_dates(texts: Sequence[str]) -> np.ndarray:
    """Dates, with times or without, as days since 1970 [2, k]: in each of `ORDERS`.

    One that names its month, begins with a year or has points (1.2.2024) is the same in both.
    """
    days = np.full((2, len(texts)), np.nan)
    texts = [_WEEKDAY.sub("", text) for text in texts]
    like = [i for i, text in enumerate(texts) if _LIKE_A_DATE.fullmatch(text)]
    if not like:
        return days
    split = [found.groups() if (found := _TIME.fullmatch(texts[i])) else (texts[i], "0:00") for i in like]
    parts = _days("1970-01-01 " + pd.Series([time for _, time in split]), "mixed")
    dates = pd.Series([_canonical(date) for date, _ in split])
    for order, formats in enumerate(_BY_ORDER):
        values = np.full(len(like), np.nan)
        for pattern in (*_FORMATS, *formats):
            if (open_ := np.isnan(values)).any():
                values[open_] = _days(dates[open_], pattern)
        days[order, like] = values + parts
    return days


def _canonical(date: str) -> str:
    if COMPACT_DATE.fullmatch(date):
        return date[:8]
    return _WEEK.sub(r"\1/1", re.sub("[-/, ]+", "/", date))


def _days(dates: pd.Series, pattern: str) -> np.ndarray:
    """Days since 1970 [k], in UTC; NaN where a text is of another pattern."""
    found = pd.to_datetime(dates, format=pattern, errors="coerce", utc=True)
    return ((found - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)).to_numpy()


class Cells:
    """A column of the tables that have it.

    Attributes:
        text: of each cell [n], made by `clean`; empty if the cell holds nothing.
        table: number of each cell's table [n].
        point, comma, limit, unit: each cell [n] as `read_number` reads it.
        decimals: what begins the decimals in each table: a point, a comma, '' if it does not matter, ? if
            nothing here says.
        mostly_numbers: whether most of each table's distinct texts are numbers.
    """

    def __init__(self, name: str, raws: Sequence[RawFrame]) -> None:
        self.name, self._raws = name, [raw for raw in raws if name in raw.frame]
        columns = [raw.frame[name] for raw in self._raws]
        parts = []
        for column in columns:
            codes, distinct = pd.factorize(column)
            cleaned = [clean(str(one)) for one in np.asarray(distinct)]  # .1 of float32 is .1
            filled = ["" if text in NOTHING else text for text in cleaned]
            parts.append(np.array([*filled, ""], object)[codes])
        self.text = np.concatenate(parts)
        self.table = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        self._codes, every = pd.factorize(self.text)
        self._texts: list[str] = every.tolist()
        numbers = [np.array(part) for part in zip(*map(read_number, self._texts), strict=True)]
        self.point, self.comma, self.limit, self.unit = (part[self._codes] for part in numbers)
        self.decimals, self.mostly_numbers = list[str](), list[bool]()
        for i, column in enumerate(columns):
            texts = np.unique(self._codes[(self.table == i) & (self.text != "")])
            point, comma = (one[texts] for one in numbers[:2])
            typed = pd.api.types.is_numeric_dtype(column)
            self.decimals.append("." if typed else _decimal(point, comma))
            self.mostly_numbers.append(bool((~np.isnan(point) | ~np.isnan(comma)).sum() > 0.5 * len(texts)))

    def each(self, function: Callable[[str], Any], kind: type) -> np.ndarray:
        """What a function makes of the texts, in their rows [n]."""
        return np.array([function(text) for text in self._texts], kind)[self._codes]

    @cached_property
    def days(self) -> np.ndarray:
        """The cells as days since 1970 [2, n], as `read_dates` reads them."""
        return read_dates(self._texts)[:, self._codes]

    def written(self, rows: np.ndarray) -> list[str]:
        """The distinct texts in some rows [n], bool."""
        return [text for text in pd.unique(self.text[rows]) if text]

    def names(self, known: Sequence[str] = ()) -> np.ndarray:
        """The texts [n], each category by one name; NaN for empty cells.

        1 and 1.0 are the same. So are 01, 1 and 1E0, where no table has two of them, which would then be
        codes. `known` are the categories of earlier tables, whose names are taken.
        """
        tables = [self.written(self.table == i) for i in range(len(self._raws))] + [[*known]] * bool(known)
        name: Callable[[str], str] = _as_number
        if any(len({*map(_as_number, texts)}) < len({*map(_short, texts)}) for texts in tables):
            name = _short
        if len(tables) == 1:
            name = str
        names = {name(text): text for text in known} | {text: text for text in known}
        return self.each(lambda text: names.get(text, names.get(name(text), name(text))) or np.nan, object)

    def place(self, row: int) -> tuple[RawFrame, int, str]:
        """The table of one of the n rows, the row's number there, from 1, and its cell."""
        raw = self._raws[self.table[row]]
        row -= int(np.argmax(self.table == self.table[row]))
        cell = raw.frame[self.name].iloc[row]
        cell = "" if pd.isna(cell) else str(cell)
        return raw, raw.frame.index[row] + 1, cell and one_line(cell, 60)

    def refuse(self, rows: np.ndarray, what: str, hint: str = "") -> NoReturn:
        """Raises a UserError that names the first of some rows [n], bool, its table and its cell."""
        count, (raw, number, cell) = int(rows.sum()), self.place(int(np.argmax(rows)))
        more = f", the first of {count:,} such cells" if count > 1 else ""
        found = repr(cell) if cell else "nothing"
        said = f"column {self.name!r}: {what}; found {found} in data row {number}{more}"
        raise raw.unusable(one_line(". ".join(filter(None, (said, hint))), 600))

    def apart(self, values: np.ndarray) -> tuple[np.ndarray, str]:
        """Which values [n] lie far from all others [n], bool, and the same in words."""
        apart = far(values)
        if not apart.any():
            return apart, ""
        others = np.where(apart, np.nan, values)
        ends = int(np.nanargmin(others)), int(np.nanargmax(others)), int(np.argmax(apart))
        (_, _, low), (_, _, high), (raw, number, cell) = map(self.place, ends)
        place = f"{cell} in data row {number}" + f" of {raw.where}" * (len(self._raws) > 1)
        count = int(apart.sum())
        said = f"{count} cells, the first {place}, are" if count > 1 else f"{place} is"
        return apart, f"{said} far from all others ({low} ... {high})"


class Tables:
    """One table or several of the same columns; `looked_at` are the rows that may be looked at."""

    def __init__(self, raws: Sequence[RawFrame], looked_at: np.ndarray) -> None:
        self.raws, self.looked_at = raws, looked_at
        self.cells = cache(partial(Cells, raws=raws))

    @cached_property
    def decimals(self) -> list[str]:
        """What begins the decimals in all columns of numbers of each table; '' if they differ in this."""
        found = []
        for i, raw in enumerate(self.raws):
            said = {cells.decimals[i] for cells in map(self.cells, raw.names) if cells.mostly_numbers[i]}
            said -= {"", "?"}
            found.append(said.pop() if len(said) == 1 else "")
        return found


def _decimal(point: np.ndarray, comma: np.ndarray) -> str:
    """What begins the decimals of texts that are these numbers [k] if a point does, or if a comma does."""
    points, commas = ~np.isnan(point), ~np.isnan(comma)
    if points.sum() != commas.sum():
        return "." if points.sum() > commas.sum() else ","
    if (points != commas).any():
        return "."  # both stand here: one of them will be refused
    return "?" if (point[points] != comma[points]).any() else ""


_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_WHOLE_NUMBER = re.compile(r"([+-]?(?:0|[1-9][0-9]*))\.0*")


def _short(text: str) -> str:
    if found := _WHOLE_NUMBER.fullmatch(text):
        return found[1]
    return text.lower() if text.lower() in ("true", "false") else text


def _as_number(text: str) -> str:
    short = _short(text)
    return f"{float(short):.17g}" if _NUMBER.fullmatch(short) else short
