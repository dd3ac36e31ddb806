"""How the study's figures are drawn: each function makes one matplotlib figure from tidy tables.

The tables are those of `core.report.reader` and `core.report.analysis`. An agent has the same colour and
line in every figure.

    python -m core.report.plots --dataset diabetes --query_size 5 --out learning_curve.png

draws the learning curves of all agents on one task.
"""

import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scikit_posthocs
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from ..cli import ArgumentParser, at_least, run_script
from ..errors import UserError
from ..models.variations import DEFAULT, VARIATIONS
from ..protocol import PROTOCOLS
from .analysis import Blocks, Comparison, interval, select
from .labels import METRICS, agent_label, task_label
from .reader import TASK, load_results

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

_HISTOGRAMS = 7
# Okabe & Ito without their yellow, which is too pale on paper: told apart by the colour-blind as well.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
_LINES = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)))
# Fixed, so that an agent looks the same whoever else is there. Who is most often compared comes first, and
# differs from the others there in colour, not in line alone.
_AGENTS = (
    *("balsa_emd", "balsa_kl_pairs", "balsa_kl_grid", "coreset", "bald", "typiclust", "coregcn"),
    *("bald_dist_entropy", "bald_dist_std", "nflows_out", "balsa_entropy", "nf_conf", "nf_entropy", "nf_std"),
    *(
        "balsa_emd_dual",
        "balsa_kl_pairs_dual",
        "balsa_kl_grid_dual",
        "gauss_std",
        "gauss_entropy",
        "gauss_lc",
    ),
    *("balsa_emd_full", "balsa_kl_grid_norm", "balsa_kl_diff", "balsa_kl_anomaly", "nf_sample_std"),
)


def _style(agent: str) -> dict[str, Any]:
    """The agent's colour and line, whoever else is in the figure."""
    if agent == "random":
        return {"color": "black", "linestyle": "-"}
    # An agent of one's own gets a style by its name, the same each time.
    i = _AGENTS.index(agent) if agent in _AGENTS else len(_AGENTS) + sum(agent.encode())
    return {"color": _COLOURS[i % len(_COLOURS)], "linestyle": _LINES[i // len(_COLOURS) % len(_LINES)]}


def _ordered(agents: Iterable[str]) -> list[str]:
    """Random first, then as in `_AGENTS`, then by name."""
    rank = {name: i for i, name in enumerate(("random", *_AGENTS))}
    return sorted(set(agents), key=lambda agent: (rank.get(agent, len(rank)), agent))


def _figure(width: float, height: float, columns: int = 1, **kwargs: Any) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False, **kwargs)[0]
    for panel in axes:
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    return figure, list(axes)


def _legend(figure: Figure, panel: Axes) -> None:
    """One legend for all panels, beside them."""
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, handlelength=3)


def _draw_curves(panel: Axes, curves: pd.DataFrame, bands: bool = True) -> None:
    """Mean over the runs of each agent, in a band: the 95 % confidence interval of the mean."""
    for agent in _ordered(curves["agent"]):
        table = curves[curves["agent"] == agent].pivot(index="labelled", columns="run", values="value")
        mean, count, style = table.mean(axis=1), table.count(axis=1), _style(agent)
        label = agent_label(agent) + (f" ({table.shape[1]})" if bands else "")
        panel.plot(mean.index, mean, label=label, linewidth=1.3, **style)
        if bands and table.shape[1] > 1:
            half = stats.t.ppf(0.975, (count - 1).clip(lower=1)) * table.sem(axis=1)
            panel.fill_between(
                mean.index, mean - half, mean + half, color=style["color"], alpha=0.15, linewidth=0
            )


def learning_curves(
    curves: pd.DataFrame, upper_bounds: pd.DataFrame | None = None, title: str = ""
) -> Figure:
    """MAE, NLL and CRPS over the labelled points, for all agents of one task.

    A line is the mean over an agent's runs (their number is in the legend), the band around it the
    95 % confidence interval of the mean by Student's t. Where the beginning is far above the rest,
    the y axis leaves it out.

    Args:
        curves: of one task, as of `Results.curves`.
        upper_bounds: as of `Results.upper_bounds`, of the same dataset, variation and protocol.
    """
    figure, panels = _figure(13, 3.8, 3, sharex=True)
    for panel, metric in zip(panels, ("mae", "nll", "crps"), strict=True):
        of_metric = curves[curves["metric"] == metric]
        _draw_curves(panel, of_metric)
        if upper_bounds is not None and len(upper_bounds):
            bound = _last_epochs(upper_bounds[upper_bounds["metric"] == metric]).mean()
            ends = [of_metric["labelled"].min(), of_metric["labelled"].max()]
            panel.plot(ends, [bound] * 2, color="#555555", linestyle=(0, (1, 2)), label="full data set")
        panel.set(xlabel="labelled points", ylabel=f"{METRICS[metric]} (scaled target)")
        _limit_to_means(panel, of_metric)
    figure.suptitle(title)
    _legend(figure, panels[0])
    return figure


def _limit_to_means(panel: Axes, curves: pd.DataFrame) -> None:
    """Limits the y axis by the mean curves: wide bands and the first points would squeeze them flat."""
    means = curves.groupby(["agent", "labelled"], observed=True)["value"].mean()
    labelled = means.index.get_level_values("labelled")
    later = means[labelled >= labelled.min() + (labelled.max() - labelled.min()) / 10]
    drawn = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in panel.get_lines()])
    means, later, drawn = (values[np.isfinite(values)] for values in (means, later, drawn))
    if len(later) and (span := later.max() - later.min()) > 0:
        low, high = drawn.min(), min(means.max() + 0.1 * span, later.max() + 0.5 * span)
        panel.set_ylim(low - 0.15 * span, max(high, drawn[drawn <= later.max()].max()))


def _last_epochs(upper_bounds: pd.DataFrame) -> pd.Series:
    """The values after the last epoch of each run of one metric."""
    return upper_bounds.sort_values("epoch").groupby("run")["value"].last()


def upper_bound_curves(upper_bounds: pd.DataFrame, title: str = "") -> Figure:
    """MAE, NLL and CRPS over the epochs of training on the whole train part: a line a run."""
    figure, panels = _figure(12, 3.6, 3, sharex=True)
    for panel, metric in zip(panels, ("mae", "nll", "crps"), strict=True):
        of_metric = upper_bounds[upper_bounds["metric"] == metric]
        pale = max(0.3, of_metric["run"].nunique() ** -0.5)
        for _, run in of_metric.groupby("run"):
            panel.plot(run["epoch"], run["value"], color=_COLOURS[0], linewidth=0.6, alpha=pale)
            panel.plot(
                run["epoch"].iloc[-1], run["value"].iloc[-1], "o", color=_COLOURS[1], markersize=4, zorder=3
            )
        last = _last_epochs(of_metric)
        panel.set_title(f"last epoch: {last.mean():.4f} (mean of {len(last)})", fontsize=10)
        panel.set(xlabel="epochs", ylabel=f"{METRICS[metric]} (scaled target)")
        # The first epochs are far above all others.
        values = of_metric[np.isfinite(of_metric["value"])]
        low, high = values["value"].min(), values.loc[values["epoch"] > 3, "value"].quantile(0.98)
        if high > low:
            panel.set_ylim(low - 0.05 * (high - low), high + 0.3 * (high - low))
    figure.suptitle(title)
    return figure


def critical_differences(found: Blocks, compared: Comparison, title: str = "") -> Figure:
    """Mean ranks of the agents; a bar joins those, dotted on it, that do not differ at 5 % (Demšar, 2006)."""
    mean_ranks = compared.mean_ranks.rename(agent_label)
    p_values = compared.p_values.rename(index=agent_label, columns=agent_label)
    colours = {agent_label(agent): _style(agent)["color"] for agent in compared.mean_ranks.index}
    figure = Figure(figsize=(8, 1.8 + 0.22 * len(mean_ranks)), layout="constrained")
    panel = figure.subplots()
    drawn = scikit_posthocs.critical_difference_diagram(
        mean_ranks,
        p_values,
        ax=panel,
        label_fmt_left="{label} ({rank:.2f})",
        label_fmt_right="({rank:.2f}) {label}",
        color_palette=colours,
        label_props={"fontsize": 9},
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
        said.append("without a run in some task: " + ", ".join(map(agent_label, found.left_out)))
    panel.set_title("\n".join(textwrap.fill(line, 90) for line in said), fontsize=10)
    return figure


def query_sizes(areas: pd.DataFrame, title: str = "") -> Figure:
    """Areas under the curves of MAE and NLL over the query size, for all agents of one dataset.

    A marker is the mean over the runs, its line the 95 % bootstrap confidence interval.
    """
    figure, panels = _figure(11, 3.8, 2)
    sizes = sorted(areas["query_size"].unique())
    agents = _ordered(areas["agent"])
    for panel, metric in zip(panels, ("mae", "nll"), strict=True):
        of_metric = areas[areas["metric"] == metric]
        for i, agent in enumerate(agents):
            of_agent = of_metric[of_metric["agent"] == agent].groupby("query_size")["area"]
            if not of_agent.ngroups:
                continue
            mean = of_agent.mean()
            shift = 0.5 * ((i + 0.5) / len(agents) - 0.5)  # side by side, not on top of each other
            at = [sizes.index(size) + shift for size in mean.index]
            ends = np.array([interval(values) for _, values in of_agent]).T
            style = _style(agent)
            panel.vlines(at, *ends, color=style["color"], linewidth=1)
            panel.plot(at, mean, marker="o", markersize=4, linewidth=1, label=agent_label(agent), **style)
        panel.set_xticks(range(len(sizes)), [str(size) for size in sizes])
        panel.set(xlabel="query size", ylabel=f"area under the curve of {METRICS[metric]}")
    figure.suptitle(title)
    _legend(figure, panels[0])
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
    table = table.sort_index(axis=1).loc[_ordered(table.index)]
    figure = Figure(figsize=(3.2 + 0.75 * table.shape[1], 1.8 + 0.28 * len(table)), layout="constrained")
    panel = figure.subplots()
    limit = np.nanquantile(np.abs(table), 0.95) or 1.0
    image = panel.imshow(table, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto")
    for (row, column), value in np.ndenumerate(table.to_numpy(dtype=float)):
        if not np.isnan(value):
            dark = abs(value) > 0.65 * limit
            text = f"{value:+.1f}" if per_cent else f"{value:+.2f}"
            panel.text(
                column, row, text, ha="center", va="center", fontsize=8, color="white" if dark else "black"
            )
    names = [f"{agent_label(data)}\n{variation}, {size}" for data, variation, size in table.columns]
    panel.set_xticks(
        range(table.shape[1]), names, fontsize=8, rotation=45, ha="right", rotation_mode="anchor"
    )
    panel.set_yticks(range(len(table)), [agent_label(agent) for agent in table.index], fontsize=9)
    unit = "%" if per_cent else "difference"
    figure.colorbar(image, label=f"{METRICS[metric]} beside random ({unit})")
    panel.set_title(title, fontsize=10)
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
    figure, (left, middle, right) = _figure(13, 3.8, 3)
    errors = curves[curves["metric"] == "calibration"]
    _draw_curves(left, errors, bands=False)  # they would fill the panel
    _limit_to_means(left, errors)
    left.set(xlabel="labelled points", ylabel="calibration error")
    agents = _ordered(pit["agent"])
    for i, agent in enumerate(agents):
        counts = pit[pit["agent"] == agent].groupby("bin")["count"].sum()
        shares, levels = counts / counts.sum(), [*counts.index, 1.0]
        middle.plot(levels, [0, *shares.cumsum()], linewidth=1.3, **_style(agent))
        if i < _HISTOGRAMS:
            right.stairs(shares, levels, **_style(agent))
    calibrated: dict[str, Any] = {"color": "#555555", "linewidth": 1, "linestyle": (0, (1, 2))}
    middle.plot([0, 1], [0, 1], **calibrated)
    right.axhline(0.05, **calibrated)
    left.plot([], [], label="calibrated", **calibrated)  # for the legend
    shown = f", first {_HISTOGRAMS} agents" if len(agents) > _HISTOGRAMS else ""
    middle.set(xlabel="level", ylabel="share of targets below the quantile")
    right.set(xlabel="P(Y ≤ y | x)", ylabel="share of test points", ylim=(0, None))
    middle.set_title(f"at {pit['labelled'].max()} labelled points, runs pooled", fontsize=10)
    right.set_title(f"the same as a histogram{shown}", fontsize=10)
    figure.suptitle(title)
    _legend(figure, left)
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
    means = means.loc[_ordered(means.index)[::-1]]
    figure, (panel,) = _figure(8, 1.4 + 0.25 * len(means))
    names = [agent_label(agent) for agent in means.index]
    panel.barh(names, means["choosing"], color=_COLOURS[1], label="choosing")
    panel.barh(names, means["training"], left=means["choosing"], color=_COLOURS[5], label="training, testing")
    panel.set(xlabel="seconds a round")
    figure.suptitle(title)
    _legend(figure, panel)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Writes a figure; the ending of the name says how (PNG, PDF, SVG).

    Raises:
        UserError: it cannot be written.
    """
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot write {path}: {' '.join(str(error).split())}") from error


def main() -> None:
    parser = ArgumentParser(prog="core.report.plots", description="Draws the learning curves of one task.")
    parser.add("dataset", None, "name of the dataset", required=True)
    parser.add("query_size", 50, "its query size", type=at_least(1))
    parser.add("variation", DEFAULT, "its model", choices=VARIATIONS)
    parser.add("protocol", "published", "its protocol", choices=list(PROTOCOLS))
    parser.add("runs_folder", Path("runs"), "where the results are", type=Path)
    parser.add("out", Path("learning_curves.png"), "PNG, PDF or SVG", type=Path)
    args = parser.parse_args()
    found = load_results(args.runs_folder)
    task = {name: getattr(args, name) for name in TASK}
    curves = select(found.curves, task)
    if curves.empty:
        raise UserError(f"no finished runs of {task_label(task)} in {args.runs_folder}")
    bounds = select(found.upper_bounds, {name: task[name] for name in TASK[:3]})
    save(learning_curves(curves, bounds, task_label(task)), args.out)
    print(f"learning curves: {args.out}")


if __name__ == "__main__":
    run_script(main)
