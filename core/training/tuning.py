"""A trial of the search for hyper-parameters. Nothing here needs Ray.

A trial trains one model on each of a few random subsets of the train set, as large as a run's labelled set at
its start and at its end. Its score is on validation sets; test data are not used.
"""

import math
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from ..config import Config
from ..dataset import Dataset
from ..errors import UserError
from ..protocol import Protocol
from ..seeds import Seeds
from .trainer import make_trainer, train_stack

#: Runs whose data a trial sees; their models are trained side by side.
RUNS = (1, 2)

#: A run id; points to train on, x [n, d] and y [n]; that run's validation part, x and y.
Subset: TypeAlias = tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def make_subsets(dataset: type[Dataset], data_folder: Path, skip_data_check: bool) -> list[list[Subset]]:
    """A random subset of each run's train set, as large as the seed set, and as seed set and budget."""
    small: list[Subset] = []
    large: list[Subset] = []
    for run_id in RUNS:
        seeds = Seeds(run_id)
        data = dataset(data_folder, seeds, skip_data_check=skip_data_check)
        size = data.seed_set + data.budget
        if size > len(data.x_train):
            raise UserError(f"{dataset.folder}: {size} points are more than its train set has")
        rows = seeds.numpy("agent").choice(len(data.x_train), size, replace=False)
        for subsets, some in ((small, rows[: data.seed_set]), (large, rows)):
            subsets.append((run_id, data.x_train[some], data.y_train[some], data.x_val, data.y_val))
    return [small, large]


def validation_nll(
    subsets: list[Subset], config: Config, protocol: Protocol, device: torch.device | str = "cpu"
) -> float:
    """The mean validation NLL over the runs, after a fit; infinity if one diverged."""
    fits = []
    for run_id, *arrays in subsets:
        seeds = Seeds(run_id)
        x, y, x_val, y_val = (torch.from_numpy(np.array(array)).to(device) for array in arrays)
        trainer = make_trainer(x.shape[1], config, protocol, seeds, device)
        fits.append(trainer.request(x, y, x_val, y_val))
    nll = sum(result.validation_nll for result in train_stack(fits)) / len(fits)
    return math.inf if math.isnan(nll) else nll
