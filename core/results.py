"""The files of a run and of an experiment: where they lie, how they are written and read."""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from . import checkpoint
from .errors import UserError
from .files import remove_parts, write_file

__all__ = [
    "FILES",
    "aggregate",
    "auc",
    "check_settings",
    "check_writable",
    "claimed",
    "discard",
    "experiment_folder",
    "is_finished",
    "read_curves",
    "read_meta",
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
    suffix = "" if variation == "nf" else f"_{variation}"
    suffix += "" if protocol == "published" else f"_{protocol}"
    if suffix:
        named = runs_folder.resolve() if runs_folder.name in ("", "..") else runs_folder
        if not named.name:
            raise UserError(f"--runs_folder {runs_folder} has no name that '{suffix}' could be added to")
        runs_folder = named.with_name(named.name + suffix)
    return runs_folder / dataset / str(query_size) / agent


def series(added: list[int], values: list[float], run_id: int, budget: int) -> pd.DataFrame:
    """One metric of a run as a table: rows 0 to `budget`, empty where nothing was measured."""
    table = pd.DataFrame({f"run_{run_id}": values}, index=added, dtype="float64")
    return table.reindex(range(budget + 1)).rename_axis("added")


def read_curves(path: Path) -> pd.DataFrame:
    """A table as `series` or `aggregate` wrote it.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        # By way of texts: pandas before 3.0 reads most floats an ulp off.
        table = pd.read_csv(path, dtype=str)
        return table.astype({"added": "int64"}).set_index("added").astype("float64")
    except (OSError, ValueError, KeyError) as error:  # pandas' own errors are ValueErrors
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read ({reason}): remove its folder and run it again") from error


def is_finished(run_folder: Path) -> bool:
    """Whether the run there is finished: `meta.txt` is written last."""
    return (run_folder / "meta.txt").exists()


def discard(run_folder: Path) -> None:
    """Makes a run count as never begun."""
    for file in ("meta.txt", checkpoint.FILE):
        (run_folder / file).unlink(missing_ok=True)


@contextmanager
def claimed(run_folder: Path) -> Iterator[bool]:
    """Whether the run there is this process's alone, until the end of the context.

    The lock of a process that died is free.
    """
    run_folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run_folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        remove_parts(run_folder)
        yield True
    finally:
        lock.release()


def run_folders(experiment: Path) -> list[Path]:
    """The folders of finished runs, in the order of their ids."""
    found = {
        int(match[1]): folder
        for folder in experiment.glob("run_*")
        if (match := re.fullmatch(r"run_(\d+)", folder.name)) and is_finished(folder)
    }
    return [found[run_id] for run_id in sorted(found)]


def aggregate(experiment: Path) -> None:
    """Collects the finished runs of an experiment into its four files, one column a run.

    Safe beside other processes that do the same: it works under a lock, from the runs' own files.
    """
    with FileLock(experiment / ".lock"):
        remove_parts(experiment)
        folders = run_folders(experiment)
        for file in FILES:
            table = pd.concat([read_curves(folder / file) for folder in folders], axis=1)
            write_file(experiment / file, table.to_csv)


def auc(curves: pd.DataFrame) -> pd.Series:
    """Area under each column's learning curve: the mean of its rows, empty ones skipped."""
    return curves.mean()


def check_writable(folder: Path) -> None:
    """Raises a UserError unless files can be made in a folder, or in a new one of that name."""
    there = folder
    while not there.exists():
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        reason = f"cannot write to {folder}: {error.strerror}"
        raise UserError(f"{reason}; choose another --runs_folder") from error


def check_settings(
    experiment: Path, settings: Mapping[str, object], run_ids: Sequence[int], overwrite: bool
) -> None:
    """Refuses to put runs of different settings side by side, or to go on with a run of others.

    Args:
        settings: as of `write_meta`, of the runs to come; only these names are compared.
        run_ids: the runs to come.
        overwrite: they are made anew. Those of other settings count as never begun from now on.

    Raises:
        UserError: a run that stays was made, or begun, with other settings.
    """
    wanted = {name: str(value) for name, value in settings.items()}
    made = {folder: read_meta(folder / "meta.txt") for folder in run_folders(experiment)}
    for folder in (experiment / f"run_{run_id}" for run_id in run_ids):
        if folder not in made and (saved := checkpoint.read(folder / checkpoint.FILE)):
            made[folder] = saved["settings"]
    outdated = []
    for folder, found in made.items():
        differing = [name for name, value in wanted.items() if found.get(name) != value]
        if differing and overwrite and int(folder.name.removeprefix("run_")) in run_ids:
            outdated.append(folder)
        elif differing:
            name = differing[0]
            raise UserError(
                f"{folder} was made with {name} {found.get(name)}, not {wanted[name]}: "
                "take another --runs_folder, remove it, or make its runs anew with --overwrite 1"
            )
    for folder in outdated:
        discard(folder)


def write_meta(path: Path, settings: Mapping[str, object]) -> None:
    """Writes `meta.txt`: a line `name: value` for each setting."""
    text = "".join(f"{name}: {value}\n" for name, value in settings.items())
    write_file(path, lambda beside: beside.write_text(text))


def read_meta(path: Path) -> dict[str, str]:
    """The settings in a file that `write_meta` wrote."""
    lines = path.read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if ": " in line)
