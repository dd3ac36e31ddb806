"""The files of a run and of an experiment: where they lie, how they are written and read."""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from . import checkpoint
from .errors import UserError
from .files import remove_parts, write_file
from .metrics import PIT_BINS

__all__ = [
    "FILES",
    "PIT_FILE",
    "aggregate",
    "agree_on_settings",
    "auc",
    "check_settings",
    "check_writable",
    "claimed",
    "discard",
    "experiment_folder",
    "finished_runs",
    "histograms",
    "is_finished",
    "read_curves",
    "read_meta",
    "run_folders",
    "runs_root",
    "series",
    "upper_bound_folder",
    "write_meta",
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
    suffix = "" if variation == "nf" else f"_{variation}"
    suffix += "" if protocol == "published" else f"_{protocol}"
    if suffix:
        named = runs_folder.resolve() if runs_folder.name in ("", "..") else runs_folder
        if not named.name:
            raise UserError(f"--runs_folder {runs_folder} has no name that '{suffix}' could be added to")
        runs_folder = named.with_name(named.name + suffix)
    return runs_folder


def series(index: pd.Index, values: Sequence[float], run_id: int) -> pd.DataFrame:
    """One metric of a run as a table, with empty rows where nothing was measured.

    Args:
        index: when it was measured: points added (named `added`), or epochs (`epoch`), ascending.
        values: what was measured then.
    """
    return _every_row(pd.DataFrame({f"run_{run_id}": values}, index=index, dtype="float64"))


def histograms(index: pd.Index, counts: Sequence[Sequence[int]]) -> pd.DataFrame:
    """The PIT histograms of a run as a table: a column for each bin, named by where it begins.

    Args:
        index: as of `series`.
        counts: rows in each of the 20 bins, for each measurement.
    """
    bins = [f"{k / PIT_BINS:.2f}" for k in range(PIT_BINS)]
    return _every_row(pd.DataFrame(counts, index=index, columns=bins, dtype="Int64"))


def _every_row(table: pd.DataFrame) -> pd.DataFrame:
    return table.reindex(pd.RangeIndex(table.index[0], table.index[-1] + 1, name=table.index.name))


def read_curves(path: Path) -> pd.DataFrame:
    """A table as `series`, `histograms` or `aggregate` wrote it.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        # By way of texts: pandas before 3.0 reads most floats an ulp off.
        table = pd.read_csv(path, dtype=str, index_col=0).astype("float64")
        if table.empty:
            raise ValueError("no rows")
        table.index = table.index.astype("int64")
        return table
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
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


def id_of(folder: Path) -> int:
    """The id of the run in a folder `run_<id>`; -1 for another name, `run_01` too."""
    match = re.fullmatch(r"run_(0|[1-9]\d*)", folder.name)
    return int(match[1]) if match else -1


def run_folders(experiment: Path) -> list[Path]:
    """The folders of all runs, begun or finished, in the order of their ids."""
    found = [folder for folder in experiment.glob("run_*") if id_of(folder) >= 0 and folder.is_dir()]
    return sorted(found, key=id_of)


def finished_runs(experiment: Path) -> list[Path]:
    """The folders of finished runs, in the order of their ids."""
    return [folder for folder in run_folders(experiment) if is_finished(folder)]


def aggregate(experiment: Path) -> list[int]:
    """Collects the finished runs of an experiment into its files, one column a run; their ids.

    Safe beside other processes that do the same: it works under a lock, from the runs' own files.
    """
    with FileLock(experiment / ".lock"):
        remove_parts(experiment)
        return _collect(experiment)


def _collect(experiment: Path) -> list[int]:
    folders = finished_runs(experiment)
    for file in FILES:
        if folders:
            table = pd.concat([read_curves(folder / file) for folder in folders], axis=1)
            write_file(experiment / file, table.to_csv)
        else:
            (experiment / file).unlink(missing_ok=True)
    return [id_of(folder) for folder in folders]


def auc(curves: pd.DataFrame) -> pd.Series:
    """Area under each column's learning curve: the mean of its rows, empty ones skipped."""
    return curves.mean()


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


def agree_on_settings(
    experiment: Path, settings: Mapping[str, object], run_ids: Sequence[int], overwrite: bool
) -> None:
    """Sees to it that all runs of an experiment have the same settings: those in its `settings.txt`.

    They are written before the first run begins, and compared ever after, under a lock.

    Args:
        settings: as of `write_meta`, of the runs to come; only these names are compared.
        run_ids: the runs to come.
        overwrite: they are made anew. Those of other settings count as never begun from now on.

    Raises:
        UserError: a run that stays was made, or begun, with other settings.
    """
    wanted = {name: str(value) for name, value in settings.items()}
    experiment.mkdir(parents=True, exist_ok=True)
    with FileLock(experiment / ".lock"):
        path = experiment / "settings.txt"
        agreed = {experiment: read_meta(path)} if path.exists() else {}
        made = {}
        for folder in finished_runs(experiment):
            with suppress(FileNotFoundError):  # its process makes it anew
                made[folder] = read_meta(folder / "meta.txt")
        differing = [
            difference
            for folder, found in (made | agreed).items()
            if (difference := _difference(folder, found, wanted))
        ]
        if differing:
            runs = _begun(experiment) if overwrite else []
            if not overwrite or any(id_of(folder) not in run_ids for folder in runs):
                raise UserError(differing[0] + _ADVICE)
            with ExitStack() as claims:
                if not all([claims.enter_context(claimed(folder)) for folder in runs]):
                    raise UserError(f"{differing[0]}another process is at a run")
                for folder in runs:
                    discard(folder)
            _collect(experiment)
        if differing or not agreed:
            write_meta(path, wanted)


_ADVICE = "take another --runs_folder, remove it, or make all its runs anew with --overwrite 1"


def check_settings(experiment: Path, settings: Mapping[str, object]) -> None:
    """Raises a UserError if others than these have been agreed on."""
    found = read_meta(experiment / "settings.txt")
    if difference := _difference(experiment, found, {name: str(value) for name, value in settings.items()}):
        raise UserError(difference + _ADVICE)


def _difference(folder: Path, found: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """The first setting that differs, in words; nothing if none does."""
    for name, value in wanted.items():
        if found.get(name) != value:
            return f"{folder} was made with {name} {found.get(name)}, not {value}: "
    return ""


def _begun(experiment: Path) -> list[Path]:
    """The folders of all runs that are finished, can go on, or are at work."""
    begun = []
    for folder in run_folders(experiment):
        if is_finished(folder) or (folder / checkpoint.FILE).exists():
            begun.append(folder)
        else:
            with claimed(folder) as mine:
                if not mine:
                    begun.append(folder)
    return begun


def write_meta(path: Path, settings: Mapping[str, object]) -> None:
    """Writes `meta.txt` or `settings.txt`: a line `name: value` for each setting."""
    text = "".join(f"{name}: {value}\n" for name, value in settings.items())
    # Paths may hold bytes that are no text.
    write_file(path, lambda beside: beside.write_text(text, encoding="utf-8", errors="surrogateescape"))


def read_meta(path: Path) -> dict[str, str]:
    """The settings in a file that `write_meta` wrote."""
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    return dict(line.split(": ", 1) for line in lines if ": " in line)
