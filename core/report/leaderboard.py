"""Leaderboards: the agents of each task, and over several tasks, as tables and as a picture.

The main metrics are the study's, NLL and MAE. An agent's name for people stands in the tables.
"""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..metrics import METRICS
from .aggregates import (
    Estimate,
    common_runs,
    improvability,
    interquartile_mean,
    mean_difference,
    paired_differences,
    probability_of_improvement,
    task_blocks,
)
from .analysis import INTERVAL_RUNS, blocks, interval, ranks, summary, wins
from .labels import agent_label, task_label
from .reader import TASK, levels_at, numbered
from .saved import NEEDED_NOTE, labels_needed, needed_in_words
from .styles import COLOURS

__all__ = [
    "BEATS_NOTE",
    "BOARD_NOTE",
    "MAIN",
    "ONE_TASK",
    "OVER_NOTE",
    "PROBABILITY_NOTE",
    "RATIO",
    "beats",
    "beside_random",
    "groups",
    "in_words",
    "leaderboard",
    "over_tasks",
    "picture",
    "probabilities",
    "rankings",
]

#: The metric that ranks first.
MAIN = ("nll", "mae")
#: What `rankings` calls a task that is the only one.
ONE_TASK = "one task"
#: What stands under the tables of `leaderboard`, `beats`, `over_tasks`, `probabilities`.
BOARD_NOTE = (
    "Rank and AUC (area under the curve, from five runs on with its 95 % bootstrap interval) are means over "
    "the runs that all agents here have; `ranked` says how many, where some have more. An agent without any "
    "of them has no rank, and the AUC of its own runs. Against random: runs won / tied / lost, by run id. "
    "Lower is better; the best NLL rank comes first. "
) + NEEDED_NOTE
BEATS_NOTE = "Own runs with a lower area than the run of the same id of each other agent."
OVER_NOTE = (
    "Only agents that are in every one of these tasks, and runs that all of them have. Rank (runs): a block "
    "is a run of a task, the published way; rank (tasks): runs averaged first, a block is a task. IQM: "
    "interquartile mean of all runs' areas less that of random's run of the same id (MAE: in % of random's "
    "mean). In rank (runs) and IQM a task counts by its number of runs. P: probability that a run is better "
    "than one of random, over the tasks. Intervals: stratified bootstrap, 95 %, where each task has five or "
    "more runs. Improvability: 1 - best / own, mean over the tasks. "
) + NEEDED_NOTE
PROBABILITY_NOTE = (
    "Probability that an own run has a lower area than one of the other agent, mean over the tasks that both "
    "have, with its 95 % interval of the stratified bootstrap where they have five or more runs of the same "
    "ids in each."
)
#: Metrics that have a zero: areas may be divided.
RATIO = {"nll": False, "mae": True}
_NAMES = {metric: METRICS[metric].label for metric in MAIN}


def groups(table: pd.DataFrame, names: list[str]) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """The parts of a table that have the same values in some columns, and these values."""
    number, levels = numbered(table, names)
    present = np.unique(number)
    for one, values in zip(present, zip(*levels_at(levels, present), strict=True), strict=True):
        yield dict(zip(names, values, strict=True)), table[number == one]


def leaderboard(areas: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The agents of one task, the best mean rank of the NLL first.

    Args:
        areas: of one task, as of `core.report.analysis.areas`.
        curves: of that task.

    Returns:
        One row an agent: finished runs, and, where these are not all, how many of them are ranked; for each
        main metric the mean rank and the mean area with its 95 % interval over the runs that all agents have
        (`blocks`; one that is left out there has no rank, and the area of its own runs), runs won / tied /
        lost against random of the same id, and how many labels it needs to be as good as random is with all.
    """
    runs = areas.groupby("agent", observed=True)["run"].nunique()
    columns: dict[str, pd.Series] = {"runs": runs}
    for metric, name in _NAMES.items():
        ranked = blocks(areas, metric).table
        columns.setdefault("ranked", ranked.count().reindex(runs.index, fill_value=0))
        columns[f"rank {name}"] = ranks(ranked).mean()
        every = areas[areas["metric"] == metric].set_index(["run", "agent"])["area"].unstack()
        values = {agent: ranked.get(agent, every[agent].dropna()) for agent in every}
        columns[f"AUC {name}"] = pd.Series({agent: of.mean() for agent, of in values.items()})
        columns[f"AUC {name} [95 %]"] = pd.Series({agent: _with_interval(of) for agent, of in values.items()})
    if len(runs) == 1 or (columns["ranked"] == runs).all():
        del columns["ranked"]
    for metric, name in _NAMES.items():
        won = wins(areas, metric).set_index("agent")
        text = [f"{a} / {b} / {c}" for a, b, c in won[["win", "tie", "loss"]].itertuples(index=False)]
        columns[f"against random {name}"] = pd.Series(text, won.index, dtype=object)
        labels = int(curves["labelled"].max())
        columns[f"labels needed {name}"] = needed_in_words(labels_needed(curves, metric), labels)
    table = pd.DataFrame({name: column.rename(index=str) for name, column in columns.items()})
    by = [*(f"rank {name}" for name in _NAMES.values()), f"AUC {_NAMES['nll']}"]
    return table.sort_values(by).drop(columns=[f"AUC {name}" for name in _NAMES.values()])


def _with_interval(values: pd.Series) -> str:
    low, high = interval(values)
    text = f"{values.mean():.4f}"
    return text if np.isnan(low) else f"{text} [{low:.4f}, {high:.4f}]"


def beats(areas: pd.DataFrame, own: Collection[str]) -> pd.DataFrame:
    """How often one's own agents have a lower area than each other agent, of the runs of the same id.

    Args:
        areas: of one task.

    Returns:
        A row for each other agent, a column for each own agent and main metric: `24 / 30`.
    """
    columns = {}
    others = [str(agent) for agent in areas["agent"].unique() if agent not in own]
    for agent in own:
        for metric, name in _NAMES.items():
            cells = {}
            for other in others:
                pair = areas[areas["agent"].isin([agent, other])]
                won = wins(pair, metric, other)[["win", "tie", "loss"]].sum()
                cells[other] = f"{won['win']} / {won.sum()}" if won.sum() else "-"
            columns[f"{agent_label(agent)}, {name}"] = cells
    return pd.DataFrame(columns, index=others)


def over_tasks(areas: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The agents that are in every task, over all of these, the best mean rank of the NLL over runs first.

    Args:
        curves: of these tasks, and of others.

    Returns:
        One row an agent; for each main metric the mean rank over runs (the published way: a block is a run of
        a task), that over tasks (runs averaged first), the interquartile mean of the areas less those of
        random's runs of the same ids, the probability that a run is better than one of random, and the share
        of labels that it needs to be as good as random is with all, each with its 95 % interval; for MAE the
        improvability.
    """
    columns: dict[str, Any] = {}
    curves = curves.merge(areas[TASK].drop_duplicates(), on=TASK)
    by_task = {metric: task_blocks(areas, metric).table for metric in MAIN}
    agents = [str(agent) for agent in by_task["nll"].columns if agent in by_task["mae"].columns]
    there = common_runs(areas[areas["agent"].isin(agents)])
    together = there.groupby(TASK, observed=True)["agent"].transform("nunique") == len(agents)
    there = there[together]  # not the tasks that one of them has alone
    for metric, name in _NAMES.items():
        columns[f"rank {name} (runs)"] = ranks(blocks(there, metric).table).mean().rename(index=str)
        columns[f"rank {name} (tasks)"] = ranks(by_task[metric][agents]).mean().rename(index=str)
    for metric, name in _NAMES.items():
        of_metric = there[there["metric"] == metric]
        differences = paired_differences(there, metric, share=RATIO[metric])
        columns[f"IQM {name} - random"] = {
            str(agent): in_words(interquartile_mean(part), "+.1%" if RATIO[metric] else "+.3f")
            for agent, part in differences.groupby("agent", observed=True)
        }
        columns[f"P({name} < random)"] = {
            agent: in_words(probability_of_improvement(of_metric, agent, "random"), ".2f")
            for agent in agents
            if agent != "random"
        }
        columns[f"labels needed {name}"] = needed_in_words(labels_needed(curves, metric))
    columns["improvability MAE"] = (
        improvability(by_task["mae"][agents]).rename(index=str).map("{:.1%}".format, na_action="ignore")
    )
    table = pd.DataFrame(columns, index=agents)
    return table.sort_values([f"rank {name} ({of})" for name in _NAMES.values() for of in ("runs", "tasks")])


def rankings(areas: pd.DataFrame, curves: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Over which tasks, and the table of `over_tasks`: over those of each query size, then over all.

    Few agents may be in all tasks, more in those of one query size. A task of one agent does not count. A
    size with one task is left out, one that is the only one is all, and tasks that have no agent in common
    have no table.
    """
    areas = areas[areas.groupby(TASK, observed=True)["agent"].transform("nunique") > 1]
    sizes = areas[TASK].drop_duplicates()["query_size"].value_counts(sort=False).sort_index()
    which = {
        f"{count} tasks of query size {size}": areas[areas["query_size"] == size]
        for size, count in sizes.items()
        if 1 < count < sizes.sum()
    }
    which[f"all {sizes.sum()} tasks" if sizes.sum() > 1 else ONE_TASK] = areas
    for name, part in which.items():
        if len(table := over_tasks(part, curves)):
            yield name, table


def beside_random(areas: pd.DataFrame, metric: str) -> pd.DataFrame:
    """By how much each agent's area differs from that of random's run of the same id, best first.

    Returns:
        `value`, `low`, `high` (`mean_difference`; of the MAE as shares of random's) of each agent that has
        five runs or more in each of these tasks: it is better where `high` < 0, worse where `low` > 0.
    """
    differences = paired_differences(areas, metric, share=RATIO[metric])
    tasks = len(differences[TASK].drop_duplicates())
    found = {
        str(agent): mean_difference(part)._asdict()
        for agent, part in differences.groupby("agent", observed=True)
        if len(part[TASK].drop_duplicates()) == tasks
    }
    table = pd.DataFrame.from_dict(found, orient="index", columns=list(Estimate._fields))
    return table.dropna().sort_values("value")


def probabilities(areas: pd.DataFrame, own: Collection[str]) -> pd.DataFrame:
    """The probability that a run of one's own agents is better than one of each other agent, over all tasks.

    Returns:
        A row for each other agent, a column for each own agent and main metric, with 95 % intervals.
    """
    others = [str(agent) for agent in areas["agent"].unique() if agent not in own]
    columns = {}
    for agent in own:
        for metric, name in _NAMES.items():
            of_metric = areas[areas["metric"] == metric]
            columns[f"{agent_label(agent)}, {name}"] = {
                other: in_words(probability_of_improvement(of_metric, agent, other), ".2f")
                for other in others
            }
    return pd.DataFrame(columns, index=others)


def in_words(estimate: Estimate, form: str) -> str:
    """`-0.05 [-0.06, -0.03]`, or the number alone where there is no interval; `-` where there is none."""
    if np.isnan(estimate.value):
        return "-"
    value, low, high = (format(number, form) for number in estimate)
    return value if np.isnan(estimate.low) else f"{value} [{low}, {high}]"


def picture(areas: pd.DataFrame, title: str = "") -> Figure:
    """How far the areas lie from those of random's run of the same id, for NLL and MAE: a dot for the mean of
    each task, with its 95 % bootstrap interval, or, of fewer than five runs, a faint dot for each.

    Agents are ordered by their mean rank over tasks by NLL; those that lack a task, or runs in common with
    the others, come last, paler.

    Args:
        areas: of one variation and protocol.
    """
    order = _order(areas)
    complete = set(map(str, task_blocks(areas, "nll").table.columns))
    figure = Figure(figsize=(11, 1.6 + 0.27 * len(order)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    tasks = list(groups(areas, TASK))
    for panel, metric in zip(panels, MAIN, strict=True):
        for i, (task, of_task) in enumerate(tasks):
            differences = paired_differences(of_task, metric, share=RATIO[metric])
            lines = summary(differences).set_index("agent").rename(index=str)
            shift = 0.6 * ((i + 0.5) / len(tasks) - 0.5)
            at = [order.index(agent) + shift for agent in lines.index]
            factor = 100 if RATIO[metric] else 1
            runs = differences.groupby("agent", observed=True)["run"].transform("size")
            few = differences[runs < INTERVAL_RUNS]
            colour, marker = COLOURS[i % len(COLOURS)], "os^Dv"[i // len(COLOURS) % 5]
            panel.hlines(at, factor * lines["low"], factor * lines["high"], color=colour, linewidth=1.2)
            places = [order.index(str(agent)) + shift for agent in few["agent"]]
            panel.scatter(factor * few["area"], places, s=4, color=colour, alpha=0.5, linewidths=0)
            label = task_label({name: task[name] for name in ("dataset", "query_size")})
            panel.plot(factor * lines["mean"], at, marker, color=colour, markersize=4, label=label)
        unit = "less random's, in % of it" if RATIO[metric] else "less random's"
        panel.set_xlabel(f"AUC of {METRICS[metric].label}, {unit} (left is better)", fontsize=9)
        panel.axvline(0, color="black", linewidth=0.8)
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(order)), [agent_label(agent) for agent in order], fontsize=9)
    for text, agent in zip(panels[0].get_yticklabels(), order, strict=True):
        text.set_color("black" if agent in complete else "#888888")
    panels[0].set_ylim(len(order) - 0.4, -0.6)
    figure.suptitle(title)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _order(areas: pd.DataFrame) -> list[str]:
    """Agents by mean rank over tasks, then those without one, by their mean share of agents beaten."""
    by_task = ranks(task_blocks(areas, "nll").table).mean().sort_values()
    means = areas[areas["metric"] == "nll"].groupby([*TASK, "agent"], observed=True)["area"].mean().unstack()
    rest = means.rank(axis=1, pct=True).mean().sort_values()
    return list(dict.fromkeys([*map(str, by_task.index), *map(str, rest.index)]))
