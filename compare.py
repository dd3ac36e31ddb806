"""Puts the agents of a runs folder among the stored reference runs: a leaderboard, and a page with curves.

    python compare.py --runs_folder runs --out compare.html

Nothing but one's own agents needs to be run: the baselines are in the store.
"""

import argparse
import html
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

import agents  # noqa: F401 (their labels and what they can score)
from core.agent import AGENTS
from core.cli import ArgumentParser, run_script
from core.errors import UserError
from core.files import write_file
from core.report import plots
from core.report.analysis import areas, select
from core.report.comparing import comparable, lacking, own_agents, reference, unlike_settings
from core.report.html import document, figures_html, table_html
from core.report.labels import agent_label, task_label
from core.report.leaderboard import beats, groups, leaderboard, over_tasks, probabilities
from core.report.reader import TASK, Results, load_results
from core.report.sections import file_name

#: What stands under the tables, once.
NOTES = {
    "leaderboard": "Ranks are means over the runs that all agents here have; AUC: area under the curve, mean with "
    "its 95 % bootstrap interval; against random: runs won / tied / lost, by run id. Lower is better.",
    "beats": "Runs of the own agent with a lower area than the run of the same id of each other agent.",
    "over": "Rank (runs): a block is a run of a task, the published way; rank (tasks): runs averaged first, a block "
    "is a task. IQM: interquartile mean of all runs' areas beside random's mean. P: probability that a run is better "
    "than one of random, mean over the tasks. Intervals: stratified bootstrap, 95 %. Improvability: 1 - best / own.",
    "probabilities": "Probability that a run of the own agent has a lower area than one of the other, mean over the "
    "tasks that both have, with its 95 % interval of the stratified bootstrap.",
}


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="compare.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add("runs_folder", Path("runs"), "one's own results, with its sisters beside it", type=Path)
    parser.add("store", Path(__file__).resolve().parent / "results", "the reference runs", type=Path)
    parser.add("out", None, "a page with the same tables and the curves", type=Path)
    parser.add_argument("--list_reference", action="store_true", help="says what is in the store, and ends")
    return parser.parse_args(arguments)


def marked(table: pd.DataFrame, own: Sequence[str]) -> pd.DataFrame:
    """With the agents' names for people; those of one's own are marked."""
    return table.rename(index=lambda agent: f"> {agent_label(agent)}" if agent in own else agent_label(agent))


def tables(found: Results) -> Iterator[tuple[str, str, pd.DataFrame, dict[str, object]]]:
    """Heading, note, table and task (empty for tables over several) of all that is compared."""
    here = comparable(found)
    for task, part in groups(areas(here.curves), TASK):
        own, name = own_agents(found, task), task_label(task)
        board = leaderboard(part)
        yield name, NOTES["leaderboard"], marked(board, own), task
        won = beats(part, own)
        won = won.loc[[agent for agent in board.index if agent in won.index]]
        yield f"{name}: how often each is beaten", NOTES["beats"], marked(won, own), {}
    for keys, part in groups(areas(here.curves), ["protocol"]):
        own = own_agents(found, keys)
        board = over_tasks(part)
        number = part[TASK].drop_duplicates().shape[0]
        name = f"{keys['protocol']} protocol, {number} task{'s' * (number > 1)}"
        yield f"Over all: {name}", NOTES["over"], marked(board, own), {}
        yield (
            f"Probability of improvement: {name}",
            NOTES["probabilities"],
            marked(probabilities(part, own), own),
            {},
        )


def remarks(found: Results) -> Iterator[tuple[str, list[str]]]:
    """Headings and lines: what differs, what lacks, what was left out."""
    yield "Settings that differ", unlike_settings(found)
    able = {name: cls.variations for name, cls in AGENTS.classes.items()}
    yield (
        "To be ranked in every task of the store",
        [
            f"{agent_label(line.agent)} lacks runs {line.runs} of {task_label({n: getattr(line, n) for n in TASK})}: "
            f"{line.command}"
            for line in lacking(found, able).itertuples(index=False)
        ],
    )
    runs = found.runs[~found.runs["stored"].astype(bool)]
    there = set(reference(found)[TASK].itertuples(index=False, name=None))
    others = [
        task for task in dict.fromkeys(runs[TASK].itertuples(index=False, name=None)) if task not in there
    ]
    unfinished = [f"{n} unfinished runs" for n in [(runs["status"] == "unfinished").sum()] if n]
    yield (
        "Left out",
        [
            *(
                f"{task_label(dict(zip(TASK, task, strict=True)))}: the store has no runs of it"
                for task in others
            ),
            *unfinished,
            *(f"{line.folder}: {line.problem}" for line in found.problems.itertuples(index=False)),
        ],
    )


def say(found: Results) -> None:
    """All of it, in the terminal."""
    with pd.option_context("display.width", None, "display.max_columns", None, "display.max_rows", None):
        for heading, note, table, _ in tables(found):
            print(f"\n{heading}\n{table.to_string(na_rep='', float_format='{:.2f}'.format)}\n{note}")
    for heading, lines in remarks(found):
        if lines:
            print("\n" + "\n  ".join([heading, *lines]))


def page(found: Results, runs_folder: Path) -> str:
    """All of it as a page, with the curves of each task."""
    parts = []
    for heading, note, table, task in tables(found):
        content = f'<p class="note">{html.escape(note)}</p>\n{table_html(table)}'
        if task:
            curves = select(found.curves, task)
            bounds = select(found.upper_bounds, {name: task[name] for name in TASK[:3]})
            figure = plots.learning_curves(curves, bounds, task_label(task), own_agents(found, task))
            content += figures_html([(file_name("curves", task), figure)])
        parts.append((heading, content))
    for heading, lines in remarks(found):
        if lines:
            parts.append(
                (heading, "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>")
            )
    own = ", ".join(map(agent_label, own_agents(found)))
    return document("Comparison", f"{own} of {runs_folder} (>) beside the stored reference runs.", parts)


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_arguments(arguments)
    found = load_results(args.runs_folder, args.store)
    if args.list_reference:
        print(reference(found).to_string(index=False, max_colwidth=60))
        return
    own = found.runs[~found.runs["stored"].astype(bool)]
    if not own_agents(found):
        if (own["status"] == "finished").any():
            raise UserError(
                f"no run in {args.runs_folder} is of a task in the store: --list_reference shows them"
            )
        said = (
            "that the store does not have"
            if args.runs_folder.is_dir()
            else "there, nor in any of its sisters"
        )
        raise UserError(f"--runs_folder {args.runs_folder} has no finished run {said}")
    say(found)
    if args.out is not None:
        text = page(found, args.runs_folder)
        write_file(args.out, lambda path: path.write_text(text, encoding="utf-8"))
        print(f"\npage: {args.out}")


if __name__ == "__main__":
    run_script(main)
