"""A column of one or several tables: its distinct texts, where they stand, and what is said of them.

Shapes: n rows, of all tables one behind the other; k distinct texts, of each table after the other's.
"""

from collections.abc import Collection, Sequence
from typing import NoReturn

import numpy as np

from ..files import one_line
from .cells import Reading, Sheet
from .notations import MARKS
from .outliers import far
from .row_numbers import options


class Joined:
    """A column of one table or several.

    Args:
        name: of the column.
        sheets: the tables.
        looked_at: the rows [n] that may be looked at, bool.
        said: what the user says of it, by the options of `core.options.DECISIONS`; its file may say that it
            is declared.
        known: how it was read in earlier tables, which these must agree with.
    """

    def __init__(
        self,
        name: str,
        sheets: Sequence[Sheet],
        looked_at: np.ndarray,
        said: Collection[str] = (),
        known: Reading | None = None,
    ) -> None:
        self.name, self.sheets, self.looked_at, self.said = name, sheets, looked_at, frozenset(said)
        self.known = known
        #: What else the user may do about a cell, in words.
        self._others = options(name, "category", "ignore")
        self._as_missing = f"{options(name, 'numeric')} takes such cells as missing; or {self._others}"
        self.numeric, self.keep = "numeric" in said, "keep" in said
        self.cells = [sheet.cells(name) for sheet in sheets]
        self.texts = [text for cells in self.cells for text in cells.texts]
        starts = np.cumsum([0, *(len(cells.texts) for cells in self.cells)])
        codes = [
            np.where(one.codes < 0, -1, one.codes + at) for one, at in zip(self.cells, starts, strict=False)
        ]
        self.codes = np.concatenate(codes)
        self.filled = self.codes >= 0
        self.counts = np.bincount(self.codes[self.filled], minlength=len(self.texts))
        numbers = [cells.numbers for cells in self.cells]
        self._limits = np.concatenate([one.limits for one in numbers])
        self._units = np.array([unit for one in numbers for unit in one.units], object)
        #: The texts [k] that stand for nothing among numbers and dates.
        self.marks = np.array([text.casefold() in MARKS for text in self.texts], bool)

    # --- Words ---------------------------------------------------------------------------------

    def _options(self, *names: str) -> str:
        return options(self.name, *names)

    def _refuse(self, rows: np.ndarray, what: str, hint: str = "") -> NoReturn:
        """Raises an UnusableError that names the first of some rows [n], bool, its table and its cell."""
        count, row = int(rows.sum()), int(np.argmax(rows))
        sheet, number, cell = self._place(row)
        found = f"found {cell!r} in data row {number}"
        more = f", the first of {count:,} such cells" if count > 1 else ""
        if self.known:  # the options decided then
            hint = "Write it as in the tables that the model was made with, or leave it empty"
        after = f". {hint}" if hint else ""
        raise sheet.unusable(one_line(f"column {self.name!r}: {what}; {found}{more}{after}", 600))

    def _place(self, row: int) -> tuple[Sheet, int, str]:
        """The table of one of the rows [n], its number there, from 1, and its cell."""
        for sheet in self.sheets:
            if row < len(sheet.frame):
                break
            row -= len(sheet.frame)
        cell = sheet.frame.iloc[row, sheet.names.index(self.name)]
        return sheet, sheet.frame.index[row] + 1, one_line(str(cell), 60)

    def _apart(self, values: np.ndarray) -> tuple[np.ndarray, str]:
        """Which values [n] lie far from all others, and the same in words; none if the column is kept."""
        apart = far(values)
        if self.keep or not apart.any():
            return np.zeros(len(values), bool), ""
        others = np.where(apart, np.nan, values)
        low, high = (self._place(int(end))[2] for end in (np.nanargmin(others), np.nanargmax(others)))
        sheet, number, cell = self._place(int(np.argmax(apart)))
        place = f"{cell} in data row {number}" + f" of {sheet.where}" * (len(self.sheets) > 1)
        count = int(apart.sum())
        said = f"{count} cells, the first {place}, are" if count > 1 else f"{place} is"
        return apart, f"{said} far from all others ({low} ... {high})"

    # --- Texts and rows ------------------------------------------------------------------------

    def _rows(self, texts: np.ndarray) -> np.ndarray:
        """The rows [n], bool, of some texts [k], bool."""
        return np.append(texts, False)[self.codes]

    def _spread(self, values: np.ndarray) -> np.ndarray:
        """Values [k] of the texts in the rows [n] where they stand."""
        return np.append(values, np.nan)[self.codes]

    def _written(self, texts: np.ndarray) -> list[str]:
        return [text for text, one in zip(self.texts, texts, strict=True) if one]
