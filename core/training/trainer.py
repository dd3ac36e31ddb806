"""Fits: of one run, or of many side by side as one stack (docs/METHOD.md, sections 2 and 5).

In a stack each model has its own data, minibatches, masks and early stopping, and leaves when it stops: it is
trained as it would be alone, on the CPU bit for bit, on a GPU except for rounding.

Shapes: S models in the stack, n labelled points, m validation points, d features.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..compiled import can_compile
from ..config import Config
from ..errors import UserError
from ..models.masks import mask_source
from ..models.networks import DensityModel
from ..models.predictor import NetworkPredictor
from ..models.regressor import REGRESSORS, Regressor
from ..models.variations import build_model
from ..protocol import Protocol
from ..seeds import Seeds
from .cuda_graph import GraphedStep
from .nadam import NAdam, update_average

#: Validation rows, of one model or of several, that are scored at once. On the CPU more of them leave the
#: cache and take longer; a GPU is busy with many only.
_ROWS, _ROWS_ON_GPU = 8192, 2**17


@dataclass(frozen=True)
class FitResult:
    """The outcome of a fit."""

    epochs: int  # of an ensemble, those of the member that ran longest
    # Of the watched rows after the last epoch, or the best one if its weights are kept; the members' mean.
    validation_nll: float
    fits_at_limit: int = 0  # 1 if the epoch limit ended it, and not early stopping


@dataclass
class EarlyStopping:
    """Stops after more than `patience` validations in a row without a new minimum."""

    patience: int
    minimum: float = math.inf
    waited: int = 0

    def reset(self) -> None:
        self.minimum, self.waited = math.inf, 0

    def stop(self, value: float) -> bool:
        """Takes the watched value of one more validation."""
        self.waited = 0 if value < self.minimum else self.waited + 1
        self.minimum = min(self.minimum, value)  # NaN is no minimum
        return self.stopped

    @property
    def stopped(self) -> bool:
        return self.waited > self.patience

    def state_dict(self) -> dict[str, Any]:
        return {"minimum": self.minimum, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.minimum, self.waited = state["minimum"], state["waited"]


class Trainer:
    """Model, optimiser and generators of one run, kept from fit to fit.

    The model is the run's, or its ensemble's members as a stack. Each member has its own streams `batches`
    and `dropout`.
    """

    def __init__(self, model: DensityModel, config: Config, protocol: Protocol, seeds: Seeds) -> None:
        self.model = model
        self.predictor = NetworkPredictor(model)
        self.config = config
        self.protocol = protocol
        members = range(len(model.theta))
        self.batches = [seeds.torch("batches", member=member) for member in members]
        self.masks = [mask_source(seeds.torch("dropout", member=member)) for member in members]
        self.fits = 0
        self.drop_last = True  # an incomplete last minibatch, where there are more points than one holds
        self._initial = model.theta.detach().clone()
        self.optimizer = NAdam(model.theta, config.lr, config.weight_decay)

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
            "masks": [source.state["state"]["state"].tolist() for source in self.masks],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned; a UserError if that was older code on a GPU."""
        if isinstance(state["masks"][0], Tensor):
            raise UserError(
                "the run's checkpoint is of older code, which drew dropout on the GPU", "overwrite"
            )
        self.fits = state["fits"]
        for name, tensor in self.rows().items():
            tensor.copy_(state["rows"][name])
        for generator, one in zip(self.batches, state["batches"], strict=True):
            generator.set_state(one)
        for source, one in zip(self.masks, state["masks"], strict=True):
            source.state = source.state | {"state": {"state": np.array(one, np.uint64)}}

    def request(self, x: Tensor, y: Tensor, x_val: Tensor, y_val: Tensor) -> "FitRequest":
        """The next fit, for `fit` or `train_stack` to do: x [n, d] and y [n], x_val [m, d] and y_val [m]."""
        if self.config.fitting == "from_scratch" and self.fits > 0:
            with torch.no_grad():
                self.model.theta.copy_(self._initial)
            self.optimizer = NAdam(self.model.theta, self.config.lr, self.config.weight_decay)
        limit, patience = self.config.later_epochs, self.config.patience
        if self.fits == 0:
            limit, patience = self.config.first_epochs, self.config.first_patience or patience
        self.fits += 1
        return FitRequest(self, limit, patience, x, y, x_val, y_val)


class RegressorTrainer:
    """A `Trainer` for a model that is fitted at once; each fit starts afresh."""

    optimizer = None

    def __init__(self, predictor: Regressor) -> None:
        self.predictor = predictor
        self.fits = 0
        self._points: tuple[Tensor, Tensor] | None = None

    def request(self, x: Tensor, y: Tensor, x_val: Tensor, y_val: Tensor) -> "FitRequest":
        self.fits += 1
        return FitRequest(self, 1, 1, x, y, x_val, y_val)

    def fit(self, x: Tensor, y: Tensor) -> None:
        self._points = x, y
        self.predictor.fit(self.predictor.array(x), self.predictor.array(y))

    def state_dict(self) -> dict[str, Any]:
        return {"fits": self.fits, "points": self._points}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.fits = state["fits"]
        self.fit(*state["points"])

    def __deepcopy__(self, memo: Any) -> "RegressorTrainer":
        """Not yet fitted: what a fit has learned may be large."""
        return RegressorTrainer(type(self.predictor)(self.predictor.seed))


def make_trainer(
    features: int, config: Config, protocol: Protocol, seeds: Seeds, device: torch.device | str = "cpu"
) -> Any:
    """A trainer for a configuration, with a fresh model for rows with so many features."""
    if (regressor := REGRESSORS.classes.get(config.model)) is not None:
        return RegressorTrainer(regressor(int(seeds.numpy("init").integers(2**31))))
    init = [seeds.torch("init", member=member) for member in range(config.members)]
    model = build_model(config, features, protocol.encoder_relu, init).to(device)
    return Trainer(model, config, protocol, seeds)


class FitRequest(NamedTuple):
    """A fit to be done, of at most `limit` epochs."""

    trainer: Any  # a `Trainer`, or a `RegressorTrainer`
    limit: int
    patience: int
    x: Tensor
    y: Tensor
    x_val: Tensor
    y_val: Tensor

    @property
    def shape(self) -> tuple[object, ...]:
        """What fits must have in common to be stacked."""
        if isinstance(self.trainer, RegressorTrainer):
            return (RegressorTrainer,)
        trainer, model = self.trainer, self.trainer.model
        settings = type(model), model.dropout, trainer.config, trainer.protocol, trainer.drop_last
        return settings, self.limit, self.x.shape, self.x_val.shape, self.x.device


def train_stack(fits: Sequence[FitRequest]) -> list[FitResult]:
    """Does fits of one shape as one stack, each with its own early stopping."""
    if isinstance(fits[0].trainer, RegressorTrainer):
        return list(map(_fit_at_once, fits))
    stack = _Stack(fits)
    while stack.slots:
        stack.train_epoch()
        stack.validate()
    return [
        FitResult(
            epochs=max(slot.epochs for slot in slots),
            fits_at_limit=int(not all(slot.stopping.stopped for slot in slots)),
            validation_nll=sum(slot.nll for slot in slots) / len(slots),
        )
        for slots in stack.slots_of_fits
    ]


def _fit_at_once(fit: FitRequest) -> FitResult:
    fit.trainer.fit(fit.x, fit.y)
    some = slice(1000)  # as many as `corrected` watches
    nll = -fit.trainer.predictor(fit.x_val[some]).log_prob(fit.y_val[some]).mean().item()
    return FitResult(0, nll)


@dataclass
class _Slot:
    """One model in training: a member of a fit's models."""

    fit: FitRequest
    first: int  # its fit's first point among those of all fits
    member: int
    stopping: EarlyStopping
    epochs: int = 0
    nll: float = math.inf  # of the epoch whose weights are kept


class _Stack:
    """The models that are still in training, S of them, with their optimiser and their data."""

    def __init__(self, fits: Sequence[FitRequest]) -> None:
        trainer = fits[0].trainer
        self.config, self.protocol, self.drop_last = trainer.config, trainer.protocol, trainer.drop_last
        self.template, self.limit, self.points = trainer.model, fits[0].limit, len(fits[0].x)
        self.x, self.y = torch.cat([fit.x for fit in fits]), torch.cat([fit.y for fit in fits])
        self.slots_of_fits = [
            [_Slot(fit, first, i, EarlyStopping(fit.patience)) for i in range(len(fit.trainer.masks))]
            for first, fit in zip(range(0, len(self.x), self.points), fits, strict=True)
        ]
        self.slots = [slot for slots in self.slots_of_fits for slot in slots]
        each = [fit.trainer.rows() for fit in fits]
        rows = {name: torch.cat([row[name] for row in each]) for name in each[0]}
        if self.config.average:
            rows["average"] = rows["theta"].clone()
        self.epoch = self.steps = 0
        self._assemble(rows)
        #: Each model and its optimiser as they were at the lowest validation NLL so far, if these are kept.
        self.best: dict[str, Tensor] = {}
        if self.config.best_weights:
            self.best = {name: tensor.clone() for name, tensor in rows.items()}
            self.validate()  # a fit may find nothing better than what it begins with

    def _assemble(self, rows: dict[str, Tensor]) -> None:
        """Makes the stack of models that have these rows."""
        self.rows = rows
        self.model = self.template.with_theta(rows["theta"])
        theta = self.model.theta
        self.optimizer = NAdam(theta, self.config.lr, self.config.weight_decay)
        self.optimizer.state[theta] = rows
        self.graphed_step = GraphedStep(self._step, self.x.device)

    def train_epoch(self) -> None:
        """One pass over each model's points in fresh order."""
        self.epoch += 1
        orders = [
            slot.first + torch.randperm(self.points, generator=slot.fit.trainer.batches[slot.member])
            for slot in self.slots
        ]
        masks = [slot.fit.trainer.masks[slot.member] for slot in self.slots]
        size = min(self.config.batch_size, self.points)
        seen = self.points // size * size if self.drop_last else self.points
        order = torch.stack(orders)[:, :seen].to(self.x.device)
        for rows in order.split(size, 1):
            self.steps += 1
            # Short at first: a fit's first weights are soon forgotten.
            decay = min(self.config.average, (1 + self.steps) / (10 + self.steps))
            bits = self.model.draw_bits(masks, rows.shape[1])
            if can_compile(self.x):
                self.model.backpropagate(self.x[rows], self.y[rows], bits)
                self.optimizer.step()
                if self.config.average:
                    both = self.rows["average"].numpy(), self.rows["theta"].numpy()
                    update_average(*both, np.float32(1 - decay))
            else:
                factors = torch.from_numpy(self.optimizer.count_step()).to(self.x.dtype)
                share = torch.tensor(1 - decay, dtype=self.x.dtype)
                self.graphed_step(rows, torch.from_numpy(bits.view(np.int16)), factors, share)

    def _step(self, rows: Tensor, bits: Tensor, factors: Tensor, share: Tensor) -> None:
        """A step on minibatches [S, N], by operations on the device alone."""
        gradient = self.model.gradient(self.x[rows], self.y[rows], bits)
        with torch.no_grad():
            self.optimizer.update(gradient, factors)
            if self.config.average:
                self.rows["average"].lerp_(self.model.theta, share)

    @property
    def _used(self) -> dict[str, Tensor]:
        """The rows with the weights that are validated; a fit ends with these, or with its best epoch's."""
        return self.rows | {"theta": self.rows.get("average", self.rows["theta"])}

    @torch.no_grad()
    def validate(self) -> None:
        """Every `check_every` epochs, scores each model on its validation part; those that stop leave."""
        every = min(self.config.check_every, self.limit)
        if self.epoch % every:
            return
        nll: list[Tensor] = []
        watched = [] if self.protocol.stop_on_log_likelihood else nll
        for log_prob in self._validation_log_prob():
            nll.append(-log_prob.mean())
            if self.protocol.stop_on_log_likelihood:
                # As published: means over batches of 512, summed, and the *lower* the better.
                watched.append(torch.stack([part.mean() for part in log_prob.split(512)]).sum())
        stay = []
        for i, values in enumerate(torch.stack([torch.stack(nll), torch.stack(watched)]).T.tolist()):
            slot = self.slots[i]
            slot.epochs = self.epoch
            if not (self.best and values[0] >= slot.nll):  # else if lower, or not a number
                slot.nll = values[0]
                for name, best in self.best.items():
                    best[i] = self._used[name][i]
            if not slot.stopping.stop(values[1]) and self.epoch + every <= self.limit:
                stay.append(i)
        if len(stay) < len(self.slots):
            self._leave(stay)

    def _validation_log_prob(self) -> Iterator[Tensor]:
        """log p(y|x) of each model on its validation part, [m] in float64."""
        watched = slice(self.config.watched_rows)
        rows = _ROWS if self.x.device.type == "cpu" else _ROWS_ON_GPU
        size = max(1, rows // len(self.slots[0].fit.x_val[watched]))
        for first in range(0, len(self.slots), size):
            fits = [slot.fit for slot in self.slots[first : first + size]]
            model = self.model.with_theta(self._used["theta"][first : first + size])
            x_val = torch.stack([fit.x_val[watched] for fit in fits])
            y_val = torch.stack([fit.y_val[watched] for fit in fits])
            yield from model.density(model.density_parameters(x_val)).log_prob(y_val).double()

    def _leave(self, stay: list[int]) -> None:
        """Returns the rows of models that leave to their trainers."""
        kept = self.best or self._used
        for i, slot in enumerate(self.slots):
            if i not in stay:
                for name, tensor in slot.fit.trainer.rows().items():
                    tensor[slot.member] = kept[name][i]
        self.slots = [self.slots[i] for i in stay]
        if stay:
            self.best = {name: tensor[stay] for name, tensor in self.best.items()}
            self._assemble({name: tensor[stay] for name, tensor in self.rows.items()})
        else:
            del self.graphed_step  # it refers to this stack, and would keep the GPU's memory until collected
