"""The README of a store, in the form of a leaderboard, and its pictures."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from .labels import agent_label, dataset_label, setting_label
from .leaderboard import BOARD_NOTE, ONE_TASK, OVER_NOTE, groups, leaderboard, picture, rankings
from .markdown import markdown
from .reader import TASK, Results, spans
from .store import SCHEMA, Key, Stored

__all__ = ["pictures", "readme"]

_SETTING = ["variation", "protocol"]

_HEAD = f"""# Reference runs

Made by `python store.py` from the files beside it; do not edit. `python compare.py --runs_folder runs` puts
agents of one's own among these, without running any of them (`docs/COMPARING.md`).

`<dataset>_<variation>_<protocol>.csv.gz` holds the curves: a row for each measurement of each run, a column
for each metric on the scaled target, with all digits of the run's own files. `.jsonl` holds the settings of
each experiment, and of each run commit, versions, machine, seconds and, but for the oldest, the PIT histogram
of its last round (`core/report/store.py`, schema {SCHEMA}). `python store.py --runs_folder runs` adds runs.
"""


def _setting_name(keys: Mapping[str, object]) -> str:
    return "_".join(str(keys[name]) for name in _SETTING)


def pictures(found: Results) -> dict[str, Figure]:
    """By file name, one for each variation and protocol that has random and another agent."""
    made = {}
    for keys, part in groups(found.areas, _SETTING):
        if part["agent"].nunique() > 1 and "random" in set(part["agent"]):
            made[f"leaderboard_{_setting_name(keys)}.png"] = picture(part, setting_label(keys))
    return made


def readme(found: Results, stored: Mapping[Key, Stored]) -> str:
    """The whole text, Markdown."""
    parts = [_HEAD, "## What is there", markdown(_contents(found)), "## Made by", markdown(_makers(stored))]
    drawn = pictures(found)
    for keys, part in groups(found.areas, _SETTING):
        parts.append(f"## {setting_label(keys)}")
        if (name := f"leaderboard_{_setting_name(keys)}.png") in drawn:
            said = "AUC beside that of random's run of the same id"
            parts.append(f"![{setting_label(keys)}: {said}]({name})")
            parts.append(
                f"{said}: mean and 95 % interval, or, of fewer than five runs, each of them. Grey: an agent "
                "that lacks a task, or runs in common with the others."
            )
        over = [(name, table) for name, table in rankings(part) if name != ONE_TASK]
        for i, (name, table) in enumerate(over):
            parts += [f"### Over {name}", *[OVER_NOTE] * (i == 0), markdown(_named(table))]
        for i, (task, of_task) in enumerate(groups(part, TASK)):
            size = f"query size {task['query_size']}"
            parts.append(f"### {dataset_label(str(task['dataset']))}, {size}")
            parts += [BOARD_NOTE] * (i == 0) + [markdown(_named(leaderboard(of_task)))]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _contents(found: Results) -> pd.DataFrame:
    """One row a task."""
    lines = []
    for task, runs in groups(found.runs, TASK):
        seconds = runs[["seconds_choosing", "seconds_in_step"]].to_numpy().sum()
        agents = runs["agent"].nunique()
        lines.append((*task.values(), agents, spans(runs["run"]), len(runs), f"{seconds / 3600:.1f}"))
    columns = [*(name.replace("_", " ") for name in TASK), "agents", "run ids", "runs", "core-hours"]
    return pd.DataFrame(lines, columns=columns)


def _makers(stored: Mapping[Key, Stored]) -> pd.DataFrame:
    """One row a commit and machine."""
    lines = [
        {
            "commit": notes["code"],
            "machine": notes.get("machine", "not noted"),
            "device": notes["device"],
            "Python, torch": f"{notes['python']}, {notes['torch']}",
        }
        for experiment in stored.values()
        for notes in experiment.notes.values()
    ]
    table = pd.DataFrame(lines)
    return table.groupby(list(table), sort=True).size().rename("runs").reset_index()


def _named(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(index=agent_label).rename_axis("agent").reset_index()
