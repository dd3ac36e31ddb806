"""Draws the learning curves of one task, and says how its agents stand.

    python -m core.report.curves --dataset diabetes --query_size 5 --store results --out learning_curves.png

With a store its agents stand pale behind one's own, over as many points as one's own runs have.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from ..cli import ArgumentParser, at_least, run_script
from ..errors import UserError
from ..models.variations import DEFAULT, VARIATIONS
from ..protocol import PROTOCOLS
from .analysis import areas, select
from .labels import agent_label, dataset_label, task_label
from .leaderboard import MAIN, beside_random, leaderboard
from .plots import learning_curves, save
from .reader import TASK, load_results, spans

__all__ = ["beside_stored", "main", "places", "verdict"]


def beside_stored(own: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
    """One's own curves of a task, and those of the stored agents that one has not run.

    Of the stored ones the runs whose ids one's own have, up to as many labelled points: runs of the same id
    begin with the same points.

    Args:
        own, stored: as of `Results.curves`, of one task.

    Raises:
        UserError: the store has no such runs of other agents, they do not begin with as many labelled
            points, or no measurements fall together.
    """
    others = stored[~stored["agent"].isin(set(own["agent"])) & stored["run"].isin(set(own["run"]))]
    if others.empty:
        raise UserError(f"the store has no other agent with runs {spans(own['run'])} of this task")
    others = others[others["labelled"] <= own["labelled"].max()]
    if set(others["labelled"]) != set(own["labelled"]):
        raise UserError("the stored runs of this task were measured at other numbers of labelled points")
    return pd.concat([own, others], ignore_index=True)


def places(curves: pd.DataFrame, own: Sequence[str]) -> Iterator[str]:
    """A line for each of one's own agents: its place among all by NLL and by MAE, and its areas.

    An agent that has no run in common with the others has no place.
    """
    of_task = areas(curves)
    board = leaderboard(of_task, curves)
    means = of_task.groupby(["agent", "metric"], observed=True)["area"].mean()
    for agent in (agent for agent in board.index if agent in own):
        said = []
        for metric in MAIN:
            mean_ranks = board[f"rank {metric.upper()}"]
            place = f"place {(mean_ranks < mean_ranks[agent]).sum() + 1}"
            if pd.isna(mean_ranks[agent]):
                place = "no place (no run in common with the others)"
            said.append(f"{metric.upper()} {place}, AUC {means[agent, metric]:.4f}")
        yield f"{agent_label(agent)}: {'; '.join(said)}"


def verdict(stored: pd.DataFrame, task: Mapping[str, object]) -> str:
    """Which stored agents are better than random by NLL on this task; where none is, a table where some are.

    Args:
        stored: areas.
    """

    def better(dataset: object) -> list[str]:
        found = beside_random(select(stored, {**task, "dataset": dataset}), "nll")
        return [agent_label(agent) for agent in found.index[found["high"] < 0]]

    if here := better(task["dataset"]):
        return f"Better than random by NLL, in the reference runs of this task: {', '.join(here)}"
    said = "No agent is better than random by NLL, in the reference runs of this task"
    others = select(stored, {name: value for name, value in task.items() if name != "dataset"})["dataset"]
    for dataset in others.unique():
        if there := better(dataset):
            return f"{said}; on {dataset_label(str(dataset))} these are: {', '.join(there)}"
    return said


def main(arguments: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(prog="core.report.curves", description="Draws the learning curves of one task.")
    parser.add("dataset", None, "name of the dataset", required=True)
    parser.add("query_size", 50, "its query size", type=at_least(1))
    parser.add("variation", DEFAULT, "its model", choices=VARIATIONS)
    parser.add("protocol", "published", "its protocol", choices=list(PROTOCOLS))
    parser.add("runs_folder", Path("runs"), "where the results are", type=Path)
    parser.add("store", None, "reference runs to stand pale behind, such as results", type=Path)
    parser.add("out", Path("learning_curves.png"), "PNG, PDF or SVG", type=Path)
    args = parser.parse_args(arguments)
    found = load_results(args.runs_folder)
    task = {name: getattr(args, name) for name in TASK}
    curves = select(found.curves, task)
    title, own = task_label(task), [str(agent) for agent in dict.fromkeys(curves["agent"])]
    if curves.empty:
        raise UserError(f"no finished runs of {title} in {args.runs_folder}")
    bounds = select(found.upper_bounds, {name: task[name] for name in TASK[:3]})
    reference = None if args.store is None else load_results(None, args.store)
    if reference is None:
        save(learning_curves(curves, bounds, title), args.out)
    else:
        added, runs = curves["labelled"].max() - curves["labelled"].min(), spans(curves["run"])
        stored = select(reference.curves, task)
        if stored.empty:
            raise UserError(f"{args.store} has no runs of {title}: compare.py --list_reference shows them")
        curves = beside_stored(curves, stored)
        beside = f"{curves['agent'].nunique() - len(own)} stored agents, over the first {added} points"
        save(learning_curves(curves, bounds, f"{title}; pale: {beside}", own), args.out)
        print(f"leaderboard of runs {runs} beside {beside} (lower AUC is better; by mean rank):")
        for line in places(curves, own):
            print(f"  {line}")
    print(f"learning curves: {args.out}")
    if reference is not None:
        print(verdict(reference.areas, task))


if __name__ == "__main__":
    run_script(main)
