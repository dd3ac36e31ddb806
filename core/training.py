"""Fitting a model to the labelled points (SPEC.md sections 2 and 5)."""

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .config import Config
from .models import DensityModel
from .protocol import Protocol
from .seeds import Seeds

__all__ = ["EarlyStopping", "FitResult", "Trainer"]


@dataclass(frozen=True)
class FitResult:
    """What a fit did: epochs run, and the mean validation NLL after the last of them."""

    epochs: int
    validation_nll: float


class EarlyStopping:
    """Says stop after more than `patience` epochs in a row without a new minimum."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.minimum = math.inf
        self.waited = 0

    def stop(self, value: float) -> bool:
        """Takes the watched value of one more epoch."""
        if value < self.minimum:
            self.minimum, self.waited = value, 0
        else:
            self.waited += 1
        return self.waited > self.patience


class Trainer:
    """Fits one run's model again and again, keeping optimiser and generators in between.

    Args:
        model: a stack of one model, on its device.
        config: model and training of the experiment.
        protocol: which quantity early stopping watches.
        seeds: the streams `batches` and `dropout` are used.
    """

    def __init__(self, model: DensityModel, config: Config, protocol: Protocol, seeds: Seeds) -> None:
        self.model = model
        self.config = config
        self.protocol = protocol
        self.device = next(model.parameters()).device
        self.batches = seeds.torch("batches")
        self.masks = seeds.torch("dropout", self.device)
        self.fits = 0
        self._initial = copy.deepcopy(model.state_dict())
        self.optimizer = self._new_optimizer()

    def _new_optimizer(self) -> torch.optim.NAdam:
        config = self.config
        return torch.optim.NAdam(self.model.parameters(), lr=config.lr, weight_decay=config.weight_decay)

    def fit(self, x: Tensor, y: Tensor, x_val: Tensor, y_val: Tensor) -> FitResult:
        """Trains until early stopping or the epoch limit; the last weights stay.

        Args:
            x, y: labelled points [n, d], [n].
            x_val, y_val: validation part [m, d], [m].

        Raises:
            FloatingPointError: the validation NLL is not a number.
        """
        if self.config.fitting == "from_scratch" and self.fits > 0:
            self.model.load_state_dict(self._initial)
            self.optimizer = self._new_optimizer()
        limit = self.config.first_epochs if self.fits == 0 else self.config.later_epochs
        self.fits += 1
        stopping = EarlyStopping(self.config.patience)
        epochs, nll = 0, math.nan
        while epochs < limit:
            self._train_epoch(x, y)
            epochs += 1
            log_prob = self._validation_log_prob(x_val, y_val)
            nll = -log_prob.mean().item()
            watched = nll
            if self.protocol.stop_on_log_likelihood:
                # As published: means over batches of 512, summed, and the *lower* the better.
                watched = torch.stack([part.mean() for part in log_prob.split(512)]).sum().item()
            if stopping.stop(watched):
                break
        if math.isnan(nll):
            raise FloatingPointError(
                f"training diverged: the validation NLL is not a number (epoch {epochs}, {len(x)} points)"
            )
        return FitResult(epochs, nll)

    def _train_epoch(self, x: Tensor, y: Tensor) -> None:
        """One pass over the points in fresh order; an incomplete last minibatch is dropped."""
        size = min(self.config.batch_size, len(x))
        order = torch.randperm(len(x), generator=self.batches).to(self.device)
        for rows in order[: len(x) // size * size].split(size):
            density = self.model(x[rows][None], [self.masks])
            loss = -density.log_prob(y[rows][None]).mean(-1).sum()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    @torch.no_grad()
    def _validation_log_prob(self, x: Tensor, y: Tensor) -> Tensor:
        """log p(y|x) of the validation rows, [m] in float64."""
        return self.model(x[None]).log_prob(y[None])[0].double()
