"""Bounds to compare agents with: training on all points, and a greedy choice that sees the test set."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .config import Config
from .dataset import Dataset
from .environment import Action, Environment, Outcome
from .metrics import evaluate, measure
from .protocol import PUBLISHED, Protocol
from .seeds import Seeds
from .state import State
from .training.side_by_side import fit
from .training.trainer import EarlyStopping, train_stack

#: Of an upper bound: epochs in a row without a new minimum after which its training ends.
PATIENCE = 25


class UpperBound(Environment):
    """Training on the whole train part (docs/METHOD.md, section 4): all points are labelled, none is left.

    Actions are empty. Incomplete minibatches count too. If the configuration keeps the best weights, one fit
    trains the model until it has converged, and the episode is over after `reset`. Otherwise a step is an
    epoch, and the episode ends after more than 25 epochs in a row without a new minimum of the validation
    MAE, or at the epoch limit. The last epoch is not tested, as in the published code.
    """

    index_name = "epoch"

    def __init__(
        self,
        dataset: Dataset,
        config: Config,
        protocol: Protocol = PUBLISHED,
        *,
        device: torch.device | str = "cpu",
        epoch_limit: int = 1000,
    ) -> None:
        epochs = epoch_limit if config.best_weights else 1
        config = replace(config, fitting="finetuning", first_epochs=epochs, later_epochs=epochs)
        super().__init__(dataset, config, protocol, device=device, budget=0)
        self.epoch_limit = self.budget = epoch_limit
        self.stopping = EarlyStopping(PATIENCE)

    def _start(self) -> None:
        super()._start()
        self._labeled, self._pool = list(range(len(self.dataset.x_train))), self._pool[:0]
        self.learner.trainer.drop_last = False
        self.stopping.reset()
        # A stream of its own: how many points are tested must not matter to the validation.
        self._validating = self.seeds.torch("evaluation", self.device, member=1)

    def state_dict(self) -> dict[str, Any]:
        """A copy of what changes from epoch to epoch, except for the early stopping, which is the agent's."""
        return {**super().state_dict(), "labeled": [], "validating": self._validating.get_state()}

    def resume(self, state: dict[str, Any]) -> State:
        super().resume({**state, "labeled": range(len(self.dataset.x_train))})
        self._validating.set_state(state["validating"])
        return self.state

    @property
    def epoch(self) -> int:
        """Epochs trained so far, where a step is one."""
        return self.learner.trainer.fits

    @property
    def finished(self) -> bool:
        if self.config.best_weights:
            return self.learner.trainer.fits > 0
        return self.stopping.stopped or self.epoch >= self.epoch_limit

    @property
    def progress(self) -> str:
        return f"{self.epoch} epochs"

    def step(self, action: Action = ()) -> Outcome:
        """Trains for one more epoch; the info of an epoch that is not tested has no metrics."""
        info = self._begin()
        before, self._mae = self._mae, info.get("mae", self._mae)
        return self.state, before - self._mae, self.finished, False, info

    def _begin(self) -> dict[str, Any]:
        """One epoch, or all until the model has converged; its info."""
        trained = fit(self.learner.request(self._labeled))
        if self.config.best_weights:
            return {"epoch": trained.epochs, **self.learner.measured(trained)}
        validated = evaluate(self.learner.predictor, *self.learner.validation, self._validating)
        if self.stopping.stop(measure(validated)["mae"]):
            return {"epochs": trained.epochs}
        return {"epoch": self.epoch, **self.learner.measured(trained)}


class AllPoints:
    """The agent of an upper bound: it chooses nothing, and keeps the state of the early stopping."""

    def __init__(self, stopping: EarlyStopping) -> None:
        self.state_dict, self.load_state_dict = stopping.state_dict, stopping.load_state_dict

    def predict(self, *state: Any) -> tuple[int, ...]:
        return ()


class Trials:
    """The agent of an oracle: which points of the pool a round tries, drawn at random, in random order."""

    def __init__(self, seeds: Seeds, count: int = 20) -> None:
        self.rng = seeds.numpy("candidates")
        self.count = count

    def predict(self, state: State | Tensor, *fields: Any) -> np.ndarray:
        pool = len(state.x_unlabeled if isinstance(state, State) else state)
        return self.rng.choice(pool, min(self.count, pool), replace=False)

    def state_dict(self) -> dict[str, Any]:
        return {"rng": json.dumps(self.rng.bit_generator.state)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rng.bit_generator.state = json.loads(state["rng"])


class Oracle(Environment):
    """Tries a few points and keeps the one with the lowest error on the TEST SET: a bound, not an agent.

    The action of a step lists the points to try. Each is added to its own copy of the run; all copies are
    trained as one stack and tested. The run continues as the copy with the lowest MAE. If no copy lowers the
    MAE, it continues with the first point of the action.
    """

    def step(self, action: Action) -> Outcome:
        if self.finished:
            raise ValueError(f"the budget of {self.budget} points is used up")
        positions = self._positions(action)
        learners = [self.learner.copy() for _ in positions]
        tried = [[*self._labeled, int(point)] for point in self._pool[positions]]
        requests = [learner.request(rows) for learner, rows in zip(learners, tried, strict=True)]
        results = train_stack(requests)
        measured = [
            {"mae": math.inf} if math.isnan(result.validation_nll) else learner.measured(result)
            for learner, result in zip(learners, results, strict=True)
        ]
        errors = [info["mae"] for info in measured]
        finite = np.flatnonzero(np.isfinite(errors))
        if not len(finite):
            raise FloatingPointError("training diverged, whichever of the points tried was added")
        best = int(np.argmin(errors))
        if not errors[best] < self._mae:
            best = int(finite[0])

        self.learner, self._labeled = learners[best], tried[best]
        self._pool = np.delete(self._pool, positions[best])
        reward, self._mae = self._mae - errors[best], errors[best]
        return self.state, reward, self.finished, False, {"added": self.added, **measured[best]}
