"""The figure of one task's learning curves."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from ..metrics import METRICS
from .leaderboard import agent_label
from .plots import GREY, TEXT, TITLE, bare, strong_agents
from .statistics import mean_curves

_WORDS = {"mae": "test error (MAE)", "nll": "negative log-likelihood of the test set (NLL)"}
#: The range of an axis is that of the strong curves after this share of the labels.
_BEGINNING = 0.1
#: More points of a curve are noise.
_POINTS = 60
#: Shares of the range: room beside it, and how far the seed set's level may stretch it.
_MARGIN, _NEAR = 0.08, 0.8


def learning_curves(
    curves: pd.DataFrame,
    metric: str,
    title: str = "",
    own: Collection[str] = (),
    bound: float = np.nan,
    unit: tuple[float, str] = (1.0, ""),
) -> Figure:
    """One metric over the labels, and below it the difference to random's run of the same id.

    `random`, your own agents and the best three are in strong colours, named at their ends, with the 95 %
    interval of the mean (Student's t, from five runs on); all others are thin and grey.

    Args:
        curves: those of `Results`, of one task.
        own: your own agents; their lines are thick.
        bound: the metric with all data, a line.
        unit: the target's range (`y_scale` of a dataset) and the name of its unit, for errors in this unit.
    """
    curves = curves[curves["metric"] == metric].astype({"agent": str})
    labelled = np.unique(curves["labelled"])
    some = labelled[np.unique(np.linspace(0, len(labelled) - 1, _POINTS).astype(int))]
    curves = curves[curves["labelled"].isin(some)]
    scale, shift = (1.0, np.log(unit[0])) if metric == "nll" else (unit[0], 0.0)
    curves["value"], bound = scale * curves["value"] + shift, scale * bound + shift
    colours = strong_agents(curves.groupby("agent")["value"].mean(), own)
    table = curves.set_index(["labelled", "run", "agent"])["value"].unstack()
    with_random = "random" in table and table.shape[1] > 1
    figure = Figure(figsize=(8.5, 7.0 if with_random else 5.0), layout="constrained")
    ratios = [2, 1] if with_random else [1]
    panels = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)
    top, *below = (bare(panel) for panel in panels[:, 0])
    words = _WORDS.get(metric, METRICS[metric].label)
    top.set_ylabel(f"{words}\n{unit[1] or 'target scaled to [0, 1]'}", fontsize=TEXT + 1)
    begin = table.groupby(level="labelled").mean().iloc[0]
    seed = float(begin["random"] if with_random else begin.mean())
    ends = _draw(top, mean_curves(curves), colours, own, seed, log=metric != "nll")
    top.set_xlim(some[0], some[-1])
    _mark(top, seed, "seed set")
    _mark(top, bound, "all data")
    pairs = [(top, ends)]
    for panel in below:
        less = table.drop(columns="random").sub(table["random"], axis=0).stack().rename("value")
        differences = mean_curves(less.reset_index())
        pairs.append((panel, _draw(panel, differences, colours, own, 0.0, log=False)))
        panel.axhline(0, color="black", linewidth=1.2, linestyle="--")
        panel.set_ylabel("minus random's\n(below 0 is better)", fontsize=TEXT + 1)
    panels[-1, 0].set_xlabel("labels (n)", fontsize=TEXT + 1)
    runs = curves.groupby("agent")["run"].nunique()
    count = f"{runs.min()} to {runs.max()}" if runs.min() < runs.max() else f"{runs.max()}"
    said = f"{words[0].upper()}{words[1:]} after n labels\n{title}; means of {count} runs"
    figure.suptitle(said, fontsize=TITLE, x=0.01, ha="left")
    figure.draw_without_rendering()  # names are placed by the panels' heights
    for panel, ends in pairs:
        _name_ends(panel, ends)
    return figure


def _draw(
    panel: Axes, means: pd.DataFrame, colours: dict[str, str], own: Collection[str], level: float, log: bool
) -> list[tuple[float, float, str, str]]:
    """Draws the mean curves and sets the y axis.

    Returns:
        Of each strong curve its last point, name and colour.
    """
    ends, seen = [], []
    for agent in means.index.unique("agent"):
        mean, half = (means[name].xs(agent) for name in ("mean", "half"))
        if agent not in colours:
            panel.plot(mean.index, mean, color=GREY, linewidth=0.7, alpha=0.7, zorder=1.5)
            continue
        look: dict[str, Any] = {"color": colours[agent], "zorder": 4 if agent in own else 3}
        dashes = "--" if agent == "random" else "-"
        panel.plot(mean.index, mean, linewidth=2.6 if agent in own else 1.6, linestyle=dashes, **look)
        if half.notna().any():
            band: dict[str, Any] = {
                "color": colours[agent],
                "alpha": 0.13 if len(colours) < 5 else 0.07,
                "linewidth": 0,
            }
            panel.fill_between(mean.index, mean - half, mean + half, **band)
        ends.append((mean.index[-1], float(mean.iloc[-1]), agent_label(agent), colours[agent]))
        begin, end = mean.index[0], mean.index[-1]
        seen.append(mean[mean.index >= begin + _BEGINNING * (end - begin)])
    values = pd.concat(seen).replace([np.inf, -np.inf], np.nan).dropna() if seen else pd.Series(dtype=float)
    if len(values):
        _limit(panel, values.min(), values.max(), level, log and values.min() > 0 and level > 0)
    return ends


def _limit(panel: Axes, low: float, high: float, level: float, log: bool) -> None:
    """The range of the y axis, with a level that is not too far outside of it."""
    if log:
        panel.set_yscale("log")
    scale, back = (np.log, np.exp) if log else (float, float)
    low, high, level = (float(scale(value)) for value in (low, high, level))
    span = high - low or 0.1
    if low - _NEAR * span <= level <= high + _NEAR * span:
        low, high = min(low, level), max(high, level)
    low, high = (float(back(value)) for value in (low - _MARGIN * span, high + _MARGIN * span))
    if log:
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 10 * low else MaxNLocator(6))
        panel.yaxis.set_minor_locator(NullLocator())
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        panel.set_ylabel(f"{panel.get_ylabel()}, log scale")
    panel.set_ylim(low, high)


def _mark(panel: Axes, level: float, name: str) -> None:
    """A dotted line at a level and its name; an arrow at the edge where the level is outside."""
    low, high = panel.get_ylim()
    text, at, va = f"{name}: {level:.3g}", level, "bottom"
    if np.isnan(level):
        return
    if low <= level <= high:
        panel.axhline(level, color="#444444", linewidth=1, linestyle=":")
    else:
        text, at, va = (f"{text} ↑", high, "top") if level > high else (f"{text} ↓", low, "bottom")
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    where = panel.get_yaxis_transform()
    panel.text(0.99, at, text, ha="right", va=va, bbox=box, transform=where, fontsize=TEXT, zorder=5)


def _name_ends(panel: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Names to the right of the curves' ends, moved apart where they would overlap."""
    height = panel.get_window_extent().height * 72 / panel.figure.get_dpi()
    gap = (TEXT + 3) / height
    to_share = panel.transData + panel.transAxes.inverted()
    found = sorted(
        (float(np.clip(to_share.transform((x, y))[1], 0, 1)) if np.isfinite(y) else 1.0, x, y, name, colour)
        for x, y, name, colour in ends
    )
    places = np.array([share for share, *_ in found])
    for _ in range(100):
        for i in range(len(places) - 1):
            closer = max(0.0, gap - (places[i + 1] - places[i])) / 2
            places[i], places[i + 1] = places[i] - closer, places[i + 1] + closer
        places -= max(0.0, places[-1] - 1) if len(places) else 0
    line = {"arrowstyle": "-", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0, "relpos": (0, 0.5)}
    for place, (share, _, _, name, colour) in zip(places, found, strict=True):
        panel.annotate(
            name, (1, share), (1.035, place), xycoords="axes fraction", textcoords="axes fraction",
            va="center", fontsize=TEXT + 1, color=colour, annotation_clip=False,
            arrowprops=line | {"color": colour},
        )  # fmt: skip
