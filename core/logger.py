"""The context manager that collects what an environment measures into files."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from . import results, util
from .environment import Action, Environment, Outcome
from .files import write_file
from .state import State
from .training import Fitting, T, alone

__all__ = ["EnvironmentLogger"]

Curve = tuple[list[int], list[float]]


class EnvironmentLogger:
    """Wraps a run's environment and writes its files when the run is finished.

    On a regular exit of a finished episode it writes `accuracies.csv` (MAE), `likelihoods.csv`
    (NLL), `crps.csv`, `losses.csv` (validation NLL) and `meta.txt` into `log_path`, then collects
    all finished runs beside it into the four files of the folder above. A run that ends early,
    by an exception or otherwise, writes nothing.

    While a run goes on, `accuracies`, `likelihoods`, `crps` and `losses` are pairs of lists:
    points added, and values.

    Args:
        env: the environment.
        log_path: the run's folder, `.../run_<id>`.
        unattended: nobody watches the terminal: progress bars print few lines.
        record_points: also write `selected_points.pt`, x and y of the chosen points
            [budget, d + 1] in the order they were chosen.
        settings: what else `meta.txt` should say.
    """

    def __init__(
        self,
        env: Environment,
        log_path: str | Path,
        unattended: bool = False,
        *,
        record_points: bool = False,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self.env = env
        self.log_path = Path(log_path)
        self.unattended = unattended
        self.record_points = record_points
        self.settings = dict(settings or {})
        self.accuracies: Curve = ([], [])
        self.likelihoods: Curve = ([], [])
        self.crps: Curve = ([], [])
        self.losses: Curve = ([], [])
        self._points: list[torch.Tensor] = []
        self._epochs = 0
        self._finished = False
        self._in_step = self._outside = self._left = 0.0

    def __enter__(self) -> "EnvironmentLogger":
        util.tqdm.unattended = self.unattended
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._finished:
            self._write()
        elif kind is None and self.accuracies[0]:
            added, budget = self.accuracies[0][-1], self.env.budget
            print(
                f"{self.log_path.name}: left after {added} of {budget} points, not written", file=sys.stderr
            )

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
        self._in_step = self._outside = 0.0
        self._left = time.perf_counter()
        state, info = yield from self._timed(self.env.resetting())
        self._outside += self._in_step
        self._in_step = 0.0
        self._log(info)
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
        self._finished = terminated or truncated
        return state, reward, terminated, truncated, info

    def _timed(self, fitting: Fitting[T]) -> Fitting[T]:
        """Adds up the seconds in the environment, and outside of it; of fits, this run's share."""
        started = time.perf_counter()
        self._outside += started - self._left
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
        }

    def _log(self, info: dict[str, Any]) -> None:
        for name, (added, values) in self._curves.items():
            added.append(self.env.added)
            values.append(info[name])
        self._epochs += info["epochs"]

    def _write(self) -> None:
        self.log_path.mkdir(parents=True, exist_ok=True)
        # meta.txt says that a run is finished: gone first, written last.
        for file in ("meta.txt", "selected_points.pt"):
            (self.log_path / file).unlink(missing_ok=True)
        run_id, budget = self.env.seeds.run_id, self.env.budget
        for file, name in results.FILES.items():
            table = results.series(*self._curves[name], run_id, budget)
            write_file(self.log_path / file, table.to_csv)
        if self.record_points:
            points = torch.cat(self._points)
            write_file(self.log_path / "selected_points.pt", lambda path: torch.save(points, path))
        seconds = self._in_step + self._outside + time.perf_counter() - self._left
        measured = {
            "data_check": self.env.dataset.data_check,
            "epochs": self._epochs,
            "seconds": round(seconds, 1),
            "seconds_in_step": round(self._in_step, 1),
        }
        results.write_meta(self.log_path / "meta.txt", self.settings | measured)
        results.aggregate(self.log_path.parent)
