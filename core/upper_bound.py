"""The 'full dataset' line of the study's figures: what labelling the whole pool would give."""

from dataclasses import replace
from typing import Any

import torch

from .config import Config
from .dataset import Dataset
from .environment import Action, Environment, Outcome
from .metrics import Evaluation, evaluate, measure
from .protocol import PUBLISHED, Protocol
from .state import State
from .training.lockstep import Fitting, own_seconds
from .training.trainer import EarlyStopping, FitResult

__all__ = ["UpperBound"]


class UpperBound(Environment):
    """Training on the whole train part (SPEC.md section 4); a step is an epoch.

    Every minibatch counts, the last incomplete one too. The episode terminates after more than 25
    epochs in a row without a new minimum of the MAE on the validation part, or at the epoch limit.
    The epoch that says stop is not tested, as in the published code: the last metrics are those of
    the epoch before it. There is nothing to choose: an action is empty.

    Args:
        dataset: the data; its seeds are the run's. Seed set and budget play no part.
        config: model and training; its epoch limits and patience play no part.
        protocol: whether the encoder has a ReLU.
        device: where data and model live.
        epoch_limit: most epochs.
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
        config = replace(config, fitting="finetuning", first_epochs=1, later_epochs=1)
        super().__init__(dataset, config, protocol, device=device, budget=0)
        self.epoch_limit = epoch_limit
        self.stopping = EarlyStopping(patience=25)

    def _start(self) -> None:
        super()._start()
        self._labeled = list(range(len(self._x)))
        self._pool = self._pool[:0]
        self.trainer.drop_last = False
        self.stopping.reset()
        # A stream of its own: how many points are tested must not matter to the validation.
        self._validating = self.seeds.torch("evaluation", self.device, member=1)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"validating": self._validating.get_state()}

    def resume(self, state: dict[str, Any]) -> State:
        resumed = super().resume(state)
        self._validating.set_state(state["validating"])
        return resumed

    @property
    def epoch(self) -> int:
        """Epochs trained so far."""
        return self.trainer.fits

    @property
    def finished(self) -> bool:
        """Whether the episode has terminated."""
        return self.stopping.stopped or self.epoch >= self.epoch_limit

    @property
    def progress(self) -> str:
        """How far the run has got, in words."""
        return f"{self.epoch} epochs"

    @own_seconds
    def resetting(self) -> Fitting[tuple[State, dict[str, Any]]]:
        """Starts the run and trains for one epoch."""
        self._start()
        info = yield from self._train()
        self._initial_mae = self._mae = info["mae"]
        return self.state, info

    @own_seconds
    def stepping(self, action: Action = ()) -> Fitting[Outcome]:
        """Trains for one more epoch; the five values of `Environment.step`.

        The info of an epoch that is not tested has no metrics.
        """
        info = yield from self._train()
        before, self._mae = self._mae, info.get("mae", self._mae)
        return self.state, before - self._mae, self.finished, False, info

    def _train(self) -> Fitting[dict[str, Any]]:
        fit = yield self._next_fit()
        validated = evaluate(self.classifier, *self._validation, self._validating)
        if self.stopping.stop(measure(validated)["mae"]):
            return {"epochs": fit.epochs}
        return self._info(fit, self._evaluate())

    def _info(self, fit: FitResult, evaluation: Evaluation) -> dict[str, Any]:
        return {"epoch": self.epoch, **super()._info(fit, evaluation)}
