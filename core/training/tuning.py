"""What a trial of the search for hyper-parameters does. Nothing here needs Ray.

A trial trains one model on each of a few random subsets of the train part, as large as a run's
labelled set is in the end, and is judged on the validation parts alone: test data play no part.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from ..config import Config
from ..dataset import Dataset
from ..errors import UserError
from ..models.variations import build_model
from ..protocol import Protocol
from ..seeds import Seeds
from .lockstep import fit_side_by_side
from .trainer import Fit, Trainer

__all__ = ["SUBSETS", "Subset", "make_subsets", "validation_nll"]

#: Subsets of a trial, trained side by side.
SUBSETS = 4


#: A run id; points to train on, x [n, d] and y [n]; that run's validation part, x and y.
Subset: TypeAlias = tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def make_subsets(dataset: type[Dataset], data_folder: Path, skip_data_check: bool) -> list[Subset]:
    """Of the runs 1 to 4: seed set and budget together, drawn at random from the train part.

    Raises:
        UserError: the train part is smaller.
    """
    subsets = []
    for run_id in range(1, SUBSETS + 1):
        seeds = Seeds(run_id)
        data = dataset(data_folder, seeds, skip_data_check=skip_data_check)
        size = data.seed_set + data.budget
        if size > len(data.x_train):
            raise UserError(
                f"{dataset.folder}: {size} points are more than the {len(data.x_train)} of the train part"
            )
        rows = seeds.numpy("agent").choice(len(data.x_train), size, replace=False)
        subsets.append((run_id, data.x_train[rows], data.y_train[rows], data.x_val, data.y_val))
    return subsets


def validation_nll(
    subsets: list[Subset], config: Config, protocol: Protocol, device: torch.device | str = "cpu"
) -> Iterator[float]:
    """The mean validation NLL over the subsets after the first epoch, the second, and so on."""
    fits = []
    for run_id, *arrays in subsets:
        seeds = Seeds(run_id)
        x, y, x_val, y_val = (torch.from_numpy(np.array(array)).to(device) for array in arrays)
        model = build_model(config, x.shape[1], protocol.encoder_relu, [seeds.torch("init")]).to(device)
        fits.append(Fit(Trainer(model, config, protocol, seeds), 1, x, y, x_val, y_val))
    while True:
        nll = sum(result.validation_nll for result in fit_side_by_side(fits)) / len(fits)
        yield math.inf if math.isnan(nll) else nll
