"""The picture of the rows that `suggest.py` chooses."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

__all__ = ["chosen_rows"]

#: More intervals of others, points of the pool, numbers at points than these would hide each other.
_OTHERS, _POINTS, _NUMBERS = 80, 5000, 30
_CHOSEN, _LABELLED, _OTHER = "#d62728", "#1f4e79", "#b0b0b0"


def chosen_rows(
    predicted: pd.DataFrame, chosen: np.ndarray, labelled: np.ndarray, pool: np.ndarray, target: str
) -> Figure:
    """Predicted intervals of chosen and other rows; pool, labelled and chosen rows in two dimensions.

    Args:
        predicted: of all N rows of the pool `median`, `low_50`, `high_50`, `low_90`, `high_90`.
        chosen: positions of the chosen rows [k] in the pool, in their order.
        labelled, pool: scaled features [n, d], [N, d].
        target: its name.
    """
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _intervals(left, predicted, chosen, target)
    _map(right, chosen, labelled, pool)
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, loc="best" if panel is right else "upper left")
    return figure


def _intervals(panel: Axes, predicted: pd.DataFrame, chosen: np.ndarray, target: str) -> None:
    """A line a row: thin for 90 %, thick for 50 %, a dot for the median; ordered by the median."""
    others = np.setdiff1d(np.argsort(predicted["median"].to_numpy(), kind="stable"), chosen)
    others = others[np.argsort(predicted["median"].to_numpy()[others], kind="stable")]
    shown = others[np.linspace(0, len(others) - 1, min(_OTHERS, len(others))).astype(int)]
    rows = np.concatenate([shown, chosen])
    order = np.argsort(predicted["median"].to_numpy()[rows], kind="stable")
    place = np.empty(len(rows))
    place[order] = np.arange(len(rows))
    kinds = (("others", _OTHER, slice(len(shown))), ("chosen", _CHOSEN, slice(len(shown), None)))
    for label, colour, part in kinds:
        table, x = predicted.iloc[rows[part]], place[part]
        panel.vlines(x, table["low_90"], table["high_90"], color=colour, linewidth=0.8)
        panel.vlines(x, table["low_50"], table["high_50"], color=colour, linewidth=2.2)
        panel.plot(x, table["median"], "o", color=colour, markersize=3, label=label)
    panel.set(xlabel="rows of the pool, by predicted median", ylabel=target, xticks=[])
    panel.set_title("predicted: median, 50 % and 90 % interval", fontsize="medium")


def _map(panel: Axes, chosen: np.ndarray, labelled: np.ndarray, pool: np.ndarray) -> None:
    """The first two principal components of the scaled features."""
    parts = min(2, pool.shape[1])
    pca = PCA(parts, random_state=0).fit(np.concatenate([pool, labelled]))
    places = [np.pad(pca.transform(rows), ((0, 0), (0, 2 - parts))) for rows in (pool, labelled)]
    shown = places[0][np.linspace(0, len(pool) - 1, min(_POINTS, len(pool))).astype(int)]
    panel.plot(*shown.T, ".", color=_OTHER, markersize=3, label="pool", rasterized=True)
    panel.plot(*places[1].T, "o", color=_LABELLED, markersize=3, label="labelled")
    panel.plot(*places[0][chosen].T, "D", color=_CHOSEN, markersize=5, label="chosen")
    for rank, (x, y) in enumerate(places[0][chosen][:_NUMBERS], 1):
        panel.annotate(str(rank), (x, y), (3, 3), textcoords="offset points", fontsize=7, color=_CHOSEN)
    share = pca.explained_variance_ratio_.sum()
    panel.set(xlabel="first principal component", ylabel="second principal component")
    panel.set_title(f"features in two dimensions ({share:.0%} of their variance)", fontsize="medium")
