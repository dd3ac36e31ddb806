"""Leaderboards: the agents of each task, and over several tasks, as tables.

The main metrics are the study's, NLL and MAE; the agents' registered names are the index. `areas` are tables
of `load.areas`, `curves` those of `load.Results`.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np
import pandas as pd

from ..metrics import METRICS
from . import statistics
from .labels import agent_label
from .load import TASK

#: The first one ranks first.
MAIN = ("nll", "mae")
#: Metrics that have a zero: areas may be divided.
RATIO = {"nll": False, "mae": True}
#: What `rankings` calls a task that is the only one.
ONE_TASK = "one task"
# The texts under the tables.
NEEDED_NOTE = (
    "Labels needed: the share of all labels with which an agent's mean curve first reaches what random has "
    "with all of them, over the runs that both have; in brackets the 95 % interval of the bootstrap over "
    "runs, from five runs on; > 100 % is never, - where random ends no better than it began. Random's own "
    "mean curve may be there before its end, too: that is noise."
)
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
_NAMES = {metric: METRICS[metric].label for metric in MAIN}


def leaderboard(areas: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The agents of one task as `BOARD_NOTE` describes them, a row each, the best mean rank of the NLL first.

    Args:
        areas, curves: of that task.
    """
    runs = areas.groupby("agent", observed=True)["run"].nunique()
    columns: dict[str, pd.Series] = {"runs": runs}
    means: dict[str, pd.Series] = {}
    for metric, name in _NAMES.items():
        ranked = statistics.blocks(areas, metric).table
        columns.setdefault("ranked", ranked.count().reindex(runs.index, fill_value=0))
        columns[f"rank {name}"] = ranked.rank(axis=1).mean()
        every = areas[areas["metric"] == metric].set_index(["run", "agent"])["area"].unstack()
        values = {agent: ranked.get(agent, every[agent].dropna()) for agent in every}
        area = {
            agent: statistics.Estimate(one.mean(), *statistics.interval(one)) for agent, one in values.items()
        }
        columns[f"AUC {name} [95 %]"] = pd.Series(
            {agent: in_words(one, ".4f") for agent, one in area.items()}
        )
        means[metric] = pd.Series({agent: one.value for agent, one in area.items()})
    if len(runs) == 1 or (columns["ranked"] == runs).all():
        del columns["ranked"]
    labels = int(curves["labelled"].max())
    for metric, name in _NAMES.items():
        columns[f"against random {name}"] = wins_in_words(statistics.wins(areas, metric).set_index("agent"))
        columns[f"labels needed {name}"] = needed_in_words(statistics.labels_needed(curves, metric), labels)
    table = pd.DataFrame({name: column.rename(index=str) for name, column in columns.items()})
    table["AUC"] = means["nll"].rename(index=str)
    return table.sort_values([*(f"rank {name}" for name in _NAMES.values()), "AUC"]).drop(columns="AUC")


def wins_in_words(won: pd.DataFrame) -> pd.Series:
    """`12 / 0 / 3` of the columns `win`, `tie`, `loss`."""
    texts = [f"{a} / {b} / {c}" for a, b, c in won[["win", "tie", "loss"]].itertuples(index=False)]
    return pd.Series(texts, won.index, dtype=object)


def beats(areas: pd.DataFrame, own: Collection[str]) -> pd.DataFrame:
    """In how many runs of a task your own agents have a lower area than the other's run of the same id.

    Returns:
        A row for each other agent, a column for each own agent and main metric: `24 / 30`.
    """

    def text(agent: str, metric: str, other: str) -> str:
        won = statistics.wins(areas[areas["agent"].isin([agent, other])], metric, other)[
            ["win", "tie", "loss"]
        ].sum()
        return f"{won['win']} / {won.sum()}" if won.sum() else "-"

    return _beside_others(areas, own, text)


def probabilities(areas: pd.DataFrame, own: Collection[str]) -> pd.DataFrame:
    """The same with the probability that a run is better than one of the other agent, over all tasks."""

    def text(agent: str, metric: str, other: str) -> str:
        return in_words(
            statistics.probability_of_improvement(areas[areas["metric"] == metric], agent, other), ".2f"
        )

    return _beside_others(areas, own, text)


def _beside_others(
    areas: pd.DataFrame, own: Collection[str], text: Callable[[str, str, str], str]
) -> pd.DataFrame:
    others = [str(agent) for agent in areas["agent"].unique() if agent not in own]
    columns = {
        f"{agent_label(agent)}, {name}": {other: text(agent, metric, other) for other in others}
        for agent in own
        for metric, name in _NAMES.items()
    }
    return pd.DataFrame(columns, index=others)


def over_tasks(areas: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The agents that are in every task, a row each, as `OVER_NOTE` describes them.

    The best mean rank of the NLL over runs comes first.

    Args:
        curves: of these tasks, and of others.
    """
    columns: dict[str, Any] = {}
    curves = curves.merge(areas[TASK].drop_duplicates(), on=TASK)
    by_task = {metric: statistics.task_blocks(areas, metric).table for metric in MAIN}
    agents = [str(agent) for agent in by_task["nll"].columns if agent in by_task["mae"].columns]
    there = statistics.common_runs(areas[areas["agent"].isin(agents)])
    in_task = there.groupby(TASK, observed=True)["agent"].transform("nunique")
    there = there[in_task == len(agents)]  # not the tasks that one of them has alone
    for metric, name in _NAMES.items():
        columns[f"rank {name} (runs)"] = (
            statistics.blocks(there, metric).table.rank(axis=1).mean().rename(index=str)
        )
        columns[f"rank {name} (tasks)"] = by_task[metric][agents].rank(axis=1).mean().rename(index=str)
    order = list(columns)
    for metric, name in _NAMES.items():
        of_metric = there[there["metric"] == metric]
        differences = statistics.paired_differences(there, metric, share=RATIO[metric])
        columns[f"IQM {name} - random"] = {
            str(agent): in_words(statistics.interquartile_mean(part), "+.1%" if RATIO[metric] else "+.3f")
            for agent, part in differences.groupby("agent", observed=True)
        }
        columns[f"P({name} < random)"] = {
            agent: in_words(statistics.probability_of_improvement(of_metric, agent, "random"), ".2f")
            for agent in agents
            if agent != "random"
        }
        columns[f"labels needed {name}"] = needed_in_words(statistics.labels_needed(curves, metric))
    columns["improvability MAE"] = (
        statistics.improvability(by_task["mae"][agents])
        .rename(index=str)
        .map("{:.1%}".format, na_action="ignore")
    )
    return pd.DataFrame(columns, index=agents).sort_values(order)


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


def agents_by_rank(areas: pd.DataFrame) -> list[str]:
    """Agents by mean rank over tasks by NLL, then those without one, by their mean share of agents beaten."""
    by_task = statistics.task_blocks(areas, "nll").table.rank(axis=1).mean().sort_values()
    means = areas[areas["metric"] == "nll"].groupby([*TASK, "agent"], observed=True)["area"].mean().unstack()
    rest = means.rank(axis=1, pct=True).mean().sort_values()
    return list(dict.fromkeys([*map(str, by_task.index), *map(str, rest.index)]))


def beside_random(areas: pd.DataFrame, metric: str) -> pd.DataFrame:
    """By how much each agent's area differs from that of random's run of the same id, best first.

    Returns:
        `value`, `low`, `high` (of the MAE as shares of random's), with Student's 95 % interval, of each agent
        that has five runs or more in each of these tasks: it is better where `high` < 0, worse where
        `low` > 0.
    """
    differences = statistics.paired_differences(areas, metric, share=RATIO[metric])
    tasks = len(differences[TASK].drop_duplicates())
    found = {
        str(agent): statistics.mean_difference(part)._asdict()
        for agent, part in differences.groupby("agent", observed=True)
        if len(part[TASK].drop_duplicates()) == tasks
    }
    table = pd.DataFrame.from_dict(found, orient="index", columns=list(statistics.Estimate._fields))
    return table.dropna().sort_values("value")


def in_words(estimate: statistics.Estimate, form: str) -> str:
    """`-0.05 [-0.06, -0.03]`, or the number alone where there is no interval; `-` where there is none."""
    if np.isnan(estimate.value):
        return "-"
    value, low, high = (format(number, form) for number in estimate)
    return value if np.isnan(estimate.low) else f"{value} [{low}, {high}]"


def needed_in_words(needed: pd.DataFrame, labels: int | None = None) -> pd.Series:
    """Of each agent of `labels_needed` `64% [58%, 71%]`, or, of so many labels, `640 of 1,000 [580, 710]`."""

    def text(share: float) -> str:
        if np.isnan(share):
            return "-"
        if labels is None:
            return f"{share:.0%}" if np.isfinite(share) else "> 100%"
        return f"{share * labels:,.0f}" if np.isfinite(share) else f"> {labels:,}"

    lines = {}
    for agent, line in needed.iterrows():
        of_all = f" of {labels:,}" if labels is not None and np.isfinite(line["value"]) else ""
        low_high = "" if np.isnan(line["low"]) else f" [{text(line['low'])}, {text(line['high'])}]"
        lines[agent] = text(line["value"]) + of_all + low_high
    return pd.Series(lines, dtype=object)
