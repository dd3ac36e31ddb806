"""What a column of one or several tables is: numbers, dates, categories, or of no use.

Shapes: n rows, of all tables one behind the other.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from ..files import one_line
from .cells import COMPACT_DATE, MARKS, NAMED_DATE, ORDERS, SHORT_DATE, TRUTH, Tables, read_dates
from .suspects import ROW_NAME, options, row_numbers

#: Days after which the time of the year, and of the day, is the same.
CYCLES = {"year": 365.2425, "day": 1.0}
_CONSTANT = "one value in all rows"
#: A category that is seen less often is 'rare'.
_RARE = 3
#: A column of texts with more different ones than this share of the rows names rows.
_ROWS_NAMED = 0.9
_MOST_CATEGORIES = 1000
#: From this share of a column on, cells at a limit (<1.8) have an indicator.
_OFTEN = 0.05
#: So many different numbers that are all dates, such as 20240131, are dates.
_MANY_DATES = 5
_SPACED = re.compile("[0-9][ '][0-9]")
_LIKE_A_NUMBER = re.compile(r"[^A-Za-z]*\d+[.,·]?\d*[^A-Za-z]*")
_LIKE_A_CODE, _PADDED = re.compile("[0-9]+[eE][0-9]+"), re.compile("0[0-9]+")


@dataclass(frozen=True)
class Rule:
    """What a column is, how its cells are read and become features: what another table is read by.

    Attributes:
        name: of the column.
        kind: number, date, category or not used; empty until it is decided.
        said: options of `core.options.DECISIONS` that name it; `declared` if its file calls it a category.
        decimal: what begins the decimals; empty if nothing said it.
        unit: that all numbers have.
        order: of the first numbers of dates, in `cells.ORDERS`; -1 if it did not matter.
        start: days since 1970 of the first date.
        median: what an empty cell of numbers or dates becomes.
        gaps: whether a feature says which cells are empty.
        limits: whether a feature says which cells are limits (<1.8).
        cycles: names in `CYCLES`, of each a sine and a cosine of dates are features.
        levels: categories that are a feature each, ascending; None for empty cells.
        rare: whether all others share one.
    """

    name: str
    kind: str = ""
    said: frozenset[str] = frozenset()
    decimal: str = ""
    unit: str = ""
    order: int = -1
    start: float = 0.0
    median: float = 0.0
    gaps: bool = False
    limits: bool = False
    cycles: tuple[str, ...] = ()
    levels: tuple[str | None, ...] = ()
    rare: bool = False


class Column:
    """A column of the tables; `decide` or `again` say what it is.

    Args:
        rule: its name and what the user says of it. If it has a kind, it was read from earlier tables, and
            these tables must agree with it.
        tables: the tables that have it.

    Attributes:
        rule: what it is.
        text: the same in words, and what the user should know of it.
        values: [n]; float64 for numbers and dates, otherwise texts; NaN for empty cells.
    """

    def __init__(self, rule: Rule, tables: Tables) -> None:
        self.rule, self.tables, self.known = rule, tables, rule if rule.kind else None
        self.name, self.numeric, self.keep = rule.name, "numeric" in rule.said, "keep" in rule.said
        self.cells = tables.cells(rule.name)
        self.filled = self.cells.text != ""
        #: The rows [n] whose cell means 'missing' among numbers and dates, and those with any other text.
        self.marks = self.cells.each(lambda text: text.casefold() in MARKS, bool)
        self.wanted = self.filled & ~self.marks
        self._wanted_texts = self.cells.written(self.wanted)
        self.options = partial(options, rule.name)
        #: What else the user may do about a cell, in words.
        self.others = self.options("category", "ignore")
        self.as_missing = f"{self.options('numeric')} takes such cells as missing; or {self.others}"

    def decide(self) -> Column:
        if "ignore" in self.rule.said:
            return self._unused("as asked")
        if not self.filled.any():
            return self._unused("empty")
        if "category" in self.rule.said or ("declared" in self.rule.said and not self.numeric):
            return self._categories()
        found = (self._are_compact_dates() and self._dates()) or self._numbers() or self._dates()
        if found is None and self.numeric:
            self.refuse(self.filled, f"{self.options('numeric')}, but no cell is a number")
        found = found or self._mixture()
        if "cyclic" in self.rule.said and found.rule.kind != "date":
            self.refuse(self.filled, f"{self.options('cyclic')}, but it holds no dates")
        return found

    def again(self) -> Column:
        """The column of another table, read as `known` says."""
        assert self.known
        kind = self.known.kind
        if kind == "not used":
            return self._unused("as in earlier tables")
        if kind == "category":
            return self._becomes(kind, self.cells.names([*filter(None, self.known.levels)]))
        if kind == "date" and self.known.order < 0:
            self._check_order()
        order = self.known.order if self.known.order >= 0 else self._order
        values = self.numbers if kind == "number" else self.cells.days[order] - self.known.start
        if not self.numeric:
            self.refuse(np.isnan(values) & self.wanted, f"a {kind} is expected")
        if kind == "number":
            self.check_numbers()
        return self._becomes(kind, values)

    def _becomes(self, text: str, values: np.ndarray, **decided: Any) -> Column:
        """The column as it is now; `decided` are fields of its `Rule`."""
        self.rule, self.text, self.values = replace(self.rule, **decided), text, values
        return self

    def _unused(self, why: str) -> Column:
        values = self.cells.names() if self.no_numbers.any() else self.numbers
        return self._becomes(f"not used ({why})", values, kind="not used", decimal=self._decimal)

    def _feature(self, notes: list[str], values: np.ndarray, **decided: Any) -> Column:
        """A column of numbers or dates."""
        if not self.keep and (said := self.cells.apart(values)[1]):
            notes = [*notes, f"{said}, and kept: correct it, or leave it empty, if it is no measurement"]
        seen = values[self.tables.looked_at]
        known = seen[~np.isnan(seen)]
        median = float(np.median(known)) if len(known) else 0.0
        return self._becomes(", ".join(notes), values, median=median, gaps=len(known) < len(seen), **decided)

    # --- Words ---------------------------------------------------------------------------------

    def refuse(self, rows: np.ndarray, what: str, hint: str = "") -> None:
        """Raises an UnusableError that names the first of some rows [n], bool, if there are any."""
        if self.known:  # the options decided then
            hint = "Write it as in the tables that the model was made with, or leave it empty"
        if rows.any():
            self.cells.refuse(rows, what, hint)

    # --- Numbers -------------------------------------------------------------------------------

    @cached_property
    def _readings(self) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """The cells as numbers [n]; which could be two [n]; what begins the decimals in each table.

        That is said by a table's own cells, else by earlier tables, else by its other columns and this one
        in other tables, if these agree. Points begin decimals if nothing says otherwise.
        """
        cells, point, comma = self.cells, self.cells.point, self.cells.comma
        differs = np.isfinite(point) & (point != comma)
        values, doubtful, decimals = point.copy(), np.zeros(len(point), bool), []
        for i, decimal in enumerate(cells.decimals):
            here = cells.table == i
            if decimal == "?":
                said = {self.tables.decimals[i], *cells.decimals} - {"", "?"}
                if self.known and self.known.decimal:
                    said = {self.known.decimal}
                commas = any("," in text for text in cells.written(differs & here))
                usual = "." if self.numeric or not (said or commas) else ""
                decimal = said.pop() if len(said) == 1 else usual
                doubtful |= differs & here & (not decimal)
            values[here] = (comma if decimal == "," else point)[here]
            decimals.append(decimal)
        return values, doubtful, decimals

    @cached_property
    def _decimal(self) -> str:
        """What begins the decimals in all tables that say it; '' if they differ in this."""
        said = {*self._readings[2]} & {".", ","}
        return said.pop() if len(said) == 1 else ""

    @cached_property
    def numbers(self) -> np.ndarray:
        """The cells as numbers [n]; true and false are, where all others are 1 and 0."""
        values = self._readings[0]
        if len({*self.cells.unit[~np.isnan(values)]} - {""}) > 3:  # 12 Main Street
            values = np.where(self.cells.unit != "", np.nan, values)
        if (np.isnan(values) & self.wanted).any():
            truths = self.cells.each(lambda text: TRUTH.get(text.casefold(), np.nan), float)
            truths = np.where(np.isnan(values), truths, values)
            if np.isin(truths[self.wanted], (0, 1)).all():
                return truths
        return values

    @cached_property
    def no_numbers(self) -> np.ndarray:
        """The rows [n] whose cell is neither a number nor means 'missing'."""
        return np.isnan(self.numbers) & self.wanted

    @cached_property
    def _unit(self) -> str:
        """That of most numbers, or of earlier tables."""
        if self.known:
            return self.known.unit
        counts = Counter(self.cells.unit[~np.isnan(self.numbers)])
        if self.numeric and len(counts) > 1:
            del counts[""]
        return str(counts.most_common(1)[0][0]) if counts else ""

    def _numbers(self) -> Column | None:
        """The column if all of its cells are numbers, or the user says so."""
        if np.isnan(self.numbers).all() or (self.no_numbers.any() and not self.numeric):
            return None
        self.check_numbers()
        values, limits, unit, notes = self.numbers, self.cells.limit, self._unit, ["number", *self.notes()]
        # Where one is NaN, min and max are, and equal nothing.
        if values.min() == values.max() and limits.min() == limits.max() and not self.keep:
            return self._unused(_CONSTANT)
        often = bool(limits[self.tables.looked_at].mean() >= _OFTEN)
        if count := int(limits.sum()):
            notes.append(f"{count} cells at a limit ({self.cells.written(limits)[0]}) are the limit")
            notes[-1] += ", with an indicator" * often
        elif not (unit or self.keep or self.numeric):
            each = [values[self.cells.table == i] for i in range(len(self.cells.decimals))]
            unused, note = row_numbers(self.name, each)
            if unused:
                return self._unused(note)
            notes += [note] if note else []
        return self._feature(notes, values, kind="number", decimal=self._decimal, unit=unit, limits=often)

    def check_numbers(self) -> None:
        """Raises a UserError where numbers could be others, or are in different units, or infinite."""
        doubtful, others = self._readings[1], self.others
        first = int(np.argmax(doubtful))
        point, comma = f"{self.cells.point[first]:.10g}", f"{self.cells.comma[first]:.10g}"
        hint = f"{self.options('numeric')} reads {point}, and all in this way; or {others}"
        self.refuse(doubtful, f"a cell could be {comma} or {point}", hint)
        good, unit = ~np.isnan(self.numbers) & (self.numbers != 0), self._unit  # zero needs no unit
        unlike = good & ~np.isin(self.cells.unit, [unit, ""] if self.numeric else [unit])
        most = f"most numbers are in {unit!r}" if unit else "most numbers have no unit"
        if len({*self.cells.unit} - {""}) == 1:
            others = f"{self.options('numeric')} if all are in it; or {others}"
        self.refuse(unlike, f"{most}, not all", f"Write one unit; {others}")
        huge = np.isinf(self.numbers)
        if not self.numeric:
            self.refuse(huge, "a finite number, or nothing, is expected", self.as_missing)
        self.numbers[huge] = np.nan

    def notes(self) -> list[str]:
        """What was recognised in a column of numbers, in words."""
        wanted, signs = self._wanted_texts, {".": "", ",": "", "": ""}
        for i, decimal in enumerate(self._readings[2]):
            signs[decimal] += "".join(self.cells.written(self.wanted & (self.cells.table == i)))
        notes = ["decimal commas"] if "," in signs[","] else []
        notes += ["decimal points"] if notes and "." in signs["."] else []
        notes += ["points between thousands"] if "." in signs[","] else []
        notes += ["commas between thousands"] if "," in signs["."] else []
        if any(map(_SPACED.search, wanted)):
            notes.append("spaces or apostrophes between thousands")
        if unit := self._unit:
            notes.append(f"in {unit}")
        if truths := sorted({*map(str.casefold, wanted)} & {*TRUTH}):
            notes.append(f"{truths[-1]} is {TRUTH[truths[-1]]:.0f}")
        for mask, why in ((self.marks, "missing"), (self.no_numbers, "no numbers, taken as missing")):
            if mask.any():
                which = one_line(", ".join(map(repr, self.cells.written(mask))), 60)
                notes.append(f"{int(mask.sum())} cells are {why} ({which})")
        if wanted and all(map(_LIKE_A_CODE.fullmatch, wanted)):
            notes.append(f"written like {wanted[0]}; {self.options('category')} if these are codes")
        elif any(map(_PADDED.fullmatch, wanted)):
            notes.append(f"leading zeros; {self.options('category')} if these are codes")
        return notes

    # --- Dates ---------------------------------------------------------------------------------

    def _are_compact_dates(self) -> bool:
        """Whether all cells are dates such as 20240131, and many different ones."""
        texts = self._wanted_texts
        return not self.numeric and len(texts) >= _MANY_DATES and all(map(COMPACT_DATE.fullmatch, texts))

    def _dates(self) -> Column | None:
        """The column if all of its cells are dates, or the user says that it holds numbers and some are."""
        order, days = self._order, self.cells.days[self._order]
        bad = int((self.wanted & np.isnan(days)).sum())
        if bad == self.wanted.sum() or (bad and not self.numeric):
            return None
        differs = self._check_order()
        notes = ["days"] + [ORDERS[order]] * differs
        notes += [f"{bad} cells are no dates, taken as missing"] if bad else []
        if short := [text for text in self._wanted_texts if SHORT_DATE.fullmatch(text)]:
            day = pd.Timestamp(0) + pd.Timedelta(days=read_dates(short)[order, 0])
            notes.append(f"{short[0]} is read as {day:%Y-%m-%d}")
        if self._are_compact_dates():
            notes.append(f"{self.options('numeric')} if these are numbers")
        if days.min() == days.max() and not self.keep:
            return self._unused(_CONSTANT)
        with_times = bool((days % 1 > 0).any())
        cycles = (*CYCLES,)[: 1 + with_times] if "cyclic" in self.rule.said else ()
        text = f"number ({'; '.join(notes)})"
        if cycles:
            text += f", with the time of the {' and of the '.join(cycles)}"
        kept, start = order if differs else -1, float(np.nanmin(days))
        return self._feature([text], days - start, kind="date", order=kept, start=start, cycles=cycles)

    @cached_property
    def _order(self) -> int:
        """Which of `ORDERS` makes most cells dates."""
        return int(np.argmax((~np.isnan(self.cells.days) & self.wanted).sum(axis=1)))

    def _check_order(self) -> bool:
        """Whether the other order makes other dates of some cells; refused if it fits as well."""
        missing = np.isnan(self.cells.days)
        differs = (self.cells.days[0] != self.cells.days[1]) & self.wanted & ~missing[self._order]
        if differs.any() and missing[0].sum() == missing[1].sum() and not self.numeric:
            hint = f"Write it as 2024-01-31; {self.options('numeric')} reads it {ORDERS[self._order]}; or "
            hint += self.others
            self.refuse(differs, f"dates could be {' or '.join(ORDERS)}", hint)
        return bool(differs.any())

    # --- Texts ---------------------------------------------------------------------------------

    def _mixture(self) -> Column:
        """Texts; refused where most are numbers or dates, or look like numbers and would not be used."""
        rest, values = self.no_numbers, self.numbers[self.wanted]
        texts, filled = self.cells.written(rest), len(values)
        every = np.unique(values[~np.isnan(values)])
        named = self.cells.each(NAMED_DATE.fullmatch, bool)
        if named.sum() >= 0.5 * filled and named.any():
            hint = f"Write them as 2024-01-31, or {self.others}"
            self.refuse(named, "its cells look like dates, but in no known language", hint)
        if ROW_NAME.fullmatch(self.name) and len(texts) + len(every) > _ROWS_NAMED * filled:
            return self._categories()
        often = filled >= 3 * (len(every) + len(texts)) and len(every) <= 50 and rest.sum() > 0.1 * filled
        if len(every) and self._are_codes(texts, every, often):
            return self._categories("numbers and codes")
        many = filled - rest.sum() >= 0.1 * filled and len(every) > max(5, len(texts))
        undated = self.wanted & np.isnan(self.cells.days[self._order])
        for others, kind, enough in ((rest, "numbers", many), (undated, "dates", False)):
            count = filled - int(others.sum())
            if count and (count >= 0.5 * filled or enough):
                what = f"{count:,} of {filled:,} cells are {kind}, the others are not"
                self.refuse(others, what, self.as_missing)
        like = self.cells.each(_LIKE_A_NUMBER.fullmatch, bool) & rest
        if 0.5 * filled < like.sum() < 6 * len(self.cells.written(like)):
            what = "its cells look like numbers, but in no way of writing them that is known"
            self.refuse(like, what, self.others)
        return self._categories()

    def _are_codes(self, texts: list[str], numbers: np.ndarray, often: bool) -> bool:
        """Whether texts among numbers say that these are codes: 001, 01B; or, each often, 1, 2, X."""
        whole = all(number % 1 == 0 for number in numbers.tolist())
        with_digits = all(any(map(str.isdigit, text)) for text in texts)
        short = with_digits or all(len(text) <= 2 for text in texts)
        letters = all(any(map(str.isalpha, text)) or text.endswith("+") for text in texts)
        padded = with_digits and any(map(_PADDED.fullmatch, self._wanted_texts))
        return letters and (padded or (often and short and whole))

    def _categories(self, note: str = "") -> Column:
        """A column of categories, or of no use."""
        values, declared = self.cells.names(), "declared" in self.rule.said
        cells = pd.Series(values, dtype=object)
        seen = cells.iloc[self.tables.looked_at]
        counts = seen.value_counts(dropna=False)
        common = counts if declared else counts[counts >= _RARE]
        if not (self.keep or "category" in self.rule.said):
            if cells.nunique(dropna=False) <= 1:
                return self._unused(_CONSTANT)
            if len(counts) <= 1:
                return self._unused("one value in the labelled rows")
            if not declared and seen.nunique() > _ROWS_NAMED * seen.count():
                nearly = "" if seen.nunique() == seen.count() else "nearly "
                return self._unused(f"a different value in {nearly}each row")
            if common.empty:
                return self._unused(f"no value {_RARE} times in the labelled rows")
        used = common if len(common) else counts
        if len(used) > _MOST_CATEGORIES:
            hint = f"group them, or {self.options('ignore')}"
            raise self.tables.raws[0].unusable(f"column {self.name!r} has {len(used):,} categories; {hint}")
        levels = (*sorted(used.index.dropna()), *[None] * used.index.hasnans)
        named = len(levels) - used.index.hasnans
        said = f"{named} categor{'y' if named == 1 else 'ies'}"
        said += f", {len(counts) - len(used)} rare as one" * (len(used) < len(counts))
        said += ", and missing" * used.index.hasnans
        if unseen := int((cells.notna() & ~cells.isin(counts.index)).sum()):
            said += f", {unseen:,} cells of others that no labelled row has"
        said = "; ".join(filter(None, [said, note]))
        return self._becomes(said, values, kind="category", levels=levels, rare=len(used) < len(counts))
