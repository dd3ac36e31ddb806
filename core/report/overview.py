"""The README of a store, in the form of a leaderboard, and its pictures."""

from collections.abc import Iterator, Mapping

import pandas as pd
from matplotlib.figure import Figure

from ..agent import AGENTS
from ..metrics import METRICS
from .aggregates import mean_difference, paired_differences
from .analysis import select
from .labels import agent_label, dataset_label, setting_label, task_label
from .leaderboard import (
    BOARD_NOTE,
    MAIN,
    ONE_TASK,
    OVER_NOTE,
    beside_random,
    groups,
    in_words,
    leaderboard,
    picture,
    rankings,
)
from .markdown import markdown
from .reader import TASK, Results, spans
from .saved import labels_needed, needed_in_words, picture_of_labels
from .sections import TRAINED_NOTE, trained_means
from .store import SCHEMA, Key, Stored

__all__ = ["pictures", "readme"]

_SETTING = ["variation", "protocol"]
_DROPPED = "random+dropout05"

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
    """By file name, two for each variation and protocol that has random and another agent."""
    made = {}
    for keys, part in groups(found.areas, _SETTING):
        if part["agent"].nunique() > 1 and "random" in set(part["agent"]):
            name = _setting_name(keys)
            made[f"leaderboard_{name}.png"] = picture(part, setting_label(keys))
            made[f"labels_{name}.png"] = picture_of_labels(select(found.curves, keys), setting_label(keys))
    return made


def readme(found: Results, stored: Mapping[Key, Stored]) -> str:
    """The whole text, Markdown."""
    parts = [_HEAD, "## Which agents beat random", _VERDICT_NOTE, markdown(_verdicts(found))]
    if len(dropped := _with_dropout(found)):
        parts += ["## Dropout in training", _DROPOUT_NOTE, markdown(dropped)]
    if len(trained := trained_means(found)):
        parts += ["## Is it trained?", TRAINED_NOTE, markdown(trained.reset_index())]
    parts += ["## What is there", markdown(_contents(found)), "## Made by", markdown(_makers(stored))]
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
        if (name := f"labels_{_setting_name(keys)}.png") in drawn:
            parts.append(f"![{setting_label(keys)}: labels needed for the NLL that random ends with]({name})")
        over = [(name, table) for name, table in rankings(part, found.curves) if name != ONE_TASK]
        for i, (name, table) in enumerate(over):
            parts += [f"### Over {name}", *[OVER_NOTE] * (i == 0), markdown(_named(table))]
        for i, (task, of_task) in enumerate(groups(part, TASK)):
            size = f"query size {task['query_size']}"
            parts.append(f"### {dataset_label(str(task['dataset']))}, {size}")
            parts += [BOARD_NOTE] * (i == 0) + [
                markdown(_named(leaderboard(of_task, select(found.curves, task))))
            ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


_VERDICT_NOTE = """Better: the mean difference to the area of `random`'s run of the same id lies below zero
with all of Student's 95 % interval; worse: above it. Each task counts alike. Nothing is corrected for the
number of agents: by chance alone one in forty would be called better. In brackets: the share of all labels
with which the agent reaches what `random` has with all of them."""


def _verdicts(found: Results) -> pd.DataFrame:
    """Who is better than random and who is worse: a row a task, and the tasks of one query size together."""
    lines = []
    for keys, part in groups(found.areas, _SETTING):
        curves = select(found.curves, keys)
        for size, of_size in part.groupby("query_size"):
            of_curves = curves[curves["query_size"] == size]
            tasks = list(groups(of_size, TASK))
            over = [(f"all {len(tasks)}", of_size, of_curves)] if len(tasks) > 1 else []
            each = [(dataset_label(str(task["dataset"])), of, select(of_curves, task)) for task, of in tasks]
            for name, of, its_curves in over + each:
                line = {"setting": f"{setting_label(keys)}, query size {size}", "task": name}
                lines += [line | verdict for verdict in _verdict(of, its_curves)]
    return pd.DataFrame(lines)


def _verdict(areas: pd.DataFrame, curves: pd.DataFrame) -> Iterator[dict[str, str]]:
    """By each main metric: agents that are in every task of these, in three groups."""
    for metric in MAIN:
        found = beside_random(areas, metric)
        words = needed_in_words(labels_needed(curves, metric)).str.split(" [", regex=False).str[0]
        parts = {
            "better": found[found["high"] < 0],
            "worse": found[found["low"] > 0],
            "no difference seen": found[(found["low"] <= 0) & (found["high"] >= 0)],
        }
        if len(found):
            yield {"by": METRICS[metric].label} | {
                name: ", ".join(f"{agent_label(agent)} ({words[agent]})" for agent in part.index) or "none"
                for name, part in parts.items()
            }


_DROPOUT_NOTE = """BALD, BALSA and NFlows-Out raise the model's dropout to 0.05 in training, too. A
model trained likewise is what `random+dropout05` has: 'less random' is what an agent is worth with its
training, 'less random+dropout05' what its choices are worth. The duals train as `random` does. AUC of NLL,
mean over the tasks with Student's 95 % interval; negative is better."""


def _with_dropout(found: Results) -> pd.DataFrame:
    """Agents that train with more dropout, and the duals, beside those that train likewise."""
    lines = []
    for keys, part in groups(found.areas, ["variation", "protocol", "query_size"]):
        agents = list(map(str, part["agent"].unique()))
        if _DROPPED not in agents:
            continue
        for agent in agents:
            dual = agent.endswith("_dual")
            known = agent.partition("+")[0] in AGENTS.classes  # not all that is stored must be
            trained = known and AGENTS[agent].dropout is not None
            if not (dual or trained):
                continue
            line = {"setting": task_label(keys), "agent": agent_label(agent), "less random": "random"}
            line["less random+dropout05"] = _DROPPED if trained and agent != _DROPPED else ""
            line["dual less its namesake"] = agent.removesuffix("_dual") if dual else ""
            pairs = {name: other for name, other in line.items() if "less" in name}
            lines.append(line | {name: _less(part, agent, other) for name, other in pairs.items()})
    return pd.DataFrame(lines)


def _less(areas: pd.DataFrame, agent: str, other: str) -> str:
    """An agent's area of the NLL less another's, in words; nothing where there is no other."""
    differences = paired_differences(areas, "nll", other, share=False) if other else areas.iloc[:0]
    differences = differences[differences["agent"] == agent]
    if differences.empty:
        return ""
    return in_words(mean_difference(differences), "+.3f")


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
