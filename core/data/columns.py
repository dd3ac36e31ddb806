"""The columns of tables as features; what each is, is decided once over all tables together.

    columns = sort_columns([done, pool], "y", rows)
    print(*columns.lines, sep="\n")
    names, x = columns.features()

Numbers and dates are one feature each; what is missing gets the median, and the column an indicator.
Categories are one-hot, a missing one among them; those seen fewer than three times are one, 'rare'. Medians,
categories and counts are those of the rows that may be looked at; a new category is rare, or zero in all its
columns.

Shapes: n rows, of all tables one behind the other; d features.
"""

import difflib
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, product
from operator import itemgetter

import numpy as np
import pandas as pd

from ..files import UnusableError, one_line
from .cells import Cells, Tables
from .frames import RawFrame
from .kinds import CYCLES, Column, Rule

#: Options and the columns that they name: see `core.options.Options`.
Decisions = Mapping[str, Collection[str]]


class Columns(tuple[Column, ...]):
    """The columns of tables, but for the target, in their order."""

    @property
    def lines(self) -> list[str]:
        """What each column became; columns of the same kind share a line."""
        same: dict[str, list[str]] = {}
        for column in self:
            same.setdefault(column.text, []).append(one_line(column.name or "(nameless)"))
        return [f"{one_line(', '.join(names), 100)}: {one_line(text)}" for text, names in same.items()]

    @property
    def details(self) -> list[str]:
        """The same, each column for itself, with what it holds."""
        said = []
        for column in self:
            became = "; ".join(filter(None, (one_line(column.text), _held(column))))
            said.append(one_line(f"{one_line(column.name or '(nameless)')}: {became}", 300))
        return said

    def features(self) -> tuple[list[str], np.ndarray]:
        """Names (`<column>_<category>` if one-hot) and values [n, d], finite float64, of the features."""
        found = sorted(chain.from_iterable(map(_features, self)), key=itemgetter(0))
        values = np.stack([part for *_, part in found], axis=1).astype(np.float64)
        return [name for _, name, _ in found], values

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What `apply` needs for another table."""
        return tuple(column.rule for column in self)

    def contents(self) -> list[tuple[object, ...]]:
        """The contents of each row in all columns, used or not: equal rows have equal keys."""
        cells = [pd.Series(column.values, dtype=object) for column in self]
        return list(zip(*(column.where(column.notna(), None) for column in cells), strict=True))


def _features(column: Column) -> Iterator[tuple[int, str, np.ndarray]]:
    """Place among those of all columns, name and values [n] of each: first numbers, then what says which
    cells are empty, which are limits, cycles, and categories.
    """
    rule, values = column.rule, column.values
    if rule.kind in ("number", "date"):
        yield 0, rule.name, np.where(np.isnan(values), rule.median, values)
    if rule.gaps:
        yield 1, f"missingindicator_{rule.name}", np.isnan(values)
    if rule.limits:
        yield 2, f"{rule.name}_limit", column.cells.limit
    for cycle, wave in product(rule.cycles, (np.sin, np.cos)):
        turns = (values + rule.start) / CYCLES[cycle]
        yield 3, f"{rule.name}_{cycle}_{wave.__name__}", np.nan_to_num(wave(2 * np.pi * turns))
    others = np.ones(len(values), bool)
    for level in rule.levels:
        hot = pd.isna(values) if level is None else values == level
        others &= ~hot
        yield 4, f"{rule.name}_{'nan' if level is None else level}", hot
    if rule.rare:
        yield 4, f"{rule.name}_rare", others


def _held(column: Column) -> str:
    """What the rows that may be looked at hold: the range of numbers, or how often each category is there."""
    cells, kind = pd.Series(column.values[column.tables.looked_at]), column.rule.kind
    if kind == "category":
        return ", ".join(f"{level}: {n}" for level, n in cells.value_counts(dropna=False).items())
    if kind == "not used" or cells.isna().all():
        return ""
    ends: Sequence[float] = [cells.min(), cells.max(), cells.median()]
    if kind == "date":
        days = pd.Timestamp(0) + pd.to_timedelta(np.array(ends) + column.rule.start, "D")
        low, high, middle = days.strftime("%Y-%m-%d")
    else:
        low, high, middle = (f"{end:.6g}" for end in ends)
    empty = int(cells.isna().sum())
    return f"{low} ... {high}, median {middle}" + f", {empty} empty" * bool(empty)


def apply(rules: Sequence[Rule], raw: RawFrame) -> Columns:
    """The columns of another table by the rules of earlier ones.

    Raises:
        UnusableError: its columns differ, or a cell is not what its column held there.
    """
    check_same([rule.name for rule in rules], raw.names, f"{raw.where}: it has", "the earlier tables have")
    tables = Tables([raw], np.arange(len(raw.frame)))
    return Columns(Column(rule, tables).again() for rule in rules)


def check_same(wanted: Collection[str], found: Collection[str], here: str, there: str) -> None:
    """Raises an UnusableError where two tables have other columns; `here` and `there` begin the messages."""
    for these, those, where in ((wanted, found, here), (found, wanted, there)):
        if lacking := [name for name in these if name not in those]:
            raise UnusableError(f"{where} no column {one_line(', '.join(map(repr, lacking)))}")


def sort_columns(
    raws: Sequence[RawFrame], target: str, rows: np.ndarray, decisions: Decisions | None = None
) -> Columns:
    """What each column is; the first table says which there are.

    Args:
        raws: the tables; all have the first one's columns.
        target: left out; only the first table need have it.
        rows: the rows that may be looked at, counted over the tables one behind the other.
        decisions: of the user.

    Raises:
        UnusableError: no feature is left, a column could be read in two ways, or a decision names no column.
    """
    tables = Tables(raws, rows)
    said = _by_column(raws[0], target, decisions or {})
    for name in frozenset[str]().union(*(raw.nominal for raw in raws)):
        said.setdefault(name, set()).add("declared")
    rules = [Rule(name, said=frozenset(said.get(name, ()))) for name in raws[0].names if name != target]
    columns = Columns(Column(rule, tables).decide() for rule in rules)
    if all(column.rule.kind == "not used" for column in columns):
        found = "; ".join(columns.lines) or f"there is no column but the target {target!r}"
        raise raws[0].unusable(f"no feature is left: {found}")
    return columns


def _by_column(raw: RawFrame, target: str, decisions: Decisions) -> dict[str, set[str]]:
    """What the user says of each column; raises an UnusableError for names of none, and contradictions."""
    said: dict[str, set[str]] = {}
    for option, columns in decisions.items():
        for name in columns:
            if name not in raw.names:
                raise raw.unusable(f"--{option} {shlex.quote(name)}: {_no_column(name, raw.names)}")
            if name == target and option not in ("numeric", "keep"):
                raise raw.unusable(f"--{option} {shlex.quote(name)}: that is the target")
            said.setdefault(name, set()).add(option)
    for name, options in said.items():
        if (len(options) > 1 and "ignore" in options) or {"category"} < options - {"keep"}:
            raise raw.unusable(f"column {name!r}: --{' and --'.join(sorted(options))} contradict each other")
    return said


def _no_column(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {one_line(', '.join(names))}"
    return f"there is no column {name!r}; {hint}"


def read_target(
    raw: RawFrame, target: str, decisions: Decisions | None = None
) -> tuple[np.ndarray, str, np.ndarray, str]:
    """The column of a table that is to be predicted.

    Returns:
        Its values [n], float64; what was recognised in it (`decimal commas`); which lie far from all others
        [n], bool, none if the user keeps the column; the same in words, or nothing.

    Raises:
        UnusableError: it is not there, missing in a row, no finite number, or the same in all rows.
    """
    if target not in raw.names:
        raise raw.unusable(_no_column(target, raw.names))
    said = frozenset(option for option, columns in (decisions or {}).items() if target in columns)
    column = Column(Rule(target, said=said), Tables([raw], np.arange(len(raw.frame))))
    column.others, column.as_missing = "leave such rows out", "Correct it, or leave such rows out"
    if not column.numeric:
        column.refuse(column.no_numbers, "the target must be a number", column.as_missing)
    column.check_numbers()
    if not column.numeric:
        hint = f"{column.options('numeric')} takes the limit itself; or {column.others}"
        column.refuse(column.cells.limit, "the target is not measured, only a limit is known", hint)
    y = column.numbers
    apart, why = (np.zeros(len(y), bool), "") if column.keep else column.cells.apart(y)
    if (empty := np.isnan(y)).any():
        row = raw.frame.index[int(np.argmax(empty))] + 1
        count = f"{empty.sum():,} of {len(empty):,} rows have" if empty.sum() > 1 else "a row has"
        raise raw.unusable(f"{count} no target {target!r}, as data row {row}: fill it in, or leave it out")
    if np.ptp(y[~apart]) == 0:
        raise raw.unusable(f"the target {target!r} is {y[0]:g} in all rows: nothing to learn")
    return y, ", ".join(note for note in column.notes() if "--" not in note), apart, why


# --- Published tables, whose columns are known -------------------------------------------------


def declared(raw: RawFrame, name: str, categories: Sequence[str] | Sequence[int] = ()) -> np.ndarray:
    """A column of finite numbers as float64 [n, 1], or one of known categories one-hot [n, their number].

    Raises:
        UnusableError: a cell is none of them.
    """
    cells = raw.frame[name]
    if categories and isinstance(categories[0], str):
        values = cells.astype("string").str.strip().fillna("").to_numpy(object)
    elif pd.api.types.is_numeric_dtype(cells):
        values = cells.to_numpy(np.float64, na_value=np.nan)
    else:
        # Older pandas' to_numeric is an ulp off; Python's float, which rounds rightly, also takes 1_000.
        values = cells.where(pd.to_numeric(cells, errors="coerce").notna()).to_numpy(np.float64)
    if categories:
        found = np.stack([values == category for category in categories], axis=1).astype(np.float64)
        good, expected = found.any(axis=1), f"one of {one_line(', '.join(map(str, categories)))}"
    else:
        found, good, expected = values[:, None], np.isfinite(values), "a finite number"
    if not good.all():
        Cells(name, [raw]).refuse(np.logical_not(good), f"{expected} is expected")
    return found
