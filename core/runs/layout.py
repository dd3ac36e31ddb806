"""The folders of experiments and runs: where they lie, and how far a run is."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import UserError
from ..files import remove_parts
from ..models.variations import VARIATIONS
from . import checkpoint

__all__ = [
    "FILES",
    "PIT_FILE",
    "check_writable",
    "claimed",
    "discard",
    "experiment_folder",
    "finished_runs",
    "id_of",
    "is_finished",
    "run_folders",
    "runs_root",
    "upper_bound_folder",
]

#: File name -> what it holds. One row for each point added, one column for each run.
FILES = {
    "accuracies.csv": "mae",
    "likelihoods.csv": "nll",
    "crps.csv": "crps",
    "losses.csv": "validation_nll",
    "calibration.csv": "calibration",
}

#: A run's own: one row for each point added, one column for each bin of the PIT histogram.
PIT_FILE = "pit.csv"


def experiment_folder(
    runs_folder: Path, dataset: str, query_size: int, agent: str, variation: str, protocol: str
) -> Path:
    """`runs[_<variation>][_corrected]/<dataset>/<query_size>/<agent>`, of result folder names."""
    return runs_root(runs_folder, variation, protocol) / dataset / str(query_size) / agent


def upper_bound_folder(runs_folder: Path, dataset: str, variation: str, protocol: str) -> Path:
    """`runs[_<variation>][_corrected]/<dataset>/UpperBound`."""
    return runs_root(runs_folder, variation, protocol) / dataset / "UpperBound"


def runs_root(runs_folder: Path, variation: str, protocol: str) -> Path:
    """`runs[_<variation>][_corrected]`.

    Raises:
        UserError: `runs_folder` is the root of a file system.
    """
    suffix = VARIATIONS[variation].suffix
    suffix += "" if protocol == "published" else f"_{protocol}"
    if suffix:
        named = runs_folder.resolve() if runs_folder.name in ("", "..") else runs_folder
        if not named.name:
            raise UserError(f"--runs_folder {runs_folder} has no name that '{suffix}' could be added to")
        runs_folder = named.with_name(named.name + suffix)
    return runs_folder


def id_of(folder: Path) -> int:
    """The id of the run in a folder `run_<id>`; -1 for another name, `run_01` too."""
    match = re.fullmatch(r"run_(0|[1-9]\d*)", folder.name)
    return int(match[1]) if match else -1


def run_folders(experiment: Path) -> list[Path]:
    """The folders of all runs, begun or finished, in the order of their ids."""
    found = [folder for folder in experiment.glob("run_*") if id_of(folder) >= 0 and folder.is_dir()]
    return sorted(found, key=id_of)


def is_finished(run_folder: Path) -> bool:
    """Whether the run there is finished: `meta.txt` is written last."""
    return (run_folder / "meta.txt").exists()


def finished_runs(experiment: Path) -> list[Path]:
    """The folders of finished runs, in the order of their ids."""
    return [folder for folder in run_folders(experiment) if is_finished(folder)]


def discard(run_folder: Path) -> None:
    """Makes a run count as never begun."""
    for file in ("meta.txt", checkpoint.FILE):
        (run_folder / file).unlink(missing_ok=True)


@contextmanager
def claimed(run_folder: Path, wait: float = 0) -> Iterator[bool]:
    """Whether the run there is this process's alone, until the end of the context.

    The lock of a process that died is free.

    Args:
        wait: seconds to wait for it.
    """
    run_folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run_folder / ".lock")
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        yield False
        return
    try:
        remove_parts(run_folder)
        yield True
    finally:
        lock.release()


def check_writable(folder: Path, option: str = "--runs_folder") -> None:
    """Raises a UserError unless files can be made in a folder, or in a new one of that name.

    Args:
        option: what names it on the command line.
    """
    there = folder
    while not there.exists():
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        reason = f"cannot write to {folder}: {error.strerror}"
        raise UserError(f"{reason}; choose another {option}") from error
