"""The context manager that collects what an environment measures into files."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from .. import util
from ..environment import Action, Environment, Outcome
from ..errors import UserError
from ..state import State
from ..training.side_by_side import own_time
from . import checkpoint
from .files import META, Record, aggregate, write_results
from .settings import begun_elsewhere, provenance, write_meta


class EnvironmentLogger:
    """Wraps the environment of one episode and writes its files when it is finished.

    The files go to `log_path`, `.../run_<id>`; the folder above collects all finished runs. A run that ends
    early writes no `meta.txt` and does not count.

    With an agent in `resume`, an interrupted run resumes: a checkpoint is written at the end of a round, if
    the last one is a minute old, and when the run ends early, together with the results so far; `reset` reads
    it. During a run, `record.curves` has all metrics by name.

    Args:
        unattended: progress bars print few lines.
        options: any of the following; `env.logger_options` has those of the run's experiment.
        record_points: also write `selected_points.pt`, x and y of the chosen points [budget, d + 1] in the
            order they were chosen, and `selected_rows.csv`, their row numbers in the dataset's whole table.
        record_predictions: also write `predictions.npz`, what the last model says of each test row.
        settings: more lines for `meta.txt`.
        resume: the agent, whose `state_dict` is part of checkpoints; None for a run without them.
    """

    def __init__(
        self, env: Environment, log_path: str | Path, unattended: bool = False, **options: Any
    ) -> None:
        self.env, self.log_path, self.unattended = env, Path(log_path), unattended
        options = {**env.logger_options, **options}
        keeps = options.pop("record_points", False), options.pop("record_predictions", False)
        self.record = Record(env.index_name, env.seeds.run_id, *keeps)
        self.settings, self.agent = options.pop("settings", {}), options.pop("resume", None)
        self.here = self.begun_with = provenance()
        if options:
            raise TypeError(f"a logger has no options {', '.join(options)}")
        self._checkpoint: dict[str, Any] | None = None  # of the last round
        self._written = time.monotonic()
        #: Seconds of this run, without those of others: up to the first choice; between steps (choosing,
        #: checkpoints); in steps (training, testing).
        self.seconds = {"starting": 0.0, "choosing": 0.0, "in_step": 0.0}
        self._lap_began = own_time()

    @property
    def accuracies(self) -> tuple[list[int], list[float]]:
        """Points added so far, and the MAE after each."""
        return self.record.index, self.record.curves["mae"]

    def __enter__(self) -> "EnvironmentLogger":
        util.tqdm.unattended = self.unattended
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.record.finished:
            try:
                self._finish()
            except BaseException:
                self._write_checkpoint()
                raise
            (self.log_path / checkpoint.FILE).unlink(missing_ok=True)
        elif self._checkpoint is not None:
            self._write_checkpoint()
            # From the checkpoint, as a signal may have come while something was recorded.
            self.record.load_state_dict(self._checkpoint["record"])
            write_results(self.log_path, self.record)
        elif kind is None and self.record.index:
            print(f"{self.log_path.name}: stopped after {self.env.progress}, not written", file=sys.stderr)

    def reset(self) -> State:
        """Starts the run, or resumes it from its checkpoint; returns the state alone. Call it once."""
        if self.record.index:
            raise RuntimeError("a logger is for one episode: wrap the environment in a new one to reset it")
        if self.agent is not None and (saved := checkpoint.read(self.log_path / checkpoint.FILE)):
            return self._restore(saved)
        self._lap_began = own_time()
        state, info = self.env.reset()
        self._lap("starting")
        self._keep(info)
        return state

    def step(self, action: Action) -> Outcome:
        """Steps the environment; its five values."""
        if self.env.finished and not len(action):  # interrupted after its last round
            return self.env.state, 0.0, True, False, {}
        if self.record.keeps_points:
            points, rows = self.env.points(action)
            self.record.points.append(points)
            self.record.rows += rows
        self._lap("choosing")
        outcome = self.env.step(action)
        self._lap("in_step")
        self._keep(outcome[-1])
        return outcome

    def _lap(self, part: str) -> None:
        """Adds the seconds since the last lap to a part of the run."""
        now = own_time()
        self.seconds[part] += now - self._lap_began
        self._lap_began = now

    def _keep(self, info: Mapping[str, Any]) -> None:
        """Keeps what was measured in a round, in the record and in the checkpoint."""
        self.record.add(info, self.env.finished)
        if self.record.keeps_predictions and self.record.finished:
            assert self.env.learner.tested is not None
            self.record.add_predictions(self.env.learner.tested)
        if self.agent is None:
            return
        content = {
            "env": self.env.state_dict(),
            "decider": self.agent.state_dict(),  # its name in existing checkpoints
            "record": self.record.state_dict(),
            "seconds": list(self.seconds.values()),
            "versions": self.begun_with,
        }
        if self._checkpoint is None:
            checkpoint.check(content)
        self._checkpoint = content
        if time.monotonic() - self._written >= checkpoint.SECONDS_BETWEEN_WRITES:
            self._write_checkpoint()

    def _write_checkpoint(self) -> None:
        if self._checkpoint is not None:
            checkpoint.write(self.log_path / checkpoint.FILE, self._checkpoint)
            self._written = time.monotonic()

    def _restore(self, saved: dict[str, Any]) -> State:
        """Resumes from a checkpoint; warns if the run was started with other libraries or elsewhere."""
        record = saved["record"]
        if self.record.keeps_points and not record["keeps_points"]:
            raise UserError(f"{self.log_path} was started without keeping the chosen points", "overwrite")
        if self.record.keeps_predictions and record["finished"] and not record["predictions"]:
            raise UserError(
                f"{self.log_path} has come to its end without keeping the predictions", "overwrite"
            )
        state = self.env.resume(saved["env"])
        self.agent.load_state_dict(saved["decider"])
        self.record.load_state_dict(record)
        self.seconds = dict(zip(self.seconds, saved["seconds"], strict=True))
        self._lap_began = own_time()
        self.begun_with = saved["versions"]
        self._checkpoint = saved
        util.bar.set({**util.bar.get(), "initial": len(self.record.index) - 1})
        if differing := begun_elsewhere(self.begun_with, self.here):
            print(f"warning: {self.log_path.name}: it was started with {differing}", file=sys.stderr)
        print(f"{self.log_path.name}: resumes after {self.env.progress}", file=sys.stderr)
        return state

    def _finish(self) -> None:
        """Writes the files of a finished run, `meta.txt` last, and those that collect the runs."""
        if self.agent is None:  # else the folder was there before, and must not have been lost
            self.log_path.mkdir(parents=True, exist_ok=True)
        write_results(self.log_path, self.record)
        measured = {
            "seed_set": self.env.dataset.seed_set,
            "data_check": self.env.dataset.data_check,
            "epochs": self.record.epochs,
            "fits_at_epoch_limit": self.record.fits_at_limit,
            "seconds": round(sum(self.seconds.values()), 1),
            "seconds_choosing": round(self.seconds["choosing"], 3),
            "seconds_in_step": round(self.seconds["in_step"], 3),
        }
        if differing := begun_elsewhere(self.begun_with, self.here):
            measured = {"begun_with": differing} | measured
        if self.record.fits_at_limit and self.settings.get("best_weights"):
            warning = f"{self.record.fits_at_limit} fits hit the epoch limit before converging"
            print(f"warning: {self.log_path.name}: {warning}", file=sys.stderr)
        write_meta(self.log_path / META, {**self.settings, **self.here, **measured})
        aggregate(self.log_path.parent)
