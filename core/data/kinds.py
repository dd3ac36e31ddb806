"""What a column of one or several tables is: numbers, dates, categories, or of no use.

Shapes: n rows, of all tables one behind the other; k distinct texts, of each table after the other's.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from ..files import one_line
from .cells import Column, Reading, Target, same_names
from .encoding import has_times
from .joined import Joined
from .notations import MARKS, NAMED_DATE, ORDERS, TRUTH, read_dates, read_numbers
from .row_numbers import names_rows, row_numbers

_CONSTANT = "one value in all rows"
#: A category that is seen less often is 'rare'.
_RARE = 3
#: A column of texts with more different ones than this share of the rows names rows.
_ROWS_NAMED = 0.9
_MOST_CATEGORIES = 1000
#: From this share of a column on, cells at a limit (<1.8) have an indicator.
_OFTEN = 0.05
_SPACED = re.compile("[0-9][ '][0-9]")
_LIKE_A_NUMBER = re.compile(r"[^A-Za-z]*\d+[.,·]?\d*[^A-Za-z]*")
_LIKE_A_CODE, _PADDED = re.compile("[0-9]+[eE][0-9]+"), re.compile("0[0-9]+")


class Decision(Joined):
    """What one column is."""

    def column(self) -> Column:
        if "ignore" in self.said:
            return self._unused("as asked")
        if not self.filled.any():
            return self._unused("empty")
        if "category" in self.said or ("declared" in self.said and not self.numeric):
            return self._categories()
        found = self._numbers() or self._dates()
        if found is None and self.numeric:
            self._refuse(self.filled, f"{self._options('numeric')}, but no cell is a number")
        found = found or self._mixture()
        if "cyclic" in self.said and found.kind != "date":
            self._refuse(self.filled, f"{self._options('cyclic')}, but it holds no dates")
        return found

    def again(self, kind: str, levels: Sequence[str | None] = ()) -> Column:
        """The column of another table, read as `known` says; `levels` are the categories known by then."""
        if kind == "not used":
            return self._unused("as in earlier tables", np.full(len(self.codes), np.nan))
        if kind == "category":
            return Column(self.name, kind, kind, self._levels([level for level in levels if level]))
        values = self._values if kind == "number" else self._in_one_order()
        others = np.isnan(values) & ~self.marks
        if others.any() and not self.numeric:
            self._refuse(self._rows(others), f"a {kind} is expected")
        if kind == "number":
            self._check_numbers()
        return Column(self.name, kind, kind, self._spread(values), self._rows(self._limits))

    def target(self) -> Target:
        """The column as the target; NaN for empty cells."""
        self._others, self._as_missing = "leave such rows out", "Correct it, or leave such rows out"
        if self._no_numbers.any() and not self.numeric:
            self._refuse(self._rows(self._no_numbers), "the target must be a number", self._as_missing)
        self._check_numbers()
        limits = self._rows(self._limits)
        if limits.any() and not self.numeric:
            hint = f"{self._options('numeric')} takes the limit itself; or {self._others}"
            self._refuse(limits, "the target is not measured, only a limit is known", hint)
        values = self._spread(self._values)
        notes = ", ".join(note for note in self._notes() if "--" not in note)
        return Target(values, notes, *self._apart(values))

    def _unused(self, why: str, values: np.ndarray | None = None) -> Column:
        values = self._levels() if values is None else values
        return Column(self.name, "not used", f"not used ({why})", values, said=self.said)

    def _kept(self, values: np.ndarray) -> list[str]:
        """What is said of the values [n] of a feature that lie far from all others."""
        said = self._apart(values)[1]
        return [f"{said}, and kept: correct it, or leave it empty, if it is no measurement"] if said else []

    # --- Numbers -------------------------------------------------------------------------------

    @cached_property
    def _readings(self) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """The texts as numbers [k]; which could be two [k]; what begins the decimals in each table.

        That is said by a table's own cells, else by earlier tables, else by its other columns and this one
        in other tables, if these agree. Points begin decimals if nothing says otherwise.
        """
        values, doubtful, decimals = [], [], []
        certain = {cells.decimal for cells in self.cells} - {"?"}
        for sheet, cells in zip(self.sheets, self.cells, strict=True):
            numbers, decimal = cells.numbers, cells.decimal
            differs = (decimal == "?") & np.isfinite(numbers.point) & (numbers.point != numbers.comma)
            if decimal == "?":
                said = {sheet.decimal, *certain} - {""}
                if self.known and self.known.decimal:
                    said = {self.known.decimal}
                commas = any("," in cells.texts[i] for i in np.flatnonzero(differs))
                decimal = (
                    said.pop() if len(said) == 1 else "." if self.numeric or not (said or commas) else ""
                )
            values.append(numbers.comma if decimal == "," else numbers.point)
            doubtful.append(differs & (not decimal))
            decimals.append(decimal)
        return np.concatenate(values), np.concatenate(doubtful), decimals

    @cached_property
    def _values(self) -> np.ndarray:
        """The texts as numbers [k]; true and false are, where all others are 1 and 0."""
        values = self._readings[0].copy()
        if len({*self._units[~np.isnan(values)]} - {""}) > 3:  # 12 Main Street
            values[self._units != ""] = np.nan
        if (others := np.isnan(values) & ~self.marks).any():
            truths = values.copy()
            truths[others] = [TRUTH.get(text.casefold(), np.nan) for text in self._written(others)]
            if np.isin(truths[~self.marks], (0, 1)).all():
                return truths
        return values

    @cached_property
    def _no_numbers(self) -> np.ndarray:
        """The texts [k] that are neither numbers nor stand for nothing."""
        return np.isnan(self._values) & ~self.marks

    @cached_property
    def _unit(self) -> str:
        """That of most numbers, or of earlier tables."""
        if self.known:
            return self.known.unit
        if not self._units.any():
            return ""
        good = ~np.isnan(self._values)
        counts: Counter[str] = Counter()
        for unit, count in zip(self._units[good], self.counts[good], strict=True):
            counts[unit] += int(count)
        if self.numeric and len(counts) > 1:
            del counts[""]
        return counts.most_common(1)[0][0] if counts else ""

    def _numbers(self) -> Column | None:
        """The column if all of its cells are numbers, or the user says so."""
        if np.isnan(self._values).all() or (self._no_numbers.any() and not self.numeric):
            return None
        self._check_numbers()
        values, limits, notes = self._spread(self._values), self._rows(self._limits), self._notes()
        # Where one is NaN, min and max are, and equal nothing.
        if values.min() == values.max() and limits.min() == limits.max() and not self.keep:
            return self._unused(_CONSTANT, values)
        feature = None
        if count := int(limits.sum()):
            notes.append(f"{count} cells at a limit ({self._written(self._limits)[0]}) are the limit")
            if limits[self.looked_at].mean() >= _OFTEN:
                feature = limits
                notes[-1] += ", with an indicator"
        if not (self._unit or limits.any() or self.keep or self.numeric):
            tables = np.split(values, np.cumsum([len(cells.codes) for cells in self.cells])[:-1])
            unused, note = row_numbers(self.name, tables)
            if unused:
                return self._unused(note, values)
            notes += [note] if note else []
        notes += self._kept(values)
        said = {*self._readings[2]} & {".", ","}
        reading = Reading(said.pop() if len(said) == 1 else "", self._unit)
        text = ", ".join(["number", *notes])
        return Column(self.name, "number", text, values, feature, reading=reading, said=self.said)

    def _check_numbers(self) -> None:
        """Raises an UnusableError where numbers could be others, or are in different units, or infinite."""
        doubtful, others = self._readings[1], self._others
        if doubtful.any():
            meant = read_numbers([self.texts[int(np.argmax(doubtful))]])
            hint = f"{self._options('numeric')} reads {meant.point[0]:.10g}, and all in this way; or {others}"
            what = f"a cell could be {meant.comma[0]:.10g} or {meant.point[0]:.10g}"
            self._refuse(self._rows(doubtful), what, hint)
        good, unit = ~np.isnan(self._values) & (self._values != 0), self._unit  # zero needs no unit
        unlike = good & ~np.isin(self._units, [unit, ""] if self.numeric else [unit])
        if unlike.any():
            most = f"most numbers are in {unit!r}" if unit else "most numbers have no unit"
            if len({*self._units} - {""}) == 1:
                others = f"{self._options('numeric')} if all are in it; or {others}"
            self._refuse(self._rows(unlike), f"{most}, not all", f"Write one unit; {others}")
        if (huge := np.isinf(self._values)).any():
            if not self.numeric:
                self._refuse(self._rows(huge), "a finite number, or nothing, is expected", self._as_missing)
            self._values[huge] = np.nan

    def _notes(self) -> list[str]:
        """What was recognised in a column of numbers, in words."""
        wanted, decimals = self._written(~self.marks), self._readings[2]
        signs = {
            decimal: {sign for one, known in zip(self.cells, decimals, strict=True) if known == decimal
                      for text in one.texts if text not in MARKS for sign in ".," if sign in text}
            for decimal in ".,"
        }  # fmt: skip
        notes = ["decimal commas"] if "," in signs[","] else []
        notes += ["decimal points"] if notes and "." in signs["."] else []
        notes += ["points between thousands"] if "." in signs[","] else []
        notes += ["commas between thousands"] if "," in signs["."] else []
        if any(_SPACED.search(text) for text in wanted if " " in text or "'" in text):
            notes.append("spaces or apostrophes between thousands")
        if unit := self._unit:
            notes.append(f"in {unit}")
        if truths := sorted({text.casefold() for text in wanted} & {*TRUTH}):
            notes.append(f"{truths[-1]} is {TRUTH[truths[-1]]:.0f}")
        for mask, why in ((self.marks, "missing"), (self._no_numbers, "no numbers, taken as missing")):
            if mask.any():
                which = one_line(", ".join(map(repr, dict.fromkeys(self._written(mask)))), 60)
                notes.append(f"{int(self.counts[mask].sum())} cells are {why} ({which})")
        if wanted and all(map(_LIKE_A_CODE.fullmatch, wanted)):
            notes.append(f"written like {wanted[0]}; {self._options('category')} if these are codes")
        elif any(map(_PADDED.fullmatch, wanted)):
            notes.append(f"leading zeros; {self._options('category')} if these are codes")
        return notes

    # --- Dates ---------------------------------------------------------------------------------

    @cached_property
    def _days(self) -> np.ndarray:
        return read_dates(self.texts)

    def _dates(self) -> Column | None:
        """The column if all of its cells are dates, or the user says that it holds numbers and some are."""
        wanted = ~self.marks
        valid = ~np.isnan(self._days[:, wanted]) @ self.counts[wanted]
        best = int(np.argmax(valid))
        bad = int(self.counts[wanted].sum() - valid[best])
        if not valid[best] or (bad and not self.numeric):
            return None
        differs = self._check_order(valid)
        notes = [ORDERS[best]] if differs.any() else []
        notes += [f"{bad} cells are no dates, taken as missing"] if bad else []
        values = self._spread(self._days[best])
        values -= (start := float(np.nanmin(values)))
        if values.min() == values.max() and not self.keep:
            return self._unused(_CONSTANT, values)
        reading = Reading(order=best if differs.any() else -1, start=start)
        text = f"number ({'; '.join(['days', *notes])})"
        if "cyclic" in self.said:
            text += f", with the time of the year{' and of the day' * has_times(values)}"
        text = ", ".join([text, *self._kept(values)])
        return Column(self.name, "date", text, values, reading=reading, said=self.said)

    def _in_one_order(self) -> np.ndarray:
        """The texts [k] as days since the first one of earlier tables."""
        assert self.known
        valid = ~np.isnan(self._days) @ self.counts
        if self.known.order < 0:
            self._check_order(valid)
        order = self.known.order if self.known.order >= 0 else int(np.argmax(valid))
        return self._days[order] - self.known.start

    def _check_order(self, valid: np.ndarray) -> np.ndarray:
        """The dates [k], bool, that each order of the two reads as another; refused if both orders fit."""
        best = int(np.argmax(valid))
        differs = (self._days[0] != self._days[1]) & ~self.marks & ~np.isnan(self._days[best])
        if valid[0] == valid[1] and differs.any() and not self.numeric:
            hint = f"Write it as 2024-01-31; {self._options('numeric')} reads it {ORDERS[best]}; or "
            hint += self._others
            self._refuse(self._rows(differs), f"dates could be {' or '.join(ORDERS)}", hint)
        return differs

    # --- Texts ---------------------------------------------------------------------------------

    def _mixture(self) -> Column:
        """Texts; refused where most are numbers or dates, or look like numbers and would not be used."""
        rest, counts = self._no_numbers, np.where(self.marks, 0, self.counts)
        filled, texts = int(counts.sum()), {*self._written(self._no_numbers)}
        named = np.array([NAMED_DATE.fullmatch(text) is not None for text in self.texts], bool)
        if counts[named].sum() >= 0.5 * filled and named.any():
            hint = f"Write them as 2024-01-31, or {self._others}"
            self._refuse(self._rows(named), "its cells look like dates, but in no known language", hint)
        values = {*self._values[~np.isnan(self._values)].tolist()}
        if names_rows(self.name) and len(texts) + len(values) > _ROWS_NAMED * filled:
            return self._categories()
        numbers = filled - int(counts[rest].sum())
        if numbers and self._are_codes(texts, values, numbers / filled, filled):
            return self._categories("numbers and codes")
        many = numbers >= 0.1 * filled and len(values) > max(5, len(texts))
        if numbers and (numbers >= 0.5 * filled or many):
            what = f"{numbers:,} of {filled:,} cells are numbers, the others are not"
            self._refuse(self._rows(rest), what, self._as_missing)
        undated = (np.isnan(self._days) & ~self.marks)[np.argmin(np.isnan(self._days) @ counts)]
        dates = filled - int(counts[undated].sum())
        if dates >= 0.5 * filled and dates:
            what = f"{dates:,} of {filled:,} cells are dates, the others are not"
            self._refuse(self._rows(undated), what, self._as_missing)
        like = np.array([_LIKE_A_NUMBER.fullmatch(text) is not None for text in self.texts], bool) & rest
        if 0.5 * filled < counts[like].sum() < 3 * like.sum():
            what = "its cells look like numbers, but in no way of writing them that is known"
            self._refuse(self._rows(like), what, self._others)
        return self._categories()

    def _are_codes(self, texts: set[str], values: set[float], numbers: float, filled: int) -> bool:
        """Whether texts among numbers say that these are codes: 001, 01B; or 1, 2, 3, X, Y, often each."""
        often = filled >= 3 * (len(values) + len(texts)) and len(values) <= 50 and numbers < 0.9
        with_digits = all(any(map(str.isdigit, text)) for text in texts)
        short = with_digits or all(len(text) <= 2 for text in texts)
        letters = all(any(map(str.isalpha, text)) or text.endswith("+") for text in texts)
        padded = with_digits and any(map(_PADDED.fullmatch, self.texts))
        return letters and (padded or (often and short and all(value % 1 == 0 for value in values)))

    def _levels(self, others: Sequence[str] = ()) -> np.ndarray:
        """The category of each row [n], texts, by the names of other tables; NaN where nothing stands."""
        names = self.texts
        if len(self.cells) > 1 or others:
            every = same_names([others, *(cells.texts for cells in self.cells)])
            names = every[len(others) :]
            as_there = dict(zip(every, others, strict=False)) | {name: name for name in others}
            names = [
                as_there.get(text, as_there.get(name, name))
                for text, name in zip(self.texts, names, strict=True)
            ]
        return np.array([*names, np.nan], object)[self.codes]

    def _categories(self, note: str = "") -> Column:
        """A column of categories, or of no use."""
        values, declared = self._levels(), "declared" in self.said
        cells = pd.Series(values, dtype=object)
        seen = cells[self.looked_at]
        counts = seen.value_counts(dropna=False)
        common = counts if declared else counts[counts >= _RARE]
        if not (self.keep or "category" in self.said):
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
            hint = f"group them, or {self._options('ignore')}"
            raise self.sheets[0].unusable(f"column {self.name!r} has {len(used):,} categories; {hint}")
        named = int(used.index.notna().sum())
        said = f"{named} categor{'y' if named == 1 else 'ies'}"
        said += f", {len(counts) - len(used)} rare as one" * (len(used) < len(counts))
        said += ", and missing" * (named < len(used))
        if unseen := int((cells.notna() & ~cells.isin(counts.index)).sum()):
            said += f", {unseen:,} cells of others that no labelled row has"
        rare = _RARE if len(used) < len(counts) else 1
        text = "; ".join(filter(None, [said, note]))
        return Column(self.name, "category", text, values, rare=rare, said=self.said)
