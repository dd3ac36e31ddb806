"""The next measurements: which rows of a pool to label, given the rows that are labelled.

A model is trained on the labelled rows in the corrected protocol, and an agent chooses. Nothing is kept: who
has measured the chosen rows adds them to the labelled ones and asks again.

Shapes: n labelled rows, N rows of the pool, d features, k chosen rows.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .agent import AGENTS
from .data.cells import Sheet
from .data.columns import Decisions, sort_columns, target_values
from .data.frames import RawFrame
from .data.notations import NOTHING
from .dataset import RangeScaler
from .errors import UserError
from .files import UnusableError, one_line
from .metrics import calibration_error, pit_histogram
from .models.variations import load_config
from .protocol import CORRECTED
from .seeds import Seeds
from .state import State
from .training.side_by_side import fit
from .training.trainer import FitResult, RegressorTrainer, make_trainer
from .util import tqdm

#: Levels of the predicted quantiles: the median, the ends of the 50 % and of the 90 % interval.
LEVELS = {"median": 0.5, "low_50": 0.25, "high_50": 0.75, "low_90": 0.05, "high_90": 0.95}
#: Our columns of the chosen rows; where the table has one of that name, ours has `_OURS` before it.
COLUMNS = ("rank", "pool_row", "score", *LEVELS)
_OURS = "suggested_"
#: With fewer labelled rows the held-out ones are too few to stop by.
LEAST_LABELLED = 20
#: Share of the labelled rows that training does not see.
_HELD_OUT = 0.2
#: An epoch has at least so many steps, where there are so many rows.
_STEPS = 8
_PIECE = 2048


@dataclass(frozen=True)
class Problem:
    """Labelled rows and pool as arrays, scaled to [0, 1] on both together; the target on the labelled ones.

    Attributes:
        x, y: labelled rows [n, d] and targets [n], float32.
        pool: rows [N, d], float32.
        rows: where they stand in the pool [N]: a row that is labelled already is left out.
        lines: what each column became.
        scaler: what the target was scaled with.
    """

    x: np.ndarray
    y: np.ndarray
    pool: np.ndarray
    rows: np.ndarray
    lines: list[str]
    scaler: RangeScaler


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


def split_by_target(raw: RawFrame, target: str) -> tuple[RawFrame, RawFrame]:
    """One table as labelled rows and, where nothing stands in the target, pool."""
    if target not in raw.frame:
        return raw, raw  # `make_problem` says so
    empty = raw.frame[target].map(lambda cell: str(cell).strip() in NOTHING).astype(bool)
    return replace(raw, frame=raw.frame[~empty]), replace(raw, frame=raw.frame[empty])


def make_problem(
    labelled: RawFrame, pool: RawFrame, target: str, decisions: Decisions | None = None
) -> Problem:
    """Two tables as one problem; a column of the pool that is called as the target is not looked at.

    Our own columns are ignored where one table has them alone: chosen rows were added to it.

    Raises:
        UserError: their columns differ, or they cannot be trained on.
    """
    ours = [name for name in {*labelled.names} ^ {*pool.names} if name != target and _is_ours(name)]
    frame = labelled.frame.drop(columns=ours, errors="ignore")
    sheets = [Sheet(labelled.where, frame), Sheet(pool.where, pool.frame.drop(columns=ours, errors="ignore"))]
    wanted, found = ([name for name in sheet.names if name != target] for sheet in sheets)
    try:
        y, note = target_values(frame, target, decisions, labelled.where)
        for these, those, where in ((wanted, found, "pool has"), (found, wanted, "labelled rows have")):
            if lacking := [name for name in these if name not in those]:
                raise UnusableError(f"the {where} no column {one_line(', '.join(map(repr, lacking)))}")
        if len(y) < LEAST_LABELLED:
            raise UnusableError(f"{len(y)} labelled rows are too few: at least {LEAST_LABELLED} are needed")
        columns = sort_columns(sheets, target, np.arange(len(y)), decisions, labelled.nominal | pool.nominal)
    except UnusableError as error:
        begins = str(error).startswith(("the pool", "--", labelled.where, pool.where))
        raise UserError(str(error) if begins else f"{labelled.where}: {error}") from error
    lines = columns.lines + [f"{target}: the target, {note}"] * bool(note)
    lines += [f"{one_line(', '.join(sorted(ours)))}: not used (written by suggest.py)"] * bool(ours)
    x, keys = columns.features()[1], columns.keys()
    done = set(keys[: len(y)])
    rows = np.array([i for i, key in enumerate(keys[len(y) :]) if key not in done], dtype=np.int64)
    x = RangeScaler(x).transform(x).astype(np.float32)
    scaler = RangeScaler(y[:, None])
    scaled = scaler.transform(y[:, None])[:, 0].astype(np.float32)
    return Problem(x[: len(y)], scaled, x[len(y) :][rows], rows, lines, scaler)


def _is_ours(name: str) -> bool:
    return name.removeprefix(_OURS) in COLUMNS or (name.startswith(_OURS) and _is_ours(name[len(_OURS) :]))


def _our_name(name: str, theirs: Collection[str]) -> str:
    return _our_name(_OURS + name, theirs) if name in theirs else name


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


def next_rows(
    pool: RawFrame, problem: Problem, chosen: np.ndarray, scores: np.ndarray, predicted: pd.DataFrame
) -> pd.DataFrame:
    """The chosen rows in order: rank, data row of the file, score, quantiles, the row to the letter."""
    theirs = pool.frame.iloc[problem.rows[chosen]]
    ours = pd.DataFrame(
        {"rank": np.arange(1, len(chosen) + 1), "pool_row": theirs.index + 1, "score": scores}
        | {name: predicted[name].to_numpy()[chosen] for name in LEVELS}
    ).rename(columns=lambda name: _our_name(name, pool.names))
    return pd.concat([ours, theirs.reset_index(drop=True)], axis=1)
