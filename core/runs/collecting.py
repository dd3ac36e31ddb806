"""The files that collect the runs of an experiment, one column a run."""

from pathlib import Path

import pandas as pd
from filelock import FileLock

from ..files import remove, remove_parts, write_files
from ..metrics import METRICS
from .layout import finished_runs, id_of, read_metric

__all__ = ["aggregate", "auc", "collect", "is_collected"]


def aggregate(experiment: Path) -> list[int]:
    """Collects the finished runs of an experiment into its files, one column a run; their ids.

    A run that was made before there was a metric has no column in that metric's file. Safe beside
    other processes that do the same: it works under a lock, from the runs' own files.
    """
    with FileLock(experiment / ".lock"):
        remove_parts(experiment)
        return collect(experiment)


def collect(experiment: Path) -> list[int]:
    """`aggregate`, for who holds the lock."""
    folders = finished_runs(experiment)
    tables = {}
    for metric in METRICS.values():
        found = [read_metric(folder, metric) for folder in folders]
        curves = [curve for curve in found if curve is not None]
        if curves:
            tables[experiment / metric.file] = pd.concat(curves, axis=1).to_csv
        else:
            remove(experiment / metric.file)
    if tables:
        write_files(tables)
    return [id_of(folder) for folder in folders]


def is_collected(experiment: Path) -> bool:
    """Whether the collected files hold all that the finished runs have, and nothing else."""
    folders = finished_runs(experiment)
    for metric in METRICS.values():
        wanted = [folder.name for folder in folders if (folder / metric.file).exists()]
        if _columns(experiment / metric.file) != wanted:
            return False
    return True


def _columns(path: Path) -> list[str]:
    """The names of a table's columns; none if it is not there."""
    if not path.exists():
        return []
    with path.open(errors="replace") as file:
        return file.readline(2**24).strip().split(",")[1:]


def auc(curves: pd.DataFrame) -> pd.Series:
    """Area under each column's learning curve: the mean of its rows, empty ones skipped."""
    return curves.mean()
