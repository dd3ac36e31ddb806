"""The README of a store, its pictures, and tables in Markdown."""

from collections.abc import Collection, Iterable
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..agent import AGENTS
from ..metrics import METRICS
from . import leaderboard as boards
from . import plots
from .leaderboard import agent_label, comparisons, readable, task_label
from .load import TASK, Results, groups, select, spans
from .sections import TRAINED_NOTE, trained_means
from .statistics import versus
from .store import SCHEMA, SECONDS


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table; texts to the left, numbers to the right."""
    numeric = [pd.api.types.is_numeric_dtype(table[name]) for name in table]
    rule = ["--:" if right else "---" for right in numeric]
    lines = [[_cell(value) for value in line] for line in table.itertuples(index=False, name=None)]
    return "\n".join(f"| {' | '.join(line)} |" for line in ([*map(str, table)], rule, *lines))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.2f}"
    return str(value).replace("|", "\\|")


_SETTING = ["variation", "protocol"]
_DROPPED = "random+dropout05"
#: Kinds of pictures, and what they show.
_PICTURES = {
    "leaderboard": "NLL compared with random",
    "labels": "labels needed for the NLL that random ends with",
}
_HEAD = f"""# Reference runs

`python store.py` writes this page; do not edit it. `python compare.py --runs_folder runs` ranks your own
agents among these (`docs/COMPARING.md`).

`<dataset>_<variation>_<protocol>.csv.gz` holds the curves: a row for each measurement of each run, a column
for each metric on the scaled target, with all digits of the run's own files. `.jsonl` holds the settings of
each experiment, and for each run its commit, versions, machine, seconds and (except for the oldest) the PIT
histogram of its last round (`core/report/store.py`, schema {SCHEMA}). `python store.py --runs_folder runs`
adds runs.
"""
_VERDICT_NOTE = """Better: Student's 95 % interval of the mean difference to the area of `random`'s run of
the same id is below zero; worse: above. Each task counts alike. There is no correction for the number of
agents: one in forty would be called better by chance alone. In brackets: the share of all labels with which
the agent reaches what `random` has with all of them."""
_DROPOUT_NOTE = f"""BALD, BALSA and NFlows-Out raise the model's dropout to 0.05 in training, too.
`{_DROPPED}` trains its model the same way: 'minus random' is what an agent is worth with its training, 'minus
{_DROPPED}' what its choices are worth. The duals train as `random` does. AUC of NLL, mean over the tasks
with Student's 95 % interval; negative is better."""


def store_pictures(found: Results) -> dict[str, Figure]:
    """By file name, two for each variation and protocol that has random and another agent."""
    made = {}
    for keys, part in groups(found.areas, _SETTING):
        if part["agent"].nunique() > 1 and "random" in set(part["agent"]):
            name, title = "_".join(keys.values()), task_label(keys)
            made[f"leaderboard_{name}.png"] = plots.leaderboard(part, boards.MAIN[0], title)
            made[f"labels_{name}.png"] = plots.labels_saved(select(found.needed, keys), title)
    return made


def store_readme(found: Results, pictures: Collection[str]) -> str:
    """The README of a store, Markdown.

    Args:
        pictures: the names of those that are next to it.
    """
    compared = [*comparisons(found)]
    parts = [_HEAD, "## Which agents beat random", _VERDICT_NOTE, markdown(_verdicts(compared))]
    if len(dropped := _with_dropout(found)):
        parts += ["## Dropout in training", _DROPOUT_NOTE, markdown(dropped)]
    if len(trained := trained_means(found)):
        parts += ["## Is it trained?", TRAINED_NOTE, markdown(trained.reset_index())]
    parts += ["## What is there", markdown(_contents(found)), "## Leaderboards", boards.BOARD_NOTE]
    heading = ""
    for one in compared:
        keys = {name: one.task[name] for name in _SETTING}
        if heading != (heading := f"## {task_label(keys)}"):
            parts.append(heading)
            for kind, shows in _PICTURES.items():
                if (name := f"{kind}_{'_'.join(keys.values())}.png") in pictures:
                    parts.append(f"![{task_label(keys)}: {shows}]({name})")
        parts.append(f"### {readable(one.task['dataset'])}, query size {one.task['query_size']}")
        board = boards.leaderboard(one).rename(index=agent_label).rename_axis("agent")
        parts.append(markdown(board.reset_index()))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _verdicts(compared: Iterable[boards.Comparison]) -> pd.DataFrame:
    """Which agents are better than random and which are worse: a row a comparison and main metric."""
    lines, words = [], {"better": "better", "worse": "worse", "same": "no difference seen"}
    for (task, _, differences, needed), metric in product(compared, boards.MAIN):
        less = select(differences, {"metric": metric})
        reached = select(needed, {"metric": metric}).assign(low=np.nan)  # without the interval
        labels = boards.needed_in_words(reached, in_labels=False)
        line = {
            "setting": task_label({name: task[name] for name in (*_SETTING, "query_size")}),
            "task": readable(task["dataset"]),
            "by": METRICS[metric].label,
        }
        for verdict, said in words.items():
            agents = select(less, {"verdict": verdict})["agent"]
            line[said] = ", ".join(f"{agent_label(name)} ({labels[name]})" for name in agents) or "none"
        if less["verdict"].isin(list(words)).any():
            lines.append(line)
    return pd.DataFrame(lines)


def _with_dropout(found: Results) -> pd.DataFrame:
    """Agents that train with more dropout, and the duals, compared with those that train the same way."""
    lines = []
    for keys, part in groups(select(found.areas, {"metric": "nll"}), [*_SETTING, "query_size"]):
        agents = sorted(map(str, part["agent"].unique()))
        less = {other: _less(part, other) for other in ("random", _DROPPED) if _DROPPED in agents}
        for agent in agents if less else ():
            name = agent.partition("+")[0]  # not all that is stored must be known
            trained = name in AGENTS.classes and AGENTS[agent].dropout is not None
            if trained or agent.endswith("_dual"):
                namesake = agent.removesuffix("_dual") if agent.endswith("_dual") else ""
                of_two = part[part["agent"].isin([agent, namesake])]
                lines.append(
                    {
                        "setting": task_label(keys),
                        "agent": agent_label(agent),
                        "minus random": less["random"].get(agent, ""),
                        f"minus {_DROPPED}": less[_DROPPED].get(agent, "") if trained else "",
                        "dual minus its namesake": _less(of_two, namesake).get(agent, "") if namesake else "",
                    }
                )
    return pd.DataFrame(lines)


def _less(areas: pd.DataFrame, reference: str) -> pd.Series:
    """How far each agent is from another one, in words."""
    return boards.in_words(versus(areas, reference=reference).set_index("agent"), "+.3f")


def _contents(found: Results) -> pd.DataFrame:
    """One row a task."""
    hours = found.runs[SECONDS].sum(axis=1) / 3600
    columns: dict[str, Any] = {
        "agents": ("agent", "nunique"),
        "run ids": ("run", spans),
        "runs": ("run", "size"),
        "core-hours": ("hours", lambda hours: f"{hours.sum():.1f}"),
    }
    table = found.runs.assign(hours=hours).groupby(TASK, observed=True).agg(**columns)
    return table.reset_index().rename(columns={"query_size": "query size"})
