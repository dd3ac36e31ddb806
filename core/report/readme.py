"""The README of a store, its pictures, and tables in Markdown."""

from collections.abc import Collection, Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from ..agent import AGENTS
from ..errors import UserError
from ..files import write_file
from ..metrics import METRICS
from . import leaderboard as boards
from . import plots
from .labels import agent_label, readable, setting_label, spans, task_label
from .load import TASK, Results, groups, select
from .sections import TRAINED_NOTE, trained_means
from .statistics import Estimate, beside, labels_needed
from .store import SCHEMA


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


def write_between(page: Path, first: str, last: str, text: str) -> None:
    """Writes a page anew with other text between two lines of it.

    Raises:
        UserError: the page lacks one of the lines, or is not text.
    """
    try:
        whole = page.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{page} is no UTF-8 text ({error.reason} at byte {error.start})") from error
    before, found, rest = whole.partition(first)
    _, ended, after = rest.partition(last)
    if not (found and ended):
        raise UserError(f"{page} lacks the line '{first}', or '{last}' behind it")
    whole = f"{before}{first}\n\n{text.strip()}\n\n{last}{after}"
    write_file(page, lambda beside: beside.write_text(whole, encoding="utf-8"))


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
_VERDICT_NOTE = """Better: the mean difference to the area of `random`'s run of the same id lies below zero
with all of Student's 95 % interval; worse: above it. Each task counts alike. Nothing is corrected for the
number of agents: by chance alone one in forty would be called better. In brackets: the share of all labels
with which the agent reaches what `random` has with all of them."""
_DROPOUT_NOTE = """BALD, BALSA and NFlows-Out raise the model's dropout to 0.05 in training, too. A
model trained likewise is what `random+dropout05` has: 'less random' is what an agent is worth with its
training, 'less random+dropout05' what its choices are worth. The duals train as `random` does. AUC of NLL,
mean over the tasks with Student's 95 % interval; negative is better."""


def store_pictures(found: Results) -> dict[str, Figure]:
    """By file name, two for each variation and protocol that has random and another agent."""
    made = {}
    for keys, part in groups(found.areas, _SETTING):
        if part["agent"].nunique() > 1 and "random" in set(part["agent"]):
            name, title = "_".join(keys.values()), setting_label(keys)
            made[f"leaderboard_{name}.png"] = plots.leaderboard(part, boards.MAIN[0], title)
            made[f"labels_{name}.png"] = plots.labels_saved(select(found.curves, keys), title)
    return made


def store_readme(found: Results, pictures: Collection[str]) -> str:
    """The README of a store, Markdown.

    Args:
        pictures: the names of those that are beside it.
    """
    parts = [_HEAD, "## Which agents beat random", _VERDICT_NOTE, markdown(_verdicts(found))]
    if len(dropped := _with_dropout(found)):
        parts += ["## Dropout in training", _DROPOUT_NOTE, markdown(dropped)]
    if len(trained := trained_means(found)):
        parts += ["## Is it trained?", TRAINED_NOTE, markdown(trained.reset_index())]
    parts += ["## What is there", markdown(_contents(found))]
    for keys, part in groups(found.areas, _SETTING):
        setting, name = setting_label(keys), "_".join(keys.values())
        parts.append(f"## {setting}")
        if f"leaderboard_{name}.png" in pictures:
            parts.append(f"![{setting}: NLL beside random](leaderboard_{name}.png)")
        if f"labels_{name}.png" in pictures:
            parts.append(f"![{setting}: labels needed for the NLL that random ends with](labels_{name}.png)")
        over = [
            (which, table) for which, table in boards.rankings(part, found.curves) if which != boards.ONE_TASK
        ]
        for i, (which, table) in enumerate(over):
            parts += [f"### Over {which}", *[boards.OVER_NOTE] * (i == 0), markdown(_with_agents(table))]
        for i, (task, of_task) in enumerate(groups(part, TASK)):
            board = boards.leaderboard(of_task, select(found.curves, task))
            parts.append(f"### {readable(task['dataset'])}, query size {task['query_size']}")
            parts += [*[boards.BOARD_NOTE] * (i == 0), markdown(_with_agents(board))]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _with_agents(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(index=agent_label).rename_axis("agent").reset_index()


def _verdicts(found: Results) -> pd.DataFrame:
    """Who is better than random and who is worse: a row a task, and the tasks of one query size together."""
    lines = []
    for keys, part in groups(found.areas, [*_SETTING, "query_size"]):
        tasks = [
            (readable(task["dataset"]), of_task, select(found.curves, task))
            for task, of_task in groups(part, TASK)
            if of_task["agent"].nunique() > 1  # one agent alone is compared with nothing
        ]
        if len(tasks) > 1:
            _, *both = zip(*tasks, strict=True)
            tasks.insert(0, (f"all {len(tasks)}", *map(pd.concat, both)))
        for name, of_task, of_curves in tasks:
            line = {"setting": f"{setting_label(keys)}, query size {keys['query_size']}", "task": name}
            lines += [line | verdict for verdict in _verdict(of_task, of_curves)]
    return pd.DataFrame(lines)


def _verdict(areas: pd.DataFrame, curves: pd.DataFrame) -> Iterator[dict[str, str]]:
    """By each main metric: agents that are in every task of these, in three groups."""
    for metric in boards.MAIN:
        found = beside(areas, metric, share=boards.RATIO[metric])
        words = boards.needed_in_words(labels_needed(curves, metric)).str.split(" [", regex=False).str[0]
        names = {"better": "better", "worse": "worse", "same": "no difference seen"}
        if found["verdict"].isin(list(names)).any():
            line = {"by": METRICS[metric].label}
            for verdict, said in names.items():
                agents = found.index[found["verdict"] == verdict]
                line[said] = ", ".join(f"{agent_label(name)} ({words[name]})" for name in agents) or "none"
            yield line


def _with_dropout(found: Results) -> pd.DataFrame:
    """Agents that train with more dropout, and the duals, beside those that train likewise."""
    lines = []
    for keys, part in groups(found.areas, [*_SETTING, "query_size"]):
        agents = list(map(str, part["agent"].unique()))
        for agent in agents if _DROPPED in agents else ():
            dual = agent.endswith("_dual")
            known = agent.partition("+")[0] in AGENTS.classes  # not all that is stored must be
            trained = known and AGENTS[agent].dropout is not None
            others = {
                "less random": "random",
                "less random+dropout05": _DROPPED * (trained and agent != _DROPPED),
                "dual less its namesake": agent.removesuffix("_dual") * dual,
            }
            line = {"setting": task_label(keys), "agent": agent_label(agent)}
            for name, other in others.items():
                of_two = beside(part[part["agent"].isin([agent, other])], "nll", other)
                estimates = map(Estimate._make, of_two[list(Estimate._fields)].to_numpy())
                line[name] = " ".join(boards.in_words(estimate, "+.3f") for estimate in estimates)
            if dual or trained:
                lines.append(line)
    return pd.DataFrame(lines)


def _contents(found: Results) -> pd.DataFrame:
    """One row a task."""
    lines = []
    for task, runs in groups(found.runs, TASK):
        hours = runs[["seconds_choosing", "seconds_in_step"]].to_numpy().sum() / 3600
        line = {name.replace("_", " "): value for name, value in task.items()}
        line |= {"agents": runs["agent"].nunique(), "run ids": spans(runs["run"]), "runs": len(runs)}
        lines.append(line | {"core-hours": f"{hours:.1f}"})
    return pd.DataFrame(lines)
