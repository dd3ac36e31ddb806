"""The agents of a runs folder beside those of the store: what there is to compare, what lacks, what differs.

Everything takes the tables of `load_results(runs_folder, store)`.
"""

import shlex
from pathlib import Path

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
    """The agents with finished runs where the store has none of theirs, in one of its tasks or in all."""
    wanted = task or {}
    own = (dict(zip(EXPERIMENT, keys, strict=True)) for keys in _own_experiments(found.runs))
    return list(dict.fromkeys(str(keys["agent"]) for keys in own if wanted.items() <= keys.items()))


def comparable(found: Results) -> Results:
    """Only the tasks in which there is an own agent to compare."""
    tasks = {keys[: len(TASK)] for keys in _own_experiments(found.runs)}
    return found._replace(
        curves=_of(tasks, found.curves), pit=_of(tasks, found.pit), runs=_of(tasks, found.runs)
    )


def _own_experiments(runs: pd.DataFrame) -> list[tuple[object, ...]]:
    """Those with finished runs in the folder, of tasks that the store has, which the store does not have."""
    runs = runs[runs["status"] == "finished"]
    stored = runs["stored"].astype(bool)
    theirs = set(runs.loc[stored, EXPERIMENT].itertuples(index=False, name=None))
    tasks = {keys[: len(TASK)] for keys in theirs}
    ours = dict.fromkeys(runs.loc[~stored, EXPERIMENT].itertuples(index=False, name=None))
    return [keys for keys in ours if keys not in theirs and keys[: len(TASK)] in tasks]


def _of(tasks: set[tuple[object, ...]], table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table that are of these tasks."""
    number, levels = numbered(table, TASK)
    there = np.unique(number)
    wanted = [task in tasks for task in zip(*levels_at(levels, there), strict=True)]
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
    """In which settings one's own runs differ from the stored ones of their tasks, a line each."""
    found = comparable(found)
    experiments = found.runs[[*EXPERIMENT, "stored"]].drop_duplicates().itertuples(index=False, name=None)
    stored: dict[tuple[object, ...], list[tuple[object, ...]]] = {}
    own: list[tuple[object, ...]] = []
    for *keys, is_stored in experiments:
        if is_stored:
            stored.setdefault(tuple(keys[:-1]), []).append(tuple(keys))
        else:
            own.append(tuple(keys))
    lines: dict[str, None] = {}
    for key in own:
        for other in stored[key[:-1]]:
            same = str(key[-1]).removesuffix(OWN) == other[-1]
            for name, (mine, theirs) in differences(found.settings[key], found.settings[other]).items():
                if name not in OF_AN_AGENT or (same and name not in ("agent", "config")):
                    where = ", ".join(str(part) for part in key)
                    lines[f"{where}: {name} is {mine}, in the stored runs {theirs}"] = None
    return list(lines)
