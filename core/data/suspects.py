"""Numbers that may be no measurements: row numbers, -999 for 'not measured', slips by powers of ten.

Shapes: n rows of a table, n values.
"""

import re
import shlex
from collections.abc import Sequence

import numpy as np

#: Fewer consecutive integers are no sign of row numbers.
_MANY = 20
#: What columns are called that number or name rows.
ROW_NAME = re.compile(
    r"(unnamed:?[ _]?\d*|__index_level_\d+__|level_\d+|#|uuid|key|seq|rows?|record"
    r"|((row|rec|record|serial|obs|sample|lfd|run|test|case|compound|patient|subject)[ _.-]*)?"
    r"(ids?|no|nr|num|number|index|idx)\.?|\w+[ _.-]+id)?",
    re.IGNORECASE,
)
#: Digits of numbers that stand for 'not measured': -99, 999, 99.9, -8888, 1E30; the largest of some types.
_CODE = re.compile(r"-99|-?(?:9{3,}|8{3,}|7{3,}|10{20,}|(?:32767|32768|65535|2147483647|2147483648)0?)")
_LARGEST = (3.4028234663852886e38, 9.969209968386869e36, 1.7976931348623157e308)
#: Such numbers are looked for among so many of the lowest and of the highest.
_ENDS = 5
#: A value without such a meaning is far if it lies so many ranges of all others away, and in logarithms one.
_FAR = 30
#: What lies far are few, and others have at least so many different values.
_FEW, _SHARE, _DISTINCT = 3, 0.02, 10


def options(column: str, *names: str) -> str:
    """Options that decide about a column, in words."""
    return ", ".join(f"--{name} {shlex.quote(column)}" for name in names)


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
    named = ROW_NAME.fullmatch(name)
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


def far(values: np.ndarray) -> np.ndarray:
    """Which values [n], NaN for none, lie far from all others [n], bool.

    Heavy tails are spared: a far value is far on a logarithmic scale too, on which theirs end gradually.
    """
    known = values[np.isfinite(values)]
    every = np.unique(known)
    codes = np.array([one for one in (*every[:_ENDS], *every[-_ENDS:]) if _is_code(one)])
    others = known[~np.isin(known, codes)]
    if not len(others) or others.min() == others.max():
        return np.zeros(len(values), bool)
    low, high = others.min(), others.max()
    with np.errstate(over="ignore"):
        below = codes[(codes < low) & ((low >= 0) | (low - codes > 0.5 * (high - low)))]
        above = codes[codes - high > 3 * (high - low)]
    found = np.isin(values, [*below, *above])
    rest = np.sort(values[np.isfinite(values) & ~found])
    return found | (values > _from(rest)) | (-values > _from(-rest[::-1]))


def _is_code(value: float) -> bool:
    digits = f"{value:.15g}"
    if "e" in digits:
        return abs(value) in _LARGEST or (abs(value) >= 1e20 and digits.lstrip("-").startswith("1e"))
    return _CODE.fullmatch(digits.replace(".", "")) is not None


def _from(values: np.ndarray) -> float:
    """Beyond which number ascending values [n] are far above all others; infinity if none is."""
    few = max(_FEW, int(_SHARE * len(values)))
    if len(np.unique(values[:-few])) < _DISTINCT:
        return np.inf
    scaled = values / np.abs(values).max()
    away = scaled - np.median(scaled)
    logs = np.arcsinh(away / np.median(np.abs(away[away != 0])))
    rest, least = slice(-few - 1, -1), []
    for one, times in ((scaled, _FAR), (logs, 1)):
        least.append(np.diff(one[-few - 1 :]) > times * (one[rest] - one[0]))
    beyond = np.flatnonzero(least[0] & least[1])
    return float(values[rest][beyond[0]]) if len(beyond) else np.inf
