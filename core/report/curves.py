"""Learning curves, drawn; and a command that draws those of one task and says how its agents stand.

    python -m core.report.curves --dataset diabetes --query_size 5 --store results --out learning_curves.png

With a store its agents are pale behind your own, over as many points as your own runs have.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..cli import ArgumentParser, at_least, run_script
from ..errors import UserError
from ..metrics import METRICS, PIT_BINS
from ..models.variations import DEFAULT, VARIATIONS
from ..protocol import PROTOCOLS
from .labels import COLOURS, agent_label, ordered, readable, spans, style, task_label
from .leaderboard import MAIN, beside_random, leaderboard
from .load import TASK, areas, load_results, select
from .plots import CELL, FAINT, NOTE, PANEL_HEIGHT, add_legend, add_title, panels_of, save
from .statistics import INTERVAL_RUNS, mean_curves

#: Lines for the upper bound, the calibrated model: what agents are held against.
_REFERENCE: dict[str, Any] = {"color": "#555555", "linewidth": 1, "linestyle": (0, (1, 2))}
#: Why a curve may pass below that of the upper bound.
_BELOW = (
    "Curves pass below 'full data set': its training ends once the validation MAE stalls, "
    "a run's goes on from fit to fit."
)
_SHOWN = ("mae", "nll", "crps")
#: More histograms than these could not be told apart.
_HISTOGRAMS = 7
#: Widths of lines: a mean, a single run, a mean in front of others. The strength of a band.
_LINE, _THIN, _FRONT, _BAND = 1.3, 0.6, 2.2, 0.15
#: How strong the agents behind your own are.
_PALE, _PALE_RANDOM = 0.35, 0.6
#: The y axis breaks where the first tenth of the curves is above the rest by more than half the rest's span.
_BEGINNING, _FAR_ABOVE = 0.1, 0.5
#: Space above and below the curves, as a share of what they span.
_MARGIN = 0.05
#: Height of the part above a break, and the gap, as shares of the part below.
_ABOVE, _GAP = 0.28, 0.04


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
        curves, upper_bounds: those of `Results`, of one task.
        front: agents to draw in front of the others, which are pale and without bands.
    """
    figure, panels = panels_of(13, PANEL_HEIGHT, 3, sharex=True)
    below = False
    for panel, metric in zip(panels, _SHOWN, strict=True):
        of_metric = curves[curves["metric"] == metric]
        bound = np.nan if upper_bounds is None else _last_epochs(upper_bounds, metric).mean()

        def draw(panel: Axes, of_metric: pd.DataFrame = of_metric, bound: float = bound) -> None:
            _draw_curves(panel, of_metric, front=front)
            if not np.isnan(bound) and len(of_metric):
                ends = [of_metric["labelled"].min(), of_metric["labelled"].max()]
                panel.plot(ends, [bound] * 2, label="full data set", **_REFERENCE)

        _draw_broken(panel, draw)
        panel.set(xlabel="labelled points", ylabel=f"{METRICS[metric].label} (scaled target)")
        below |= bool((of_metric.groupby(["agent", "labelled"], observed=True)["value"].mean() < bound).any())
    if below:
        figure.supxlabel(_BELOW, fontsize=CELL)
    add_title(figure, title)
    add_legend(figure, panels)
    _settle(figure)
    return figure


def _draw_curves(panel: Axes, curves: pd.DataFrame, spread: bool = True, front: Collection[str] = ()) -> None:
    """Mean over the runs of each agent, and their spread unless others are in front of it."""
    means = mean_curves(curves)
    for agent in sorted(ordered(curves["agent"]), key=lambda agent: agent not in front):
        table = curves[curves["agent"] == agent].pivot(index="labelled", columns="run", values="value")
        mean, half, look = means["mean"].xs(agent), means["half"].xs(agent), style(agent)
        label = agent_label(agent) + (f" ({table.shape[1]})" if spread else "")
        if front and agent not in front:
            pale = _PALE_RANDOM if agent == "random" else _PALE
            panel.plot(mean.index, mean, label=label, linewidth=_LINE, alpha=pale, zorder=1.5, **look)
            continue
        panel.plot(mean.index, mean, label=label, linewidth=_FRONT if front else _LINE, **look)
        if spread and table.shape[1] >= INTERVAL_RUNS:
            band = {"color": look["color"], "alpha": _BAND, "linewidth": 0}
            panel.fill_between(mean.index, mean - half, mean + half, **band)
        elif spread and table.shape[1] > 1:
            panel.plot(table.index, table, linewidth=_THIN, alpha=FAINT, **look)


def _draw_broken(panel: Axes, draw: Callable[[Axes], None]) -> None:
    """Draws lines, and breaks the y axis where their beginning is far above the rest.

    The part above the break is a child of this panel. Nothing finite is cut off but the edges of bands.
    """
    draw(panel)
    points = np.concatenate([np.empty((0, 2)), *(line.get_xydata() for line in panel.get_lines())])
    x, y = points[np.isfinite(points).all(axis=1)].T
    if not len(y):
        return
    rest = y[x >= x.min() + _BEGINNING * np.ptp(x)]
    low, high, top = y.min(), rest.max(), y.max()
    if low == top:
        return
    if not top - high > _FAR_ABOVE * (high - rest.min()) > 0:
        margin = _MARGIN * (top - low)
        panel.set_ylim(low - margin, top + margin)
        return
    high += _MARGIN * (high - low)
    panel.set_ylim(low - _MARGIN * (high - low), high)
    above = panel.inset_axes((0, 1 + _GAP, 1, _ABOVE), sharex=panel)
    draw(above)
    above.set_ylim(high, top + _MARGIN * (top - high))
    above.grid(alpha=0.3)
    above.locator_params(axis="y", nbins=3)
    above.tick_params(axis="x", bottom=False, labelbottom=False)
    above.spines[["top", "right", "bottom"]].set_visible(False)
    for part, end in ((panel, 1), (above, 0)):
        slash = [(-1, -0.5), (1, 0.5)]
        part.plot(0, end, transform=part.transAxes, marker=slash, markersize=9, color="black", clip_on=False)


def _settle(figure: Figure) -> None:
    """Lays out a figure with broken axes: they change heights, those the ticks, and those the widths."""
    if any(panel.child_axes for panel in figure.axes):
        figure.draw_without_rendering()


def _last_epochs(upper_bounds: pd.DataFrame, metric: str) -> pd.Series:
    """The values of a metric after the last epoch of each run."""
    of_metric = upper_bounds[upper_bounds["metric"] == metric]
    return of_metric.sort_values("epoch").groupby("run")["value"].last()


def upper_bound_curves(upper_bounds: pd.DataFrame, title: str = "") -> Figure:
    """MAE, NLL and CRPS over the epochs of training on the whole train part: a line a run, a dot its end."""
    figure, panels = panels_of(12, PANEL_HEIGHT, 3, sharex=True)
    for panel, metric in zip(panels, _SHOWN, strict=True):
        of_metric = upper_bounds[upper_bounds["metric"] == metric].sort_values("epoch")
        pale = max(0.3, max(of_metric["run"].nunique(), 1) ** -0.5)

        def draw(panel: Axes, of_metric: pd.DataFrame = of_metric, pale: float = pale) -> None:
            for _, run in of_metric.groupby("run"):
                panel.plot(run["epoch"], run["value"], color=COLOURS[0], linewidth=_THIN, alpha=pale)
                end = run.iloc[-1]
                panel.plot(end["epoch"], end["value"], "o", color=COLOURS[1], markersize=4, zorder=3)

        _draw_broken(panel, draw)
        last = _last_epochs(of_metric, metric)
        panel.set(xlabel="epochs", ylabel=f"{METRICS[metric].label} (scaled target)")
        if len(last):
            top = 1 + _GAP + _ABOVE if panel.child_axes else 1
            panel.set_title(f"last epoch: {last.mean():.4f} (mean of {len(last)})", fontsize=NOTE, y=top)
    add_title(figure, title)
    _settle(figure)
    return figure


def calibration_curves(curves: pd.DataFrame, pit: pd.DataFrame, title: str = "") -> Figure:
    """Calibration error over the labelled points; calibration curve and PIT histogram at the end.

    The calibration curve is the share of the test points whose target lies below the quantile that
    the model gives for a level, over the levels. Curve and histogram are of an agent's runs pooled:
    opposite errors of single runs cancel there, but not in the calibration error. More than seven
    histograms could not be told apart: the others are not drawn.

    Args:
        curves, pit: those of `Results`, of one task.
    """
    figure, (left, middle, right) = panels_of(13, PANEL_HEIGHT, 3)
    errors = curves[curves["metric"] == "calibration"]
    _draw_broken(left, lambda panel: _draw_curves(panel, errors, spread=False))  # it would fill the panel
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
    middle.set_title(f"at {pit['labelled'].max()} labelled points, runs pooled", fontsize=NOTE)
    right.set_title(f"the same as a histogram{shown}", fontsize=NOTE)
    add_title(figure, title)
    add_legend(figure, [middle])
    _settle(figure)
    return figure


def with_stored(own: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
    """Your own curves of a task, and those of the stored agents that you have not run.

    Of the stored ones the runs whose ids your own have, as runs of the same id begin with the same points, up
    to as many labelled points.

    Raises:
        UserError: the store has no such runs of other agents, or not at the same numbers of points.
    """
    others = stored[~stored["agent"].isin(set(own["agent"])) & stored["run"].isin(set(own["run"]))]
    if others.empty:
        raise UserError(f"the store has no other agent with runs {spans(own['run'])} of this task")
    others = others[others["labelled"] <= own["labelled"].max()]
    if set(others["labelled"]) != set(own["labelled"]):
        raise UserError("the stored runs of this task were measured at other numbers of labelled points")
    return pd.concat([own, others], ignore_index=True)


def places(curves: pd.DataFrame, own: Sequence[str]) -> Iterator[str]:
    """A line for each of your own agents: its place among all by NLL and by MAE, and its areas."""
    of_task = areas(curves)
    board = leaderboard(of_task, curves)
    means = of_task.groupby(["agent", "metric"], observed=True)["area"].mean()
    for agent in (agent for agent in board.index if agent in own):
        parts = []
        for metric in MAIN:
            mean_ranks = board[f"rank {metric.upper()}"]
            place = f"place {(mean_ranks < mean_ranks[agent]).sum() + 1}"
            if pd.isna(mean_ranks[agent]):
                place = "no place (no run in common with the others)"
            parts.append(f"{metric.upper()} {place}, AUC {means[agent, metric]:.4f}")
        yield f"{agent_label(agent)}: {'; '.join(parts)}"


def verdict(stored: pd.DataFrame, task: Mapping[str, object]) -> str:
    """Which agents of these areas beat random by NLL on a task; if none does, a dataset where some do."""

    def better(dataset: object) -> list[str]:
        found = beside_random(select(stored, {**task, "dataset": dataset}), "nll")
        return [agent_label(agent) for agent in found.index[found["high"] < 0]]

    if here := better(task["dataset"]):
        return f"Better than random by NLL, in the reference runs of this task: {', '.join(here)}"
    none = "No agent is better than random by NLL, in the reference runs of this task"
    others = select(stored, {name: value for name, value in task.items() if name != "dataset"})["dataset"]
    for dataset in others.unique():
        if there := better(dataset):
            return f"{none}; on {readable(str(dataset))} these are: {', '.join(there)}"
    return none


def main(arguments: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(prog="core.report.curves", description="Draws the learning curves of one task.")
    parser.add("dataset", None, "name of the dataset", required=True)
    parser.add("query_size", 50, "its query size", type=at_least(1))
    parser.add("variation", DEFAULT, "its model", choices=VARIATIONS)
    parser.add("protocol", "published", "its protocol", choices=list(PROTOCOLS))
    parser.add("runs_folder", Path("runs"), "where the results are", type=Path)
    parser.add("store", None, "reference runs to draw pale behind them, such as results", type=Path)
    parser.add("out", Path("learning_curves.png"), "PNG, PDF or SVG", type=Path)
    args = parser.parse_args(arguments)
    found = load_results(args.runs_folder)
    task = {name: getattr(args, name) for name in TASK}
    curves = select(found.curves, task)
    title, own = task_label(task), [str(agent) for agent in curves["agent"].unique()]
    if curves.empty:
        raise UserError(f"no finished runs of {title} in {args.runs_folder}")
    bounds = select(found.upper_bounds, {name: task[name] for name in TASK[:3]})
    if args.store is None:
        save(learning_curves(curves, bounds, title), args.out)
        print(f"learning curves: {args.out}")
        return
    reference = load_results(None, args.store)
    stored = select(reference.curves, task)
    if stored.empty:
        raise UserError(f"{args.store} has no runs of {title}: compare.py --list_reference shows them")
    added, runs = curves["labelled"].max() - curves["labelled"].min(), spans(curves["run"])
    curves = with_stored(curves, stored)
    beside = f"{curves['agent'].nunique() - len(own)} stored agents, over the first {added} points"
    save(learning_curves(curves, bounds, f"{title}; pale: {beside}", own), args.out)
    print(f"leaderboard of runs {runs} beside {beside} (lower AUC is better; by mean rank):")
    for line in places(curves, own):
        print(f"  {line}")
    print(f"learning curves: {args.out}\n{verdict(reference.areas, task)}")


if __name__ == "__main__":
    run_script(main)
