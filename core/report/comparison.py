"""Your own agents beside the stored reference runs: as text for the terminal, and as an HTML page.

Everything takes the tables of `load_results(runs_folder, store)`.
"""

import shlex
import textwrap
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ..agent import AGENTS
from . import leaderboard as boards
from .explorer import explorer_page
from .labels import OWN, agent_label, setting_label, spans, task_label
from .load import (
    EXPERIMENT,
    TASK,
    Results,
    distinct,
    first_problem,
    groups,
    own_agents,
    own_experiments,
    select,
    sibling_roots,
    task_differences,
)
from .store import OF_AN_AGENT, differences

#: With fewer runs the page says that an agent's place is mostly noise.
FEW = 10


def comparable(found: Results) -> Results:
    """Only the tasks in which there is an own agent to compare, and in each only runs whose ids your own have
    there; without runs of another definition.
    """
    own = {key for key, other in own_experiments(found).items() if not task_differences(found, key, other)}
    tasks = {key[:4] for key in own}
    experiments = own | {key for key in distinct(found.stored, EXPERIMENT) if key[:4] in tasks}
    finished = select(found.own, {"status": "finished"})
    ids = {(*key[:4], key[5]) for key in distinct(finished, [*EXPERIMENT, "run"]) if key[:5] in own}
    keys = distinct(found.runs, [*EXPERIMENT, "run"])
    wanted = {key for key in keys if key[:5] in experiments and (*key[:4], key[5]) in ids}

    def of_wanted(table: pd.DataFrame) -> pd.DataFrame:
        return table[pd.MultiIndex.from_frame(table[[*EXPERIMENT, "run"]]).isin(wanted)]

    return replace(
        found, curves=of_wanted(found.curves), pit=of_wanted(found.pit), runs=of_wanted(found.runs)
    )


def lacking(found: Results, runs_folder: Path) -> list[dict[str, Any]]:
    """The runs that your own agents lack to be ranked in every task of the store whose model they can score.

    Returns:
        Of each experiment the values of `EXPERIMENT`, `runs`, their `count`, the `command` that makes them.
    """
    folder = "" if runs_folder == Path("runs") else f" --runs_folder {shlex.quote(str(runs_folder))}"
    finished = select(found.runs, {"status": "finished"})
    lines: list[dict[str, Any]] = []
    for agent in (agent for agent in own_agents(found) if not agent.endswith(OWN)):
        cls = AGENTS.classes.get(agent.partition("+")[0])
        for task, runs in groups(found.stored, TASK):
            there = set(select(finished, task | {"agent": agent})["run"])
            missing = sorted(set(runs["run"]) - there)
            if missing and (cls is None or task["variation"] in cls.variations):
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
    for own, other in own_experiments(found).items():
        if task and own[:4] != task:
            continue
        where = ", ".join(str(part) for part in own)
        for name, (mine, theirs) in task_differences(found, own, other).items():
            lines[f"{where}: not ranked: {name} is {mine}, but {theirs} in the stored runs"] = None
        namesake = (*own[:-1], str(own[-1]).removesuffix(OWN))
        if namesake in found.settings and namesake != own:
            for name, (mine, theirs) in differences(found.settings[own], found.settings[namesake]).items():
                if name in OF_AN_AGENT and name not in ("agent", "config"):
                    lines[f"{where}: {name} is {mine}, but {theirs} in the stored runs"] = None
    return list(lines)


def tables(found: Results, runs_folder: Path) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Heading, text and table of all that is compared; your own agents are marked."""
    here, above = comparable(found), first_lines(found, runs_folder)
    for task, part in groups(here.areas, TASK):
        board = boards.leaderboard(part, select(here.curves, task))
        text = "\n".join([*above[tuple(task.values())], boards.BOARD_NOTE])
        yield task_label(task), text, _marked(board, own_agents(found, task))
    for keys, part in groups(here.areas, ["variation", "protocol"]):
        # Not those that are your own in one of these tasks and stored in another.
        stored = set(select(here.stored, keys)["agent"])
        own = [agent for agent in own_agents(found, keys) if agent not in stored]
        if not own:
            continue
        name = setting_label(keys)
        for which, board in boards.rankings(part, here.curves):
            if which != boards.ONE_TASK:
                yield f"{name}, over {which}", boards.OVER_NOTE, _marked(board, own)
        better = _marked(boards.probabilities(part, own), own)
        yield f"Probability of improvement: {name}", boards.PROBABILITY_NOTE, better


def _marked(table: pd.DataFrame, own: Collection[str]) -> pd.DataFrame:
    """The table with the agents' display names; your own are marked with >."""
    return table.rename(index=lambda agent: f"> {agent_label(agent)}" if agent in own else agent_label(agent))


def first_lines(found: Results, runs_folder: Path) -> dict[tuple[Any, ...], list[str]]:
    """Of each task what to know before looking at its numbers: few runs, settings that differ."""
    commands = {tuple(line[name] for name in EXPERIMENT): line for line in lacking(found, runs_folder)}
    lines: dict[tuple[Any, ...], list[str]] = {}
    for key in distinct(comparable(found).own, TASK):
        task = dict(zip(TASK, key, strict=True))
        lines[key] = []
        for agent in own_agents(found, task):
            runs = select(found.own, task | {"agent": agent, "status": "finished"})["run"].nunique()
            if runs < FEW:
                line = commands.get((*key, agent))
                more = f"; make {line['count']} more: {line['command']}" if line else ""
                lines[key].append(f"{agent_label(agent)}: {runs} runs: ranks are mostly noise{more}")
        lines[key] += setting_differences(found, key)
    return lines


def remarks(found: Results, runs_folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Headings and lines: what is missing, what was left out."""
    wanted = [
        f"{agent_label(line['agent'])} lacks runs {line['runs']} of {task_label(line)}: {line['command']}"
        for line in lacking(found, runs_folder)
    ]
    yield "To be ranked in every task of the store", wanted
    stored = distinct(found.stored, TASK)
    tasks = [dict(zip(TASK, task, strict=True)) for task in distinct(found.own, TASK) if task not in stored]
    left_out = [f"{task_label(task)}: the store has no runs of it" for task in tasks]
    if unfinished := (found.own["status"] == "unfinished").sum():
        left_out.append(f"unfinished runs: {unfinished}")
    left_out += [f"{folder}: {problem}" for folder, problem in found.problems.itertuples(index=False)]
    yield "Left out", left_out


def print_all(found: Results, runs_folder: Path) -> None:
    """All of it, in the terminal."""
    with pd.option_context("display.width", None, "display.max_columns", None, "display.max_rows", None):
        for heading, text, table in tables(found, runs_folder):
            print(f"\n{heading}\n{text}\n{table.to_string(na_rep='', float_format='{:.1f}'.format)}")
    for heading, lines in remarks(found, runs_folder):
        if lines:
            print("\n" + "\n  ".join([heading, *lines]))


def comparison_page(found: Results, runs_folder: Path) -> str:
    """The page to explore your own agents with, beside the stored runs of the same ids, as HTML."""
    names = ", ".join(map(agent_label, own_agents(found)))
    text = f"{names} from {runs_folder} (bold, marked ▶), beside the stored runs with the same ids."
    above = first_lines(found, runs_folder)
    return explorer_page(comparable(found), "Comparison", text, above, remarks(found, runs_folder))


def print_reference(found: Results) -> None:
    """The stored tasks as a table, with the ids of all runs, and below it the agents of each."""
    agents = [(task, runs["agent"].unique(), spans(runs["run"])) for task, runs in groups(found.stored, TASK)]
    lines = [(*task.values(), len(names), runs) for task, names, runs in agents]
    print(pd.DataFrame(lines, columns=[*TASK, "number", "runs"]).to_string(index=False))
    for task, names, _ in agents:
        print("\n" + ", ".join(map(str, task.values())))
        print(textwrap.fill(", ".join(names), 100, initial_indent="  ", subsequent_indent="  "))


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
        return f"{runs_folder} has runs of no task in the store: --list_reference shows them{why}"
    text = f"--runs_folder {runs_folder} has no finished runs"
    if problems:
        return f"{text} that can be compared: {first_problem(problems)}"
    if any(root.is_dir() for root in sibling_roots(runs_folder)):
        return f"{text}: none but stored ones"
    return f"{text}: it is not there, nor another beside it"
