"""Fitting models to labelled points (SPEC.md sections 2 and 5).

A fit works on a stack of models: those of one run or, side by side, of many. Each model has its
own data, minibatches, masks and early stopping, and leaves the stack when it stops.

Shapes: S models in the stack, n labelled points, m validation points, d features.
"""

import math
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, TypeVar

import torch
from torch import Tensor

from .config import Config
from .models import DensityModel
from .nadam import NAdam
from .protocol import Protocol
from .seeds import Seeds

__all__ = [
    "EarlyStopping",
    "Fit",
    "FitResult",
    "Fitting",
    "Trainer",
    "alone",
    "fit_side_by_side",
    "side_by_side",
]

T = TypeVar("T")

#: Validation rows, of one model or of several, that are scored at once. On the CPU more of them leave the
#: cache and take longer.
_ROWS = 8192


@dataclass(frozen=True)
class FitResult:
    """What a fit did.

    Attributes:
        epochs: epochs run; of an ensemble, those of the member that ran longest.
        validation_nll: mean validation NLL after the last epoch; of an ensemble, the members' mean.
        seconds: the fit's share of the time that it and those side by side with it took.
    """

    epochs: int
    validation_nll: float
    seconds: float = 0.0


class EarlyStopping:
    """Says stop after more than `patience` epochs in a row without a new minimum."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.reset()

    def reset(self) -> None:
        """As before the first epoch."""
        self.minimum = math.inf
        self.waited = 0

    def stop(self, value: float) -> bool:
        """Takes the watched value of one more epoch."""
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
        device, members = model.theta.device, range(len(model.theta))
        self.batches = [seeds.torch("batches", member=member) for member in members]
        self.masks = [seeds.torch("dropout", device, member) for member in members]
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
            "masks": [generator.get_state() for generator in self.masks],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave."""
        self.fits = state["fits"]
        for name, tensor in self.rows().items():
            tensor.copy_(state["rows"][name])
        for generators, states in ((self.batches, state["batches"]), (self.masks, state["masks"])):
            for generator, one in zip(generators, states, strict=True):
                generator.set_state(one)

    def fit(self, x: Tensor, y: Tensor, x_val: Tensor, y_val: Tensor) -> FitResult:
        """Trains until early stopping or the epoch limit; the last weights stay.

        Args:
            x, y: labelled points [n, d], [n].
            x_val, y_val: validation part [m, d], [m].

        Raises:
            FloatingPointError: the validation NLL is not a number.
        """
        return alone(self.fitting(x, y, x_val, y_val))

    def fitting(self, x: Tensor, y: Tensor, x_val: Tensor, y_val: Tensor) -> "Fitting[FitResult]":
        """`fit`, for `side_by_side`."""
        if self.config.fitting == "from_scratch" and self.fits > 0:
            with torch.no_grad():
                self.model.theta.copy_(self._initial)
            self.optimizer = self._new_optimizer()
        limit = self.config.first_epochs if self.fits == 0 else self.config.later_epochs
        self.fits += 1
        result = yield Fit(self, limit, x, y, x_val, y_val)
        if math.isnan(result.validation_nll):
            raise FloatingPointError(
                "training diverged: the validation NLL is not a number "
                f"(epoch {result.epochs}, {len(x)} points)"
            )
        return result


class Fit(NamedTuple):
    """A fit that a run asks for: at most `limit` epochs on data as of `Trainer.fit`."""

    trainer: Trainer
    limit: int
    x: Tensor
    y: Tensor
    x_val: Tensor
    y_val: Tensor


#: A generator that asks for fits, is sent their results, and returns a T.
Fitting: TypeAlias = Generator[Fit, FitResult, T]


def alone(fitting: Fitting[T]) -> T:
    """Does the fits that a generator asks for, one by one; what it returns."""
    try:
        fit = next(fitting)
        while True:
            fit = fitting.send(fit_side_by_side([fit])[0])
    except StopIteration as stop:
        return stop.value


def side_by_side(fittings: Sequence[Fitting[T]]) -> Generator[tuple[int, T | Exception], None, None]:
    """Drives several generators at once: what they ask for at one time is fitted as one stack.

    Yields:
        The position of each generator that has ended, and what it returned, or raised: an error
        ends one run and leaves the others.
    """
    waiting: dict[int, Fit] = {}
    results: dict[int, FitResult | None] = dict.fromkeys(range(len(fittings)))
    try:
        while results:
            for i, result in results.items():
                try:
                    waiting[i] = next(fittings[i]) if result is None else fittings[i].send(result)
                except StopIteration as stop:
                    yield i, stop.value
                except Exception as error:
                    yield i, error
            # Runs in step ask for fits of one shape; one that was resumed at another round does not.
            shapes = [_shape(fit) for fit in waiting.values()]
            alike = [i for i, fit in waiting.items() if _shape(fit) == shapes[0]]
            fitted = fit_side_by_side([waiting.pop(i) for i in alike]) if alike else []
            results = dict(zip(alike, fitted, strict=True))
    finally:
        with ExitStack() as stack:  # all are closed, whatever one of them raises
            for fitting in fittings:
                stack.callback(fitting.close)


def _shape(fit: Fit) -> tuple[object, ...]:
    """Fits of one shape can be stacked: all that a stack takes from the first of them is the same."""
    trainer = fit.trainer
    settings = trainer.config, trainer.protocol, trainer.drop_last, trainer.model.dropout
    return type(trainer.model), settings, fit.x.shape, fit.x_val.shape, fit.x.device


@dataclass
class _Slot:
    """One model in training: the member of a fit's stack."""

    fit: int
    member: int
    stopping: EarlyStopping
    epochs: int = 0
    nll: float = math.nan


def fit_side_by_side(fits: Sequence[Fit]) -> list[FitResult]:
    """Trains the models of fits of one shape as one stack; each stops as it would alone."""
    start = time.perf_counter()
    stack = _Stack(fits)
    while stack.slots:
        stack.train_epoch()
        stack.validate()
    share = (time.perf_counter() - start) / len(fits)
    return [
        FitResult(max(slot.epochs for slot in slots), sum(slot.nll for slot in slots) / len(slots), share)
        for slots in stack.slots_of_fits
    ]


class _Stack:
    """The models that are still in training, S of them, with their optimiser and their data."""

    def __init__(self, fits: Sequence[Fit]) -> None:
        self.fits = fits
        self.config, self.protocol = fits[0].trainer.config, fits[0].trainer.protocol
        self.x, self.y = torch.cat([fit.x for fit in fits]), torch.cat([fit.y for fit in fits])
        self.slots_of_fits = [
            [_Slot(i, k, EarlyStopping(self.config.patience)) for k in range(len(fit.trainer.model.theta))]
            for i, fit in enumerate(fits)
        ]
        self.slots = [slot for slots in self.slots_of_fits for slot in slots]
        rows = [fit.trainer.rows() for fit in fits]
        self._assemble({name: torch.cat([row[name] for row in rows]) for name in rows[0]})

    def _assemble(self, rows: dict[str, Tensor]) -> None:
        """Makes the stack of models that have these rows, and copies what belongs to the slots."""
        self.rows = rows
        self.model = self.fits[0].trainer.model.with_theta(rows["theta"])
        theta, state = self.model.theta, {name: rows[name] for name in rows if name != "theta"}
        self.optimizer = NAdam([theta], self.config.lr, self.config.weight_decay, {theta: state})
        self.masks = [self.fits[slot.fit].trainer.masks[slot.member] for slot in self.slots]

    def train_epoch(self) -> None:
        """One pass over each model's points in fresh order."""
        n = len(self.fits[0].x)
        size = min(self.config.batch_size, n)
        orders = [
            slot.fit * n + torch.randperm(n, generator=self.fits[slot.fit].trainer.batches[slot.member])
            for slot in self.slots
        ]
        seen = n // size * size if self.fits[0].trainer.drop_last else n
        order = torch.stack(orders)[:, :seen].to(self.x.device)
        for rows in order.split(size, 1):
            density = self.model(self.x[rows], self.masks)
            loss = -density.log_prob(self.y[rows]).mean(-1).sum()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    @torch.no_grad()
    def validate(self) -> None:
        """Scores each model on its validation part; those that stop leave the stack."""
        nll: list[Tensor] = []
        watched = [] if self.protocol.stop_on_log_likelihood else nll
        for fit, parameters in self._validation_parameters():
            # Each by itself: a vectorised logarithm may depend on where in a tensor a value lies.
            log_prob = self.model.density(parameters).log_prob(fit.y_val).double()
            nll.append(-log_prob.mean())
            if self.protocol.stop_on_log_likelihood:
                # As published: means over batches of 512, summed, and the *lower* the better.
                watched.append(torch.stack([part.mean() for part in log_prob.split(512)]).sum())
        stay = []
        for i, values in enumerate(torch.stack([torch.stack(nll), torch.stack(watched)]).T.tolist()):
            slot = self.slots[i]
            slot.epochs += 1
            slot.nll = values[0]
            if not slot.stopping.stop(values[1]) and slot.epochs < self.fits[slot.fit].limit:
                stay.append(i)
        if len(stay) < len(self.slots):
            self._leave(stay)

    def _validation_parameters(self) -> Iterator[tuple[Fit, Tensor]]:
        """For each model its fit, and the parameters [m, K] of its densities on the validation part."""
        fits = [self.fits[slot.fit] for slot in self.slots]
        size = max(1, _ROWS // len(fits[0].x_val))
        for first in range(0, len(fits), size):
            some = fits[first : first + size]
            model = self.model.with_theta(self.rows["theta"][first : first + size])
            x_val = torch.stack([fit.x_val for fit in some])
            yield from zip(some, model.density_parameters(x_val), strict=True)

    def _leave(self, stay: list[int]) -> None:
        """Hands the rows of those that do not stay back to their trainers."""
        for i, slot in enumerate(self.slots):
            if i not in stay:
                for name, tensor in self.fits[slot.fit].trainer.rows().items():
                    tensor[slot.member] = self.rows[name][i]
        self.slots = [self.slots[i] for i in stay]
        if stay:
            self._assemble({name: tensor[stay] for name, tensor in self.rows.items()})
