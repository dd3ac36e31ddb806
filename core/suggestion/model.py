"""A model of the labelled rows, what it is worth, and what an agent chooses by it.

Shapes: n labelled rows, N rows of the pool, d features, k chosen rows.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..agent import AGENTS
from ..metrics import calibration_error, pit_histogram
from ..models.variations import load_config
from ..protocol import CORRECTED
from ..seeds import Seeds
from ..state import State
from ..training.side_by_side import fit
from ..training.trainer import FitResult, RegressorTrainer, make_trainer
from ..util import tqdm
from .tables import LEVELS, Problem

#: Share of the labelled rows that training does not see.
_HELD_OUT = 0.2
#: An epoch has at least so many steps, where there are so many rows.
_STEPS = 8
_PIECE = 2048
#: Rows of the pool in which features are shuffled.
_SHUFFLED = 300


@dataclass(frozen=True)
class Trained:
    """A model, what it is worth, and the labelled rows as tensors.

    Attributes:
        trainer: what trained it; its `predictor` is the model with its best weights.
        fit: how the training went.
        held_out: rows that training did not see; they also said when it ended.
        r2: of the predicted mean on them: 1 - its squared error / that of the mean of the training targets.
        calibration: calibration error on them.
        x, y: all labelled rows [n, d] and targets [n], on the model's device.
    """

    trainer: Any  # as `make_trainer` gives it
    fit: FitResult
    held_out: int
    r2: float
    calibration: float
    x: Tensor
    y: Tensor


def train(problem: Problem, agent: str, variation: str, seeds: Seeds, device: torch.device) -> Trained:
    """Trains on four fifths of the labelled rows; the last fifth says when to stop, and its quality.

    A forest or a Gaussian process is then fitted to all rows.

    Args:
        agent: name in `AGENTS`: it may want dropout.

    Raises:
        FloatingPointError: training diverged.
    """
    order = seeds.numpy("split").permutation(len(problem.y))
    held, kept = np.split(order, [math.ceil(_HELD_OUT * len(order))])
    config = AGENTS[agent].inject_config(load_config("default", variation, CORRECTED))
    config = replace(config, batch_size=max(1, min(config.batch_size, len(kept) // _STEPS)))
    trainer = make_trainer(problem.x.shape[1], config, CORRECTED, seeds, device)
    x, y = torch.from_numpy(problem.x).to(device), torch.from_numpy(problem.y).to(device)
    result = fit(trainer.request(x[kept], y[kept], x[held], y[held]))
    density, truth = trainer.predictor(x[held]), y[held]
    error = (density.mean - truth).square().mean() / (y[kept].mean() - truth).square().mean()
    calibration = calibration_error(pit_histogram(density.cdf(truth).double()))
    if isinstance(trainer, RegressorTrainer):  # nothing had to say when its training ends
        trainer.fit(x, y)
    return Trained(trainer, result, len(held), float(1 - error), calibration, x, y)


def quantiles(problem: Problem, trained: Trained) -> pd.DataFrame:
    """Of each row of the pool, in the target's own units: the columns of `LEVELS`, N rows."""
    levels = torch.tensor(list(LEVELS.values()), device=trained.x.device)[:, None]
    pieces = []
    for rows in tqdm(torch.from_numpy(problem.pool).split(_PIECE), desc="predicting", unit=" pieces"):
        density = trained.trainer.predictor(rows.to(trained.x.device))
        scaled = [density.icdf(level.expand(len(rows))).cpu().double() for level in levels]
        raw = problem.scaler.inverse_transform(torch.stack(scaled, 1).view(-1, 1).numpy())
        pieces.append(raw.reshape(len(rows), -1))
    return pd.DataFrame(np.concatenate(pieces), columns=list(LEVELS))


def choose(
    problem: Problem, trained: Trained, agent: str, count: int, seeds: Seeds
) -> tuple[np.ndarray, np.ndarray]:
    """Positions in `problem.pool` [k], in the order of choice, and their scores [k], NaN where none are."""
    chooser = AGENTS[agent](count, seeds, CORRECTED)
    state = State(
        x_unlabeled=torch.from_numpy(problem.pool).to(trained.x.device),
        x_labeled=trained.x,
        y_labeled=trained.y,
        per_class_instances={},
        budget=count,
        added_images=0,
        initial_test_acc=math.nan,
        current_test_acc=math.nan,
        classifier=trained.trainer.predictor,
        optimizer=trained.trainer.optimizer,
    )
    chosen = chooser.predict(state)
    if chooser.scores is None:
        return chosen, np.full(len(chosen), np.nan)
    return chosen, chooser.scores.cpu().double().numpy()


def importance(problem: Problem, trained: Trained, seeds: Seeds) -> pd.Series:
    """By how much the predicted mean changes when a feature is shuffled among rows of the pool: a number a
    feature [d], by name (Breiman's permutation importance, of the prediction instead of its error).
    """
    rng = seeds.numpy("evaluation")
    rows = problem.pool[rng.permutation(len(problem.pool))[:_SHUFFLED]]
    found = []
    x = torch.from_numpy(rows).to(trained.x.device)
    mean = trained.trainer.predictor(x).mean
    for feature in range(x.shape[1]):
        shuffled = x.clone()
        shuffled[:, feature] = x[torch.from_numpy(rng.permutation(len(x))).to(x.device), feature]
        found.append(float((trained.trainer.predictor(shuffled).mean - mean).abs().mean()))
    return pd.Series(found, problem.names)
