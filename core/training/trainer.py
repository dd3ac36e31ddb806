"""What the training of a run keeps from fit to fit (docs/METHOD.md, sections 2 and 5).

Shapes: n labelled points, m validation points, d features.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..config import Config
from ..models.masks import get_state, mask_source, set_state
from ..models.networks import DensityModel
from ..protocol import Protocol
from ..seeds import Seeds
from .nadam import NAdam

__all__ = ["EarlyStopping", "FitRequest", "FitResult", "Trainer"]


@dataclass(frozen=True)
class FitResult:
    """What a fit did.

    Attributes:
        epochs: epochs run; of an ensemble, those of the member that ran longest.
        validation_nll: mean NLL of the watched validation rows after the last epoch, or after the best one if
            its weights are kept; of an ensemble, the members' mean.
        fits_at_limit: 1 if the epoch limit ended it, and not early stopping.
        seconds: the fit's share of the time that it and those side by side with it took.
        points: labelled points it was trained on.
    """

    epochs: int
    validation_nll: float
    seconds: float = 0.0
    points: int = 0
    fits_at_limit: int = 0


class EarlyStopping:
    """Says stop after more than `patience` validations in a row without a new minimum."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.reset()

    def reset(self) -> None:
        """As before the first validation."""
        self.minimum = math.inf
        self.waited = 0

    def stop(self, value: float) -> bool:
        """Takes the watched value of one more validation."""
        if value < self.minimum:
            self.minimum, self.waited = value, 0
        else:
            self.waited += 1
        return self.stopped

    @property
    def stopped(self) -> bool:
        """Whether it has said stop."""
        return self.waited > self.patience

    def state_dict(self) -> dict[str, Any]:
        """All that changes from epoch to epoch."""
        return {"minimum": self.minimum, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave."""
        self.minimum, self.waited = state["minimum"], state["waited"]


class Trainer:
    """What the training of one run keeps from fit to fit: model, optimiser and generators.

    Args:
        model: the run's model, or its ensemble's members as a stack, on its device.
        config: model and training of the experiment.
        protocol: which quantity early stopping watches.
        seeds: the streams `batches` and `dropout` are used, of each member its own.

    Attributes:
        drop_last: an incomplete last minibatch is dropped where there are more points than one holds.
    """

    def __init__(self, model: DensityModel, config: Config, protocol: Protocol, seeds: Seeds) -> None:
        self.model = model
        self.config = config
        self.protocol = protocol
        self.seeds = seeds
        device, members = model.theta.device, range(len(model.theta))
        self.batches = [seeds.torch("batches", member=member) for member in members]
        self.masks = [mask_source(seeds.torch("dropout", device, member)) for member in members]
        self.fits = 0
        self.drop_last = True
        self._initial = model.theta.detach().clone()
        self.optimizer = self._new_optimizer()

    def _new_optimizer(self) -> NAdam:
        return NAdam([self.model.theta], self.config.lr, self.config.weight_decay)

    def rows(self) -> dict[str, Tensor]:
        """Weights and optimiser state by name, a row for each member."""
        theta = self.model.theta
        return {"theta": theta.detach(), **self.optimizer.state[theta]}

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that changes from fit to fit."""
        return {
            "fits": self.fits,
            "rows": {name: tensor.clone() for name, tensor in self.rows().items()},
            "batches": [generator.get_state() for generator in self.batches],
            "masks": [get_state(source) for source in self.masks],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave."""
        self.fits = state["fits"]
        for name, tensor in self.rows().items():
            tensor.copy_(state["rows"][name])
        for generator, one in zip(self.batches, state["batches"], strict=True):
            generator.set_state(one)
        for source, one in zip(self.masks, state["masks"], strict=True):
            set_state(source, one)

    def copy(self) -> "Trainer":
        """A trainer, and a model, of its own that would do next what this one would."""
        model = self.model.with_theta(self._initial.clone())
        other = Trainer(model, self.config, self.protocol, self.seeds)
        other.drop_last = self.drop_last
        other.load_state_dict(self.state_dict())
        return other

    def request(self, x: Tensor, y: Tensor, x_val: Tensor, y_val: Tensor) -> "FitRequest":
        """The next fit, training until early stopping or the epoch limit, for `fit` or `train_stack` to do.

        Args:
            x, y: labelled points [n, d], [n].
            x_val, y_val: validation part [m, d], [m].
        """
        if self.config.fitting == "from_scratch" and self.fits > 0:
            with torch.no_grad():
                self.model.theta.copy_(self._initial)
            self.optimizer = self._new_optimizer()
        limit, patience = self.config.later_epochs, self.config.patience
        if self.fits == 0:
            limit, patience = self.config.first_epochs, self.config.first_patience or patience
        self.fits += 1
        return FitRequest(self, limit, patience, x, y, x_val, y_val)


class FitRequest(NamedTuple):
    """A fit to be done: at most `limit` epochs, with this patience, on the data of `Trainer.request`."""

    trainer: Trainer
    limit: int
    patience: int
    x: Tensor
    y: Tensor
    x_val: Tensor
    y_val: Tensor
