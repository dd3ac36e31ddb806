"""The agents of a runs folder beside those of the store: what there is to compare, what lacks, what differs.

Everything takes the tables of `load_results(runs_folder, store)`.
"""

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .analysis import select
from .labels import OWN
from .reader import EXPERIMENT, TASK, Results, levels_at, numbered, spans
from .store import differences

__all__ = ["OF_AN_AGENT", "comparable", "lacking", "own_agents", "reference", "unlike_settings"]

#: Settings in which agents that are compared may differ: their own, and the name of the configuration's file.
OF_AN_AGENT = ("agent", "agent_version", "config", "dropout")


def own_agents(found: Results, task: dict[str, object] | None = None) -> list[str]:
    """One's own agents that can be compared, in one task of the store or in any."""
    wanted = task or {}
    own = (dict(zip(EXPERIMENT, keys, strict=True)) for keys in _own_experiments(found))
    return list(dict.fromkeys(str(keys["agent"]) for keys in own if wanted.items() <= keys.items()))


def comparable(found: Results) -> Results:
    """Only the tasks in which there is an own agent to compare, without runs of another definition."""
    own = set(_own_experiments(found))
    tasks = {keys[: len(TASK)] for keys in own}
    wanted = own | {keys for keys in _stored_experiments(found) if keys[: len(TASK)] in tasks}
    return found._replace(
        curves=_of(wanted, found.curves), pit=_of(wanted, found.pit), runs=_of(wanted, found.runs)
    )


def _stored_experiments(found: Results) -> dict[tuple[object, ...], None]:
    stored = found.runs.loc[found.runs["stored"].astype(bool), EXPERIMENT]
    return dict.fromkeys(stored.itertuples(index=False, name=None))


def _in_stored_tasks(found: Results) -> dict[tuple[object, ...], tuple[object, ...]]:
    """One's own experiments with finished runs in the store's tasks, each with a stored one of its task."""
    stored = _stored_experiments(found)
    tasks = {keys[: len(TASK)]: keys for keys in reversed(stored)}
    finished = found.runs[(found.runs["status"] == "finished") & ~found.runs["stored"].astype(bool)]
    own = dict.fromkeys(finished[EXPERIMENT].itertuples(index=False, name=None))
    return {
        keys: tasks[keys[: len(TASK)]] for keys in own if keys not in stored and keys[: len(TASK)] in tasks
    }


def _task_differences(found: Results, own: tuple[object, ...], other: tuple[object, ...]) -> dict[str, Any]:
    """The settings in which all that is compared must agree, and that differ."""
    differing = differences(found.settings[own], found.settings[other])
    return {name: values for name, values in differing.items() if name not in OF_AN_AGENT}


def _own_experiments(found: Results) -> list[tuple[object, ...]]:
    """Those of `_in_stored_tasks` that have the definition of their task."""
    return [own for own, other in _in_stored_tasks(found).items() if not _task_differences(found, own, other)]


def _of(experiments: set[tuple[object, ...]], table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table that are of these experiments."""
    number, levels = numbered(table, EXPERIMENT)
    there = np.unique(number)
    wanted = [keys in experiments for keys in zip(*levels_at(levels, there), strict=True)]
    return table[np.isin(number, there[wanted])]


def reference(found: Results) -> pd.DataFrame:
    """What the store has: one row a task, with the ids of all runs, and the agents' names as one text."""
    stored = found.runs[found.runs["stored"].astype(bool)]
    lines = []
    for task, runs in stored.groupby(TASK, observed=True):
        agents = list(dict.fromkeys(runs["agent"]))
        lines.append((*task, len(agents), spans(runs["run"]), ", ".join(map(str, agents))))
    return pd.DataFrame(lines, columns=[*TASK, "number", "runs", "agents"])


def lacking(found: Results, variations: dict[str, tuple[str, ...]], runs_folder: Path) -> pd.DataFrame:
    """The runs that one's own agents lack to be ranked in every task of the store.

    Args:
        variations: of each class of agents those that it can score; of one that is not named, all.
        runs_folder: where its runs are.

    Returns:
        One row an experiment: `EXPERIMENT`, `runs`, `finished` (how many there are), `command`.
    """
    own = [agent for agent in own_agents(found) if not agent.endswith(OWN)]
    stored = found.runs[found.runs["stored"].astype(bool)]
    finished = found.runs[found.runs["status"] == "finished"]
    there_too = "" if runs_folder == Path("runs") else f" --runs_folder {shlex.quote(str(runs_folder))}"
    lines = []
    for agent in own:
        for task, runs in stored.groupby(TASK, observed=True):
            keys = dict(zip(TASK, task, strict=True))
            if keys["variation"] not in variations.get(agent.partition("+")[0], (keys["variation"],)):
                continue
            there = set(select(finished, keys | {"agent": agent})["run"])
            lacks = sorted(set(runs["run"]) - there)
            if lacks:
                options = " ".join(f"--{name} {value}" for name, value in keys.items())
                span = f"--run_id {lacks[0]} --restarts {lacks[-1] - lacks[0] + 1}"
                command = f"python evaluate.py --agent {agent} {options} {span}{there_too}"
                lines.append((*task, agent, spans(lacks), len(there), command))
    return pd.DataFrame(lines, columns=[*EXPERIMENT, "runs", "finished", "command"])


def unlike_settings(found: Results) -> list[str]:
    """In which settings one's own runs differ from the stored ones, a line each.

    Runs of another definition than the stored ones of their task are not compared; those of a stored agent
    with other settings of the agent's own are compared as another agent.
    """
    lines: dict[str, None] = {}
    for own, other in _in_stored_tasks(found).items():
        where = ", ".join(str(part) for part in own)
        for name, (mine, theirs) in _task_differences(found, own, other).items():
            lines[f"{where}: not ranked: {name} is {mine}, but {theirs} in the stored runs"] = None
        namesake = (*own[:-1], str(own[-1]).removesuffix(OWN))
        if namesake in found.settings and namesake != own:
            for name, (mine, theirs) in differences(found.settings[own], found.settings[namesake]).items():
                if name in OF_AN_AGENT and name not in ("agent", "config"):
                    lines[f"{where}: {name} is {mine}, but {theirs} in the stored runs"] = None
    return list(lines)
