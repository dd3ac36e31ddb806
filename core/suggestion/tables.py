"""Two tables as one problem, and the chosen rows as a table.

Shapes: n labelled rows, N rows of the pool, d features, k chosen rows.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import KDTree

from ..data.cells import NOTHING
from ..data.columns import Decisions, apply, check_same, read_target, sort_columns
from ..data.frames import RawFrame
from ..data.kinds import Rule
from ..data.suspects import options
from ..dataset import RangeScaler
from ..files import one_line, write_file

#: Levels of the predicted quantiles: the median, the ends of the 50 % and of the 90 % interval.
LEVELS = {"median": 0.5, "low_50": 0.25, "high_50": 0.75, "low_90": 0.05, "high_90": 0.95}
#: Our columns of the chosen rows; where the table has one of that name, ours has `_OURS` before it.
COLUMNS = ("rank", "round", "pool_row", "score", *LEVELS)
_OURS = "suggested_"
#: With fewer labelled rows the held-out ones are too few to stop by.
LEAST_LABELLED = 20
#: Rows are measured already, in effect, that differ less in each feature, as a share of its range.
_NEAR = 1e-6


@dataclass(frozen=True)
class Problem:
    """Labelled rows and pool as arrays, scaled to [0, 1] on both together; the target on the labelled ones.

    Attributes:
        target: the column that is predicted.
        x, y: labelled rows [n, d] and targets [n], float32.
        rounds: in which round each of them was chosen [n], int; 0 where nothing says it.
        pool: rows [N, d], float32.
        rows: where they stand in the pool [N]: a row that is labelled already is left out.
        lines: what each column became.
        notes: what else the user should know of the rows.
        table: the pool as it is in its file.
        scaler: what the target was scaled with.
        rules, x_scaler: what makes features of columns, and what they were scaled with: for another pool.
        names: of the features [d].
        measured, keys: all labelled rows, with those that are left out: features, float32, and contents.
    """

    target: str
    x: np.ndarray
    y: np.ndarray
    rounds: np.ndarray
    pool: np.ndarray
    rows: np.ndarray
    lines: list[str]
    notes: list[str]
    table: RawFrame
    scaler: RangeScaler
    rules: tuple[Rule, ...]
    x_scaler: RangeScaler
    names: list[str]
    measured: np.ndarray
    keys: frozenset[tuple[object, ...]]

    @property
    def file_rows(self) -> np.ndarray:
        """Where the candidates are in the pool's file [N]; its first row is 1."""
        return self.table.frame.index.to_numpy()[self.rows] + 1

    def write(self, path: Path, made: pd.DataFrame) -> None:
        """Writes a table like the pool, so that the same program opens it."""
        # Semicolons go with decimal commas.
        commas = self.table.style.get("sep") == ";" and all(rule.decimal != "." for rule in self.rules)
        how: dict[str, Any] = {"index": False, "decimal": "," if commas else ".", **self.table.style}
        write_file(path, lambda part: made.to_csv(part, **how))


def split_by_target(raw: RawFrame, target: str) -> tuple[RawFrame, RawFrame]:
    """One table as labelled rows and, where the target is empty, pool."""
    if target not in raw.frame:
        return raw, raw  # `make_problem` says so
    empty = raw.frame[target].map(lambda cell: str(cell).strip() in NOTHING).astype(bool)
    if empty.all():
        raise raw.unusable(f"no row has a target {target!r}: fill in those that you measured")
    pool = raw.frame[empty]
    if {"rank", *LEVELS} <= set(raw.names):  # rows of next.csv among its own labelled rows
        pool = pool.drop(columns=[name for name in COLUMNS if name in pool])
    return replace(raw, frame=raw.frame[~empty]), replace(raw, frame=pool)


def make_problem(
    labelled: RawFrame,
    pool: RawFrame,
    target: str,
    decisions: Decisions | None = None,
    replicates: bool = False,
    verbose: bool = False,
) -> Problem:
    """Two tables as one problem; a column of the pool that is called as the target is not looked at.

    Our own columns are ignored where one table has them alone: chosen rows were added to it. Labelled rows
    whose target is far from all others are left out.

    Args:
        decisions: of the user about columns.
        replicates: each of the pool's rows is a candidate, even if others are equal in all features.
        verbose: say more of each column.

    Raises:
        UserError: their columns differ, or they cannot be trained on.
    """
    ours = [name for name in {*labelled.names} ^ {*pool.names} if name != target and _is_ours(name)]
    raws = [replace(raw, frame=raw.frame.drop(columns=ours, errors="ignore")) for raw in (labelled, pool)]
    theirs, found = ([name for name in raw.names if name != target] for raw in raws)
    y, note, apart, why = read_target(raws[0], target, decisions)
    check_same(theirs, found, f"{pool.where}: the pool has", f"{labelled.where}: the labelled rows have")
    used = np.flatnonzero(~apart)
    if len(used) < LEAST_LABELLED:
        few = f"{len(used)} labelled rows are too few: at least {LEAST_LABELLED} are needed"
        raise labelled.unusable(few)
    columns = sort_columns(raws, target, used, decisions)
    lines = columns.details if verbose else columns.lines
    lines += [f"{target}: the target, {note}"] * bool(note)
    lines += [f"{one_line(', '.join(sorted(ours)))}: not used (written by suggest.py)"] * bool(ours)
    lines += [f"{target}: {why}: left out; {options(target, 'keep')} keeps it"] * bool(why)
    (names, x), keys, n = columns.features(), columns.contents(), len(y)
    known = frozenset(keys[:n])
    done = np.array([key in known for key in keys[n:]], bool)
    x_scaler, scaler = _feature_scaler(x[used], x[n:][~done]), RangeScaler(y[used])
    x = x_scaler.transform(x).astype(np.float32)
    problem = Problem(
        target=target,
        x=x[used],
        y=scaler.transform(y[used]).astype(np.float32),
        rounds=_rounds(labelled, ours)[used],
        pool=x[n:],
        rows=np.arange(len(x) - n),
        lines=lines,
        notes=[],
        table=pool,
        scaler=scaler,
        rules=columns.rules,
        x_scaler=x_scaler,
        names=names,
        measured=x[:n],
        keys=known,
    )
    return _without(problem, done, replicates)


def with_pool(problem: Problem, pool: RawFrame, replicates: bool = False, every_row: bool = False) -> Problem:
    """A problem with another pool: its candidates, or every row of it; the target is not looked at.

    Raises:
        UserError: its columns differ, or a cell is not what its column held.
    """
    known = {rule.name for rule in problem.rules}
    others = [name for name in pool.names if name not in known and (name == problem.target or _is_ours(name))]
    columns = apply(problem.rules, replace(pool, frame=pool.frame.drop(columns=others)))
    x = problem.x_scaler.transform(columns.features()[1]).astype(np.float32)
    problem = replace(problem, pool=x, rows=np.arange(len(x)), notes=[], table=pool)
    if every_row:
        return problem
    return _without(problem, np.array([key in problem.keys for key in columns.contents()], bool), replicates)


def _rounds(labelled: RawFrame, ours: Collection[str]) -> np.ndarray:
    """The round in which each labelled row was chosen [n], by our column of that name; 0 for none."""
    for name in ours:
        if name.endswith("round") and name in labelled.frame:
            said = pd.to_numeric(labelled.frame[name], errors="coerce")
            return said.fillna(0).to_numpy().astype(int)
    return np.zeros(len(labelled.frame), int)


def _feature_scaler(labelled: np.ndarray, pool: np.ndarray) -> RangeScaler:
    """By the rows [n, d], [N, d] together; a -999 in the pool must not squeeze all others into a corner.

    Of features that differ among the labelled rows, the pool may widen the range to three times theirs.
    """
    low, high = labelled.min(axis=0), labelled.max(axis=0)
    width = np.where(high > low, high - low, np.inf)
    return RangeScaler(np.concatenate([labelled, np.clip(pool, low - width, high + width)]))


def _without(problem: Problem, done: np.ndarray, replicates: bool) -> Problem:
    """A problem without the rows of its pool that are labelled already, `done` [N], or equal to others.

    Args:
        replicates: rows that are equal in all features stay.
    """
    x = problem.pool
    again = np.zeros(len(x), bool) if replicates else pd.DataFrame(x).duplicated().to_numpy() & ~done
    rows = np.flatnonzero(~done & ~again)
    near = np.isfinite(KDTree(problem.measured).query(x[rows], p=np.inf, distance_upper_bound=_NEAR)[0])
    notes = {
        "labelled already, and not chosen again": done,
        "equal to others in all features: each such setting is one candidate, unless --replicates": again,
        "as labelled ones, to a millionth of the range of each feature, and still candidates": near,
    }
    counts = {text: int(some.sum()) for text, some in notes.items() if some.any()}
    are = {1: "1 row of the pool is"}
    said = [f"{are.get(n, f'{n:,} rows of the pool are')} {text}" for text, n in counts.items()]
    return replace(problem, pool=x[rows], rows=rows, notes=said)


def _is_ours(name: str) -> bool:
    return re.fullmatch(f"(?:{_OURS})*(?:{'|'.join(COLUMNS)})", name) is not None


def _our_name(name: str, theirs: Collection[str]) -> str:
    return _our_name(_OURS + name, theirs) if name in theirs else name


def next_rows(
    problem: Problem, chosen: np.ndarray, scores: np.ndarray, predicted: pd.DataFrame
) -> pd.DataFrame:
    """The chosen rows in order: our `COLUMNS`, then theirs to the letter; `pool_row` counts from 1."""
    ours = predicted.iloc[chosen].assign(
        rank=np.arange(1, len(chosen) + 1),
        round=problem.rounds.max() + 1,
        pool_row=problem.file_rows[chosen],
        score=scores,
    )[list(COLUMNS)]
    theirs = problem.table.frame.iloc[problem.rows[chosen]]
    ours = ours.rename(columns=lambda name: _our_name(name, problem.table.names))
    return pd.concat([ours.reset_index(drop=True), theirs.reset_index(drop=True)], axis=1)
