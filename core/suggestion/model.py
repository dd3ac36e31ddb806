"""A model of the labelled rows, what it is worth, and what an agent chooses by it.

    fitted = fit(problem, ["forest", "gp"], seeds, device)  # the better of the two
    chosen, scores = choose(fitted, "igs", 20, seeds)
    predicted = quantiles(fitted, problem.pool)

Each model is fitted to all labelled rows but a fold, for each fold, and predicts the fold that it has not
seen. By these predictions the best one is found, judged, and its intervals are widened or narrowed
(`calibration.py`); then it is fitted to all rows.

Shapes: n labelled rows, N rows of the pool, d features, k chosen rows, L levels of quantiles.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor

from ..agent import AGENTS, Agent, check_scores
from ..errors import UserError, check_known
from ..models.gp import MOST_POINTS
from ..models.predictor import Predictor
from ..models.variations import VARIATIONS, load_config
from ..protocol import CORRECTED
from ..seeds import Seeds
from ..state import State
from ..training.side_by_side import fit as train_one
from ..training.side_by_side import side_by_side
from ..training.trainer import make_trainer
from ..util import tqdm
from .calibration import calibrate, calibrated, coverage
from .tables import LEAST_LABELLED, LEVELS, Problem
from .transforms import TRANSFORMS, Log, Transform

#: Folds of the labelled rows, by how many rows there are at least: a model of few rows gets better with each
#: one, and intervals calibrated by models of much fewer would be too wide.
_FOLDS = {100: 5, 50: 10, 0: 20}
#: Share of its rows that a network does not learn from: they say when to stop.
_WATCHED = 0.2
#: An epoch has at least so many steps, where there are so many rows.
_STEPS = 8
_PIECE = 2048
#: What `auto` tries. The ensemble only where a Gaussian process cannot be fitted: with fewer labelled rows it
#: takes most of the time, and was never the best.
_AUTO = ("forest", "gp", "ensemble")
#: The mean of a prediction is that of the quantiles at these levels.
_MEAN = (np.arange(20) + 0.5) / 20
#: Rows of the pool in which features are shuffled.
_SHUFFLED = 300


@dataclass(frozen=True)
class Model:
    """What is learned, and what has learned it."""

    target: Transform
    predictor: Predictor

    def quantiles(self, x: Tensor, levels: Sequence[float]) -> np.ndarray:
        """Of each row of x [N, d], on the scale of what is learned, [N, L]."""
        density = self.predictor(x)
        each = [density.icdf(torch.full((len(x),), level, device=x.device)) for level in levels]
        return torch.stack(each, 1).cpu().double().numpy()


@dataclass(frozen=True)
class Quality:
    """What predictions are worth, of labelled rows that the model had not seen.

    Attributes:
        rows, settings: how many, and how many that differ in their features.
        r2: of the predicted mean: 1 - its squared error / that of the rows' own mean.
        mae, constant_mae: of the predicted median, and of the rows' own median, in the target's units.
        held: of the 50 % and the 90 % interval, in how many rows it held the target; the intervals of each
            fold are those calibrated by the others.
    """

    rows: int
    settings: int
    r2: float
    mae: float
    constant_mae: float
    held: dict[float, int]


@dataclass(frozen=True)
class Fitted:
    """The best model, fitted to all labelled rows, and what it is worth.

    Attributes:
        problem: the labelled rows, and the pool that it predicts.
        variation: its name in `VARIATIONS`.
        model: the model.
        factors: what calibrates its intervals.
        nll: of each variation that was tried the lowest NLL of unseen rows, in the target's own units.
        quality: of the best one.
        device: where the model is.
    """

    problem: Problem
    variation: str
    model: Model
    factors: dict[float, float]
    nll: dict[str, float]
    quality: Quality
    device: torch.device


def variations(agent: str, variation: str, rows: int) -> list[str]:
    """The models to try for so many labelled rows: the one named, or with `auto` those the agent can score.

    Raises:
        UserError: agent or model are unknown, or the agent cannot score it.
    """
    if variation != "auto":
        check_known("variation", variation, ["auto", *VARIATIONS])
        check_scores(agent, variation)
        return [variation]
    scored = AGENTS[agent].variations
    names = [name for name in _AUTO if name in scored]
    if not names:
        raise UserError(f"agent '{agent}' scores none of {', '.join(_AUTO)}, but {' or '.join(scored)}")
    too_slow = "ensemble" if rows <= MOST_POINTS else "gp"
    return [name for name in names if name != too_slow] or names


def fit(
    problem: Problem, variations: Sequence[str], seeds: Seeds, device: torch.device, agent: str = "random"
) -> Fitted:
    """Fits the best of several models, with the best of `TRANSFORMS`, to the labelled rows.

    For networks, whose training takes long, only the target that is best for the others is tried.

    Args:
        agent: name in `AGENTS`: it may want dropout.

    Raises:
        FloatingPointError: training diverged.
    """
    rows = _Rows(problem, seeds, device, agent)
    at_once = [name for name in variations if VARIATIONS[name].regressor]
    kinds = [kind for kind in TRANSFORMS if kind is not Log or (rows.y > rows.zero).all()]
    tried = [(name, kind) for name in at_once or ["forest"] for kind in kinds]
    found = {one: rows.left_out(*one) for one in tqdm(tried, desc="trying models", unit=" models")}
    kind = min(found, key=lambda one: found[one][1])[1]
    for name in variations:
        if name not in at_once:
            found[name, kind] = rows.left_out(name, kind)
    ranked = sorted((one for one in found if one[0] in variations), key=lambda one: found[one][1])
    nll = {one[0]: found[one][1] for one in reversed(ranked)}  # the lowest of each is the last
    name, kind = ranked[0]
    factors, quality = rows.judge(found[name, kind][0])
    (model,) = rows.train(name, kind, [np.concatenate(rows.folds)])
    return Fitted(problem, name, model, factors, nll, quality, device)


class _Rows:
    """The labelled rows, in folds: rows that are equal in all features are in one of them."""

    def __init__(self, problem: Problem, seeds: Seeds, device: torch.device, agent: str) -> None:
        self.x, self.y = torch.from_numpy(problem.x).to(device), problem.y.astype(np.float64)
        self.scaler, self.seeds, self.agent = problem.scaler, seeds, agent
        self.zero = float(problem.scaler.transform(np.zeros(1))[0])
        self.same = np.unique(problem.x, axis=0, return_inverse=True)[1].ravel()
        self.settings = int(self.same.max()) + 1
        count = next(folds for least, folds in _FOLDS.items() if len(self.same) >= least)
        count, rng = min(count, self.settings), seeds.numpy("split")
        fold = (rng.permutation(self.settings) % count)[self.same]
        order = rng.permutation(len(self.same))
        self.folds = [order[fold[order] == i] for i in range(count)]

    def left_out(self, variation: str, kind: type[Transform]) -> tuple[list[Model], float]:
        """Models that have not seen one of the folds each, and their NLL there, in the target's units."""
        parts = [np.concatenate(self.folds[:i] + self.folds[i + 1 :]) for i in range(len(self.folds))]
        models = self.train(variation, kind, parts)
        each = [self.nll(model, rows) for model, rows in zip(models, self.folds, strict=True)]
        return models, float(np.concatenate(each).mean() - math.log(self.scaler.scale))

    def nll(self, model: Model, rows: np.ndarray) -> np.ndarray:
        """Of each of some rows [n], float64, on the scale of the labelled targets."""
        z = torch.from_numpy(model.target.forward(self.y[rows])).to(self.x)
        log_p = model.predictor(self.x[rows]).log_prob(z).double().cpu().numpy()
        return -log_p - model.target.log_slope(self.y[rows])

    def train(self, variation: str, kind: type[Transform], parts: Sequence[np.ndarray]) -> list[Model]:
        """A model of each of several parts of the rows; networks are trained side by side."""
        config = AGENTS[self.agent].inject_config(load_config("default", variation, CORRECTED))
        fewest = int((1 - _WATCHED) * min(map(len, parts)))
        config = replace(config, batch_size=max(1, min(config.batch_size, fewest // _STEPS)))
        models, requests = [], []
        for rows in parts:
            target = kind(self.y[rows], self.zero)
            x, z = self.x[rows], torch.from_numpy(target.forward(self.y[rows])).to(self.x)
            trainer = make_trainer(x.shape[1], config, CORRECTED, self.seeds, self.x.device)
            models.append(Model(target, trainer.predictor))
            if VARIATIONS[variation].regressor:
                trainer.fit(x, z)
            else:
                watched = math.ceil(_WATCHED * len(rows))
                requests.append(trainer.request(x[watched:], z[watched:], x[:watched], z[:watched]))
        side_by_side([partial(train_one, request) for request in requests])
        return models

    def judge(self, models: Sequence[Model]) -> tuple[dict[float, float], Quality]:
        """By the models that have not seen one of the folds each."""
        own, learned, truths = [], [], []
        for model, rows in zip(models, self.folds, strict=True):
            found = model.quantiles(self.x[rows], [*LEVELS.values(), *_MEAN])
            own.append(self.scaler.inverse_transform(model.target.inverse(found)))
            learned.append(pd.DataFrame(found[:, : len(LEVELS)], columns=list(LEVELS)))
            truths.append(model.target.forward(self.y[rows]))
        predicted, y = np.concatenate(own), self.scaler.inverse_transform(self.y[np.concatenate(self.folds)])
        median, mean = predicted[:, list(LEVELS).index("median")], predicted[:, len(LEVELS) :].mean(axis=1)
        scale = np.ptp(y)  # squares of values of any size
        r2 = 1 - (((mean - y) / scale) ** 2).mean() / (y / scale).var()
        mae, constant = abs(median - y).mean(), abs(np.median(y) - y).mean()
        held = coverage(learned, truths)
        quality = Quality(len(y), self.settings, float(r2), float(mae), float(constant), held)
        return calibrate(pd.concat(learned), np.concatenate(truths)), quality


def last_round(fitted: Fitted, seeds: Seeds) -> tuple[float, float, float] | None:
    """By how much the last round changed the held-out NLL of the older rows: mean, and 95 % interval.

    Two models for each fold of the older rows, with the rows of the last round and without them, predict it.
    The differences of rows with the same features count as one, their mean; the interval is Student's. Models
    are of the best kind, or forests where that is a network. None if the rounds are not known, or fewer than
    `LEAST_LABELLED` rows are older.
    """
    problem = fitted.problem
    last = problem.rounds == problem.rounds.max()
    if last.all() or (~last).sum() < LEAST_LABELLED:
        return None
    variation = fitted.variation if VARIATIONS[fitted.variation].regressor else "forest"
    rows = _Rows(problem, seeds, fitted.device, "random")
    folds = [fold[~last[fold]] for fold in rows.folds if not last[fold].all()]
    others = [~np.isin(rows.same, rows.same[fold]) for fold in folds]  # no replicates of what is left out
    parts = [np.flatnonzero(some) for other in others for some in (other & ~last, other)]
    models = iter(rows.train(variation, type(fitted.model.target), parts))
    changes = [-rows.nll(next(models), fold) + rows.nll(next(models), fold) for fold in folds]
    change = pd.Series(np.concatenate(changes)).groupby(rows.same[np.concatenate(folds)]).mean()
    low, high = stats.t.interval(0.95, len(change) - 1, change.mean(), change.sem())
    return float(change.mean()), float(low), float(high)


def quantiles(fitted: Fitted, x: np.ndarray) -> pd.DataFrame:
    """Of each row of scaled x [N, d], in the target's own units, calibrated: the columns of `LEVELS`."""
    rows = tqdm(torch.from_numpy(x).split(_PIECE), desc="predicting", unit=" pieces")
    pieces = [fitted.model.quantiles(part.to(fitted.device), list(LEVELS.values())) for part in rows]
    predicted = pd.DataFrame(np.concatenate(pieces), columns=list(LEVELS))
    scaled = fitted.model.target.inverse(calibrated(predicted, fitted.factors).to_numpy())
    return pd.DataFrame(fitted.problem.scaler.inverse_transform(scaled), columns=list(LEVELS))


def choose(fitted: Fitted, agent: str, count: int, seeds: Seeds) -> tuple[np.ndarray, np.ndarray]:
    """Positions in the pool [k], in the order of choice, and their scores [k], NaN where none are."""
    chooser = AGENTS[agent](count, seeds, CORRECTED)
    chosen = chooser.predict(_state(fitted, count))
    if chooser.scores is None:
        return chosen, np.full(len(chosen), np.nan)
    return chosen, chooser.scores.cpu().double().numpy()


def score(fitted: Fitted, agent: str, seeds: Seeds) -> np.ndarray:
    """The agent's scores of all rows of the pool [N]; NaN if it scores batches and not rows."""
    chooser = AGENTS[agent](1, seeds, CORRECTED)
    if type(chooser).score is Agent.score:
        return np.full(len(fitted.problem.pool), np.nan)
    state = _state(fitted, 1)
    scores = [chooser.score(state, rows).cpu() for rows in state.x_unlabeled.split(chooser.candidates)]
    return torch.cat(scores).double().numpy()


def _state(fitted: Fitted, count: int) -> State:
    problem = fitted.problem
    y = fitted.model.target.forward(problem.y.astype(np.float64)).astype(np.float32)
    pool, x, labels = (torch.from_numpy(one).to(fitted.device) for one in (problem.pool, problem.x, y))
    return State.of_one_choice(pool, x, labels, fitted.model.predictor, count)


def importance(fitted: Fitted, seeds: Seeds) -> pd.Series:
    """By how much the predicted mean changes when a feature is shuffled among rows of the pool: a number a
    feature [d], by name (Breiman's permutation importance, of the prediction instead of its error).
    """
    rng, pool, found = seeds.numpy("evaluation"), fitted.problem.pool, []
    rows = pool[rng.permutation(len(pool))[:_SHUFFLED]]
    x = torch.from_numpy(rows).to(fitted.device)
    mean = fitted.model.predictor(x).mean
    for feature in range(x.shape[1]):
        shuffled = x.clone()
        shuffled[:, feature] = x[torch.from_numpy(rng.permutation(len(x))).to(x.device), feature]
        found.append(float((fitted.model.predictor(shuffled).mean - mean).abs().mean()))
    return pd.Series(found, fitted.problem.names)
