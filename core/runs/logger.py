"""The context manager that collects what an environment measures into files."""

import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol, TypeAlias, cast

from .. import util
from ..dataset import Dataset
from ..environment import Action, Beginning, Environment, Outcome
from ..errors import UserError
from ..files import make_folder
from ..seeds import Seeds
from ..state import State
from . import checkpoint
from .clock import Clock
from .collecting import aggregate
from .layout import META, POINTS, PREDICTIONS, write_results
from .predictions import predictions
from .provenance import other_versions, versions
from .record import Record
from .settings import write_meta

__all__ = ["EnvironmentLogger", "Episode"]

#: The counts at which something was measured, and what was measured then.
Curve: TypeAlias = tuple[list[int], list[Any]]


class Episode(Protocol):
    """What the logger uses of an environment: `Environment` and `UpperBound` have it.

    The info of `reset` and `step` has `epochs`, and, when something was measured, what `index_name` says,
    each metric of `METRICS` by its name, and `pit`.

    Attributes:
        index_name: what the rows of a run's files count.
        dataset: its data.
        seeds: the run's seeds.
        progress: how far the run has got, in words.
        finished: whether the episode has terminated.
        state: what an agent sees now.
        logger_options: what else the logger is to keep, see there.
    """

    index_name: str
    dataset: Dataset
    logger_options: Mapping[str, Any]

    @property
    def state(self) -> State: ...

    @property
    def seeds(self) -> Seeds: ...

    @property
    def progress(self) -> str: ...

    @property
    def finished(self) -> bool: ...

    def reset(self) -> Beginning: ...

    def step(self, action: Action) -> Outcome: ...

    def state_dict(self) -> dict[str, Any]: ...

    def resume(self, state: dict[str, Any]) -> State: ...


class Stateful(Protocol):
    """What a checkpoint can keep: its state is made of tensors and plain values."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class _Options:
    """See `EnvironmentLogger`."""

    record_points: bool = False
    record_predictions: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)
    resume: Stateful | None = None


class EnvironmentLogger:
    """Wraps a run's environment and writes its files when the run is finished.

    On a regular exit of a finished episode it writes `accuracies.csv` (MAE), `likelihoods.csv`
    (NLL) and the files of the other metrics, `pit.csv` (PIT histograms) and `meta.txt` into
    `log_path`, then collects all finished runs beside it into the files of the folder above,
    `pit.csv` left out. A run that ends early, by an exception or otherwise, writes no `meta.txt`
    and does not count.

    With an agent to resume, the run goes on where it was broken off: a checkpoint is written at
    the end of a round, if the last one is a minute old, and when the run ends early, then with the
    result files as far as they go; `reset` takes a checkpoint up.

    While a run goes on, `accuracies`, `likelihoods`, `crps`, `losses`, `calibration` and `pit` are
    pairs of lists: points added, and values. `record.curves` has all metrics by their names.

    Args:
        env: the environment.
        log_path: the run's folder, `.../run_<id>`.
        unattended: nobody watches the terminal: progress bars print few lines.
        options: any of the following; `env.logger_options` has those that the run's experiment asks for.
        record_points: also write `selected_points.pt`, x and y of the chosen points
            [budget, d + 1] in the order they were chosen, and `selected_rows.csv`, their row numbers
            in the dataset's whole table.
        record_predictions: also write `predictions.npz`, what the model of the last round says of
            each test row (`core.runs.predictions`).
        settings: what else `meta.txt` should say.
        resume: the agent, whose state belongs to a checkpoint, or another that decides how the run
            goes on; None for a run without checkpoints.

    Raises:
        TypeError: an environment that is no `Environment` has neither points nor predictions to keep.
    """

    #: What a run may write besides, by the argument that asks for it: the file.
    RECORDS: ClassVar[dict[str, str]] = {"record_points": POINTS, "record_predictions": PREDICTIONS}

    def __init__(
        self,
        env: Episode,
        log_path: str | Path,
        unattended: bool = False,
        **options: Any,
    ) -> None:
        asked = _Options(**{**env.logger_options, **options})
        if (asked.record_points or asked.record_predictions) and not isinstance(env, Environment):
            raise TypeError(f"{type(env).__name__} has neither points nor predictions that could be recorded")
        self.env = env
        self.log_path = Path(log_path)
        self.unattended = unattended
        self.settings = dict(asked.settings)
        self.decider = asked.resume
        self.begun_with = versions()
        self.record = Record(
            env.index_name,
            env.seeds.run_id,
            keeps_points=asked.record_points,
            keeps_predictions=asked.record_predictions,
        )
        self.clock = Clock()
        self.checkpoint = checkpoint.Checkpoint(self.log_path / checkpoint.FILE)

    @property
    def accuracies(self) -> Curve:
        """The MAE so far: points added, and values."""
        return self.record.index, self.record.curves["mae"]

    @property
    def likelihoods(self) -> Curve:
        """The NLL so far, as of `accuracies`."""
        return self.record.index, self.record.curves["nll"]

    @property
    def crps(self) -> Curve:
        """The CRPS so far, as of `accuracies`."""
        return self.record.index, self.record.curves["crps"]

    @property
    def losses(self) -> Curve:
        """The validation NLL so far, as of `accuracies`."""
        return self.record.index, self.record.curves["validation_nll"]

    @property
    def calibration(self) -> Curve:
        """The calibration error so far, as of `accuracies`."""
        return self.record.index, self.record.curves["calibration"]

    @property
    def pit(self) -> Curve:
        """The PIT histograms so far, as of `accuracies`."""
        return self.record.index, self.record.pit

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
                self.checkpoint.write()
                raise
            self.checkpoint.remove()
        elif self.checkpoint.content is not None:
            self.checkpoint.write()
            # From the checkpoint, as a signal may have come while something was recorded.
            self.record.load_state_dict(self.checkpoint.content["record"])
            write_results(self.log_path, self.record)
        elif kind is None and self.record.index:
            print(f"{self.log_path.name}: left after {self.env.progress}, not written", file=sys.stderr)

    def reset(self) -> State:
        """Resets the environment, or takes its checkpoint up; the state alone."""
        self.record.clear()
        self.clock.begin()
        if self.decider is not None and (saved := checkpoint.read(self.checkpoint.path)):
            return self._restore(saved, self.decider)
        self.clock.enter()
        state, info = self.env.reset()
        self.clock.leave()
        self.clock.started()
        self._take(info)
        return state

    def step(self, action: Action) -> Outcome:
        """Steps the environment; its five values.

        A run that was broken off after its last round has nothing left to do: its empty action changes
        nothing, and it is over.
        """
        if self.env.finished and not len(action):
            return self.env.state, 0.0, True, False, {}
        if self.record.keeps_points:
            env = cast(Environment, self.env)
            self.record.add_points(env.points(action), env.rows(action).tolist())
        self.clock.enter()
        outcome = self.env.step(action)
        self.clock.leave()
        self._take(outcome[-1])
        return outcome

    def _take(self, info: Mapping[str, Any]) -> None:
        """Takes what was measured in a round, into the record and into the checkpoint."""
        self.record.add(info, self.env.finished)
        if self.record.keeps_predictions and self.record.finished:
            tested = cast(Environment, self.env).learner.tested
            assert tested is not None
            self.record.predictions = predictions(tested)
        if self.decider is None:
            return
        content = {
            "env": self.env.state_dict(),
            "decider": self.decider.state_dict(),
            "record": self.record.state_dict(),
            "seconds": self.clock.state_dict(),
            "versions": self.begun_with,
        }
        try:
            self.checkpoint.keep(content)
        except pickle.UnpicklingError as error:
            raise TypeError(
                f"{type(self.decider).__name__}.state_dict must return tensors and plain values alone"
            ) from error

    def _restore(self, saved: dict[str, Any], decider: Stateful) -> State:
        """Resumes from a checkpoint; warns if the run was begun with other library versions.

        Raises:
            UserError: it does not hold what is to be kept, or belongs to another run.
        """
        record = saved["record"]
        if self.record.keeps_points and not record["keeps_points"]:
            raise UserError(f"{self.log_path} was begun without keeping the chosen points", "overwrite")
        if self.record.keeps_predictions and record["finished"] and not record["predictions"]:
            raise UserError(
                f"{self.log_path} has come to its end without keeping the predictions", "overwrite"
            )
        state = self.env.resume(saved["env"])
        decider.load_state_dict(saved["decider"])
        self.record.load_state_dict(record)
        self.clock.load_state_dict(saved["seconds"])
        self.begun_with = saved["versions"]
        self.checkpoint.content = saved
        util.bar.set({**util.bar.get(), "initial": len(self.record.index) - 1})
        if differing := other_versions(self.begun_with):
            print(f"warning: {self.log_path.name}: it was begun with {differing}", file=sys.stderr)
        print(f"{self.log_path.name}: goes on after {self.env.progress}", file=sys.stderr)
        return state

    def _finish(self) -> None:
        """Writes the files of a finished run, `meta.txt` last, and those that collect the runs."""
        if self.decider is None:  # else the folder was there before, and must not have been lost
            make_folder(self.log_path)
        write_results(self.log_path, self.record)
        measured = {
            "seed_set": self.env.dataset.seed_set,
            "data_check": self.env.dataset.data_check,
            "epochs": self.record.epochs,
            "fits_at_epoch_limit": self.record.fits_at_limit,
            "seconds": round(self.clock.total, 1),
            "seconds_choosing": round(self.clock.choosing, 3),
            "seconds_in_step": round(self.clock.in_step, 3),
        }
        differing = other_versions(self.begun_with)
        begun = {"begun_with": differing} if differing else {}
        if self.record.fits_at_limit and self.settings.get("best_weights"):
            said = f"{self.record.fits_at_limit} fits hit the epoch limit before converging"
            print(f"warning: {self.log_path.name}: {said}", file=sys.stderr)
        write_meta(self.log_path / META, self.settings | begun | measured)
        aggregate(self.log_path.parent)
