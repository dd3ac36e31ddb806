"""What learns in a run: the data on their device, the model, its training and its tests.

`Environment` and `UpperBound` each have one; they say on which points it is fitted.

Shapes: n points of the train part, d features.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .config import Config
from .dataset import Dataset, sha256_of
from .errors import UserError
from .metrics import Evaluation, evaluate, measure, pit_histogram
from .protocol import Protocol
from .training.side_by_side import fit
from .training.trainer import FitRequest, FitResult, Trainer

__all__ = ["Learner"]


class Learner:
    """A model as a run begins: initial weights, and generators at their start.

    Args:
        dataset: the data; its seeds are the run's.
        config: model and training.
        protocol: what the protocols do differently in model and training.
        device: where data and model live.

    Attributes:
        x, y: the train part, features [n, d] and targets [n].
        validation, test: the other parts, each a pair of features and targets.
        predictor: an agent's view of the model.
        trainer: trains the model.
        tested: what the model said of the test set when it was tested last; None before.
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
        self.trainer = Trainer.fresh(self.x.shape[1], config, protocol, seeds, device)
        self.predictor = self.trainer.predictor
        self.tested: Evaluation | None = None
        self._evaluation = seeds.torch("evaluation", device)
        self._origin = {
            "run": f"run_{seeds.run_id}",
            "device": self.x.device.type,
            "data": sha256_of(dataset.x_train, dataset.y_train)[:16],
        }

    def fit(self, rows: Sequence[int]) -> FitResult:
        """Trains the model on these points of the train part.

        Raises:
            FloatingPointError: training diverged.
        """
        return fit(self.request(rows))

    def request(self, rows: Sequence[int]) -> FitRequest:
        """The next fit, on these points of the train part, for `train_stack`."""
        chosen = torch.tensor(rows).to(self.x.device)
        return self.trainer.request(self.x[chosen], self.y[chosen], *self.validation)

    def measured(self, fit: FitResult) -> dict[str, Any]:
        """Tests the model, after a fit.

        Returns:
            The metrics by their names in `core.metrics.METRICS`, `pit` (counts of the PIT histogram),
            `epochs` and `fits_at_limit` of the fit.
        """
        self.tested = evaluate(self.predictor, *self.test, self._evaluation)
        measured = measure(self.tested) | {"pit": pit_histogram(self.tested.pit).tolist()}
        trained = {"epochs": fit.epochs, "fits_at_limit": fit.fits_at_limit}
        return {**measured, "validation_nll": fit.validation_nll, **trained}

    def copy(self) -> "Learner":
        """One that goes on by itself from where this one is; they share the data."""
        twin = copy.copy(self)
        twin.trainer = self.trainer.copy()
        twin.predictor = twin.trainer.predictor
        twin._evaluation = torch.Generator(self._evaluation.device)
        twin._evaluation.set_state(self._evaluation.get_state())
        return twin

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that changes, and of what a run cannot go on without."""
        return {
            "origin": dict(self._origin),
            "evaluation": self._evaluation.get_state(),
            "trainer": self.trainer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave, of a run of the same settings.

        Raises:
            UserError: that was another run, or on another kind of device, or on other data.
        """
        for name, value in self._origin.items():
            if state["origin"][name] != value:
                raise UserError(
                    f"{self.dataset.folder}, {self._origin['run']}: its checkpoint belongs to {name} "
                    f"{state['origin'][name]}, not {value}",
                    "overwrite",
                )
        self._evaluation.set_state(state["evaluation"])
        self.trainer.load_state_dict(state["trainer"])
