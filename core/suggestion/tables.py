"""Two tables as one problem, and the chosen rows as a table.

Shapes: n labelled rows, N rows of the pool, d features, k chosen rows.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.spatial import KDTree

from ..data.cells import Sheet
from ..data.columns import Decisions, apply, check_same, read_target, sort_columns
from ..data.encoding import Rule
from ..data.frames import RawFrame
from ..data.notations import NOTHING
from ..data.row_numbers import options
from ..dataset import RangeScaler
from ..errors import UserError
from ..files import UnusableError, one_line

#: Levels of the predicted quantiles: the median, the ends of the 50 % and of the 90 % interval.
LEVELS = {"median": 0.5, "low_50": 0.25, "high_50": 0.75, "low_90": 0.05, "high_90": 0.95}
#: Our columns of the chosen rows; where the table has one of that name, ours has `_OURS` before it.
COLUMNS = ("rank", "pool_row", "score", *LEVELS)
_OURS = "suggested_"
#: With fewer labelled rows the held-out ones are too few to stop by.
LEAST_LABELLED = 20
#: Rows are measured already, in effect, that differ less in each feature, as a share of its range.
_NEAR = 1e-6


@dataclass(frozen=True)
class Problem:
    """Labelled rows and pool as arrays, scaled to [0, 1] on both together; the target on the labelled ones.

    Attributes:
        x, y: labelled rows [n, d] and targets [n], float32.
        pool: rows [N, d], float32.
        rows: where they stand in the pool [N]: a row that is labelled already is left out.
        lines: what each column became.
        notes: what else the user should know of the rows.
        scaler: what the target was scaled with.
        rules, x_scaler: what makes features of columns, and what they were scaled with: for `more_rows`.
        names: of the features [d].
        measured: all labelled rows, with those that are left out, float32.
    """

    x: np.ndarray
    y: np.ndarray
    pool: np.ndarray
    rows: np.ndarray
    lines: list[str]
    notes: list[str]
    scaler: RangeScaler
    rules: tuple[Rule, ...]
    x_scaler: RangeScaler
    names: list[str]
    measured: np.ndarray


def split_by_target(raw: RawFrame, target: str) -> tuple[RawFrame, RawFrame]:
    """One table as labelled rows and, where nothing stands in the target, pool."""
    if target not in raw.frame:
        return raw, raw  # `make_problem` says so
    if set(COLUMNS) <= set(raw.names):  # rows of next.csv among its own labelled rows
        raw = replace(raw, frame=raw.frame.drop(columns=list(COLUMNS)))
    empty = raw.frame[target].map(lambda cell: str(cell).strip() in NOTHING).astype(bool)
    return replace(raw, frame=raw.frame[~empty]), replace(raw, frame=raw.frame[empty])


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
        labelled, pool: the tables.
        target: the column to predict.
        decisions: of the user about columns.
        replicates: each of the pool's rows is a candidate, even if others are equal in all features.
        verbose: say more of each column.

    Raises:
        UserError: their columns differ, or they cannot be trained on.
    """
    ours = [name for name in {*labelled.names} ^ {*pool.names} if name != target and _is_ours(name)]
    sheets = [Sheet(raw.where, raw.frame.drop(columns=ours, errors="ignore")) for raw in (labelled, pool)]
    theirs, found = ([name for name in sheet.names if name != target] for sheet in sheets)
    try:
        y, note, apart, why = read_target(sheets[0], target, decisions)
        check_same(theirs, found, f"{pool.where}: the pool has", f"{labelled.where}: the labelled rows have")
        used = np.flatnonzero(~apart)
        if len(used) < LEAST_LABELLED:
            few = f"{len(used)} labelled rows are too few: at least {LEAST_LABELLED} are needed"
            raise sheets[0].unusable(few)
        columns = sort_columns(sheets, target, used, decisions, labelled.nominal | pool.nominal)
    except UnusableError as error:
        raise UserError(str(error)) from error
    lines = columns.details if verbose else columns.lines
    lines += [f"{target}: the target, {note}"] * bool(note)
    lines += [f"{one_line(', '.join(sorted(ours)))}: not used (written by suggest.py)"] * bool(ours)
    lines += [f"{target}: {why}: left out; {options(target, 'keep')} keeps it"] * bool(why)
    (names, x), keys = columns.features(), columns.keys()
    known = set(keys[: len(y)])
    done = np.array([key in known for key in keys[len(y) :]], bool)
    x_scaler = _feature_scaler(x[used], x[len(y) :][~done])
    scaler = RangeScaler(y[used, None])
    x = x_scaler.transform(x).astype(np.float32)
    rows, notes = candidates(x[len(y) :], x[: len(y)], done, replicates)
    scaled = scaler.transform(y[used, None])[:, 0].astype(np.float32)
    return Problem(
        x[used],
        scaled,
        x[len(y) + rows],
        rows,
        lines,
        notes,
        scaler,
        columns.rules,
        x_scaler,
        names,
        x[: len(y)],
    )


def _feature_scaler(labelled: np.ndarray, pool: np.ndarray) -> RangeScaler:
    """By the rows [n, d], [N, d] together; a -999 in the pool must not squeeze all others into a corner.

    Of features that differ among the labelled rows, the pool may widen the range to three times theirs.
    """
    low, high = labelled.min(axis=0), labelled.max(axis=0)
    width = np.where(high > low, high - low, np.inf)
    return RangeScaler(np.concatenate([labelled, np.clip(pool, low - width, high + width)]))


def candidates(
    x: np.ndarray, labelled: np.ndarray, done: np.ndarray, replicates: bool
) -> tuple[np.ndarray, list[str]]:
    """Which rows of a pool x [N, d] may be chosen, and notes on the others and on near ones.

    Args:
        labelled: rows [n, d], on the same scale.
        done: whether a row is labelled already [N].
        replicates: rows that are equal in all features are candidates each.
    """
    notes = _count(done.sum(), "labelled already, and not chosen again")
    again = np.zeros(len(x), bool) if replicates else pd.DataFrame(x).duplicated().to_numpy() & ~done
    notes += _count(
        again.sum(),
        "equal to others in all features: each such setting is one candidate, unless --replicates",
    )
    rows = np.flatnonzero(~done & ~again)
    far, _ = KDTree(labelled).query(x[rows], p=np.inf, distance_upper_bound=_NEAR)
    said = "as labelled ones, to a millionth of the range of each feature, and still candidates"
    return rows, notes + _count(np.isfinite(far).sum(), said)


def _count(count: int, text: str) -> list[str]:
    """A note on so many rows of the pool; none if there are none."""
    if not count:
        return []
    return [f"{count:,} rows of the pool are {text}" if count > 1 else f"1 row of the pool is {text}"]


def more_rows(raw: RawFrame, target: str, rules: Sequence[Rule], scaler: RangeScaler) -> np.ndarray:
    """The rows of another table as those of a problem [N, d], float32; the target is not looked at.

    Raises:
        UserError: its columns differ from the problem's, or a cell is not what its column held there.
    """
    known = {rule.name for rule in rules}
    others = [name for name in raw.names if name not in known and (name == target or _is_ours(name))]
    try:
        x = apply(rules, Sheet(raw.where, raw.frame.drop(columns=others)))
    except UnusableError as error:
        raise UserError(str(error)) from error
    return scaler.transform(x).astype(np.float32)


def _is_ours(name: str) -> bool:
    return name.removeprefix(_OURS) in COLUMNS or (name.startswith(_OURS) and _is_ours(name[len(_OURS) :]))


def _our_name(name: str, theirs: Collection[str]) -> str:
    return _our_name(_OURS + name, theirs) if name in theirs else name


def next_rows(
    pool: RawFrame, problem: Problem, chosen: np.ndarray, scores: np.ndarray, predicted: pd.DataFrame
) -> pd.DataFrame:
    """The chosen rows in order: rank, data row of the file, score, quantiles, the row to the letter."""
    theirs = pool.frame.iloc[problem.rows[chosen]]
    ours = pd.DataFrame(
        {"rank": np.arange(1, len(chosen) + 1), "pool_row": theirs.index + 1, "score": scores}
        | {name: predicted[name].to_numpy()[chosen] for name in LEVELS}
    ).rename(columns=lambda name: _our_name(name, pool.names))
    return pd.concat([ours, theirs.reset_index(drop=True)], axis=1)
