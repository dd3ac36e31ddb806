"""Trains the models of one or many runs as one stack.

Each model has its own data, minibatches, masks and early stopping, and leaves the stack when it stops: it is
trained as it would be alone, on the CPU bit for bit, on a GPU but for rounding.

Shapes: S models in the stack, n labelled points, m validation points, d features.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .nadam import NAdam
from .trainer import EarlyStopping, FitRequest, FitResult

__all__ = ["shape_of", "train_stack"]

#: Validation rows, of one model or of several, that are scored at once. On the CPU more of them leave the
#: cache and take longer; a GPU is busy with many only.
_ROWS, _ROWS_ON_GPU = 8192, 2**17


def shape_of(request: FitRequest) -> tuple[object, ...]:
    """Requests of one shape can be stacked: all that a stack takes from the first of them is the same."""
    trainer = request.trainer
    settings = trainer.config, trainer.protocol, trainer.drop_last, trainer.model.dropout
    return (
        type(trainer.model),
        settings,
        request.limit,
        request.x.shape,
        request.x_val.shape,
        request.x.device,
    )


@dataclass
class _Slot:
    """One model in training: a member of a fit's stack. `nll` is that of the epoch whose weights are kept."""

    fit: int
    member: int
    stopping: EarlyStopping
    epochs: int = 0
    nll: float = math.inf


def train_stack(fits: Sequence[FitRequest]) -> list[FitResult]:
    """Does fits of one shape (`shape_of`) as one stack, each with its own early stopping."""
    start = time.perf_counter()
    stack = _Stack(fits)
    while stack.slots:
        stack.train_epoch()
        stack.validate()
    share = (time.perf_counter() - start) / len(fits)
    return [
        FitResult(
            epochs=max(slot.epochs for slot in slots),
            fits_at_limit=int(not all(slot.stopping.stopped for slot in slots)),
            validation_nll=sum(slot.nll for slot in slots) / len(slots),
            seconds=share,
            points=len(fit.x),
        )
        for fit, slots in zip(fits, stack.slots_of_fits, strict=True)
    ]


class _Stack:
    """The models that are still in training, S of them, with their optimiser and their data."""

    def __init__(self, fits: Sequence[FitRequest]) -> None:
        self.fits = fits
        self.config, self.protocol = fits[0].trainer.config, fits[0].trainer.protocol
        self.x, self.y = torch.cat([fit.x for fit in fits]), torch.cat([fit.y for fit in fits])
        self.slots_of_fits = [
            [_Slot(i, k, EarlyStopping(fit.patience)) for k in range(len(fit.trainer.model.theta))]
            for i, fit in enumerate(fits)
        ]
        self.slots = [slot for slots in self.slots_of_fits for slot in slots]
        each = [fit.trainer.rows() for fit in fits]
        rows = {name: torch.cat([row[name] for row in each]) for name in each[0]}
        theta = rows["theta"]
        self.epoch = self.steps = 0
        if self.config.average:
            rows["average"] = theta.clone()
        #: Each model and its optimiser as they were at the lowest validation NLL so far.
        self.best: dict[str, Tensor] = {}
        if self.config.best_weights:
            self.best = {name: tensor.clone() for name, tensor in rows.items()}
        self._assemble(rows)
        if self.best:
            self.validate()  # a fit may find nothing better than what it begins with

    def _assemble(self, rows: dict[str, Tensor]) -> None:
        """Makes the stack of models that have these rows, and copies what belongs to the slots."""
        self.rows = rows
        self.model = self.fits[0].trainer.model.with_theta(rows["theta"])
        theta = self.model.theta
        state = {name: rows[name] for name in ("step", "mu_product", "exp_avg", "exp_avg_sq")}
        self.optimizer = NAdam([theta], self.config.lr, self.config.weight_decay, {theta: state})
        self.masks = [self.fits[slot.fit].trainer.masks[slot.member] for slot in self.slots]

    def train_epoch(self) -> None:
        """One pass over each model's points in fresh order."""
        self.epoch += 1
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
            self.steps += 1
            if self.config.average:
                # Short at first: a fit's first weights are soon forgotten.
                decay = min(self.config.average, (1 + self.steps) / (10 + self.steps))
                self.rows["average"].lerp_(self.rows["theta"], 1 - decay)

    @property
    def _used(self) -> Tensor:
        """The weights [S, P] that are validated; a fit ends with these, or with those of its best epoch."""
        return self.rows["average"] if self.config.average else self.rows["theta"]

    @torch.no_grad()
    def validate(self) -> None:
        """Every `check_every` epochs, scores each model on its validation part; those that stop leave."""
        limit = self.fits[0].limit
        every = min(self.config.check_every, limit)
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
            if not self.config.best_weights:
                slot.nll = values[0]
            elif not values[0] >= slot.nll:  # lower, or not a number
                slot.nll = values[0]
                for name, best in self.best.items():
                    best[i] = self._used[i] if name == "theta" else self.rows[name][i]
            if not slot.stopping.stop(values[1]) and self.epoch + every <= limit:
                stay.append(i)
        if len(stay) < len(self.slots):
            self._leave(stay)

    def _validation_log_prob(self) -> Iterator[Tensor]:
        """log p(y|x) of each model on its validation part, [m] in float64."""
        fits = [self.fits[slot.fit] for slot in self.slots]
        watched = slice(self.config.watched_rows)
        rows = _ROWS if self.x.device.type == "cpu" else _ROWS_ON_GPU
        size = max(1, rows // len(fits[0].x_val[watched]))
        for first in range(0, len(fits), size):
            some = fits[first : first + size]
            model = self.model.with_theta(self._used[first : first + size])
            x_val = torch.stack([fit.x_val[watched] for fit in some])
            y_val = torch.stack([fit.y_val[watched] for fit in some])
            yield from model.density(model.density_parameters(x_val)).log_prob(y_val).double()

    def _leave(self, stay: list[int]) -> None:
        """Hands the rows of those that do not stay back to their trainers."""
        kept = self.best or self.rows | {"theta": self._used}
        for i, slot in enumerate(self.slots):
            if i not in stay:
                for name, tensor in self.fits[slot.fit].trainer.rows().items():
                    tensor[slot.member] = kept[name][i]
        self.slots = [self.slots[i] for i in stay]
        if stay:
            self.best = {name: tensor[stay] for name, tensor in self.best.items()}
            self._assemble({name: tensor[stay] for name, tensor in self.rows.items()})
