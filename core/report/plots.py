"""Figures of agents side by side, one function each."""

import textwrap
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from ..files import write_file
from ..metrics import METRICS
from .leaderboard import agent_label, task_label
from .load import TASK, groups, select
from .statistics import INTERVAL_RUNS, Blocks, mean_curves, p_values, verdicts, versus

#: Okabe & Ito without their yellow and grey, for the agents that stand out; colour-blind people can tell them
#: apart. The rest is grey, and `random` is black.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B07800", "#56B4E9", "#6A00F4")
GREY = "#B0B0B0"
#: Agents in strong colours, `random` with them.
STRONG = 8
#: Points: titles, and all other text.
TITLE, TEXT = 11, 8
#: The verdicts of `statistics.versus`, in order: words, colour, marker and what fills it.
VERDICTS = {
    "better": ("better", "#0072B2", "o", "#0072B2"),
    "same": ("no difference seen", "#6E6E6E", "o", "white"),
    "worse": ("worse", "#D55E00", "s", "#D55E00"),
    "few": (f"fewer than {INTERVAL_RUNS} runs: no interval", "#6E6E6E", "D", "white"),
    "diverged": ("diverged", "#000000", "x", "#000000"),
}
#: Inches: an agent's row, a panel without its rows, and its width.
_LINE, _FRAME, _WIDTH = 0.19, 0.75, 4.1
#: Agents that are not ranked and named.
_NAMED = 5
#: What is farther from zero than this many times the median of all ends is an arrow at the edge.
_BEYOND = 5
#: What an axis is called.
_WORDS = {"mae": "test error (MAE)", "nll": "negative log-likelihood of the test set (NLL)"}
#: The range of an axis is that of the strong curves after this share of the labels.
_BEGINNING = 0.1
#: More points of a curve are noise.
_POINTS = 60
#: In shares of an axis' range: its margins, and how far it may be extended to show the seed set's level.
_MARGIN, _NEAR = 0.08, 0.8


def save(figure: Figure, path: Path) -> None:
    """Writes a figure; the ending of the name says how (PNG, PDF, SVG).

    Raises:
        UserError: it cannot be written; what was there is still there.
        ValueError: matplotlib does not know the ending.
    """
    write_file(path, partial(figure.savefig, dpi=150))


def bare(panel: Axes) -> Axes:
    """A panel with little ink and small text."""
    panel.grid(alpha=0.3)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=TEXT)
    return panel


def strong_agents(worth: pd.Series, own: Collection[str] = ()) -> dict[str, str]:
    """Colours of the agents that stand out: all of a few, else `random`, your own and the best three.

    Args:
        worth: of each agent a number; the lowest is the best.
    """
    names = [str(agent) for agent in worth.sort_values().index if agent != "random"]
    if len(names) >= STRONG:
        first = [agent for agent in names if agent in own][: STRONG - 4]
        names = first + [agent for agent in names if agent not in own][:3]
    colours = dict(zip(names, COLOURS, strict=False))
    return ({"random": "black"} if "random" in worth.index else {}) | colours


def leaderboard(areas: pd.DataFrame, metric: str, title: str = "") -> Figure:
    """How far the agents' areas are from random's, with Student's 95 % intervals: a panel for each task.

    In each panel better agents come first, then those of which no difference is seen, then worse ones.

    Args:
        areas: of one variation and protocol.
    """
    share = not METRICS[metric].signed
    found = versus(select(areas, {"metric": metric}), TASK, share=share)
    found, label = found[found["verdict"] != "diverged"], METRICS[metric].label
    text = f"Area under the {label} curve minus random's{' (in % of it)' if share else ''}; left is better."
    return _agent_panels(found, f"{label} compared with random: {title}", text, share)


def labels_saved(needed: pd.DataFrame, title: str = "") -> Figure:
    """A bar for each agent, as long as its labels needed by NLL, with the interval: a panel for each task.

    Args:
        needed: of one variation and protocol (`Results.needed`).
    """
    table = needed[(needed["metric"] == "nll") & (needed["agent"] != "random")].dropna(subset="value")
    table = table.assign(verdict=verdicts(table["low"], table["high"], 1.0))
    text = "Share of all labels that an agent needs to match random with all of them; shorter is better."
    return _agent_panels(table, f"Labels needed for random's final NLL: {title}", text, True, bars=True)


def _agent_panels(table: pd.DataFrame, title: str, text: str, share: bool, bars: bool = False) -> Figure:
    """A panel for each task; in it a row for each agent: value and interval, in groups by verdict.

    Args:
        table: `TASK`, `agent`, `value`, `low`, `high`, `verdict`, in each group in their order.
        bars: as bars of shares from 0 to 1, where inf is `never`; else dots around zero.
    """
    table = table.astype({"verdict": pd.CategoricalDtype([*VERDICTS])})
    table = table.sort_values("verdict", kind="stable").set_index("agent")
    tasks = sorted((rows for _, rows in groups(table, TASK)), key=len, reverse=True)
    columns: list[list[pd.DataFrame]] = [[] for _ in range(min(3, len(tasks)) or 1)]
    heights = np.zeros(len(columns))
    for rows in tasks:
        lowest = heights.argmin()
        columns[lowest].append(rows)
        heights[lowest] += _FRAME + _LINE * len(rows)
    figure = Figure(figsize=(_WIDTH * len(columns), heights.max() + 1), layout="constrained")
    parts = figure.subfigures(1, len(columns), squeeze=False)[0]
    for column, part, height in zip(columns, parts, heights, strict=True):
        ratios = [*(_FRAME + _LINE * len(rows) for rows in column), heights.max() - height + 0.01]
        places = part.add_gridspec(len(ratios), height_ratios=ratios)  # the last stays empty
        for rows, place in zip(column, places, strict=False):
            panel = bare(part.add_subplot(place))
            panel.grid(axis="y", visible=False)
            _draw_agents(panel, rows, share, bars)
            name = task_label(rows[["dataset", "query_size"]].iloc[0].to_dict())
            panel.set_title(name, fontsize=TITLE - 1, loc="left")
    lines = [textwrap.fill(line, 50 * len(columns)) for line in (title, text)]  # as wide as the panels
    figure.suptitle("\n".join(lines), fontsize=TITLE, x=0.01, ha="left")
    kind: Any = Patch if bars else partial(Line2D, [], [])
    handles = [kind(label=VERDICTS[name][0], **_look(name, bars)) for name in table["verdict"].unique()]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=TEXT + 1)
    return figure


def _look(verdict: str, bars: bool) -> dict[str, Any]:
    """How a bar or a dot looks; a bar without an interval is hatched."""
    _, colour, marker, fill = VERDICTS[verdict]
    if bars:
        hatch = "////" if verdict == "few" else ""
        return {"facecolor": fill, "edgecolor": colour, "alpha": 0.65, "hatch": hatch}
    return {"color": colour, "marker": marker, "markerfacecolor": fill, "linestyle": "none"}


def _draw_agents(panel: Axes, table: pd.DataFrame, share: bool, bars: bool) -> None:
    """One panel of `_agent_panels`; the rows in the table's order."""
    table = table.assign(at=range(len(table)))
    low, high = (0.0, 1.0) if bars else _robust(table)
    for verdict, rows in table.groupby("verdict", observed=True):
        look = _look(str(verdict), bars)
        at, ends = rows["at"], rows[["value", "low", "high"]]
        shown = ends.clip(low, high)
        panel.hlines(at, shown["low"], shown["high"], color=look.get("color", "black"), linewidth=1.1)
        if bars:
            panel.barh(at, shown["value"], height=0.7, **look)
            for never in at[np.isinf(rows["value"])]:
                panel.text(0.02, never, "never", va="center", fontsize=TEXT - 1)
            continue
        inside = rows["value"].between(low, high)
        panel.plot(rows["value"][inside], at[inside], markersize=4, zorder=3, **look)
        for edge, mark, beyond in ((low, "<", ends < low), (high, ">", ends > high)):
            for place in at[beyond.any(axis=1)]:
                panel.plot(edge, place, mark, color=look["color"], markersize=5, zorder=3, clip_on=False)
        for far in rows[~inside].itertuples():
            text = f"{100 * far.value:+.3g}%" if share else f"{far.value:+.3g}"
            place, box = (high if far.value > high else low, far.at), {"color": "white", "pad": 0.3}
            font: dict[str, Any] = {"fontsize": TEXT - 1, "color": look["color"], "va": "center"}
            panel.annotate(text, place, (-8, 0), textcoords="offset points", bbox=box, ha="right", **font)
    between = np.flatnonzero(np.diff(table["verdict"].cat.codes)) + 0.5
    panel.hlines(between, 0, 1, transform=panel.get_yaxis_transform(), color="black", linewidth=0.6)
    panel.set_yticks(range(len(table)), [agent_label(agent) for agent in table.index])
    panel.set_xlim(low, high)
    panel.set_ylim(len(table) - 0.4, -0.6)
    panel.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    if share:
        panel.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    if not bars:
        panel.axvline(0, color="black", linewidth=0.8)


def _robust(table: pd.DataFrame) -> tuple[float, float]:
    """Limits of an axis with zero: what is far outside, one bad run perhaps, does not stretch it."""
    ends = np.concatenate([table[name].dropna() for name in ("value", "low", "high")] + [np.zeros(1)])
    usual = _BEYOND * float(np.median(np.abs(ends)))
    low, high = max(ends.min(), -usual), min(ends.max(), usual)
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def critical_differences(found: Blocks, title: str = "") -> Figure:
    """Mean ranks of the agents; a bar joins those, dotted on it, that do not differ at 5 % (Demšar, 2006)."""
    from scikit_posthocs import critical_difference_diagram  # importing it takes two seconds

    table = found.table.rename(columns=str).rename(columns=agent_label)
    mean_ranks = table.rank(axis=1).mean().sort_values()
    figure = Figure(figsize=(8, 1.5 + 0.22 * len(mean_ranks)), layout="constrained")
    drawn = critical_difference_diagram(
        mean_ranks,
        p_values(table),
        ax=figure.subplots(),
        label_fmt_left="{label} ({rank:.1f})",
        label_fmt_right="({rank:.1f}) {label}",
        color_palette=dict.fromkeys(mean_ranks.index, "black"),
        label_props={"fontsize": TEXT + 1},
        elbow_props={"linewidth": 0.7},
        crossbar_props={"linewidth": 2.5, "marker": "o", "markersize": 4},
    )
    for i, bar in enumerate(line for lines in drawn["crossbars"] for line in np.atleast_1d(lines)):
        bar.set_color(("black", "#888888")[i % 2])  # two on one level must not seem to be one
    text = f"mean rank over {len(found.table)} blocks, lower is better"
    if found.incomplete:
        text += f"; {found.incomplete} more blocks lack runs"
    if names := [*map(agent_label, found.left_out)]:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        text += f"; not ranked, for lack of common runs: {', '.join(names[:_NAMED])}{more}"
    figure.suptitle(title, fontsize=TITLE, x=0.01, ha="left")
    figure.supxlabel(textwrap.fill(text, 130), fontsize=TEXT)
    return figure


def calibration(pit: pd.DataFrame, title: str = "", own: Collection[str] = ()) -> Figure:
    """How many test points lie below the predicted quantile of a level, less the level: 0 is calibrated.

    Of an agent's runs pooled, at the end: opposite errors of single runs cancel here, but not in the
    calibration error.

    Args:
        pit: that of `Results`, of one task.
    """
    counts = pit.groupby([pit["agent"].astype(str), "bin"])["count"].sum().unstack()
    excess = counts.cumsum(axis=1).div(counts.sum(axis=1), axis=0)
    excess.columns = pd.Index([*excess.columns[1:], 1.0])
    excess = excess - excess.columns.to_numpy()
    colours = strong_agents(excess.abs().mean(axis=1), own)
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    panel = bare(figure.subplots())
    for agent in sorted(excess.index, key=lambda agent: agent in colours):
        strong = agent in colours
        look: dict[str, Any] = {"color": colours.get(agent, GREY), "linewidth": 1.8 if strong else 0.7}
        label = agent_label(agent) if strong else None
        panel.plot([0, *excess.columns], [0, *excess.loc[agent]], label=label, zorder=2 + strong, **look)
    panel.axhline(0, color="black", linewidth=0.8, linestyle=":")
    panel.set_xlabel("level of the predicted quantile", fontsize=TEXT + 1)
    panel.set_ylabel("share of test points below it, minus the level", fontsize=TEXT + 1)
    figure.legend(loc="outside right upper", frameon=False, fontsize=TEXT + 1)
    text = f"Calibration after {pit['labelled'].max():,} labels\n{title}"
    figure.suptitle(text, fontsize=TITLE, x=0.01, ha="left")
    return figure


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
    ends = {top: _draw_curves(top, mean_curves(curves), colours, own, seed, log=metric != "nll")}
    top.set_xlim(some[0], some[-1])
    _mark(top, seed, "seed set")
    _mark(top, bound, "all data")
    for panel in below:
        less = table.drop(columns="random").sub(table["random"], axis=0).stack().rename("value")
        differences = mean_curves(less.reset_index())
        ends[panel] = _draw_curves(panel, differences, colours, own, 0.0, log=False)
        panel.axhline(0, color="black", linewidth=1.2, linestyle="--")
        panel.set_ylabel("minus random's\n(below 0 is better)", fontsize=TEXT + 1)
    panels[-1, 0].set_xlabel("labels (n)", fontsize=TEXT + 1)
    runs = curves.groupby("agent")["run"].nunique()
    count = f"{runs.min()} to {runs.max()}" if runs.min() < runs.max() else f"{runs.max()}"
    said = f"{words[0].upper()}{words[1:]} after n labels\n{title}; means of {count} runs"
    figure.suptitle(said, fontsize=TITLE, x=0.01, ha="left")
    figure.draw_without_rendering()  # names are placed by the panels' heights
    for panel, names in ends.items():
        _name_ends(panel, names)
    return figure


def _draw_curves(
    panel: Axes, means: pd.DataFrame, colours: dict[str, str], own: Collection[str], level: float, log: bool
) -> list[tuple[float, str, str]]:
    """Draws mean curves and sets the y axis; returns of each strong curve its last value, name and colour."""
    ends: list[tuple[float, str, str]] = []
    seen: list[float] = []
    for agent in means.index.unique("agent"):
        mean, half = (means[name].xs(agent) for name in ("mean", "half"))
        if agent not in colours:
            panel.plot(mean.index, mean, color=GREY, linewidth=0.7, alpha=0.7, zorder=1.5)
            continue
        width, zorder = (2.6, 4) if agent in own else (1.6, 3)
        look: dict[str, Any] = {"color": colours[agent], "linestyle": "--" if agent == "random" else "-"}
        panel.plot(mean.index, mean, linewidth=width, zorder=zorder, **look)
        if half.notna().any():
            alpha = 0.13 if len(colours) < 5 else 0.07
            band: dict[str, Any] = {"color": colours[agent], "alpha": alpha, "linewidth": 0}
            panel.fill_between(mean.index, mean - half, mean + half, **band)
        ends.append((float(mean.iloc[-1]), agent_label(agent), colours[agent]))
        begin, end = mean.index[0], mean.index[-1]
        seen += [*mean[mean.index >= begin + _BEGINNING * (end - begin)]]
    if finite := [value for value in seen if np.isfinite(value)]:
        _limit(panel, min(finite), max(finite), level, log and min(finite) > 0 and level > 0)
    return ends


def _limit(panel: Axes, low: float, high: float, level: float, log: bool) -> None:
    """The range of the y axis, with a level that is not too far outside of it."""
    scale, back = (np.log, np.exp) if log else (float, float)
    low, high, level = (float(scale(value)) for value in (low, high, level))
    span = high - low or 0.1
    if low - _NEAR * span <= level <= high + _NEAR * span:
        low, high = min(low, level), max(high, level)
    low, high = (float(back(value)) for value in (low - _MARGIN * span, high + _MARGIN * span))
    if log:
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 10 * low else MaxNLocator(6))
        panel.yaxis.set_minor_locator(NullLocator())
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        panel.set_ylabel(f"{panel.get_ylabel()}, log scale")
    panel.set_ylim(low, high)


def _mark(panel: Axes, level: float, name: str) -> None:
    """A dotted line at a level and its name; an arrow at the edge where the level is outside."""
    if np.isnan(level):
        return
    low, high = panel.get_ylim()
    arrow = " ↑" if level > high else " ↓" if level < low else ""
    if not arrow:
        panel.axhline(level, color="#444444", linewidth=1, linestyle=":")
    text, va = f"{name}: {level:.3g}{arrow}", "top" if level > high else "bottom"
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    look: dict[str, Any] = {"ha": "right", "va": va, "bbox": box, "fontsize": TEXT, "zorder": 5}
    panel.text(0.99, min(max(level, low), high), text, transform=panel.get_yaxis_transform(), **look)


def _name_ends(panel: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Names to the right of the curves' ends, moved apart where they would overlap."""
    gap = (TEXT + 3) / (panel.get_window_extent().height * 72 / panel.figure.get_dpi())
    to_share = panel.transData + panel.transAxes.inverted()
    found = sorted(
        (float(np.clip(to_share.transform((1, y))[1], 0, 1)) if np.isfinite(y) else 1.0, y, name, colour)
        for y, name, colour in ends
    )
    places = np.array([share for share, *_ in found])
    for _ in range(100):
        for i in range(len(places) - 1):
            closer = max(0.0, gap - (places[i + 1] - places[i])) / 2
            places[i : i + 2] += -closer, closer
        places -= max(0.0, places[-1] - 1) if len(places) else 0
    for place, (share, _, name, colour) in zip(places, found, strict=True):
        line = {"color": colour, "arrowstyle": "-", "lw": 0.6, "shrinkA": 0, "shrinkB": 0, "relpos": (0, 0.5)}
        look: dict[str, Any] = {"color": colour, "fontsize": TEXT + 1, "va": "center", "arrowprops": line}
        panel.annotate(
            name, (1, share), (1.035, place), xycoords="axes fraction", annotation_clip=False, **look
        )
