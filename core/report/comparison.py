"""Your own agents compared with the stored reference runs: as text for the terminal, and as an HTML page.

`found` is what `load_results(runs_folder, store)` returns.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from .leaderboard import BOARD_NOTE, agent_label, comparisons, leaderboard, runs_won, task_label
from .load import (
    EXPERIMENT,
    OWN,
    TASK,
    Results,
    distinct,
    groups,
    own_agents,
    own_experiments,
    select,
    sibling_roots,
)
from .page import explorer_page
from .store import OF_AN_AGENT, differences

#: With fewer runs the page says that an agent's place is mostly noise.
FEW = 10


def comparable(found: Results) -> Results:
    """Only the tasks in which there is an own agent to compare, and in each only runs whose ids your own have
    there; without runs of another definition.
    """
    keys = [key for key, differing in own_experiments(found).items() if not differing]
    own = pd.DataFrame(keys, columns=EXPERIMENT)
    ids = select(found.own, {"status": "finished"}).merge(own)[[*TASK, "run"]].drop_duplicates()
    experiments = pd.concat([found.stored[EXPERIMENT], own]).drop_duplicates()
    curves, pit, runs = (
        table.merge(experiments).merge(ids) for table in (found.curves, found.pit, found.runs)
    )
    return replace(found, curves=curves, pit=pit, runs=runs)


def tables(here: Results) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """The leaderboard of each task, and of several together; your own agents are marked with >.

    Args:
        here: of `comparable`.
    """
    for one in comparisons(here):
        keys = {name: value for name, value in one.task.items() if name != "dataset" or one.one_task}
        # Not those that are your own on one of several datasets and stored on another.
        own = set(own_agents(here, keys)) - set(select(here.stored, keys)["agent"])
        board = leaderboard(one)
        if own & set(board.index):
            yield one.task, board.rename(index=lambda name, own=own: "> " * (name in own) + agent_label(name))


def first_lines(found: Results, runs_folder: Path) -> dict[tuple[Any, ...], list[str]]:
    """Of each task with own agents what to know before looking at its numbers: how many runs they lack, and
    in which settings they differ from the stored ones.

    Runs of another definition than the stored ones of their task are not compared; those of a stored agent
    with other settings of the agent's own are compared as another agent.
    """
    lines: dict[tuple[Any, ...], list[str]] = {}
    for own, differing in own_experiments(found).items():
        said = lines.setdefault(own[:4], [])
        if not differing:
            said += _run_count(found, own, runs_folder)
        where = ", ".join(str(part) for part in own)
        for name, (mine, theirs) in differing.items():
            said.append(f"{where}: not ranked: {name} is {mine}, but {theirs} in the stored runs")
        namesake = (*own[:-1], str(own[-1]).removesuffix(OWN))
        if namesake in found.settings and namesake != own:
            for name, (mine, theirs) in differences(found.settings[own], found.settings[namesake]).items():
                if name in OF_AN_AGENT and name not in ("agent", "config"):
                    said.append(f"{where}: {name} is {mine}, but {theirs} in the stored runs")
    return lines


def _run_count(found: Results, own: tuple[Any, ...], runs_folder: Path) -> Iterator[str]:
    """A line if an own agent has few runs in a task, or fewer than are stored: with the command for these."""
    task, agent = dict(zip(TASK, own, strict=False)), str(own[-1])
    runs = set(select(found.own, task | {"agent": agent, "status": "finished"})["run"])
    lacking = sorted(set(select(found.stored, task)["run"]) - runs)
    noise, more = ": ranks are mostly noise" * (len(runs) < FEW), ""
    if lacking and not agent.endswith(OWN):
        options = " ".join(f"--{name} {value}" for name, value in task.items())
        options += f" --run_id {lacking[0]} --restarts {lacking[-1] - lacking[0] + 1}"
        if runs_folder != Path("runs"):
            options += f" --runs_folder {shlex.quote(str(runs_folder))}"
        more = f"; make {len(lacking)} more: python evaluate.py --agent {agent} {options}"
    if noise or more:
        yield f"{agent_label(agent)}: {len(runs)} runs{noise}{more}"


def left_out(found: Results, here: Results, above: Mapping[tuple[Any, ...], list[str]]) -> list[str]:
    """What is not compared, and why.

    Args:
        here: `comparable(found)`.
        above: `first_lines(found, ...)`.
    """
    compared = distinct(here.runs, TASK)
    unranked = [line for task, lines in above.items() if task not in compared for line in lines]
    stored = distinct(found.stored, TASK)
    tasks = [dict(zip(TASK, task, strict=True)) for task in distinct(found.own, TASK) if task not in stored]
    lines = [f"{task_label(task)}: the store has no runs of it" for task in tasks]
    if unfinished := (found.own["status"] == "unfinished").sum():
        lines.append(f"unfinished runs: {unfinished}")
    lines += [f"{folder}: {problem}" for folder, problem in found.problems.itertuples(index=False)]
    return unranked + lines


def print_all(found: Results, here: Results, runs_folder: Path) -> None:
    """All of it, in the terminal; the runs won at the end.

    Args:
        here: `comparable(found)`.
    """
    above = first_lines(found, runs_folder)
    for task, table in tables(here):
        text = table.to_string(na_rep="", float_format="{:.1f}".format)
        print("", task_label(task), *above.get(tuple(task.values()), []), text, sep="\n")
    print(f"\n{BOARD_NOTE}")
    if lines := left_out(found, here, above):
        print("\n" + "\n  ".join(["Left out", *lines]))
    print()
    for task, areas in groups(here.areas, TASK):
        for agent in own_agents(found, task):
            if won := runs_won(areas, agent):
                print(f"{agent}: {won} on {task_label(task)}")


def comparison_page(found: Results, here: Results, runs_folder: Path) -> str:
    """The page that compares your own agents with the stored runs of the same ids, as HTML."""
    names = ", ".join(map(agent_label, own_agents(found)))
    text = f"{names} from {runs_folder} (bold, marked ▶), compared with the stored runs of the same ids."
    above = first_lines(found, runs_folder)
    return explorer_page(here, "Comparison", text, above, [("Left out", left_out(found, here, above))])


def why_nothing(found: Results, runs_folder: Path) -> str:
    """Why there is nothing to compare, in a line."""
    if not any(root.is_dir() for root in sibling_roots(runs_folder)):
        return f"{runs_folder} does not exist, nor {runs_folder.name}_gauss, ... next to it"
    reasons = left_out(found, comparable(found), first_lines(found, runs_folder))
    if not (found.own["status"] == "finished").any():
        return ": ".join([f"{runs_folder} has no finished runs", *reasons[:1]])
    changed = "the store has these runs; an agent that you changed needs a new version"
    return f"{runs_folder} has nothing to compare: {next(iter(reasons), changed)}"
