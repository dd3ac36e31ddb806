"""The files of a run and of an experiment: where they lie, how they are written and read."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from filelock import FileLock

from .errors import UserError
from .files import write_file

__all__ = [
    "FILES",
    "aggregate",
    "auc",
    "check_budget",
    "experiment_folder",
    "read_curves",
    "run_folders",
    "series",
    "write_meta",
]

#: File name -> what it holds. One row for each point added, one column for each run.
FILES = {
    "accuracies.csv": "mae",
    "likelihoods.csv": "nll",
    "crps.csv": "crps",
    "losses.csv": "validation_nll",
}


def experiment_folder(
    runs_folder: Path, dataset: str, query_size: int, agent: str, variation: str, protocol: str
) -> Path:
    """`runs[_<variation>][_corrected]/<dataset>/<query_size>/<agent>`, of result folder names."""
    variation = "" if variation == "nf" else f"_{variation}"
    protocol = "" if protocol == "published" else f"_{protocol}"
    root = runs_folder.with_name(runs_folder.name + variation + protocol)
    return root / dataset / str(query_size) / agent


def series(added: list[int], values: list[float], run_id: int, budget: int) -> pd.DataFrame:
    """One metric of a run as a table: rows 0 to `budget`, empty where nothing was measured."""
    table = pd.DataFrame({f"run_{run_id}": values}, index=added, dtype="float64")
    return table.reindex(range(budget + 1)).rename_axis("added")


def read_curves(path: Path) -> pd.DataFrame:
    """A table as `series` or `aggregate` wrote it."""
    return pd.read_csv(path, index_col="added")


def run_folders(experiment: Path) -> list[Path]:
    """The folders of finished runs, in the order of their ids."""
    found = {
        int(match[1]): folder
        for folder in experiment.glob("run_*")
        if (match := re.fullmatch(r"run_(\d+)", folder.name)) and (folder / "meta.txt").exists()
    }
    return [found[run_id] for run_id in sorted(found)]


def aggregate(experiment: Path) -> None:
    """Collects the finished runs of an experiment into its four files, one column a run.

    Safe beside other processes that do the same: it works under a lock, from the runs' own files.
    """
    with FileLock(experiment / ".lock"):
        folders = run_folders(experiment)
        for file in FILES:
            table = pd.concat([read_curves(folder / file) for folder in folders], axis=1)
            write_file(experiment / file, table.to_csv)


def auc(curves: pd.DataFrame) -> pd.Series:
    """Area under each column's learning curve: the mean of its rows, empty ones skipped."""
    return curves.mean()


def check_budget(experiment: Path, budget: int, replaced: Sequence[int]) -> None:
    """Refuses to put runs of different budgets side by side.

    Args:
        replaced: ids of the runs that are going to be made anew.

    Raises:
        UserError: a run that stays was made with another budget.
    """
    for folder in run_folders(experiment):
        if int(folder.name.removeprefix("run_")) in replaced:
            continue
        rows = len(read_curves(folder / "accuracies.csv"))
        if rows != budget + 1:
            raise UserError(
                f"{folder} was made with a budget of {rows - 1}, not {budget}: "
                "remove it, or take another --runs_folder"
            )


def write_meta(path: Path, settings: Mapping[str, object]) -> None:
    """Writes `meta.txt`: a line `name: value` for each setting."""
    text = "".join(f"{name}: {value}\n" for name, value in settings.items())
    write_file(path, lambda beside: beside.write_text(text))
