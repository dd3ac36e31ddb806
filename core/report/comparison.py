"""Your own agents compared with the stored reference runs: as text for the terminal, and as an HTML page.

`found` is what `load_results(runs_folder, store)` returns.
"""

import shlex
from collections.abc import Iterator
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
    can_score,
    distinct,
    first_problem,
    groups,
    own_agents,
    own_experiments,
    select,
    sibling_roots,
    spans,
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


def lacking(found: Results, runs_folder: Path) -> list[dict[str, Any]]:
    """The runs that your own agents lack to be ranked in every task of the store whose model they can score.

    Returns:
        Of each experiment the values of `EXPERIMENT`, `runs`, their `count`, the `command` that makes them.
    """
    folder = "" if runs_folder == Path("runs") else f" --runs_folder {shlex.quote(str(runs_folder))}"
    finished = select(found.runs, {"status": "finished"})
    lines: list[dict[str, Any]] = []
    for agent in (agent for agent in own_agents(found) if not agent.endswith(OWN)):
        for task, runs in groups(found.stored, TASK):
            there = set(select(finished, task | {"agent": agent})["run"])
            missing = sorted(set(runs["run"]) - there)
            if missing and can_score(agent, task["variation"]):
                options = " ".join(f"--{name} {value}" for name, value in task.items())
                span = f"--run_id {missing[0]} --restarts {missing[-1] - missing[0] + 1}"
                command = f"python evaluate.py --agent {agent} {options} {span}{folder}"
                names = {"agent": agent, "runs": spans(missing), "count": len(missing)}
                lines.append(task | names | {"command": command})
    return lines


def setting_differences(found: Results, task: tuple[Any, ...] = ()) -> list[str]:
    """In which settings your own runs, of one task or of all, differ from the stored ones, a line each.

    Runs of another definition than the stored ones of their task are not compared; those of a stored agent
    with other settings of the agent's own are compared as another agent.
    """
    lines: dict[str, None] = {}
    for own, differing in own_experiments(found).items():
        if task and own[:4] != task:
            continue
        where = ", ".join(str(part) for part in own)
        for name, (mine, theirs) in differing.items():
            lines[f"{where}: not ranked: {name} is {mine}, but {theirs} in the stored runs"] = None
        namesake = (*own[:-1], str(own[-1]).removesuffix(OWN))
        if namesake in found.settings and namesake != own:
            for name, (mine, theirs) in differences(found.settings[own], found.settings[namesake]).items():
                if name in OF_AN_AGENT and name not in ("agent", "config"):
                    lines[f"{where}: {name} is {mine}, but {theirs} in the stored runs"] = None
    return list(lines)


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
    """Of each task what to know before looking at its numbers: few runs, settings that differ."""
    commands = {tuple(line[name] for name in EXPERIMENT): line for line in lacking(found, runs_folder)}
    lines: dict[tuple[Any, ...], list[str]] = {}
    for key in (key for key, differing in own_experiments(found).items() if not differing):
        said = lines.setdefault(key[:4], [])
        experiment = dict(zip(EXPERIMENT, key, strict=True))
        runs = len(select(found.own, experiment | {"status": "finished"}))
        if runs < FEW:
            line = commands.get(key)
            more = f"; make {line['count']} more: {line['command']}" if line else ""
            said.append(f"{agent_label(key[-1])}: {runs} runs: ranks are mostly noise{more}")
    return {task: said + setting_differences(found, task) for task, said in lines.items()}


def remarks(found: Results, runs_folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Headings and lines: what is missing, what was left out."""
    yield (
        "To be ranked in every task of the store",
        [
            f"{agent_label(line['agent'])} lacks runs {line['runs']} of {task_label(line)}: {line['command']}"
            for line in lacking(found, runs_folder)
        ],
    )
    stored = distinct(found.stored, TASK)
    tasks = [dict(zip(TASK, task, strict=True)) for task in distinct(found.own, TASK) if task not in stored]
    left_out = [f"{task_label(task)}: the store has no runs of it" for task in tasks]
    if unfinished := (found.own["status"] == "unfinished").sum():
        left_out.append(f"unfinished runs: {unfinished}")
    left_out += [f"{folder}: {problem}" for folder, problem in found.problems.itertuples(index=False)]
    yield "Left out", left_out


def print_all(found: Results, here: Results, runs_folder: Path) -> None:
    """All of it, in the terminal; the runs won at the end.

    Args:
        here: `comparable(found)`.
    """
    above = first_lines(found, runs_folder)
    with pd.option_context("display.width", None, "display.max_columns", None, "display.max_rows", None):
        for task, table in tables(here):
            text = table.to_string(na_rep="", float_format="{:.1f}".format)
            print("", task_label(task), *above.get(tuple(task.values()), []), text, sep="\n")
    print(f"\n{BOARD_NOTE}")
    for heading, lines in remarks(found, runs_folder):
        if lines:
            print("\n" + "\n  ".join([heading, *lines]))
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
    return explorer_page(here, "Comparison", text, above, remarks(found, runs_folder))


def why_nothing(found: Results, runs_folder: Path) -> str:
    """Why there is nothing to compare, in a line."""
    problems = list(found.problems.itertuples(index=False, name=None))
    if tasks := distinct(select(found.own, {"status": "finished"}), TASK):
        if tasks.keys() & distinct(found.stored, TASK).keys():
            if differing := setting_differences(found):
                return f"{runs_folder} has no runs that can be ranked; {differing[0]}"
            why = "its runs are more runs of stored agents (an agent that you changed needs a new version)"
            return f"{runs_folder} has no agent that the store lacks: {why}"
        why = f" (left out: {first_problem(problems)})" if problems else ""
        return f"{runs_folder} has runs of no task in the store, whose README.md lists them{why}"
    text = f"--runs_folder {runs_folder} has no finished runs"
    if problems:
        return f"{text} that can be compared: {first_problem(problems)}"
    if any(root.is_dir() for root in sibling_roots(runs_folder)):
        return f"{text}: only stored ones"
    return f"{text}: there is no such folder, nor {runs_folder.name}_gauss, ... next to it"
