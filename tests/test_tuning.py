"""The search for hyper-parameters as far as it needs no Ray: what a trial sees, and wrong input."""

import math
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from core import DATASETS, PUBLISHED, Seeds
from core.models.variations import load_config
from core.training import tuning


def test_subsets_are_of_the_train_part_and_no_test_row_is_there() -> None:
    subsets = tuning.make_subsets(DATASETS["diabetes"], Path("nowhere"), False)
    assert [run_id for run_id, *_ in subsets] == [1, 2, 3, 4]
    for run_id, x, y, x_val, y_val in subsets:
        data = DATASETS["diabetes"]("nowhere", Seeds(run_id))
        rows = [np.flatnonzero((data.x_train == row).all(1)).item() for row in x]
        assert len(set(rows)) == len(rows) == data.seed_set + data.budget
        np.testing.assert_array_equal(data.y_train[rows], y)
        np.testing.assert_array_equal(data.x_val, x_val)
        np.testing.assert_array_equal(data.y_val, y_val)
    assert any((one[1] != other[1]).any() for one, other in pairwise(subsets))


def test_the_validation_nll_falls_from_epoch_to_epoch() -> None:
    subsets = tuning.make_subsets(DATASETS["diabetes"], Path("nowhere"), False)
    config, _ = load_config("diabetes", "gauss")
    curve = list(islice(tuning.validation_nll(subsets, config, PUBLISHED), 8))
    assert curve[-1] < curve[3] < curve[0]
    one = list(islice(tuning.validation_nll(subsets[:1], config, PUBLISHED), 2))
    alone = [list(islice(tuning.validation_nll([subset], config, PUBLISHED), 2)) for subset in subsets]
    assert one == alone[0]
    assert np.mean(alone, 0) == pytest.approx(curve[:2], rel=1e-6)


def test_a_diverged_model_is_worse_than_any() -> None:
    subsets = tuning.make_subsets(DATASETS["diabetes"], Path("nowhere"), False)
    config = replace(load_config("diabetes", "nf")[0], lr=1e12)
    assert max(islice(tuning.validation_nll(subsets, config, PUBLISHED), 3)) == math.inf
