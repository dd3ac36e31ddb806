"""How the study's figures are drawn: each function makes one matplotlib figure from tidy tables.

Tables as of `core.report.reader` and `core.report.analysis`. An agent looks the same in every figure.
"""

import math
import textwrap
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scikit_posthocs
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from ..errors import UserError
from ..files import write_file
from ..metrics import METRICS, PIT_BINS
from .analysis import INTERVAL_RUNS, Blocks, Comparison, interval
from .axes import draw_broken, settle, top
from .labels import agent_label, dataset_label
from .styles import COLOURS, ordered, style

__all__ = [
    "calibration",
    "critical_differences",
    "heat_map",
    "learning_curves",
    "query_sizes",
    "save",
    "times",
    "upper_bound_curves",
]

#: Lines for the upper bound, the calibrated model: what agents are held against.
_REFERENCE: dict[str, Any] = {"color": "#555555", "linewidth": 1, "linestyle": (0, (1, 2))}
#: Why a curve may pass below that of the upper bound.
_BELOW = (
    "Curves pass below 'full data set': its training ends once the validation MAE stalls, "
    "a run's goes on from fit to fit."
)
_CONFIDENCE = 0.95
#: More histograms than these could not be told apart.
_HISTOGRAMS = 7
#: Inches: of a figure with panels, and of a row for an agent.
_PANEL_HEIGHT, _ROW = 3.8, 0.28
#: Inches that the label of a colour bar needs.
_COLOUR_BAR = 2.0
#: Lines of a legend that fit beside a panel.
_LEGEND_ROWS = 22
#: Characters of a title's line, from the left: in the middle, or longer, it would run into a legend of two
#: columns beside the panels.
_TITLE_WIDTH = 75
#: Points.
_NOTE, _CELL = 10, 8
_LINE, _THIN, _FRONT = 1.3, 0.6, 2.2
_FAINT, _BAND = 0.6, 0.15
#: How strong the agents behind one's own are.
_PALE, _PALE_RANDOM = 0.35, 0.6
#: Width that the agents' markers of one query size take, where 1 is the distance to the next.
_SIDE_BY_SIDE = 0.5
#: Share of the colour map's limit from which black text would not be seen.
_DARK = 0.65


def _figure(width: float, height: float, columns: int = 1, **kwargs: Any) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False, **kwargs)[0]
    for panel in axes:
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    return figure, list(axes)


def _head(figure: Figure, title: str) -> None:
    """The title, in as many lines as end before a wide legend begins."""
    figure.suptitle(textwrap.fill(title, _TITLE_WIDTH), x=0.01, ha="left")


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
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
        fontsize=_CELL if len(shown) > _LEGEND_ROWS / 2 else None,
        frameon=False,
        handlelength=3,
    )


def _runs_side_by_side(curves: pd.DataFrame) -> pd.DataFrame:
    """The values, a row for each number of labelled points, a column for each run; faster than a pivot."""
    rows, labelled = pd.factorize(curves["labelled"], sort=True)
    columns, runs = pd.factorize(curves["run"], sort=True)
    table = np.full((len(labelled), len(runs)), np.nan)
    table[rows, columns] = curves["value"]
    return pd.DataFrame(table, pd.Index(labelled, name="labelled"), pd.Index(runs, name="run"))


def _draw_curves(panel: Axes, curves: pd.DataFrame, spread: bool = True, front: Collection[str] = ()) -> None:
    """Mean over the runs of each agent, and how they spread: as a band, or, of few runs, line by line.

    Where some are in front, the others are pale, and their spread is left out.
    """
    drawn = curves[["labelled", "run", "value"]]
    for agent in sorted(ordered(curves["agent"]), key=lambda agent: agent not in front):
        table = _runs_side_by_side(drawn[curves["agent"] == agent])
        mean, count, look = table.mean(axis=1), table.count(axis=1), style(agent)
        label = agent_label(agent) + (f" ({table.shape[1]})" if spread else "")
        if front and agent not in front:
            pale = _PALE_RANDOM if agent == "random" else _PALE
            panel.plot(mean.index, mean, label=label, linewidth=_LINE, alpha=pale, zorder=1.5, **look)
            continue
        panel.plot(mean.index, mean, label=label, linewidth=_FRONT if front else _LINE, **look)
        if spread and table.shape[1] >= INTERVAL_RUNS:
            quantile = stats.t.ppf((1 + _CONFIDENCE) / 2, (count - 1).clip(lower=1))
            half = quantile * table.sem(axis=1)
            panel.fill_between(
                mean.index, mean - half, mean + half, color=look["color"], alpha=_BAND, linewidth=0
            )
        elif spread and table.shape[1] > 1:
            panel.plot(table.index, table, linewidth=_THIN, alpha=_FAINT, **look)


def learning_curves(
    curves: pd.DataFrame,
    upper_bounds: pd.DataFrame | None = None,
    title: str = "",
    front: Collection[str] = (),
) -> Figure:
    """MAE, NLL and CRPS over the labelled points, for all agents of one task.

    A line is the mean over an agent's runs (their number is in the legend), the band around it the
    95 % confidence interval of the mean by Student's t; of fewer than five runs each has a thin line
    instead. Where the beginning is far above the rest, the y axis is broken.

    Args:
        curves: of one task, as of `Results.curves`.
        upper_bounds: as of `Results.upper_bounds`, of the same dataset, variation and protocol.
        front: agents to draw in front of the others, which are pale.
    """
    figure, panels = _figure(13, _PANEL_HEIGHT, 3, sharex=True)
    below = False
    for panel, metric in zip(panels, ("mae", "nll", "crps"), strict=True):
        of_metric = curves[curves["metric"] == metric]
        bound = np.nan
        if upper_bounds is not None:
            bound = _last_epochs(upper_bounds[upper_bounds["metric"] == metric]).mean()

        def draw(panel: Axes, of_metric: pd.DataFrame = of_metric, bound: float = bound) -> None:
            _draw_curves(panel, of_metric, front=front)
            if not np.isnan(bound) and len(of_metric):
                ends = [of_metric["labelled"].min(), of_metric["labelled"].max()]
                panel.plot(ends, [bound] * 2, label="full data set", **_REFERENCE)

        draw_broken(panel, draw)
        panel.set(xlabel="labelled points", ylabel=f"{METRICS[metric].label} (scaled target)")
        below |= bool((of_metric.groupby(["agent", "labelled"], observed=True)["value"].mean() < bound).any())
    if below:
        figure.supxlabel(_BELOW, fontsize=_CELL)
    _head(figure, title)
    _legend(figure, panels)
    settle(figure)
    return figure


def _last_epochs(upper_bounds: pd.DataFrame) -> pd.Series:
    """The values after the last epoch of each run of one metric."""
    return upper_bounds.sort_values("epoch").groupby("run")["value"].last()


def upper_bound_curves(upper_bounds: pd.DataFrame, title: str = "") -> Figure:
    """MAE, NLL and CRPS over the epochs of training on the whole train part: a line a run.

    A dot is a run's last epoch. Where the beginning is far above the rest, the y axis is broken.
    """
    figure, panels = _figure(12, _PANEL_HEIGHT, 3, sharex=True)
    for panel, metric in zip(panels, ("mae", "nll", "crps"), strict=True):
        of_metric = upper_bounds[upper_bounds["metric"] == metric].sort_values("epoch")
        pale = max(0.3, max(of_metric["run"].nunique(), 1) ** -0.5)

        def draw(panel: Axes, of_metric: pd.DataFrame = of_metric, pale: float = pale) -> None:
            for _, run in of_metric.groupby("run"):
                panel.plot(run["epoch"], run["value"], color=COLOURS[0], linewidth=_THIN, alpha=pale)
                end = run.iloc[-1]
                panel.plot(end["epoch"], end["value"], "o", color=COLOURS[1], markersize=4, zorder=3)

        draw_broken(panel, draw)
        last = _last_epochs(of_metric)
        panel.set(xlabel="epochs", ylabel=f"{METRICS[metric].label} (scaled target)")
        if len(last):
            said = f"last epoch: {last.mean():.4f} (mean of {len(last)})"
            panel.set_title(said, fontsize=_NOTE, y=top(panel))
    _head(figure, title)
    settle(figure)
    return figure


def critical_differences(found: Blocks, compared: Comparison, title: str = "") -> Figure:
    """Mean ranks of the agents; a bar joins those, dotted on it, that do not differ at 5 % (Demšar, 2006)."""
    mean_ranks = compared.mean_ranks.rename(agent_label)
    p_values = compared.p_values.rename(index=agent_label, columns=agent_label)
    colours = {agent_label(agent): style(agent)["color"] for agent in compared.mean_ranks.index}
    figure = Figure(figsize=(8, 1.8 + _ROW * len(mean_ranks)), layout="constrained")
    panel = figure.subplots()
    drawn = scikit_posthocs.critical_difference_diagram(
        mean_ranks,
        p_values,
        ax=panel,
        label_fmt_left="{label} ({rank:.2f})",
        label_fmt_right="({rank:.2f}) {label}",
        color_palette=colours,
        label_props={"fontsize": _NOTE},
        crossbar_props={"linewidth": 2.5, "marker": "o", "markersize": 5},
    )
    for i, bar in enumerate(line for lines in drawn["crossbars"] for line in np.atleast_1d(lines)):
        bar.set_color(("black", "#888888")[i % 2])  # two on one level must not seem to be one
    said = [title, f"mean rank, lower is better; {len(found.table)} blocks"]
    if not np.isnan(compared.friedman):
        said[-1] += f", Friedman p = {compared.friedman:.2g}"
    if found.incomplete:
        said.append(f"{found.incomplete} more blocks lack runs")
    if found.left_out:
        names = ", ".join(map(agent_label, found.left_out))
        said.append(f"without a run in some task, or in common with the others: {names}")
    panel.set_title("\n".join(textwrap.fill(line, 90) for line in said), fontsize=_NOTE)
    return figure


def query_sizes(areas: pd.DataFrame, title: str = "") -> Figure:
    """Areas under the curves of MAE and NLL over the query size, for all agents of one dataset.

    A marker is the mean over the runs, its line the 95 % bootstrap confidence interval; of fewer than
    five runs each has a dot instead.
    """
    figure, panels = _figure(11, _PANEL_HEIGHT, 2)
    sizes = sorted(areas["query_size"].unique())
    agents = ordered(areas["agent"])
    for panel, metric in zip(panels, ("mae", "nll"), strict=True):
        of_metric = areas[areas["metric"] == metric]
        for i, agent in enumerate(agents):
            of_agent = of_metric[of_metric["agent"] == agent].groupby("query_size")["area"]
            if not of_agent.ngroups:
                continue
            look = style(agent)
            shift = _SIDE_BY_SIDE * ((i + 0.5) / len(agents) - 0.5)
            for size, values in of_agent:
                at = sizes.index(size) + shift
                if len(values) >= INTERVAL_RUNS:
                    panel.vlines(at, *interval(values, _CONFIDENCE), color=look["color"], linewidth=1)
                else:
                    panel.plot(
                        [at] * len(values), values, ".", color=look["color"], alpha=_FAINT, markersize=4
                    )
            mean = of_agent.mean()
            at_means = [sizes.index(size) + shift for size in mean.index]
            panel.plot(
                at_means, mean, marker="o", markersize=4, linewidth=1, label=agent_label(agent), **look
            )
        panel.set_xticks(range(len(sizes)), [str(size) for size in sizes])
        panel.set(xlabel="query size", ylabel=f"area under the curve of {METRICS[metric].label}")
    _head(figure, title)
    _legend(figure, panels)
    return figure


def heat_map(relative: pd.DataFrame, metric: str, title: str = "") -> Figure:
    """Mean areas of the agents (rows) less those of `random`, for each task (columns).

    In per cent of random's; for the NLL, which has no zero, the difference itself.

    Args:
        relative: as of `core.report.analysis.relative_areas`.
    """
    per_cent = metric not in ("nll", "validation_nll")
    values = 100 * (relative["ratio"] - 1) if per_cent else relative["difference"]
    columns = ["dataset", "variation", "query_size"]
    table = relative.assign(value=values).pivot(index="agent", columns=columns, values="value")
    table = table.sort_index(axis=1).loc[ordered(table.index)]
    # Room for the label of the colour bar, however few agents there are.
    size = (3.2 + 0.75 * table.shape[1], 1.8 + max(_ROW * len(table), _COLOUR_BAR))
    figure = Figure(figsize=size, layout="constrained")
    panel = figure.subplots()
    limit = np.nanquantile(np.abs(table), 0.95) or 1.0
    image = panel.imshow(table, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto")
    for (row, column), value in np.ndenumerate(table.to_numpy(dtype=float)):
        if not np.isnan(value):
            colour = "white" if abs(value) > _DARK * limit else "black"
            text = f"{value:+.1f}" if per_cent else f"{value:+.2f}"
            panel.text(column, row, text, ha="center", va="center", fontsize=_CELL, color=colour)
    names = [f"{dataset_label(data)}\n{variation}, {size}" for data, variation, size in table.columns]
    panel.set_xticks(
        range(table.shape[1]), names, fontsize=_CELL, rotation=45, ha="right", rotation_mode="anchor"
    )
    panel.set_yticks(range(len(table)), [agent_label(agent) for agent in table.index], fontsize=_NOTE)
    unit = "%" if per_cent else "difference"
    figure.colorbar(image).set_label(f"{METRICS[metric].label}\nbeside random ({unit})", fontsize=_NOTE)
    panel.set_title(title, fontsize=_NOTE)
    return figure


def calibration(curves: pd.DataFrame, pit: pd.DataFrame, title: str = "") -> Figure:
    """Calibration error over the labelled points; calibration curve and PIT histogram at the end.

    The calibration curve is the share of the test points whose target lies below the quantile that
    the model gives for a level, over the levels. Curve and histogram are of an agent's runs pooled:
    opposite errors of single runs cancel there, but not in the calibration error. More than seven
    histograms could not be told apart: the others are not drawn.

    Args:
        curves, pit: of one task, as of `Results`.
    """
    figure, (left, middle, right) = _figure(13, _PANEL_HEIGHT, 3)
    errors = curves[curves["metric"] == "calibration"]
    draw_broken(left, lambda panel: _draw_curves(panel, errors, spread=False))  # it would fill the panel
    left.set(xlabel="labelled points", ylabel=METRICS["calibration"].label)
    agents = ordered(pit["agent"])
    for i, agent in enumerate(agents):
        counts = pit[pit["agent"] == agent].groupby("bin")["count"].sum()
        shares, levels = counts / counts.sum(), [*counts.index, 1.0]
        middle.plot(levels, [0, *shares.cumsum()], linewidth=_LINE, label=agent_label(agent), **style(agent))
        if i < _HISTOGRAMS:
            right.stairs(shares, levels, **style(agent))
    middle.plot([0, 1], [0, 1], label="calibrated", **_REFERENCE)
    right.axhline(1 / PIT_BINS, **_REFERENCE)
    shown = f", first {_HISTOGRAMS} agents" if len(agents) > _HISTOGRAMS else ""
    middle.set(xlabel="level", ylabel="share below the quantile")
    right.set(xlabel="P(Y ≤ y | x)", ylabel="share of test points", ylim=(0, None))
    middle.set_title(f"at {pit['labelled'].max()} labelled points, runs pooled", fontsize=_NOTE)
    right.set_title(f"the same as a histogram{shown}", fontsize=_NOTE)
    _head(figure, title)
    _legend(figure, [middle])
    settle(figure)
    return figure


def times(runs: pd.DataFrame, title: str = "") -> Figure:
    """Seconds a round, choosing against training and testing: means over the runs of one task.

    Of runs trained side by side, training is a run's share.
    """
    runs = runs[runs["rounds"] > 0]
    per_round = runs.assign(
        choosing=runs["seconds_choosing"] / runs["rounds"], training=runs["seconds_in_step"] / runs["rounds"]
    )
    means = per_round.groupby("agent", observed=True)[["choosing", "training"]].mean()
    means = means.loc[ordered(means.index)[::-1]]
    figure, (panel,) = _figure(8, 1.4 + _ROW * len(means))
    names = [agent_label(agent) for agent in means.index]
    panel.barh(names, means["choosing"], color=COLOURS[1], label="choosing")
    panel.barh(names, means["training"], left=means["choosing"], color=COLOURS[5], label="training, testing")
    panel.set(xlabel="seconds a round")
    _head(figure, title)
    _legend(figure, [panel])
    return figure


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
