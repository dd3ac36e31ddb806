"""The greedy oracle: what could be had by a choice that sees the test set."""

import json
import math
from typing import Any

import numpy as np
from torch import Tensor

from .environment import Action, Environment, Outcome
from .seeds import Seeds
from .state import State

__all__ = ["TRIED", "Oracle", "Trials"]

#: Candidates that are tried in each round.
TRIED = 20


class Trials:
    """The agent of an oracle: which points of the pool a round tries, drawn at random, in random order.

    Args:
        seeds: the run's seeds; the stream `candidates` is used.
        count: points of a round.
    """

    def __init__(self, seeds: Seeds, count: int = TRIED) -> None:
        self.rng = seeds.numpy("candidates")
        self.count = count

    def predict(self, state: State | Tensor, *fields: Any) -> np.ndarray:
        """Positions in the pool; all of them if they are fewer."""
        pool = len(state.x_unlabeled if isinstance(state, State) else state)
        return self.rng.choice(pool, min(self.count, pool), replace=False)

    def state_dict(self) -> dict[str, Any]:
        """All that changes from round to round."""
        return {"rng": json.dumps(self.rng.bit_generator.state)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave."""
        self.rng.bit_generator.state = json.loads(state["rng"])


class Oracle(Environment):
    """Adds, of a few points, the one after which the error on the TEST SET is lowest; a bound, no agent.

    The action of a step is the points to try. Each is added to a copy of the run as it is, trained and
    tested, all of them side by side as one stack; the run goes on as the copy of lowest MAE. Where none is
    below the MAE before, it goes on with the first point of the action: a random one, if the action is in
    random order. Training and testing of each copy are what `Environment` would do.
    """

    def step(self, action: Action) -> Outcome:
        """Labels one of the points that an action names; takes and returns what `Environment.step` does.

        Raises:
            ValueError: the budget is used up.
            FloatingPointError: training diverged, whichever point was added.
        """
        if self.finished:
            raise ValueError(f"the budget of {self.budget} points is used up")
        positions = self._positions(action)
        learners, tried, results = self.with_each(positions)
        measured = [
            {"mae": math.inf} if math.isnan(result.validation_nll) else of.measured(result)
            for of, result in zip(learners, results, strict=True)
        ]
        errors = [of["mae"] for of in measured]
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
