"""Leaderboards: the agents of each task, and over several tasks, as tables.

The main metrics are the study's, NLL and MAE; the agents' registered names are the index. `areas` are tables
of `load.areas`, `curves` those of `load.Results`.
"""

from collections.abc import Collection, Iterator
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
    "Rank and AUC (area under the learning curve) are means over the runs that all agents here have; "
    "`ranked` says how many, where some have more. An agent without any of them has no rank, and the AUC of "
    "its own runs. Less random: mean difference to the area of random's run of the same id, from five runs "
    "on with Student's 95 % interval; won / tied / lost: in how many of these runs. Lower is better; the "
    "best NLL rank comes first. "
) + NEEDED_NOTE
OVER_NOTE = (
    "Only agents that are in every one of these tasks. Rank: a block is a run that all of them have, so a "
    "task counts by its number of runs. Less random: as in one task (MAE: in % of random's mean), each task "
    "counting alike. P: probability that a run is better than one of random, mean over the tasks, with the "
    "95 % interval of the stratified bootstrap where each task has five or more runs. "
) + NEEDED_NOTE
PROBABILITY_NOTE = (
    "Probability that a run of yours has a lower area than one of the other agent, mean over the tasks that "
    "both have, with its 95 % interval of the stratified bootstrap where they have five or more runs of the "
    "same ids in each."
)
_NAMES = {metric: METRICS[metric].label for metric in MAIN}


def leaderboard(areas: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The agents of one task as `BOARD_NOTE` describes them, a row each, the best mean rank of the NLL first.

    Args:
        areas, curves: of that task.
    """
    runs = areas.groupby("agent", observed=True)["run"].nunique().rename(index=str)
    columns: dict[str, pd.Series] = {"runs": runs}
    labels = int(curves["labelled"].max())
    for metric, name in _NAMES.items():
        ranked = statistics.blocks(areas, metric).table.rename(columns=str)
        of_metric = areas[areas["metric"] == metric].astype({"agent": str})
        means = of_metric.groupby("agent")["area"].mean()
        means.update(ranked.mean())
        columns.setdefault("ranked", ranked.count().reindex(runs.index, fill_value=0))
        columns[f"rank {name}"] = ranked.rank(axis=1).mean()
        columns[f"AUC {name}"] = means
        columns[f"{name} less random"] = _in_words(statistics.beside(areas, metric), "+.3f")
        won = statistics.wins(areas, metric).astype(str)
        columns[f"{name} won / tied / lost"] = won["won"] + " / " + won["tied"] + " / " + won["lost"]
        columns[f"labels needed {name}"] = needed_in_words(statistics.labels_needed(curves, metric), labels)
    if len(runs) == 1 or (columns["ranked"] == runs).all():
        del columns["ranked"]
    table = pd.DataFrame(columns).sort_values([*(f"rank {name}" for name in _NAMES.values()), "AUC NLL"])
    shown = {name: table[name].map("{:.4g}".format) for name in table if name.startswith("AUC")}
    return table.assign(**shown)


def probabilities(areas: pd.DataFrame, own: Collection[str]) -> pd.DataFrame:
    """How probably a run of your own agents is better than one of each other agent, over all tasks.

    Returns:
        A row for each other agent, a column for each own agent and main metric: `0.75 [0.55, 0.92]`.
    """
    others = [str(agent) for agent in areas["agent"].unique() if agent not in own]
    columns = {
        f"{agent_label(agent)}, {name}": {
            other: in_words(
                statistics.probability_of_improvement(areas[areas["metric"] == metric], agent, other), ".2f"
            )
            for other in others
        }
        for agent in own
        for metric, name in _NAMES.items()
    }
    return pd.DataFrame(columns, index=others)


def over_tasks(areas: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The agents that are in every task, a row each, as `OVER_NOTE` describes them; the best NLL rank first.

    Args:
        curves: of these tasks, and of others.
    """
    curves = curves.merge(areas[TASK].drop_duplicates(), on=TASK)
    tables = [statistics.blocks(areas, metric).table.rename(columns=str) for metric in MAIN]
    agents = [agent for agent in tables[0] if agent in tables[1]]
    areas = areas[areas["agent"].isin(agents)]
    columns: dict[str, Any] = {}
    for (metric, name), table in zip(_NAMES.items(), tables, strict=True):
        columns[f"rank {name}"] = table[agents].rank(axis=1).mean()
        share = RATIO[metric]
        found = statistics.beside(areas, metric, share=share)
        columns[f"{name} less random"] = _in_words(found, "+.1%" if share else "+.3f")
        of_metric = areas[areas["metric"] == metric]
        columns[f"P({name} < random)"] = {
            agent: in_words(statistics.probability_of_improvement(of_metric, agent, "random"), ".2f")
            for agent in agents
            if agent != "random"
        }
        columns[f"labels needed {name}"] = needed_in_words(statistics.labels_needed(curves, metric))
    return pd.DataFrame(columns, index=agents).sort_values([f"rank {name}" for name in _NAMES.values()])


def rankings(areas: pd.DataFrame, curves: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Over which tasks, and the table of `over_tasks`: over those of each query size, then over all.

    Few agents may be in all tasks, more in those of one query size. A task of one agent does not count. A
    size with one task is left out, one that is the only one is all, and tasks that have no agent in common
    have no table.
    """
    areas = areas[areas.groupby(TASK, observed=True)["agent"].transform("nunique") > 1]
    sizes = areas[TASK].drop_duplicates().groupby("query_size").size()
    which = {
        f"{count} tasks of query size {size}": areas[areas["query_size"] == size]
        for size, count in sizes.items()
        if 1 < count < sizes.sum()
    }
    which[f"all {sizes.sum()} tasks" if sizes.sum() > 1 else ONE_TASK] = areas
    for name, part in which.items():
        if len(table := over_tasks(part, curves)):
            yield name, table


def _in_words(found: pd.DataFrame, form: str) -> pd.Series:
    """The estimates of `statistics.beside` in words."""
    columns = found[list(statistics.Estimate._fields)].itertuples(index=False, name=None)
    return pd.Series(
        [in_words(statistics.Estimate(*line), form) for line in columns], found.index, dtype=object
    )


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
