"""Adds the runs of a folder to the store of reference runs, and updates the store's leaderboard.

    python store.py --runs_folder runs      # adds finished runs; stored ones stay as they are
    python store.py                         # only rewrites README.md, its pictures and index.html

Nothing is added if a run has other settings than the stored runs of its agent or its task.
"""

from collections.abc import Sequence
from pathlib import Path

from core.cli import ArgumentParser, run_script
from core.errors import UserError
from core.files import write_file


def add(store: Path, runs_folder: Path) -> None:
    """Adds runs and prints which."""
    from core.report.load import Folders, spans
    from core.report.store import add_runs

    found = Folders(runs_folder)
    added, differing = add_runs(store, found.experiments)
    finished = sum(len(experiment.curves) for experiment in found.experiments.values())
    if not finished:
        why = f" that can be used: {': '.join(found.problems[0])}" if found.problems else ""
        raise UserError(f"--runs_folder {runs_folder} has no finished runs{why}")
    for key, ids in added.items():
        print(f"added {' '.join(map(str, key))}: runs {spans(ids)}")
    there = finished - sum(map(len, added.values()))
    others = f" ({differing} with other values: the stored ones are kept)" if differing else ""
    unfinished = [*found.status.values()].count("unfinished")
    print(f"{there} runs were stored already{others}, {unfinished} are not finished")
    for folder, problem in found.problems:
        print(f"left out {folder}: {problem}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(prog="store.py", description=__doc__)
    parser.add("runs_folder", None, "results to add, with runs_gauss, ... next to it", type=Path)
    parser.add("store", Path(__file__).resolve().parent / "results", "the store", type=Path)
    args = parser.parse_args(arguments)

    from core.report.load import load_results
    from core.report.page import explorer_page, overview
    from core.report.plots import save
    from core.report.sections import store_pictures, store_readme

    if args.runs_folder is not None:
        add(args.store, args.runs_folder)
    found = load_results(None, args.store)
    pictures = store_pictures(found)
    for name, figure in pictures.items():
        save(figure, args.store / name)
    page = explorer_page(found, "Active learning in regression: reference runs", overview(found, args.store))
    text = store_readme(found, pictures)
    write_file(args.store / "README.md", lambda path: path.write_text(text, encoding="utf-8"))
    write_file(args.store / "index.html", lambda path: path.write_text(page, encoding="utf-8"))
    print(f"{len(found.runs)} runs in {args.store}; wrote README.md, its pictures and index.html")


if __name__ == "__main__":
    run_script(main)
