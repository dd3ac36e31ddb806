"""The context manager that collects what an environment measures into files."""

import io
import pickle
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol, TypeAlias

import pandas as pd
import torch

from .. import util
from ..environment import Action, Environment, Outcome
from ..errors import UserError
from ..files import write_file
from ..state import State
from ..training.lockstep import Fitting, T, alone
from . import checkpoint
from .collecting import aggregate, histograms, series
from .layout import FILES, PIT_FILE
from .settings import write_meta

__all__ = ["EnvironmentLogger"]

#: A run that is killed loses no more than this, and the round it was in.
SECONDS_BETWEEN_CHECKPOINTS = 60.0

#: What a checkpoint holds.
KEYS = ("env", "decider", "curves", "record_points", "points", "epochs", "finished", "seconds")

Curve: TypeAlias = tuple[list[int], list[Any]]


class Stateful(Protocol):
    """What a checkpoint can keep: its state is made of tensors and plain values."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class EnvironmentLogger:
    """Wraps a run's environment and writes its files when the run is finished.

    On a regular exit of a finished episode it writes `accuracies.csv` (MAE), `likelihoods.csv`
    (NLL), `crps.csv`, `losses.csv` (validation NLL), `calibration.csv`, `pit.csv` (PIT histograms)
    and `meta.txt` into `log_path`, then collects all finished runs beside it into the files of the
    folder above, `pit.csv` left out. A run that ends early, by an exception or otherwise, writes
    no `meta.txt` and does not count.

    With an agent to resume, the run goes on where it was broken off: a checkpoint is written at
    the end of a round, if the last one is a minute old, and when the run ends early, then with the
    CSV files as far as they go; `reset` takes a checkpoint up.

    While a run goes on, `accuracies`, `likelihoods`, `crps`, `losses`, `calibration` and `pit` are
    pairs of lists: points added, and values.

    Args:
        env: the environment.
        log_path: the run's folder, `.../run_<id>`.
        unattended: nobody watches the terminal: progress bars print few lines.
        record_points: also write `selected_points.pt`, x and y of the chosen points
            [budget, d + 1] in the order they were chosen.
        settings: what else `meta.txt` should say.
        resume: the agent, whose state belongs to a checkpoint, or another that decides how the run
            goes on; None for a run without checkpoints.
    """

    #: What a run may write besides, by the argument that asks for it: the file.
    RECORDS: ClassVar[dict[str, str]] = {"record_points": "selected_points.pt"}

    def __init__(
        self,
        env: Environment,
        log_path: str | Path,
        unattended: bool = False,
        *,
        record_points: bool = False,
        settings: Mapping[str, object] | None = None,
        resume: Stateful | None = None,
    ) -> None:
        self.env = env
        self.log_path = Path(log_path)
        self.unattended = unattended
        self.record_points = record_points
        self.settings = dict(settings or {})
        self.decider = resume
        self.accuracies: Curve = ([], [])
        self.likelihoods: Curve = ([], [])
        self.crps: Curve = ([], [])
        self.losses: Curve = ([], [])
        self.calibration: Curve = ([], [])
        self.pit: Curve = ([], [])
        self._points: list[torch.Tensor] = []
        self._epochs = 0
        self._finished = False
        self._starting = self._choosing = self._in_step = self._left = 0.0
        self._snapshot: dict[str, Any] = {}
        self._saved = time.monotonic()

    def __enter__(self) -> "EnvironmentLogger":
        util.tqdm.unattended = self.unattended
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._finished:
            try:
                self._write()
            except BaseException:
                self._save()
                raise
            (self.log_path / checkpoint.FILE).unlink(missing_ok=True)
        elif self._snapshot:
            self._save()
            self._write_curves(self._snapshot["curves"])  # a signal may have come between two lists
        elif kind is None and self.accuracies[0]:
            print(f"{self.log_path.name}: left after {self.env.progress}, not written", file=sys.stderr)

    def reset(self) -> State:
        """Resets the environment; the state alone."""
        return alone(self.resetting())

    def resetting(self) -> Fitting[State]:
        """`reset`, for runs side by side."""
        for curve in self._curves.values():
            curve[0].clear()
            curve[1].clear()
        self._points.clear()
        self._epochs = 0
        self._finished = False
        self._starting = self._choosing = self._in_step = 0.0
        self._left = time.perf_counter()
        if self.decider is not None and (saved := checkpoint.read(self.log_path / checkpoint.FILE, KEYS)):
            return self._restore(saved, self.decider)
        state, info = yield from self._timed(self.env.resetting())
        self._starting, self._choosing, self._in_step = self._choosing + self._in_step, 0.0, 0.0
        self._log(info)
        self._take_snapshot()
        if self._snapshot:
            try:
                checkpoint.check(self._snapshot)
            except pickle.UnpicklingError as error:
                raise TypeError(
                    f"{type(self.decider).__name__}.state_dict must return tensors and plain values alone"
                ) from error
        return state

    def step(self, action: Action) -> Outcome:
        """Steps the environment; its five values."""
        return alone(self.stepping(action))

    def stepping(self, action: Action) -> Fitting[Outcome]:
        """`step`, for runs side by side."""
        if self.record_points:
            self._points.append(self.env.points(action))
        state, reward, terminated, truncated, info = yield from self._timed(self.env.stepping(action))
        self._log(info)
        self._take_snapshot()
        return state, reward, terminated, truncated, info

    def _timed(self, fitting: Fitting[T]) -> Fitting[T]:
        """Adds up the seconds in the environment, and before it was called; of fits, this run's share."""
        started = time.perf_counter()
        self._choosing += started - self._left
        result = None
        try:
            while True:
                fit = fitting.send(result)  # type: ignore[arg-type]
                self._in_step += time.perf_counter() - started
                result = yield fit
                self._in_step += result.seconds
                started = time.perf_counter()
        except StopIteration as stop:
            self._left = time.perf_counter()
            self._in_step += self._left - started
            return stop.value

    @property
    def _curves(self) -> dict[str, Curve]:
        return {
            "mae": self.accuracies,
            "nll": self.likelihoods,
            "crps": self.crps,
            "validation_nll": self.losses,
            "calibration": self.calibration,
            "pit": self.pit,
        }

    def _log(self, info: dict[str, Any]) -> None:
        if self.env.index_name in info:  # the epoch that ends an upper bound's training is not tested
            for name, (index, values) in self._curves.items():
                index.append(info[self.env.index_name])
                values.append(info[name])
        self._epochs += info["epochs"]
        self._finished = self.env.finished

    def _take_snapshot(self) -> None:
        """Keeps what a checkpoint needs, and writes it if the last one is old."""
        if self.decider is None:
            return
        self._snapshot = {
            "env": self.env.state_dict(),
            "decider": self.decider.state_dict(),
            "curves": {name: [list(part) for part in curve] for name, curve in self._curves.items()},
            "record_points": self.record_points,
            "points": list(self._points),
            "epochs": self._epochs,
            "finished": self._finished,
            "seconds": [self._starting, self._choosing, self._in_step],
        }
        if time.monotonic() - self._saved >= SECONDS_BETWEEN_CHECKPOINTS:
            self._save()

    def _save(self) -> None:
        if self._snapshot:
            checkpoint.write(self.log_path / checkpoint.FILE, self._snapshot)
            self._saved = time.monotonic()

    def _restore(self, saved: dict[str, Any], decider: Stateful) -> State:
        if self.record_points and not saved["record_points"]:
            raise UserError(
                f"{self.log_path} was begun without --record_points 1: --overwrite 1 begins it anew"
            )
        state = self.env.resume(saved["env"])
        decider.load_state_dict(saved["decider"])
        for name, curve in self._curves.items():
            added, values = saved["curves"][name]
            curve[0].extend(added)
            curve[1].extend(values)
        self._points.extend(saved["points"])
        self._epochs, self._finished = saved["epochs"], saved["finished"]
        self._starting, self._choosing, self._in_step = saved["seconds"]
        self._left = time.perf_counter()
        self._snapshot = saved
        print(f"{self.log_path.name}: goes on after {self.env.progress}", file=sys.stderr)
        return state

    def _write_curves(self, curves: Mapping[str, Sequence[Any]]) -> None:
        index = pd.Index(curves["mae"][0], name=self.env.index_name)
        for file, name in FILES.items():
            table = series(index, curves[name][1], self.env.seeds.run_id)
            write_file(self.log_path / file, table.to_csv)
        write_file(self.log_path / PIT_FILE, histograms(index, curves["pit"][1]).to_csv)

    def _write(self) -> None:
        if self.decider is None:  # else the folder was there before, and must not have been lost
            self.log_path.mkdir(parents=True, exist_ok=True)
        # meta.txt says that a run is finished: gone first, written last.
        for file in ("meta.txt", "selected_points.pt"):
            (self.log_path / file).unlink(missing_ok=True)
        self._write_curves(self._curves)
        if self.record_points:
            buffer = io.BytesIO()  # torch.save on a full disk raises no OSError
            torch.save(torch.cat(self._points), buffer)
            write_file(self.log_path / "selected_points.pt", lambda path: path.write_bytes(buffer.getvalue()))
        seconds = self._starting + self._choosing + self._in_step + time.perf_counter() - self._left
        measured = {
            "seed_set": self.env.dataset.seed_set,
            "data_check": self.env.dataset.data_check,
            "epochs": self._epochs,
            "seconds": round(seconds, 1),
            "seconds_choosing": round(self._choosing, 3),
            "seconds_in_step": round(self._in_step, 3),
        }
        write_meta(self.log_path / "meta.txt", self.settings | measured)
        aggregate(self.log_path.parent)
