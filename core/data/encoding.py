"""Columns as features: what each becomes is learned on some rows, and applied to other tables.

Shapes: n rows, d features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from .cells import Column, Reading

#: Days after which the time of the year, and of the day, is the same.
_CYCLES = {"year": 365.2425, "day": 1.0}


@dataclass(frozen=True)
class Rule:
    """How a column becomes features, in plain values that a file can hold.

    Attributes:
        name, kind, reading, said: those of its `Column`.
        median: what an empty cell of numbers or dates becomes.
        gaps: whether a feature says which cells are empty.
        limits: whether a feature says which cells are limits.
        cycles: in days, of each a sine and a cosine of dates are features.
        levels: categories that are a feature each, ascending; None for empty cells.
        rare: whether all others share one.
    """

    name: str
    kind: str
    reading: Reading
    said: tuple[str, ...] = ()
    median: float = 0.0
    gaps: bool = False
    limits: bool = False
    cycles: tuple[float, ...] = ()
    levels: tuple[str | None, ...] = ()
    rare: bool = False


def learn(column: Column, rows: np.ndarray) -> Rule:
    """How a column becomes features, by the rows that may be looked at."""
    of_column = (column.name, column.kind, column.reading, tuple(sorted(column.said)))
    values = column.values[rows]
    if column.kind == "category":
        counts = pd.Series(values, dtype=object).value_counts(dropna=False)
        common = counts.index[counts >= column.rare]
        missing: list[str | None] = [None] if common.hasnans else []
        levels = (*sorted(common.dropna()), *missing)
        return Rule(*of_column, levels=levels, rare=len(common) < len(counts))
    if column.kind == "not used":
        return Rule(*of_column)
    known = values[~np.isnan(values)]
    median = float(np.median(known)) if len(known) else 0.0
    cyclic = "cyclic" in column.said
    return Rule(
        *of_column,
        median,
        gaps=len(known) < len(values),
        limits=column.limits is not None,
        cycles=tuple(_CYCLES.values())[: 1 + has_times(column.values)] if cyclic else (),
    )


def has_times(days: np.ndarray) -> bool:
    """Whether some of these days [n] are not at midnight."""
    return bool((days[~np.isnan(days)] % 1 != 0).any())


def encode(rules: Sequence[Rule], columns: Sequence[Column]) -> tuple[list[str], np.ndarray]:
    """Names and values [n, d], finite float64, of the features of columns, each by its rule.

    Numbers come first, then what says which cells are empty, which are limits, cycles, and categories.
    """
    both = list(zip(rules, columns, strict=True))
    numbers = [(rule, column.values) for rule, column in both if rule.kind in ("number", "date")]
    names = [rule.name for rule, _ in numbers]
    parts = [np.where(np.isnan(values), rule.median, values) for rule, values in numbers]
    gaps = [(rule.name, np.isnan(values)) for rule, values in numbers if rule.gaps]
    names += [f"missingindicator_{name}" for name, _ in gaps]
    parts += [empty for _, empty in gaps]
    for rule, column in both:
        if rule.limits:
            names.append(f"{rule.name}_limit")
            parts.append(np.zeros(len(column.values)) if column.limits is None else column.limits)
    for rule, values in numbers:
        for (cycle, length), wave in product(_CYCLES.items(), (np.sin, np.cos)):
            if length in rule.cycles:
                names.append(f"{rule.name}_{cycle}_{wave.__name__}")
                turns = (values + rule.reading.start) / length
                parts.append(np.nan_to_num(wave(2 * np.pi * turns)))
    for rule, column in both:
        if rule.kind == "category":
            codes = _codes(rule.levels, column.values)
            levels = range(len(rule.levels) + rule.rare)
            names += [f"{rule.name}_{'nan' if level is None else level}" for level in rule.levels]
            names += [f"{rule.name}_rare"] * rule.rare
            parts += [codes == level for level in levels]
    return names, np.stack(parts, axis=1).astype(np.float64)


def _codes(levels: Sequence[str | None], cells: np.ndarray) -> np.ndarray:
    """Which of the levels each cell [n] is; their number where it is none of them."""
    codes, distinct = pd.factorize(cells)
    empty = levels.index(None) if None in levels else len(levels)
    known = {name: i for i, name in enumerate(levels) if name is not None}
    return np.array([*(known.get(one, len(levels)) for one in distinct), empty])[codes]
