"""Pool-based active learning as a Gymnasium environment, and what learns in it.

Shapes: n points of the train part, d features, k points of an action.
"""

import copy
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from .config import Config
from .dataset import Dataset, sha256_of
from .errors import UserError
from .metrics import Evaluation, evaluate, measure, pit_histogram
from .protocol import PUBLISHED, Protocol
from .state import State
from .training.side_by_side import fit
from .training.trainer import FitRequest, FitResult, make_trainer

Action: TypeAlias = Sequence[int] | np.ndarray | Tensor
Beginning: TypeAlias = tuple[State, dict[str, Any]]
Outcome: TypeAlias = tuple[State, float, bool, bool, dict[str, Any]]


class Learner:
    """The data of a run on their device, the model, its training and its tests, as a run begins.

    Attributes:
        x, y: the train part, features [n, d] and targets [n].
        validation, test: the other parts, each a pair of features and targets.
        predictor: an agent's view of the model.
        tested: what the model said of the test set when it was tested last.
    """

    def __init__(
        self, dataset: Dataset, config: Config, protocol: Protocol, device: torch.device | str = "cpu"
    ) -> None:
        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array).to(device)

        self.dataset = dataset
        seeds = dataset.seeds
        self.x, self.y = tensor(dataset.x_train), tensor(dataset.y_train)
        self.validation = tensor(dataset.x_val), tensor(dataset.y_val)
        self.test = tensor(dataset.x_test), tensor(dataset.y_test)
        self.trainer = make_trainer(self.x.shape[1], config, protocol, seeds, device)
        self.predictor = self.trainer.predictor
        self.tested: Evaluation | None = None
        self._evaluation = seeds.torch("evaluation", device)
        self._origin = {
            "run": f"run_{seeds.run_id}",
            "device": self.x.device.type,
            "data": sha256_of(dataset.x_train, dataset.y_train)[:16],
        }

    def request(self, rows: Sequence[int]) -> FitRequest:
        """The next fit, on these points of the train part."""
        chosen = torch.tensor(rows).to(self.x.device)
        return self.trainer.request(self.x[chosen], self.y[chosen], *self.validation)

    def measured(self, fit: FitResult) -> dict[str, Any]:
        """Tests the model after a fit: the metrics by name, `pit` (counts), `epochs` and `fits_at_limit`."""
        self.tested = evaluate(self.predictor, *self.test, self._evaluation)
        measured = measure(self.tested) | {"pit": pit_histogram(self.tested.pit).tolist()}
        trained = {"epochs": fit.epochs, "fits_at_limit": fit.fits_at_limit}
        return {**measured, "validation_nll": fit.validation_nll, **trained}

    def copy(self) -> "Learner":
        """An independent copy in the same state; both share the data."""
        twin = copy.copy(self)
        twin.trainer = copy.deepcopy(self.trainer)
        twin.predictor = twin.trainer.predictor
        twin._evaluation = torch.Generator(self._evaluation.device)
        twin._evaluation.set_state(self._evaluation.get_state())
        return twin

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything that a run needs to resume."""
        return {
            "origin": dict(self._origin),
            "evaluation": self._evaluation.get_state(),
            "trainer": self.trainer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned; a UserError if that was another run."""
        for name, value in self._origin.items():
            if state["origin"][name] != value:
                raise UserError(
                    f"{self.dataset.folder}, {self._origin['run']}: its checkpoint belongs to {name} "
                    f"{state['origin'][name]}, not {value}",
                    "overwrite",
                )
        self._evaluation.set_state(state["evaluation"])
        self.trainer.load_state_dict(state["trainer"])


class Environment(gym.Env[State, Action]):
    """One run: a dataset, whose seeds are the run's, a model, and the points labelled so far.

    The action of a step is a list of distinct indices into `x_unlabeled`. The points are added in
    descending order of index, the model is fitted (under the published protocol after each single
    point), and the reward is the MAE it saved. An episode terminates when `budget` points (the dataset's own
    number if None) were added or the pool is empty; it is never truncated. `reset` makes a new `learner`.

    The state holds a model and a shrinking pool, which no Gymnasium space describes:
    `observation_space` and `action_space` are not set.
    """

    #: What the rows of a run's files count; `reset` and `step` return its value in their info.
    index_name = "added"
    #: Keyword arguments for an `EnvironmentLogger` around it.
    logger_options: Mapping[str, Any] = MappingProxyType({})

    def __init__(
        self,
        dataset: Dataset,
        config: Config,
        protocol: Protocol = PUBLISHED,
        *,
        device: torch.device | str = "cpu",
        budget: int | None = None,
    ) -> None:
        self.dataset, self.seeds = dataset, dataset.seeds
        self.config, self.protocol, self.device = config, protocol, torch.device(device)
        self.budget = dataset.budget if budget is None else budget
        rows = len(dataset.x_train)
        if dataset.seed_set + self.budget > rows:
            needed = f"a seed set of {dataset.seed_set} and a budget of {self.budget} points"
            raise UserError(f"{needed} need more than the {rows} points of the train part")

    def _start(self) -> None:
        self.learner = Learner(self.dataset, self.config, self.protocol, self.device)
        self._labeled = [int(i) for i in self.dataset.seed_indices]
        self._pool = np.setdiff1d(np.arange(len(self.dataset.x_train)), self._labeled)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Beginning:
        """Starts the run, or starts it again: its split, seed set, initial weights and first fit.

        Returns the state, and the same info as `step`. A FloatingPointError if training diverged.
        """
        if seed is not None:
            raise ValueError("reset(seed=...) is not possible: a run's seeds are those of its dataset")
        self._start()
        info = self._begin()
        self._initial_mae = self._mae = info["mae"]
        return self.state, info

    def _begin(self) -> dict[str, Any]:
        return {"added": self.added, **self.learner.measured(fit(self.learner.request(self._labeled)))}

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that changes from step to step."""
        return {
            "learner": self.learner.state_dict(),
            "labeled": list(self._labeled),
            "initial_mae": self._initial_mae,
            "mae": self._mae,
        }

    def resume(self, state: dict[str, Any]) -> State:
        """Resumes from a `state_dict`, instead of `reset`; a UserError if that was another run."""
        self._start()
        self.learner.load_state_dict(state["learner"])
        self._labeled = list(state["labeled"])
        self._pool = np.setdiff1d(self._pool, self._labeled)
        self._initial_mae, self._mae = state["initial_mae"], state["mae"]
        return self.state

    def step(self, action: Action) -> Outcome:
        """Labels points of the pool and trains on them.

        Returns:
            state, reward (MAE before - MAE after), terminated, truncated (False), and info with
            `added`, the metrics by their names in `core.metrics.METRICS`, `pit` (counts of the PIT
            histogram), `epochs` and `fits_at_limit` (fits that the epoch limit ended).

        Raises:
            ValueError: indices repeat, are out of range, or are more than the budget leaves.
            FloatingPointError: training diverged.
        """
        chosen = np.sort(self._positions(action))[::-1]
        if len(chosen) > self.budget - self.added:
            raise ValueError(f"{len(chosen)} points are more than the {self.budget - self.added} left to add")
        one_by_one = self.protocol.refit_every_point and self.config.fitting == "finetuning"
        epochs = at_limit = 0
        for group in np.split(chosen, len(chosen) if one_by_one else 1):
            self._labeled += self._pool[group].tolist()
            result = fit(self.learner.request(self._labeled))
            epochs += result.epochs
            at_limit += result.fits_at_limit
        self._pool = np.delete(self._pool, chosen)
        whole = FitResult(epochs, result.validation_nll, fits_at_limit=at_limit)
        info = {"added": self.added, **self.learner.measured(whole)}
        reward, self._mae = self._mae - info["mae"], info["mae"]
        return self.state, reward, self.finished, False, info

    @property
    def added(self) -> int:
        """Points added so far."""
        return len(self._labeled) - self.dataset.seed_set

    @property
    def finished(self) -> bool:
        """Whether the episode has terminated."""
        return self.added == self.budget or not len(self._pool)

    @property
    def progress(self) -> str:
        """How far the run has got, in words."""
        return f"{self.added} of {self.budget} points"

    @property
    def state(self) -> State:
        """What an agent sees now."""
        x, y = self.learner.x, self.learner.y
        labeled = torch.tensor(self._labeled).to(self.device)
        return State(
            x_unlabeled=x[torch.from_numpy(self._pool).to(self.device)],
            x_labeled=x[labeled],
            y_labeled=y[labeled],
            per_class_instances={},
            budget=self.budget,
            added_images=self.added,
            initial_test_acc=self._initial_mae,
            current_test_acc=self._mae,
            classifier=self.learner.predictor,
            optimizer=self.learner.trainer.optimizer,
        )

    def points(self, action: Action) -> tuple[Tensor, list[int]]:
        """Of the points of an action, in its order: x and y [k, d + 1] on the CPU, rows in the table [k]."""
        chosen = self._pool[self._positions(action)]
        rows = torch.from_numpy(chosen).to(self.device)
        points = torch.cat([self.learner.x[rows], self.learner.y[rows, None]], 1).cpu()
        return points, self.dataset.rows_train[chosen].tolist()

    def _positions(self, action: Action) -> np.ndarray:
        """An action as an array of distinct positions in the pool."""
        indices = np.asarray(action.cpu() if isinstance(action, Tensor) else action)
        if indices.ndim != 1 or not len(indices) or indices.dtype.kind not in "iu":
            raise ValueError(f"an action is a list of one or more integers, got {action!r}")
        if len(np.unique(indices)) < len(indices):
            raise ValueError(f"the indices of an action must be distinct, got {indices.tolist()}")
        if indices.min() < 0 or indices.max() >= len(self._pool):
            raise ValueError(f"the pool has the indices 0 to {len(self._pool) - 1}, got {indices.tolist()}")
        return indices
