"""The folders of experiments and runs: where they lie, and how far a run is."""

import io
import os
import re
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout

from ..errors import UserError
from ..files import make_folder, remove, remove_parts, write_files
from ..metrics import METRICS, Metric
from ..models.variations import VARIATIONS
from . import checkpoint
from .record import Record
from .tables import histograms, read_curves, series

__all__ = [
    "META",
    "POINTS",
    "PREDICTIONS",
    "ResultFile",
    "check_target",
    "check_writable",
    "claimed",
    "discard",
    "experiment_folder",
    "finished_runs",
    "id_of",
    "is_finished",
    "oracle_folder",
    "owner",
    "put",
    "read_metric",
    "read_metrics",
    "read_pit",
    "result_files",
    "run_folders",
    "runs_root",
    "take",
    "upper_bound_folder",
    "write_results",
]

#: The last file of a run, which says that it is finished: its settings, and what was noted of it.
META = "meta.txt"

#: Beside a lock that is held.
_OWNER = ".owner"

POINTS, PREDICTIONS = "selected_points.pt", "predictions.npz"


@dataclass(frozen=True)
class ResultFile:
    """A file of a run's folder that holds results.

    Attributes:
        name: its name.
        content: what a run's record puts into it; None if the run does not have it.
    """

    name: str
    content: Callable[[Record], bytes | None]


def result_files() -> list[ResultFile]:
    """All of them, in the order in which they are written; one entry here is all that one more needs.

    `meta.txt` comes after them, and the checkpoint of a run that goes on is no result.
    """
    return [
        *(ResultFile(metric.file, partial(_curve, metric.name)) for metric in METRICS.values()),
        ResultFile("pit.csv", _pit),
        ResultFile(POINTS, _points),
        ResultFile("selected_rows.csv", _rows),
        ResultFile(PREDICTIONS, _predictions),
    ]


def _index(record: Record) -> pd.Index:
    return pd.Index(record.index, name=record.index_name)


def _curve(name: str, record: Record) -> bytes | None:
    """One row for each point added, one column: the run's."""
    if name not in record.curves:
        return None
    return series(_index(record), record.curves[name], record.run_id).to_csv().encode()


def _pit(record: Record) -> bytes:
    """One row for each point added, one column for each bin of the PIT histogram."""
    return histograms(_index(record), record.pit).to_csv().encode()


def _points(record: Record) -> bytes | None:
    """x and y of the chosen points, a tensor [budget, d + 1], in the order they were chosen."""
    if not (record.keeps_points and record.points):
        return None
    buffer = io.BytesIO()
    torch.save(torch.cat(record.points), buffer)
    return buffer.getvalue()


def _rows(record: Record) -> bytes | None:
    """Their row numbers in the whole table, in the same order; `added` counts them from 1."""
    if not (record.keeps_points and record.rows):
        return None
    added = pd.RangeIndex(1, len(record.rows) + 1, name="added")
    return pd.DataFrame({"row": record.rows}, index=added).to_csv().encode()


def _predictions(record: Record) -> bytes | None:
    """Arrays as of `predictions.predictions`; `np.load` reads them, and executes nothing."""
    if not (record.keeps_predictions and record.predictions):
        return None
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {name: array.numpy() for name, array in record.predictions.items()}
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def write_results(run_folder: Path, record: Record) -> None:
    """Writes the result files of a run as far as it has got; it counts as finished once `meta.txt` is there.

    Raises:
        UserError: a file cannot be written.
    """
    remove(run_folder / META)
    _store(run_folder, {file.name: file.content(record) for file in result_files()})


def _store(folder: Path, contents: Mapping[str, bytes | None]) -> None:
    """Makes files hold these; those that are to hold nothing are removed."""
    remove(*(folder / name for name, content in contents.items() if content is None))
    write_files(
        {folder / name: partial(_write, content) for name, content in contents.items() if content is not None}
    )


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def take(run_folder: Path) -> dict[str, bytes]:
    """The files of a finished run, to be stored elsewhere."""
    paths = [run_folder / name for name in (*(file.name for file in result_files()), META)]
    return {path.name: path.read_bytes() for path in paths if path.exists()}


def put(run_folder: Path, files: Mapping[str, bytes]) -> None:
    """Stores what `take` took. Other names than ours are left out.

    Raises:
        UserError: a file cannot be written.
    """
    _store(run_folder, {file.name: files.get(file.name) for file in result_files()})
    _store(run_folder, {META: files.get(META)})  # last: it says finished


def read_metric(run_folder: Path, metric: Metric) -> pd.Series | None:
    """The curve of a finished run; None if it was made before there was that metric.

    Raises:
        UserError: the file is damaged, or is missing though every run has it.
    """
    path = run_folder / metric.file
    if not (metric.in_every_run or path.exists()):
        return None
    return read_curves(path).iloc[:, 0]


def read_metrics(run_folder: Path) -> pd.DataFrame:
    """The curves of a finished run: a column for each metric that it has, a row for each measurement.

    Raises:
        ValueError: a file is damaged, or they do not hold the same rows.
    """
    found = {name: read_metric(run_folder, metric) for name, metric in METRICS.items()}
    curves = {name: curve for name, curve in found.items() if curve is not None}
    table = pd.DataFrame(curves).dropna(how="all")
    if table.empty or table.isna().any(axis=None):
        raise ValueError("its files lack values that others of its files have")
    return table


def read_pit(run_folder: Path) -> pd.DataFrame:
    """The PIT histograms of a finished run: a row for each measurement, a column for each bin."""
    return read_curves(run_folder / "pit.csv").dropna().rename(columns=float)


def experiment_folder(
    runs_folder: Path, dataset: str, query_size: int, agent: str, variation: str, protocol: str
) -> Path:
    """`runs[_<variation>][_corrected]/<dataset>/<query_size>/<agent>`, of result folder names."""
    return runs_root(runs_folder, variation, protocol) / dataset / str(query_size) / agent


def upper_bound_folder(runs_folder: Path, dataset: str, variation: str, protocol: str) -> Path:
    """`runs[_<variation>][_corrected]/<dataset>/UpperBound`."""
    return runs_root(runs_folder, variation, protocol) / dataset / "UpperBound"


def oracle_folder(runs_folder: Path, dataset: str, variation: str, protocol: str) -> Path:
    """`runs[_<variation>][_corrected]/<dataset>/Oracle`."""
    return runs_root(runs_folder, variation, protocol) / dataset / "Oracle"


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
            raise UserError(
                f"the runs folder {runs_folder} has no name that '{suffix}' could be added to", "runs_folder"
            )
        runs_folder = named.with_name(named.name + suffix)
    return runs_folder


def id_of(folder: Path) -> int:
    """The id of the run in a folder `run_<id>`; -1 for another name, `run_01` too."""
    match = re.fullmatch(r"run_(0|[1-9]\d*)", folder.name)
    return int(match[1]) if match else -1


def run_folders(experiment: Path) -> list[Path]:
    """The folders of all runs, begun or finished, in the order of their ids."""
    try:
        with os.scandir(experiment) as entries:  # which knows what is a folder without looking at each
            folders = [Path(entry.path) for entry in entries if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    by_id = {id_of(folder): folder for folder in folders}
    return [by_id[i] for i in sorted(by_id) if i >= 0]


def is_finished(run_folder: Path) -> bool:
    """Whether the run there is finished: `meta.txt` is written last."""
    return (run_folder / META).exists()


def finished_runs(experiment: Path) -> list[Path]:
    """The folders of finished runs, in the order of their ids."""
    return [folder for folder in run_folders(experiment) if is_finished(folder)]


def discard(run_folder: Path) -> None:
    """Makes a run count as never begun."""
    remove(run_folder / META, run_folder / checkpoint.FILE)


@contextmanager
def claimed(run_folder: Path, wait: float = 0) -> Iterator[bool]:
    """Whether the run there is this process's alone, until the end of the context.

    The lock of a process that died is free.

    Args:
        wait: seconds to wait for it.
    """
    make_folder(run_folder)
    lock = FileLock(run_folder / ".lock")
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        yield False
        return
    try:
        remove_parts(run_folder)
        (run_folder / _OWNER).write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield True
    finally:
        with suppress(OSError):  # the folder may be lost
            (run_folder / _OWNER).unlink(missing_ok=True)
        lock.release()


def owner(run_folder: Path) -> str:
    """Who has claimed a run, in words, for where its lock seems to be nobody's: as on another machine."""
    try:
        return (run_folder / _OWNER).read_text(encoding="utf-8", errors="replace")[:200]
    except OSError:
        return "it does not say which"


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
        raise UserError(f"{reason}; choose another folder") from error


def check_target(path: Path, *read: Path) -> None:
    """Raises a UserError unless a file can be made there that is none of those which are read.

    It is asked before the work is done whose results go there.
    """
    if path.is_dir() or not path.parent.is_dir():
        reason = "it is a folder" if path.is_dir() else f"{path.parent} is no folder"
        raise UserError(f"{path} cannot be written: {reason}")
    if any(path.exists() and one.exists() and path.samefile(one) for one in read):
        raise UserError(f"{path} would replace a table that is read; choose another name")
    check_writable(path.parent)
