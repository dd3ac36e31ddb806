"""Tables with a column to try, and what became of it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from core.data.columns import Columns, sort_columns
from core.data.frames import RawFrame

N = 40
RNG = np.random.default_rng(0)
TEMPERATURES = RNG.uniform(-30, 90, N).round(2)
AMOUNTS = RNG.uniform(1e3, 9e6, N).round(2)
DAYS = RNG.integers(0, 300, N)
DATES = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(DAYS, "D"))


def table(cells: Sequence[Any], name: str = "c", **others: Sequence[Any]) -> pd.DataFrame:
    """A column and its like; `other` is a feature that says nothing of points and commas."""
    return pd.DataFrame(
        {name: cells, "other": ["a", "b"] * (len(cells) // 2) + ["a"] * (len(cells) % 2), **others}
    )


def raw(frame: pd.DataFrame, where: str = "") -> RawFrame:
    return RawFrame(frame, where=where)


def sort(*tables: pd.DataFrame, declared: Sequence[str] = (), **decisions: Sequence[str]) -> Columns:
    """Of the labelled rows: those of the first table."""
    raws = [raw(frame, name) for name, frame in zip(("done.csv", "pool.csv"), tables, strict=False)]
    raws[0] = replace(raws[0], nominal=frozenset(declared))
    return sort_columns(raws, "y", np.arange(len(tables[0])), decisions)


def line(columns: Columns, name: str = "c") -> str:
    """What became of a column, in words."""
    (found,) = [column for column in columns if column.rule.name == name]
    return found.text


def feature(*tables: Sequence[Any]) -> tuple[str, np.ndarray]:
    """Of a column that is one feature: what became of it, and its values."""
    columns = sort(*map(table, tables))
    names, x = columns.features()
    assert names[0] == "c"
    return line(columns), x[:, 0]


def often(*cells: Any) -> list[Any]:
    return [cells[i % len(cells)] for i in range(N)]


#: Nothing here says what a comma means.
THOUSANDS = often("1,234", "2,500", "950")
