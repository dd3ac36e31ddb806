"""Figures that set agents side by side, one function each, and what all figures share.

An agent looks the same in every figure. Learning curves are in `curves.py`.
"""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scikit_posthocs
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter
from sklearn.decomposition import PCA

from ..errors import UserError
from ..files import write_file
from ..metrics import METRICS
from . import statistics
from .labels import COLOURS, agent_label, ordered, readable, style, task_label
from .leaderboard import MAIN, RATIO, agents_by_rank
from .load import TASK, groups

#: Inches: of a figure with panels, and of a row for an agent.
PANEL_HEIGHT, _ROW = 3.8, 0.28
#: Inches that the label of a colour bar needs.
_COLOUR_BAR = 2.0
#: Lines of a legend that fit beside a panel.
_LEGEND_ROWS = 22
#: Characters of a title's line: a longer one would run into a legend of two columns beside the panels.
_TITLE_WIDTH = 75
#: Points: text under and above panels, in cells.
NOTE, CELL = 10, 8
#: How strong single runs are.
FAINT = 0.6
#: Width that the agents' markers of one query size take, where 1 is the distance to the next.
_SIDE_BY_SIDE = 0.5
#: Share of the colour map's limit from which black text would not be seen.
_DARK = 0.65
#: Colours of agents that need fewer labels than random, as many as far as is seen, and more.
_FEWER, _ALIKE, _MORE = "#0072B2", "#9A9A9A", "#D55E00"
#: More intervals of rows that are not chosen, points of the pool, numbers at points would hide each other.
_OTHERS, _POINTS, _NUMBERS = 80, 5000, 30
_CHOSEN, _LABELLED, _OTHER = "#d62728", "#1f4e79", "#b0b0b0"


def panels_of(width: float, height: float, columns: int = 1, **kwargs: Any) -> tuple[Figure, list[Axes]]:
    """A figure of so many inches with panels beside each other; `kwargs` go to `Figure.subplots`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = list(figure.subplots(1, columns, squeeze=False, **kwargs)[0])
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels


def add_title(figure: Figure, title: str) -> None:
    """The title, in as many lines as end before a wide legend begins."""
    figure.suptitle(textwrap.fill(title, _TITLE_WIDTH), x=0.01, ha="left")


def add_legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """One legend for all panels, beside them."""
    shown: dict[str, Any] = {}
    for panel in panels:
        handles, labels = panel.get_legend_handles_labels()
        shown = dict(zip(labels, handles, strict=True)) | shown
    figure.legend(
        list(shown.values()),
        list(shown),
        loc="outside right upper",
        ncols=math.ceil(len(shown) / _LEGEND_ROWS),
        fontsize=CELL if len(shown) > _LEGEND_ROWS / 2 else None,
        frameon=False,
        handlelength=3,
    )


def save(figure: Figure, path: Path) -> None:
    """Writes a figure; the ending of the name says how (PNG, PDF, SVG).

    Raises:
        UserError: it cannot be written; what was there is still there.
    """

    def write(part: Path) -> None:
        try:
            figure.savefig(part, dpi=150)
        except ValueError as error:  # matplotlib does not know the ending
            raise UserError(f"cannot write {path}: {' '.join(str(error).split())}") from error

    write_file(path, write)


def critical_differences(
    found: statistics.Blocks, compared: statistics.Comparison, title: str = ""
) -> Figure:
    """Mean ranks of the agents; a bar joins those, dotted on it, that do not differ at 5 % (Demšar, 2006)."""
    mean_ranks = compared.mean_ranks.rename(agent_label)
    figure = Figure(figsize=(8, 1.8 + _ROW * len(mean_ranks)), layout="constrained")
    panel = figure.subplots()
    drawn = scikit_posthocs.critical_difference_diagram(
        mean_ranks,
        compared.p_values.rename(index=agent_label, columns=agent_label),
        ax=panel,
        label_fmt_left="{label} ({rank:.2f})",
        label_fmt_right="({rank:.2f}) {label}",
        color_palette={agent_label(agent): style(agent)["color"] for agent in compared.mean_ranks.index},
        label_props={"fontsize": NOTE},
        crossbar_props={"linewidth": 2.5, "marker": "o", "markersize": 5},
    )
    for i, bar in enumerate(line for lines in drawn["crossbars"] for line in np.atleast_1d(lines)):
        bar.set_color(("black", "#888888")[i % 2])  # two on one level must not seem to be one
    texts = [title, f"mean rank, lower is better; {len(found.table)} blocks"]
    if not np.isnan(compared.friedman):
        texts[-1] += f", Friedman p = {compared.friedman:.2g}"
    if found.incomplete:
        texts.append(f"{found.incomplete} more blocks lack runs")
    if found.left_out:
        names = ", ".join(map(agent_label, found.left_out))
        texts.append(f"without a run in some task, or in common with the others: {names}")
    panel.set_title("\n".join(textwrap.fill(text, 90) for text in texts), fontsize=NOTE)
    return figure


def query_sizes(areas: pd.DataFrame, title: str = "") -> Figure:
    """Areas under the curves of MAE and NLL over the query size, for all agents of one dataset.

    A marker is the mean over the runs, its line the 95 % bootstrap confidence interval; of fewer than
    five runs each has a dot instead.
    """
    figure, panels = panels_of(11, PANEL_HEIGHT, 2)
    sizes = sorted(areas["query_size"].unique())
    agents = ordered(areas["agent"])
    for panel, metric in zip(panels, ("mae", "nll"), strict=True):
        of_metric = areas[areas["metric"] == metric]
        for i, agent in enumerate(agents):
            by_size = of_metric[of_metric["agent"] == agent].groupby("query_size")["area"]
            if not by_size.ngroups:
                continue
            look = style(agent)
            shift = _SIDE_BY_SIDE * ((i + 0.5) / len(agents) - 0.5)
            for size, values in by_size:
                at = sizes.index(size) + shift
                if len(values) >= statistics.INTERVAL_RUNS:
                    panel.vlines(at, *statistics.interval(values), color=look["color"], linewidth=1)
                else:
                    dots = {"color": look["color"], "alpha": FAINT, "markersize": 4}
                    panel.plot([at] * len(values), values, ".", **dots)
            mean = by_size.mean()
            places = [sizes.index(size) + shift for size in mean.index]
            panel.plot(places, mean, marker="o", markersize=4, linewidth=1, label=agent_label(agent), **look)
        panel.set_xticks(range(len(sizes)), [str(size) for size in sizes])
        panel.set(xlabel="query size", ylabel=f"area under the curve of {METRICS[metric].label}")
    add_title(figure, title)
    add_legend(figure, panels)
    return figure


def heat_map(relative: pd.DataFrame, metric: str, title: str = "") -> Figure:
    """Mean areas of the agents (rows) less those of `random`, for each task (columns).

    In per cent of random's; for the NLL, which has no zero, the difference itself.

    Args:
        relative: made by `statistics.relative_areas`.
    """
    per_cent = RATIO[metric]
    values = 100 * (relative["ratio"] - 1) if per_cent else relative["difference"]
    columns = ["dataset", "variation", "query_size"]
    table = relative.assign(value=values).pivot(index="agent", columns=columns, values="value")
    table = table.sort_index(axis=1).loc[ordered(table.index)]
    size = (3.2 + 0.75 * table.shape[1], 1.8 + max(_ROW * len(table), _COLOUR_BAR))
    figure = Figure(figsize=size, layout="constrained")
    panel = figure.subplots()
    limit = np.nanquantile(np.abs(table), 0.95) or 1.0
    image = panel.imshow(table, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto")
    for (row, column), value in np.ndenumerate(table.to_numpy(dtype=float)):
        if not np.isnan(value):
            colour = "white" if abs(value) > _DARK * limit else "black"
            text = f"{value:+.1f}" if per_cent else f"{value:+.2f}"
            panel.text(column, row, text, ha="center", va="center", fontsize=CELL, color=colour)
    names = [f"{readable(data)}\n{variation}, {size}" for data, variation, size in table.columns]
    panel.set_xticks(
        range(table.shape[1]), names, fontsize=CELL, rotation=45, ha="right", rotation_mode="anchor"
    )
    panel.set_yticks(range(len(table)), [agent_label(agent) for agent in table.index], fontsize=NOTE)
    unit = "%" if per_cent else "difference"
    figure.colorbar(image).set_label(f"{METRICS[metric].label}\nbeside random ({unit})", fontsize=NOTE)
    panel.set_title(title, fontsize=NOTE)
    return figure


def times(runs: pd.DataFrame, title: str = "") -> Figure:
    """Seconds a round, choosing against training and testing: means over the runs of one task.

    Of runs trained side by side, training is a run's share.
    """
    runs = runs[runs["rounds"] > 0]
    seconds = runs[["seconds_choosing", "seconds_in_step"]].div(runs["rounds"], axis=0)
    means = seconds.groupby(runs["agent"], observed=True).mean()
    means = means.loc[ordered(means.index)[::-1]]
    figure, (panel,) = panels_of(8, 1.4 + _ROW * len(means))
    names, choosing = [agent_label(agent) for agent in means.index], means["seconds_choosing"]
    panel.barh(names, choosing, color=COLOURS[1], label="choosing")
    panel.barh(names, means["seconds_in_step"], left=choosing, color=COLOURS[5], label="training, testing")
    panel.set(xlabel="seconds a round")
    add_title(figure, title)
    add_legend(figure, [panel])
    return figure


def leaderboard(areas: pd.DataFrame, title: str = "") -> Figure:
    """How far the areas lie from those of random's run of the same id, for NLL and MAE: a dot for the mean of
    each task, with its 95 % bootstrap interval, or, of fewer than five runs, a faint dot for each.

    Agents are ordered by their mean rank over tasks by NLL; those that lack a task, or runs in common with
    the others, come last, paler. All areas are of one variation and protocol.
    """
    order = agents_by_rank(areas)
    complete = set(map(str, statistics.task_blocks(areas, "nll").table.columns))
    figure, panels = panels_of(11, 1.6 + 0.27 * len(order), 2, sharey=True)
    tasks = list(groups(areas, TASK))
    for panel, metric in zip(panels, MAIN, strict=True):
        factor = 100 if RATIO[metric] else 1
        for i, (task, of_task) in enumerate(tasks):
            differences = statistics.paired_differences(of_task, metric, share=RATIO[metric])
            lines = statistics.summary(differences).set_index("agent").rename(index=str)
            shift = 0.6 * ((i + 0.5) / len(tasks) - 0.5)
            at = [order.index(agent) + shift for agent in lines.index]
            runs = differences.groupby("agent", observed=True)["run"].transform("size")
            few = differences[runs < statistics.INTERVAL_RUNS]
            colour, marker = COLOURS[i % len(COLOURS)], "os^Dv"[i // len(COLOURS) % 5]
            panel.hlines(at, factor * lines["low"], factor * lines["high"], color=colour, linewidth=1.2)
            places = [order.index(str(agent)) + shift for agent in few["agent"]]
            panel.scatter(factor * few["area"], places, s=4, color=colour, alpha=0.5, linewidths=0)
            label = task_label({name: task[name] for name in ("dataset", "query_size")})
            panel.plot(factor * lines["mean"], at, marker, color=colour, markersize=4, label=label)
        unit = "less random's, in % of it" if RATIO[metric] else "less random's"
        panel.set_xlabel(f"AUC of {METRICS[metric].label}, {unit} (left is better)", fontsize=9)
        panel.axvline(0, color="black", linewidth=0.8)
    panels[0].set_yticks(range(len(order)), [agent_label(agent) for agent in order], fontsize=9)
    for text, agent in zip(panels[0].get_yticklabels(), order, strict=True):
        text.set_color("black" if agent in complete else "#888888")
    panels[0].set_ylim(len(order) - 0.4, -0.6)
    figure.suptitle(title)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def labels_saved(curves: pd.DataFrame, title: str = "") -> Figure:
    """A bar for each agent, as long as its labels needed by NLL, with the interval: a panel for each task.

    All curves are of one variation and protocol, with random among the agents.
    """
    tasks = []
    for task, of_task in groups(curves, TASK):
        needed = (
            statistics.labels_needed(of_task, "nll")
            .drop(index="random", errors="ignore")
            .dropna(subset="value")
        )
        if len(needed):
            tasks.append((task, needed))
    across = min(3, len(tasks))
    down = -(-len(tasks) // across)
    longest = max(len(needed) for _, needed in tasks)
    figure = Figure(figsize=(4.2 * across, (1.1 + 0.2 * longest) * down + 0.6), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).flat
    for (task, needed), panel in zip(tasks, panels, strict=False):
        needed = needed.sort_values(["value", "high"])
        shown = needed.clip(upper=1.0)
        colours = np.select([needed["high"] < 1, needed["low"] > 1], [_FEWER, _MORE], _ALIKE)
        places = np.arange(len(needed))
        panel.barh(places, shown["value"], color=colours, height=0.75)
        panel.hlines(places, shown["low"], shown["high"], color="black", linewidth=1)
        panel.set_yticks(places, [agent_label(agent) for agent in needed.index], fontsize=8)
        panel.invert_yaxis()
        for place in places[np.isinf(needed["value"])]:
            panel.text(0.98, place, "never", ha="right", va="center", fontsize=6.5, color="white")
        panel.set_xlim(0, 1)
        panel.xaxis.set_major_formatter(PercentFormatter(1))
        panel.set_title(task_label({name: task[name] for name in ("dataset", "query_size")}), fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels:
        panel.set_axis_off()
    label = METRICS["nll"].label
    figure.suptitle(f"Labels with which agents reach the {label} that random has with all of them\n{title}")
    names = {_FEWER: "fewer than all", _ALIKE: "no difference seen", _MORE: "more, or never"}
    handles = [Patch(color=colour, label=name) for colour, name in names.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


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
    _draw_intervals(left, predicted, chosen, target)
    _draw_features(right, chosen, labelled, pool)
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, loc="best" if panel is right else "upper left")
    return figure


def _draw_intervals(panel: Axes, predicted: pd.DataFrame, chosen: np.ndarray, target: str) -> None:
    """A line a row: thin for 90 %, thick for 50 %, a dot for the median; ordered by the median."""
    others = predicted.drop(index=predicted.index[chosen]).sort_values("median", kind="stable")
    shown = others.iloc[np.linspace(0, len(others) - 1, min(_OTHERS, len(others))).astype(int)]
    kinds = {"others": (shown, _OTHER), "chosen": (predicted.iloc[chosen], _CHOSEN)}
    medians = pd.concat([table["median"] for table, _ in kinds.values()])
    place = medians.rank(method="first") - 1
    for label, (table, colour) in kinds.items():
        x = place.loc[table.index]
        panel.vlines(x, table["low_90"], table["high_90"], color=colour, linewidth=0.8)
        panel.vlines(x, table["low_50"], table["high_50"], color=colour, linewidth=2.2)
        panel.plot(x, table["median"], "o", color=colour, markersize=3, label=label)
    panel.set(xlabel="rows of the pool, by predicted median", ylabel=target, xticks=[])
    panel.set_title("predicted: median, 50 % and 90 % interval", fontsize="medium")


def _draw_features(panel: Axes, chosen: np.ndarray, labelled: np.ndarray, pool: np.ndarray) -> None:
    """The first two principal components of the scaled features."""
    parts = min(2, pool.shape[1])
    pca = PCA(parts, random_state=0).fit(np.concatenate([pool, labelled]))
    of_pool, of_labelled = (
        np.pad(pca.transform(rows), ((0, 0), (0, 2 - parts))) for rows in (pool, labelled)
    )
    shown = of_pool[np.linspace(0, len(pool) - 1, min(_POINTS, len(pool))).astype(int)]
    panel.plot(*shown.T, ".", color=_OTHER, markersize=3, label="pool", rasterized=True)
    panel.plot(*of_labelled.T, "o", color=_LABELLED, markersize=3, label="labelled")
    panel.plot(*of_pool[chosen].T, "D", color=_CHOSEN, markersize=5, label="chosen")
    for rank, (x, y) in enumerate(of_pool[chosen][:_NUMBERS], 1):
        panel.annotate(str(rank), (x, y), (3, 3), textcoords="offset points", fontsize=7, color=_CHOSEN)
    share = pca.explained_variance_ratio_.sum()
    panel.set(xlabel="first principal component", ylabel="second principal component")
    panel.set_title(f"features in two dimensions ({share:.0%} of their variance)", fontsize="medium")
