"""Pool-based active learning as a Gymnasium environment."""

import hashlib
from collections.abc import Sequence
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from .config import Config
from .dataset import Dataset
from .errors import UserError
from .metrics import Evaluation, evaluate, measure, pit_histogram
from .models.predictor import Predictor
from .models.variations import build_model
from .protocol import PUBLISHED, Protocol
from .seeds import Seeds
from .state import State
from .training.lockstep import Fitting, Standalone, own_seconds
from .training.trainer import Fit, FitResult, Trainer

__all__ = ["Action", "Beginning", "Environment", "Outcome"]

Action: TypeAlias = Sequence[int] | np.ndarray | Tensor
Beginning: TypeAlias = tuple[State, dict[str, Any]]
Outcome: TypeAlias = tuple[State, float, bool, bool, dict[str, Any]]


class Environment(Standalone[Action, Beginning, Outcome], gym.Env[State, Action]):
    """One run: a dataset, a model, and the points labelled so far.

    The action of a step is a list of distinct indices into `x_unlabeled`. The points are added in
    descending order of index, the model is fitted (under the published protocol after each single
    point), and the reward is the MAE it saved. An episode terminates when `budget` points were
    added or the pool is empty; it is never truncated.

    `resetting` and `stepping` are `reset` and `step` for runs side by side: generators that ask
    for their fits (`core.training.lockstep.side_by_side`). They document what the two return.

    The state holds a model and a shrinking pool, which no Gymnasium space describes:
    `observation_space` and `action_space` are not set.

    Args:
        dataset: the data; its seeds are the run's.
        config: model and training.
        protocol: `PUBLISHED` or `CORRECTED`.
        device: where data and model live.
        budget: points to add; the dataset's own if None.

    Attributes:
        tested: what the model said of the test set when it was tested last; None before.

    Raises:
        UserError: seed set and budget need more points than the train part has.
    """

    #: What the rows of a run's files count; its value is in the info of `reset` and `step`.
    index_name = "added"

    def __init__(
        self,
        dataset: Dataset,
        config: Config,
        protocol: Protocol = PUBLISHED,
        *,
        device: torch.device | str = "cpu",
        budget: int | None = None,
    ) -> None:
        self.dataset = dataset
        self.config = config
        self.protocol = protocol
        self.device = torch.device(device)
        self.budget = dataset.budget if budget is None else budget
        if dataset.seed_set + self.budget > len(dataset.x_train):
            raise UserError(
                f"a seed set of {dataset.seed_set} and a budget of {self.budget} points need more "
                f"than the {len(dataset.x_train)} points of the train part"
            )

    @property
    def seeds(self) -> Seeds:
        """The run's seeds."""
        return self.dataset.seeds

    def _start(self) -> None:
        """Data, pool, model and generators as they are at the beginning."""
        self.dataset.reset()
        self._x, self._y = self._tensor(self.dataset.x_train), self._tensor(self.dataset.y_train)
        self._validation = self._tensor(self.dataset.x_val), self._tensor(self.dataset.y_val)
        self._test = self._tensor(self.dataset.x_test), self._tensor(self.dataset.y_test)
        data = hashlib.sha256(self.dataset.x_train.tobytes() + self.dataset.y_train.tobytes())
        self._fingerprint = data.hexdigest()[:16]
        self._labeled = [int(i) for i in self.dataset.seed_indices]
        self._pool = np.setdiff1d(np.arange(len(self._x)), self._labeled)

        init = [self.seeds.torch("init", member=member) for member in range(self.config.members)]
        model = build_model(self.config, self._x.shape[1], self.protocol.encoder_relu, init)
        model = model.to(self.device)
        self.classifier = Predictor(model)
        self.trainer = Trainer(model, self.config, self.protocol, self.seeds)
        self._evaluation = self.seeds.torch("evaluation", self.device)
        self.tested: Evaluation | None = None

    @own_seconds
    def resetting(self) -> Fitting[Beginning]:
        """Starts the run: its split, seed set, initial weights and first fit.

        Returns:
            state, and info as of `stepping`.
        """
        self._start()
        fit = yield self._next_fit()
        info = self._info(fit, self._evaluate())
        self._initial_mae = self._mae = info["mae"]
        return self.state, info

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that changes from step to step."""
        return {
            "origin": self._origin(),
            "labeled": list(self._labeled),
            "initial_mae": self._initial_mae,
            "mae": self._mae,
            "evaluation": self._evaluation.get_state(),
            "trainer": self.trainer.state_dict(),
        }

    def _origin(self) -> dict[str, str]:
        """What a run cannot go on without."""
        return {
            "run": f"run_{self.seeds.run_id}",
            "device": self.device.type,
            "data": self._fingerprint,
        }

    def resume(self, state: dict[str, Any]) -> State:
        """Instead of `reset`: goes on from what `state_dict` gave, of a run of the same settings.

        Raises:
            UserError: that was another run, or on another kind of device, or on other data.
        """
        self._start()
        for name, value in self._origin().items():
            if state["origin"][name] != value:
                raise UserError(
                    f"{self.dataset.folder}, run_{self.seeds.run_id}: its checkpoint belongs to {name} "
                    f"{state['origin'][name]}, not {value}",
                    "overwrite",
                )
        self._labeled = list(state["labeled"])
        self._pool = np.setdiff1d(self._pool, self._labeled)
        self._initial_mae, self._mae = state["initial_mae"], state["mae"]
        self._evaluation.set_state(state["evaluation"])
        self.trainer.load_state_dict(state["trainer"])
        return self.state

    @own_seconds
    def stepping(self, action: Action) -> Fitting[Outcome]:
        """Labels points of the pool and trains on them.

        Args:
            action: distinct indices into `state.x_unlabeled`; an array or tensor [k] is fine.

        Returns:
            state, reward (MAE before - MAE after), terminated, truncated (False), and info with
            `added`, the metrics by their names in `core.metrics.METRICS`, `pit` (counts of the PIT
            histogram), `epochs`, and the `seconds` that were this run's own.

        Raises:
            ValueError: indices repeat, are out of range, or are more than the budget leaves.
        """
        chosen = np.sort(self._checked(action))[::-1]
        one_by_one = self.protocol.refit_every_point and self.config.fitting == "finetuning"
        epochs = 0
        for group in np.split(chosen, len(chosen) if one_by_one else 1):
            self._labeled += self._pool[group].tolist()
            fit = yield self._next_fit()
            epochs += fit.epochs
        self._pool = np.delete(self._pool, chosen)
        info = self._info(FitResult(epochs, fit.validation_nll), self._evaluate())
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
        labeled, pool = torch.tensor(self._labeled), torch.from_numpy(self._pool)
        return State(
            x_unlabeled=self._x[pool.to(self.device)],
            x_labeled=self._x[labeled.to(self.device)],
            y_labeled=self._y[labeled.to(self.device)],
            per_class_instances={},
            budget=self.budget,
            added_images=self.added,
            initial_test_acc=self._initial_mae,
            current_test_acc=self._mae,
            classifier=self.classifier,
            optimizer=self.trainer.optimizer,
        )

    def points(self, action: Action) -> Tensor:
        """x and y [k, d + 1], on the CPU, of the pool's points that an action names, in its order."""
        rows = torch.from_numpy(self._pool[self._checked(action)]).to(self.device)
        return torch.cat([self._x[rows], self._y[rows, None]], 1).cpu()

    def rows(self, action: Action) -> np.ndarray:
        """Where those points lie in the whole table of the dataset: numbers of rows [k]."""
        return self.dataset.rows_train[self._pool[self._checked(action)]]

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def _checked(self, action: Action) -> np.ndarray:
        """An action that the budget leaves room for, as an array."""
        indices, left = self._positions(action), self.budget - self.added
        if len(indices) > left:
            raise ValueError(f"{len(indices)} points are more than the {left} left to add")
        return indices

    def _positions(self, action: Action) -> np.ndarray:
        """Distinct positions in the pool, as an array."""
        indices = np.asarray(action.cpu() if isinstance(action, Tensor) else action)
        if indices.ndim != 1 or not len(indices) or indices.dtype.kind not in "iu":
            raise ValueError(f"an action is a list of one or more integers, got {action!r}")
        if len(np.unique(indices)) < len(indices):
            raise ValueError(f"the indices of an action must be distinct, got {indices.tolist()}")
        if indices.min() < 0 or indices.max() >= len(self._pool):
            raise ValueError(f"the pool has the indices 0 to {len(self._pool) - 1}, got {indices.tolist()}")
        return indices

    def _next_fit(self) -> Fit:
        rows = torch.tensor(self._labeled).to(self.device)
        return self.trainer.begin(self._x[rows], self._y[rows], *self._validation)

    def _evaluate(self) -> Evaluation:
        self.tested = evaluate(self.classifier, *self._test, self._evaluation)
        return self.tested

    def _info(self, fit: FitResult, evaluation: Evaluation) -> dict[str, Any]:
        measured = measure(evaluation) | {"pit": pit_histogram(evaluation.pit).tolist()}
        return {"added": self.added, **measured, "validation_nll": fit.validation_nll, "epochs": fit.epochs}
