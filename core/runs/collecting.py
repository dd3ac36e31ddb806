"""The files that collect the runs of an experiment, one column a run."""

from pathlib import Path

import pandas as pd
from filelock import FileLock

from ..files import remove_parts, write_file
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
    for metric in METRICS.values():
        found = [read_metric(folder, metric) for folder in folders]
        curves = [curve for curve in found if curve is not None]
        if curves:
            table = pd.concat(curves, axis=1)
            write_file(experiment / metric.file, table.to_csv)
        else:
            (experiment / metric.file).unlink(missing_ok=True)
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
    with path.open() as file:
        return file.readline().strip().split(",")[1:]


def auc(curves: pd.DataFrame) -> pd.Series:
    """Area under each column's learning curve: the mean of its rows, empty ones skipped."""
    return curves.mean()
