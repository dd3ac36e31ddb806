"""The picture of the rows that `suggest.py` chose."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..report.plots import GREY, TEXT, TITLE, bare
from .model import Fitted
from .transforms import Log

#: More intervals, points of the pool, numbers at points and rows of the table would hide each other.
_ROWS, _POINTS, _NUMBERS = 60, 5000, 20
_CHOSEN, _LABELLED = "#D55E00", "#0072B2"


def chosen_rows(fitted: Fitted, predicted: pd.DataFrame, chosen: np.ndarray, importance: pd.Series) -> Figure:
    """Predicted intervals of chosen and other rows; pool, labelled and chosen rows by the two features that
    matter most (those of two values are scattered); the first chosen rows as a table.

    Args:
        predicted: of all rows of the pool `median`, `low_50`, `high_50`, `low_90`, `high_90`.
        chosen: positions of the chosen rows [k] in the pool, in their order.
        importance: of each feature [d].
    """
    problem = fitted.problem
    names = list(importance.sort_values(ascending=False, kind="stable").index[:2])
    labelled, pool = (
        pd.DataFrame(problem.x_scaler.inverse_transform(rows.astype(float)), columns=problem.names)[names]
        for rows in (problem.x, problem.pool)
    )
    figure = Figure(figsize=(14, 5.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[4, 4, 3.6])
    _draw_intervals(bare(left), predicted, chosen, problem.target)
    if isinstance(fitted.model.target, Log):
        left.set_yscale("log")
    _draw_features(bare(middle), chosen, labelled, pool)
    _draw_table(right, predicted.iloc[chosen], pool.iloc[chosen], problem.file_rows[chosen], problem.target)
    figure.suptitle(f"{len(chosen)} of {len(pool):,} rows to measure next", fontsize=TITLE, x=0.01, ha="left")
    figure.legend(loc="outside lower left", ncols=3, frameon=False, fontsize=TEXT + 1)
    return figure


def _draw_intervals(panel: Axes, predicted: pd.DataFrame, chosen: np.ndarray, target: str) -> None:
    """A line a row: thin for 90 %, thick for 50 %, a dot for the median; ordered by the median."""
    others = predicted.drop(index=predicted.index[chosen]).sort_values("median", kind="stable")
    picked = predicted.iloc[chosen[: _ROWS // 2]]
    some = np.linspace(0, len(others) - 1, min(_ROWS - len(picked), len(others))).astype(int)
    shown = others.iloc[some]
    place = pd.concat([shown["median"], picked["median"]]).rank(method="first") - 1
    for table, colour, marker in ((shown, GREY, "."), (picked, _CHOSEN, "D")):
        x = place.loc[table.index]
        panel.vlines(x, table["low_90"], table["high_90"], color=colour, linewidth=0.8)
        panel.vlines(x, table["low_50"], table["high_50"], color=colour, linewidth=2.4)
        panel.plot(x, table["median"], marker, color=colour, markersize=4)
    ranks = pd.Series(range(1, len(picked) + 1), picked.index)
    for i, row in enumerate(place.loc[picked.index].sort_values().index):
        if ranks[row] <= _NUMBERS:  # neighbours at two heights
            _number(panel, ranks[row], (place[row], picked.loc[row, "high_90"]), (0, 2 + 8 * (i % 2)))
    panel.set_xticks([])
    panel.set_xlabel(f"{len(place)} rows of the pool, by their predicted median", fontsize=TEXT + 1)
    panel.set_ylabel(target, fontsize=TEXT + 1)
    panel.set_title("predicted: median, 50 % and 90 % interval", fontsize=TEXT + 1, loc="left")


def _number(panel: Axes, rank: int, at: tuple[float, float], offset: tuple[int, int]) -> None:
    panel.annotate(
        str(rank), at, offset, textcoords="offset points", ha="center", fontsize=TEXT - 1, zorder=5
    )


def _draw_features(panel: Axes, chosen: np.ndarray, labelled: pd.DataFrame, pool: pd.DataFrame) -> None:
    """Pool, labelled and chosen rows by two features; by one, if there is no other."""
    shown = pool.iloc[np.linspace(0, len(pool) - 1, min(_POINTS, len(pool))).astype(int)]
    rng, binary = np.random.default_rng(0), [pool[name].nunique() < 3 for name in pool]
    for label, table, marker, colour, size in (
        ("pool", shown, ".", GREY, 3),
        ("labelled", labelled, "o", _LABELLED, 3.5),
        ("chosen, numbered in order", pool.iloc[chosen], "D", _CHOSEN, 5),
    ):
        points = np.zeros((len(table), 2))
        scatter = rng.uniform(-0.3, 0.3, table.shape) * binary
        points[:, : table.shape[1]] = table + scatter
        panel.plot(*points.T, marker, color=colour, markersize=size, label=label, rasterized=True)
    for rank, (x, y) in enumerate(points[:_NUMBERS], 1):
        _number(panel, rank, (x, y), (5, 3))
    for i, (axis, name) in enumerate(zip((panel.xaxis, panel.yaxis), pool, strict=False)):
        axis.set_label_text(str(name), fontsize=TEXT + 1)
        if binary[i]:
            axis.set_ticks(sorted(pool[name].unique()))
    panel.set_title("the features that move the prediction most", fontsize=TEXT + 1, loc="left")


def _draw_table(
    panel: Axes, predicted: pd.DataFrame, features: pd.DataFrame, rows: np.ndarray, target: str
) -> None:
    """Rank, row of the file, predicted median and 90 % interval, and the two features of the first rows."""
    panel.set_axis_off()
    cells = [
        [str(rank), str(row), f"{line['median']:.4g} [{line['low_90']:.4g}, {line['high_90']:.4g}]"]
        + [f"{value:.4g}" for value in features.iloc[rank - 1]]
        for rank, (row, (_, line)) in enumerate(zip(rows, predicted.iterrows(), strict=True), 1)
    ][:_NUMBERS]
    heads = ["#", "  row", f"{_short(target, 16)} [90 %]", *(_short(str(name), 14) for name in features)]
    table = panel.table(cells, colLabels=heads, loc="upper left", cellLoc="right", edges="horizontal")
    table.auto_set_font_size(False)
    table.set_fontsize(TEXT)
    table.auto_set_column_width(range(len(heads)))
    if len(rows) > _NUMBERS:
        panel.text(0, 0, f"and {len(rows) - _NUMBERS} more", transform=panel.transAxes, fontsize=TEXT)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
