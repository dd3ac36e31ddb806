"""The 'full dataset' line of the study's figures: what labelling the whole pool would give."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch

from .config import Config
from .dataset import Dataset
from .environment import Action, Beginning, Outcome
from .learner import Learner
from .metrics import evaluate, measure
from .protocol import PUBLISHED, Protocol
from .seeds import Seeds
from .state import State
from .training.trainer import EarlyStopping

__all__ = ["AllPoints", "UpperBound"]

#: Epochs in a row without a new minimum after which training ends (docs/METHOD.md, section 4).
PATIENCE = 25


class AllPoints:
    """The agent of an upper bound: it has nothing to choose. Its state is that of the early stopping."""

    def __init__(self, stopping: EarlyStopping) -> None:
        self.state_dict, self.load_state_dict = stopping.state_dict, stopping.load_state_dict

    def predict(self, *state: Any) -> tuple[int, ...]:
        """No point."""
        return ()


class UpperBound:
    """Training on the whole train part (docs/METHOD.md, section 4).

    It has what a logger and a driver use of an `Environment`, with nothing to choose: an action is empty.
    Every minibatch counts, the last incomplete one too.

    If the configuration keeps the best weights, the model is trained as agents' models are, by one fit until
    it has converged, and the episode is over after `reset`. Otherwise a step is an epoch, and the episode
    terminates after more than 25 epochs in a row without a new minimum of the MAE on the validation part, or
    at the epoch limit. The epoch that says stop is not tested, as in the published code: the last metrics are
    those of the epoch before it.

    Args:
        dataset: the data; its seeds are the run's. Seed set and budget play no part.
        config: model and training. Its epoch limits are not used, its patience only with `best_weights`.
        protocol: whether the encoder has a ReLU.
        device: where data and model live.
        epoch_limit: most epochs.

    Attributes:
        learner: model, training and data of the run, made anew when it begins.
        stopping: the early stopping of the episode.
    """

    index_name = "epoch"
    #: Keyword arguments for an `EnvironmentLogger` around it.
    logger_options: Mapping[str, Any] = MappingProxyType({})

    def __init__(
        self,
        dataset: Dataset,
        config: Config,
        protocol: Protocol = PUBLISHED,
        *,
        device: torch.device | str = "cpu",
        epoch_limit: int = 1000,
    ) -> None:
        self.dataset = dataset
        epochs = epoch_limit if config.best_weights else 1
        self.config = replace(config, fitting="finetuning", first_epochs=epochs, later_epochs=epochs)
        self.protocol = protocol
        self.device = torch.device(device)
        self.epoch_limit = self.budget = epoch_limit
        self.stopping = EarlyStopping(PATIENCE)

    @property
    def seeds(self) -> Seeds:
        """The run's seeds."""
        return self.dataset.seeds

    def _start(self) -> None:
        """Learner and early stopping as they are at the beginning."""
        self.learner = Learner(self.dataset, self.config, self.protocol, self.device)
        self.learner.trainer.drop_last = False
        self.stopping.reset()
        # A stream of its own: how many points are tested must not matter to the validation.
        self._validating = self.seeds.torch("evaluation", self.device, member=1)

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that changes from epoch to epoch, but for `stopping`."""
        return {
            "learner": self.learner.state_dict(),
            "validating": self._validating.get_state(),
            "initial_mae": self._initial_mae,
            "mae": self._mae,
        }

    def resume(self, state: dict[str, Any]) -> State:
        """Instead of `reset`: goes on from what `state_dict` gave, of a run of the same settings.

        Raises:
            UserError: that was another run, or on another kind of device, or on other data.
        """
        self._start()
        self.learner.load_state_dict(state["learner"])
        self._validating.set_state(state["validating"])
        self._initial_mae, self._mae = state["initial_mae"], state["mae"]
        return self.state

    @property
    def state(self) -> State:
        """All points are labelled, none is left."""
        x, y = self.learner.x, self.learner.y
        return State(
            x_unlabeled=x[:0],
            x_labeled=x,
            y_labeled=y,
            per_class_instances={},
            budget=0,
            added_images=0,
            initial_test_acc=self._initial_mae,
            current_test_acc=self._mae,
            classifier=self.learner.predictor,
            optimizer=self.learner.trainer.optimizer,
        )

    @property
    def epoch(self) -> int:
        """Epochs trained so far, where a step is one."""
        return self.learner.trainer.fits

    @property
    def finished(self) -> bool:
        """Whether the episode has terminated."""
        if self.config.best_weights:
            return self.learner.trainer.fits > 0
        return self.stopping.stopped or self.epoch >= self.epoch_limit

    @property
    def progress(self) -> str:
        """How far the run has got, in words."""
        return f"{self.epoch} epochs"

    def reset(self) -> Beginning:
        """Begins the run and trains for one epoch, or until the model has converged.

        Raises:
            FloatingPointError: training diverged.
        """
        self._start()
        info = self._train()
        self._initial_mae = self._mae = info["mae"]
        return self.state, info

    def step(self, action: Action = ()) -> Outcome:
        """Trains for one more epoch; the five values of `Environment.step`.

        The info of an epoch that is not tested has no metrics.

        Raises:
            FloatingPointError: training diverged.
        """
        info = self._train()
        before, self._mae = self._mae, info.get("mae", self._mae)
        return self.state, before - self._mae, self.finished, False, info

    def _train(self) -> dict[str, Any]:
        fit = self.learner.fit(range(len(self.learner.x)))
        if self.config.best_weights:
            return {"epoch": fit.epochs, **self.learner.measured(fit)}
        validated = evaluate(self.learner.predictor, *self.learner.validation, self._validating)
        if self.stopping.stop(measure(validated)["mae"]):
            return {"epochs": fit.epochs}
        return {"epoch": self.epoch, **self.learner.measured(fit)}
