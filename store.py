"""Adds the runs of a folder to the store of reference runs, and makes the store's leaderboard anew.

    python store.py --runs_folder runs      # adds finished runs; what is there stays as it is
    python store.py                         # only makes results/README.md and its pictures

Runs that are there already are left out, so the command can be given again. Nothing is added if a run was
made with other settings than the stored ones of its agent, or of its task.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from core.cli import ArgumentParser, run_script
from core.errors import UserError
from core.files import write_file


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="store.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add("runs_folder", None, "results to add, and in runs_gauss, ... beside it", type=Path)
    parser.add("store", Path(__file__).resolve().parent / "results", "the store", type=Path)
    return parser.parse_args(arguments)


def add(store: Path, runs_folder: Path) -> None:
    """Adds runs and says which."""
    from core.report.adding import add_runs
    from core.report.reader import told

    done = add_runs(store, runs_folder)
    if not (done.added or done.there):
        why = f" that can be used: {told(done.problems)}" if done.problems else ", nor has another beside it"
        raise UserError(f"--runs_folder {runs_folder} has no finished runs{why}")
    for (dataset, variation, protocol, query_size, agent), runs in done.added.items():
        print(f"added {dataset} {variation} {protocol} {query_size} {agent}: runs {runs}")
    others = f" ({done.others} with other values: the stored ones stay)" if done.others else ""
    print(f"{done.there} runs were there already{others}, {done.unfinished} are not finished")
    for folder, problem in done.problems:
        print(f"left out {folder}: {problem}")


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_arguments(arguments)

    from core.report.overview import pictures, readme
    from core.report.plots import save
    from core.report.reader import load_results
    from core.report.store import read_store

    if args.runs_folder is not None:
        add(args.store, args.runs_folder)
    stored = read_store(args.store)
    found = load_results(None, args.store)
    for name, figure in pictures(found).items():
        save(figure, args.store / name)
    text = readme(found, stored)
    write_file(args.store / "README.md", lambda path: path.write_text(text, encoding="utf-8"))
    runs = sum(len(experiment.curves) for experiment in stored.values())
    print(f"{runs} runs in {args.store}; README.md and its pictures are new")


if __name__ == "__main__":
    run_script(main)
