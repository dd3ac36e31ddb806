"""Labels saved: how many labels an agent needs to be as good as random is with all of them."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from ..metrics import METRICS
from .aggregates import RESAMPLES, Estimate, estimate
from .labels import agent_label, task_label
from .reader import TASK

__all__ = ["NEEDED_NOTE", "labels_needed", "needed_in_words", "picture_of_labels"]

#: What stands under a table that has these columns.
NEEDED_NOTE = (
    "Labels needed: the share of all labels with which an agent's mean curve first reaches what random has "
    "with all of them, over the runs that both have; in brackets the 95 % interval of the bootstrap over "
    "runs, from five runs on; > 100 % is never, - where random ends no better than it began. Random's own "
    "mean curve may be there before its end, too: that is noise."
)


class _Needed(NamedTuple):
    """Of one task: the share that is needed, infinite where it is never enough, and that of each resample."""

    value: float
    resampled: np.ndarray
    runs: int


def labels_needed(curves: pd.DataFrame, metric: str, reference: str = "random") -> pd.DataFrame:
    """The share of all labels with which each agent is as good as the reference is with all of them.

    The mean curve, over the runs that both have, is taken for straight between two measurements. Seed sets
    count as labels.

    Args:
        curves: as of `core.report.reader.Results`, of one task or of several.

    Returns:
        `value`, `low`, `high` of each agent that is in all the tasks: mean over the tasks, with the 95 %
        interval of a percentile bootstrap, in which the runs of each task are drawn anew, with those of the
        reference of the same ids. inf where it is never enough; NaN for the interval of fewer than five runs,
        and where the reference ends no better than it began. Empty without the reference.
    """
    of_metric = curves[curves["metric"] == metric]
    found: dict[str, list[_Needed]] = {}
    tasks = list(of_metric.groupby(TASK, observed=True))
    for _, of_task in tasks:
        wide = of_task.set_index(["agent", "run", "labelled"])["value"].unstack()
        tables = {str(agent): wide.loc[agent] for agent in wide.index.unique("agent")}
        for agent, table in tables.items() if reference in tables else ():
            runs = table.index.intersection(tables[reference].index)
            if len(runs):
                found.setdefault(agent, []).append(_of_task(table.loc[runs], tables[reference].loc[runs]))
    lines = {agent: _mean(parts)._asdict() for agent, parts in found.items() if len(parts) == len(tasks)}
    return pd.DataFrame.from_dict(lines, orient="index", columns=list(Estimate._fields))


def _of_task(agent: pd.DataFrame, reference: pd.DataFrame) -> _Needed:
    runs, rng = len(agent), np.random.default_rng(1)
    drawn = rng.multinomial(runs, np.full(runs, 1 / runs), RESAMPLES)
    weights = np.concatenate([np.ones((1, runs), int), drawn]) / runs
    # The last measurement is that with all labels, which both have.
    shares = _first_reached(
        weights @ agent.to_numpy(), agent.columns.to_numpy(float), weights @ reference.iloc[:, -1].to_numpy()
    )
    shares /= agent.columns[-1]
    if not reference.iloc[:, -1].mean() < reference.iloc[:, 0].mean():
        shares[:] = np.nan
    return _Needed(float(shares[0]), shares[1:], runs)


def _first_reached(curves: np.ndarray, labelled: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Where curves [B, L] over `labelled` [L] first are as low as targets [B]; inf where never."""
    there = curves <= targets[:, None]
    first = there.argmax(axis=1)
    at = labelled[first]
    row, before = np.arange(len(curves)), np.maximum(first - 1, 0)
    fall = curves[row, before] - curves[row, first]
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = np.where(first > 0, (targets - curves[row, first]) / fall, 0)
    return np.where(there.any(axis=1), at - beyond * (at - labelled[before]), np.inf)


def _mean(parts: list[_Needed]) -> Estimate:
    value = float(np.mean([part.value for part in parts]))
    resampled = np.mean([part.resampled for part in parts], axis=0)
    return estimate(value, resampled, min(part.runs for part in parts))


def needed_in_words(needed: pd.DataFrame, labels: int | None = None) -> pd.Series:
    """Of each agent of `labels_needed` `64% [58%, 71%]`, or, of so many labels, `640 of 1,000 [580, 710]`."""

    def said(share: float) -> str:
        if np.isnan(share):
            return "-"
        if labels is None:
            return f"{share:.0%}" if np.isfinite(share) else "> 100%"
        return f"{share * labels:,.0f}" if np.isfinite(share) else f"> {labels:,}"

    lines = {}
    for agent, line in needed.iterrows():
        of = f" of {labels:,}" if labels is not None and np.isfinite(line["value"]) else ""
        low_high = "" if np.isnan(line["low"]) else f" [{said(line['low'])}, {said(line['high'])}]"
        lines[agent] = said(line["value"]) + of + low_high
    return pd.Series(lines, dtype=object)


#: Colours of agents that need fewer labels than random, as many as far as is seen, and more.
_BETTER, _ALIKE, _WORSE = "#0072B2", "#9A9A9A", "#D55E00"


def picture_of_labels(curves: pd.DataFrame, title: str = "", metric: str = "nll") -> Figure:
    """A bar for each agent, as long as its labels needed, with the interval: a panel for each task.

    Args:
        curves: of one variation and protocol, with random among the agents.
    """
    tasks = [
        (dict(zip(TASK, task, strict=True)), needed)
        for task, of_task in curves.groupby(TASK, observed=True)
        if len(
            needed := labels_needed(of_task, metric)
            .drop(index="random", errors="ignore")
            .dropna(subset="value")
        )
    ]
    across = min(3, len(tasks))
    down = -(-len(tasks) // across)
    longest = max(len(needed) for _, needed in tasks)
    size = (4.2 * across, (1.1 + 0.2 * longest) * down + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).flat
    for (task, needed), panel in zip(tasks, panels, strict=False):
        needed = needed.sort_values(["value", "high"])
        lengths = needed["value"].clip(upper=1.0)
        colours = [_colour(line) for _, line in needed.iterrows()]
        places = np.arange(len(needed))
        panel.barh(places, lengths, color=colours, height=0.75)
        panel.hlines(
            places, needed["low"].clip(upper=1), needed["high"].clip(upper=1), color="black", linewidth=1
        )
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
    label = METRICS[metric].label
    figure.suptitle(f"Labels with which agents reach the {label} that random has with all of them\n{title}")
    names = {_BETTER: "fewer than all", _ALIKE: "no difference seen", _WORSE: "more, or never"}
    handles = [Patch(color=colour, label=name) for colour, name in names.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _colour(line: pd.Series) -> str:
    if line["high"] < 1:
        return _BETTER
    return _WORSE if line["low"] > 1 else _ALIKE
