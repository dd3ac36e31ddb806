"""Columns that number or name the rows of a table.

Shapes: n rows of a table.
"""

import re
import shlex
from collections.abc import Sequence

import numpy as np

#: Fewer consecutive integers are no sign of row numbers.
_MANY = 20
#: What columns are called that number or name rows.
_ROW_NAME = re.compile(
    r"(unnamed:?[ _]?\d*|__index_level_\d+__|level_\d+|#|uuid|key|seq|rows?|record"
    r"|((row|rec|record|serial|obs|sample|lfd|run|test|case|compound|patient|subject)[ _.-]*)?"
    r"(ids?|no|nr|num|number|index|idx)\.?|\w+[ _.-]+id)?",
    re.IGNORECASE,
)


def options(column: str, *names: str) -> str:
    """Options that decide about a column, in words."""
    return ", ".join(f"--{name} {shlex.quote(column)}" for name in names)


def names_rows(name: str) -> bool:
    """Whether a column is called as those that number or name rows."""
    return _ROW_NAME.fullmatch(name.strip()) is not None


def _consecutive(values: np.ndarray) -> bool:
    """Whether so many integers, in any order, are consecutive and there once each."""
    every = np.unique(values)
    return _MANY <= len(every) == len(values) and bool(every[-1] == every[0] + len(every) - 1)


def row_numbers(name: str, tables: Sequence[np.ndarray]) -> tuple[bool, str]:
    """Whether a column numbers the rows, and what the user should know of that.

    Args:
        name: of the column.
        tables: its numbers [n] in each table, NaN for none.
    """
    named = names_rows(name)
    if named:
        tables = [table[~np.isnan(table)] for table in tables]
    every = np.concatenate(tables)
    if not (every % 1 == 0).all():  # or one is NaN
        return False, ""
    distinct = all(len(np.unique(table)) == len(table) for table in tables)
    if named and distinct:
        return True, "a different value in each row"
    if named:
        return False, f"called as row numbers are; {options(name, 'category', 'ignore')} if it is no number"
    in_order = [bool((np.diff(table) > 0).all() or (np.diff(table) < 0).all()) for table in tables]
    counting = [_consecutive(table) for table in tables]
    counted = any(map(np.logical_and, in_order, counting)) or (all(in_order) and _consecutive(every))
    if distinct and counted:
        return True, f"row numbers, in the file's order; {options(name, 'keep')} if they mean more"
    if any(counting):
        table = tables[counting.index(True)]
        hint = f"{options(name, 'ignore')} if these are row numbers"
        return False, f"each of {table.min():.0f} ... {table.max():.0f} once; {hint}"
    return False, ""
