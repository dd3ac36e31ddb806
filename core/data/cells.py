"""The cells of one table or several: their texts and numbers, and what points and commas mean in these.

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
from .notations import NOTHING, clean, read_dates, read_number

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_WHOLE_NUMBER = re.compile(r"([+-]?(?:0|[1-9][0-9]*))\.0*")


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
        self.name, self._raws = name, [raw for raw in raws if name in raw.names]
        columns = [raw.frame.iloc[:, raw.names.index(name)] for raw in self._raws]
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
        cell = raw.frame.iloc[row, raw.names.index(self.name)]
        cell = "" if pd.isna(cell) else str(cell)
        return raw, raw.frame.index[row] + 1, cell and one_line(cell, 60)

    def refuse(self, rows: np.ndarray, what: str, hint: str = "") -> NoReturn:
        """Raises a UserError that names the first of some rows [n], bool, its table and its cell."""
        count, (raw, number, cell) = int(rows.sum()), self.place(int(np.argmax(rows)))
        more = f", the first of {count:,} such cells" if count > 1 else ""
        found = repr(cell) if cell else "nothing"
        said = f"column {self.name!r}: {what}; found {found} in data row {number}{more}"
        raise raw.unusable(one_line(". ".join(filter(None, (said, hint))), 600))

    def apart(self, values: np.ndarray, apart: np.ndarray) -> str:
        """In words that some values [n], those of `apart` [n], bool, lie far from all others."""
        others = np.where(apart, np.nan, values)
        ends = int(np.nanargmin(others)), int(np.nanargmax(others)), int(np.argmax(apart))
        (_, _, low), (_, _, high), (raw, number, cell) = map(self.place, ends)
        place = f"{cell} in data row {number}" + f" of {raw.where}" * (len(self._raws) > 1)
        count = int(apart.sum())
        said = f"{count} cells, the first {place}, are" if count > 1 else f"{place} is"
        return f"{said} far from all others ({low} ... {high})"


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


def _short(text: str) -> str:
    if found := _WHOLE_NUMBER.fullmatch(text):
        return found[1]
    return text.lower() if text.lower() in ("true", "false") else text


def _as_number(text: str) -> str:
    short = _short(text)
    return f"{float(short):.17g}" if _NUMBER.fullmatch(short) else short
