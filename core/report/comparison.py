"""Compares your own agents with the stored reference runs: as text for the terminal, and as an HTML page."""

import html
import textwrap
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from ..agent import AGENTS
from ..models.variations import VARIATIONS
from ..protocol import PROTOCOLS
from ..runs.files import runs_root
from . import plots
from .aggregates import common_runs
from .analysis import select
from .comparing import comparable, lacking, own_agents, reference, unlike_settings
from .html import document, figures_html, table_html
from .labels import agent_label, setting_label, task_label
from .leaderboard import (
    BEATS_NOTE,
    BOARD_NOTE,
    OVER_NOTE,
    PROBABILITY_NOTE,
    beats,
    groups,
    leaderboard,
    probabilities,
    rankings,
)
from .reader import TASK, Results, told
from .sections import file_name

__all__ = ["list_reference", "nothing_own", "page", "remarks", "say", "tables"]


def _marked(table: pd.DataFrame, own: Sequence[str]) -> pd.DataFrame:
    """The table with the agents' display names; your own are marked with >."""
    return table.rename(index=lambda agent: f"> {agent_label(agent)}" if agent in own else agent_label(agent))


def tables(found: Results) -> Iterator[tuple[str, str, pd.DataFrame, dict[str, object]]]:
    """Heading, note, table and task (empty for tables over several) of all that is compared."""
    here = comparable(found)
    for task, part in groups(here.areas, TASK):
        own, name = own_agents(found, task), task_label(task)
        board = leaderboard(part, select(here.curves, task))
        yield name, BOARD_NOTE, _marked(board, own), task
        won = beats(part, own)
        won = won.loc[[agent for agent in board.index if agent in won.index]]
        yield f"{name}: how often each is beaten", BEATS_NOTE, _marked(won, own), {}
    for keys, part in groups(here.areas, ["variation", "protocol"]):
        # Not those that are one's own in one of these tasks and stored in another.
        stored = set(select(here.runs, keys | {"stored": True})["agent"])
        own = [agent for agent in own_agents(found, keys) if agent not in stored]
        if not own:
            continue
        name = setting_label(keys)
        for which, board in rankings(part, here.curves):
            yield f"{name}, over {which}", OVER_NOTE, _marked(board, own), {}
        better = _marked(probabilities(part, own), own)
        yield f"Probability of improvement: {name}", PROBABILITY_NOTE, better, {}


def remarks(found: Results, runs_folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Headings and lines: what differs, what lacks, what was left out."""
    yield "Settings that differ", unlike_settings(found)
    able = {name: cls.variations for name, cls in AGENTS.classes.items()}
    lines: list[dict[str, Any]] = lacking(found, able, runs_folder).to_dict("records")  # type: ignore[assignment]
    yield (
        "To be ranked in every task of the store",
        [
            f"{agent_label(line['agent'])} lacks runs {line['runs']} of {task_label(line)}: {line['command']}"
            for line in lines
        ],
    )
    runs = found.runs[~found.runs["stored"].astype(bool)]
    stored = set(reference(found)[TASK].itertuples(index=False, name=None))
    tasks = dict.fromkeys(runs[TASK].itertuples(index=False, name=None))
    names = [task_label(dict(zip(TASK, task, strict=True))) for task in tasks if task not in stored]
    unfinished = (runs["status"] == "unfinished").sum()
    problems = found.problems.itertuples(index=False, name=None)
    yield (
        "Left out",
        [
            *(f"{name}: the store has no runs of it" for name in names),
            *([f"unfinished runs: {unfinished}"] if unfinished else []),
            *(f"{folder}: {problem}" for folder, problem in problems),
        ],
    )


def say(found: Results, runs_folder: Path) -> None:
    """All of it, in the terminal."""
    with pd.option_context("display.width", None, "display.max_columns", None, "display.max_rows", None):
        for heading, note, table, _ in tables(found):
            print(f"\n{heading}\n{table.to_string(na_rep='', float_format='{:.2f}'.format)}\n{note}")
    for heading, lines in remarks(found, runs_folder):
        if lines:
            print("\n" + "\n  ".join([heading, *lines]))


def page(found: Results, runs_folder: Path) -> str:
    """All of it as a page, with the curves of each task."""
    parts = []
    for heading, note, table, task in tables(found):
        content = f'<p class="note">{html.escape(note)}</p>\n{table_html(table)}'
        if task:
            curves = select(found.curves, task)
            shared = common_runs(curves)
            curves = pd.concat([shared, curves[~curves["agent"].isin(shared["agent"])]])
            bounds = select(found.upper_bounds, {name: task[name] for name in TASK[:3]})
            figure = plots.learning_curves(curves, bounds, task_label(task), own_agents(found, task))
            content += figures_html([(file_name("curves", task), figure)])
        parts.append((heading, content))
    for heading, lines in remarks(found, runs_folder):
        if lines:
            items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
            parts.append((heading, f"<ul>{items}</ul>"))
    own = ", ".join(map(agent_label, own_agents(found)))
    return document(
        "Comparison", f"{own} from {runs_folder} (marked >), with the stored reference runs.", parts
    )


def list_reference(found: Results) -> None:
    """The stored tasks as a table, and below it the agents of each."""
    tasks = reference(found)
    print(tasks.drop(columns="agents").to_string(index=False))
    for task in tasks.to_dict("records"):
        print("\n" + ", ".join(str(task[name]) for name in TASK))
        print(textwrap.fill(str(task["agents"]), 100, initial_indent="  ", subsequent_indent="  "))


def nothing_own(found: Results, runs_folder: Path) -> str:
    """Why there is nothing to compare, in a line."""
    problems = list(found.problems.itertuples(index=False, name=None))
    runs = found.runs[~found.runs["stored"].astype(bool)]
    finished = runs.loc[runs["status"] == "finished", TASK].itertuples(index=False, name=None)
    if tasks := set(finished):
        if tasks & set(reference(found)[TASK].itertuples(index=False, name=None)):
            if differing := unlike_settings(found):
                return f"{runs_folder} has no runs that can be ranked; {differing[0]}"
            why = "its runs are more runs of stored agents (an agent that you changed needs a new version)"
            return f"{runs_folder} has no agent that the store lacks: {why}"
        why = f" (left out: {told(problems)})" if problems else ""
        return f"{runs_folder} has runs of no task in the store: --list_reference shows them{why}"
    said = f"--runs_folder {runs_folder} has no finished runs"
    if problems:
        return f"{said} that can be compared: {told(problems)}"
    roots = (runs_root(runs_folder, *names) for names in product(VARIATIONS, PROTOCOLS))
    if any(root.is_dir() for root in roots):
        return f"{said}: none but stored ones"
    return f"{said}: it is not there, nor another beside it"
