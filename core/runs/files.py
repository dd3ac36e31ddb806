"""The folders and files of runs: where they are, what a run has measured, writing and reading it.

`<runs>/<dataset>/<query_size>/<agent>/` is the folder of an experiment. Each run has a folder `run_<id>` in
it, and files of the same names collect the finished runs, one column a run.
"""

import copy
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from ..errors import UserError
from ..files import one_line, read_bytes, remove, remove_parts, write_files
from ..metrics import METRICS, PIT_BINS, Evaluation, Metric
from ..models.variations import VARIATIONS
from . import checkpoint

#: The last file of a run, which marks it as finished: its settings and notes.
META = "meta.txt"
#: Levels of the quantiles of p(y|x) in the last round's predictions.
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
POINTS, ROWS, PREDICTIONS = "selected_points.pt", "selected_rows.csv", "predictions.npz"


def runs_root(runs_folder: Path, variation: str, protocol: str) -> Path:
    """`runs[_<variation>][_corrected]`; a UserError if `runs_folder` is the root of a file system."""
    suffix = VARIATIONS[variation].suffix
    suffix += "" if protocol == "published" else f"_{protocol}"
    if not suffix:
        return runs_folder
    named = runs_folder.resolve() if runs_folder.name in ("", "..") else runs_folder
    if not named.name:
        raise UserError(
            f"the runs folder {runs_folder} has no name that '{suffix}' could be added to", "runs_folder"
        )
    return named.with_name(named.name + suffix)


def id_of(folder: Path) -> int:
    """The id of the run in a folder `run_<id>`; -1 for another name, `run_01` too."""
    match = re.fullmatch(r"run_(0|[1-9]\d*)", folder.name)
    return int(match[1]) if match else -1


def run_folders(experiment: Path) -> list[Path]:
    """The folders of all runs, finished or not, in the order of their ids."""
    named = (folder for folder in experiment.glob("run_*") if id_of(folder) >= 0)
    return sorted((folder for folder in named if folder.is_dir()), key=id_of)


def is_finished(run_folder: Path) -> bool:
    """Whether the run there is finished: `meta.txt` is written last."""
    return (run_folder / META).exists()


def finished_runs(experiment: Path) -> list[Path]:
    """The folders of finished runs, in the order of their ids."""
    return [folder for folder in run_folders(experiment) if is_finished(folder)]


def discard(run_folder: Path) -> None:
    """Deletes what a run has written."""
    remove(run_folder / META, run_folder / checkpoint.FILE)


@contextmanager
def claimed(run_folder: Path, wait: float = 0) -> Iterator[bool]:
    """Locks a run's folder in this context; whether that worked within so many seconds.

    A process that dies releases its lock.
    """
    run_folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run_folder / ".lock")
    try:
        lock.acquire(timeout=wait)
    except (Timeout, FileNotFoundError):  # or somebody has just removed the folder
        yield False
        return
    try:
        remove_parts(run_folder)
        yield True
    finally:
        lock.release()


@dataclass
class Record:
    """The measurements of one run, with points and predictions if asked for."""

    index_name: str  # what counts the measurements: `added` (points) or `epoch`
    run_id: int
    keeps_points: bool = False
    keeps_predictions: bool = False
    # The counts at which something was measured, ascending; values and histograms measured then.
    index: list[int] = field(default_factory=list)
    curves: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in METRICS})
    pit: list[list[int]] = field(default_factory=list)
    # x and y of the chosen points [k, d + 1], in the order they were chosen; their rows in the whole table.
    points: list[Tensor] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    # After the last round, of the N test rows, float32 on the CPU and on the scaled target: `target`,
    # `prediction`, `log_prob`, `pit` [N]; `quantiles` [N, 5] of p(y|x) at `levels` [5].
    predictions: dict[str, Tensor] = field(default_factory=dict)
    epochs: int = 0  # trained in all
    fits_at_limit: int = 0  # fits that the epoch limit ended
    finished: bool = False  # the episode has terminated

    def add(self, info: Mapping[str, Any], finished: bool) -> None:
        """Adds the info of an environment's `reset` or `step`; without metrics, only its epochs."""
        if self.index_name in info:
            self.index.append(info[self.index_name])
            self.pit.append(info["pit"])
            for name, values in self.curves.items():
                values.append(info[name])
        self.epochs += info["epochs"]
        self.fits_at_limit += info.get("fits_at_limit", 0)
        self.finished = finished

    @torch.no_grad()
    def add_predictions(self, tested: Evaluation) -> None:
        """Keeps a model's predictions for the test rows, enough to compute a metric later."""
        levels = torch.tensor(_LEVELS, dtype=tested.targets.dtype, device=tested.targets.device)
        quantiles = torch.cat([density.icdf(levels[:, None]) for density in tested.densities], 1)
        arrays = {
            "target": tested.targets,
            "prediction": tested.predictions,
            "log_prob": tested.log_prob,
            "pit": tested.pit,
            "levels": levels,
            "quantiles": quantiles.T,
        }
        self.predictions = {name: array.float().cpu() for name, array in arrays.items()}

    def state_dict(self) -> dict[str, Any]:
        """A copy, of tensors and plain values."""
        return copy.deepcopy(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what `state_dict` returned, but not which points and predictions to keep.

        A metric that is newer than the run has no curve.
        """
        asked = {"keeps_points": self.keeps_points, "keeps_predictions": self.keeps_predictions}
        vars(self).update(copy.deepcopy({**state, **asked}))
        self.curves = {name: values for name, values in self.curves.items() if name in METRICS}


def write_results(run_folder: Path, record: Record) -> None:
    """Writes the files of a run so far, except `meta.txt`, which marks it as finished."""
    every = pd.RangeIndex(record.index[0], record.index[-1] + 1, name=record.index_name)

    def rows(table: pd.DataFrame) -> bytes:  # one for each point added, or epoch; empty if not measured
        return table.set_axis(record.index).reindex(every).to_csv().encode()

    contents: dict[str, bytes | None] = {
        METRICS[name].file: rows(pd.DataFrame({f"run_{record.run_id}": values}, dtype="float64"))
        for name, values in record.curves.items()
    }
    bins = [f"{k / PIT_BINS:.2f}" for k in range(PIT_BINS)]  # named by where they begin
    contents["pit.csv"] = rows(pd.DataFrame(record.pit, columns=bins, dtype="Int64"))
    contents |= dict.fromkeys((POINTS, ROWS, PREDICTIONS))  # those that it has not are removed
    if record.keeps_points and record.points:
        contents[POINTS] = _saved(lambda file: torch.save(torch.cat(record.points), file))
        added = pd.RangeIndex(1, len(record.rows) + 1, name="added")
        contents[ROWS] = pd.DataFrame({"row": record.rows}, index=added).to_csv().encode()
    if record.keeps_predictions and record.predictions:
        arrays: dict[str, Any] = {name: array.numpy() for name, array in record.predictions.items()}
        contents[PREDICTIONS] = _saved(lambda file: np.savez_compressed(file, **arrays))
    remove(run_folder / META)
    _store(run_folder, contents)


def _saved(save: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


def _store(folder: Path, contents: Mapping[str, bytes | None]) -> None:
    """Writes files by their names, in this order, and removes those that are None."""
    remove(*(folder / name for name, content in contents.items() if content is None))
    found = {folder / name: content for name, content in contents.items() if content is not None}
    write_files({path: partial(Path.write_bytes, data=content) for path, content in found.items()})


def pack(run_folder: Path) -> dict[str, bytes]:
    """The files of a finished run by their names, for `unpack`; `meta.txt` is last, as it says finished."""
    results = [path for path in run_folder.iterdir() if not path.name.startswith((".", checkpoint.FILE))]
    return {path.name: path.read_bytes() for path in sorted(results, key=lambda path: path.name == META)}


def unpack(run_folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes what `pack` returned, and removes what an interrupted run left there."""
    _store(run_folder, dict.fromkeys((POINTS, ROWS, PREDICTIONS, checkpoint.FILE)) | dict(files))


def read_curves(path: Path) -> pd.DataFrame:
    """A table of runs, a column each, a row for each point added (or epoch); a UserError if it is damaged."""
    where, last, index, rows = "", -1.0, [], []
    try:
        content = read_bytes(path).decode("utf-8-sig")
        if ";" in content:
            raise ValueError("it has semicolons, as if saved by a spreadsheet")
        head, *lines = content.splitlines() or [""]
        name, *columns = head.split(",")
        for number, line in enumerate(lines, start=2):
            where = f"line {number}: "
            if not line:
                continue
            step, *row = (float(cell or "nan") for cell in line.split(","))
            if len(row) != len(columns):
                raise ValueError(f"it has {len(row) + 1} cells, not {len(columns) + 1}")
            if not last < step < 2**53 or step % 1:
                raise ValueError("it does not follow the one above it")
            if any(map(math.isinf, (step, *row))):
                raise ValueError("it is not finite")
            index.append(int(step))
            rows.append(row)
            last = step
        if not rows:
            raise ValueError("no rows")
        if not content.endswith("\n"):  # a copy that was interrupted: the last number may lack digits
            raise ValueError("it is cut off")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({where}{one_line(error)}): remove its folder and run it again"
        ) from error
    return pd.DataFrame(rows, pd.Index(index, name=name), columns)


def _read_metric(run_folder: Path, metric: Metric) -> pd.Series | None:
    """The curve of a finished run; None if it is older than the metric."""
    path = run_folder / metric.file
    if not (metric.in_every_run or path.exists()):
        return None
    table = read_curves(path)
    if list(table) != [run_folder.name]:
        columns = one_line(", ".join(map(str, table)))
        raise UserError(
            f"{path} is of {columns}, not of {run_folder.name}: remove its folder and run it again"
        )
    curve = table.iloc[:, 0]
    if not (good := metric.is_possible(curve.to_numpy()) | curve.isna()).all():
        line = int(np.argmin(good)) + 2
        raise UserError(f"{path}: line {line}: {curve.iloc[line - 2]:g} is no {metric.label}: run it again")
    return curve


def read_metrics(run_folder: Path) -> pd.DataFrame:
    """The curves of a finished run: a column for each metric that it has, a row for each measurement.

    A UserError if a file is damaged, missing although every run has it, or has other rows than the others.
    """
    found = {name: _read_metric(run_folder, metric) for name, metric in METRICS.items()}
    table = pd.DataFrame({name: curve for name, curve in found.items() if curve is not None})
    table = table.dropna(how="all")
    if table.empty or table.isna().any(axis=None):
        raise UserError(f"{run_folder} lacks values in some of its files: remove it and run it again")
    return table


def read_pit(run_folder: Path) -> pd.DataFrame:
    """The PIT histograms of a finished run: a row for each measurement, a column for each bin."""
    path = run_folder / "pit.csv"
    table = read_curves(path).dropna()
    bad = (table < 0) | (table % 1 != 0)
    if len(table.columns) != PIT_BINS or table.empty or bad.any(axis=None):
        raise UserError(f"{path} holds no {PIT_BINS} counts a row: remove its folder and run it again")
    return table.rename(columns=float)


def aggregate(experiment: Path) -> list[int]:
    """Collects the finished runs of an experiment into its files, one column a run; returns their ids.

    A run that is older than a metric has no column in its file.
    """
    with FileLock(experiment / ".lock"):
        remove_parts(experiment)
        folders = finished_runs(experiment)
        contents = {}
        for metric in METRICS.values():
            curves = [curve for folder in folders if (curve := _read_metric(folder, metric)) is not None]
            contents[metric.file] = pd.concat(curves, axis=1).to_csv().encode() if curves else None
        _store(experiment, contents)
    return [id_of(folder) for folder in folders]


def is_collected(experiment: Path) -> bool:
    """Whether the collected MAE has exactly the finished runs."""
    path = experiment / METRICS["mae"].file
    head = path.read_text(errors="replace").partition("\n")[0] if path.exists() else ""
    return head.split(",")[1:] == [folder.name for folder in finished_runs(experiment)]
