"""The search for hyper-parameters as far as it needs no Ray: what a trial sees, and what it says."""

import math
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from core import CORRECTED, DATASETS, Seeds
from core.models.variations import load_config
from core.training import tuning


@pytest.fixture(scope="module")
def subsets() -> list[list[tuning.Subset]]:
    return tuning.make_subsets(DATASETS["diabetes"], Path("nowhere"), False)


def test_subsets_are_of_the_train_part_and_no_test_row_is_there(subsets: list[list[tuning.Subset]]) -> None:
    assert [[run_id for run_id, *_ in of_size] for of_size in subsets] == [[1, 2], [1, 2]]
    assert [len(of_size[0][1]) for of_size in subsets] == [50, 150]
    for run_id, x, y, x_val, y_val in chain(*subsets):
        data = DATASETS["diabetes"]("nowhere", Seeds(run_id))
        rows = [np.flatnonzero((data.x_train == row).all(1)).item() for row in x]
        assert len(set(rows)) == len(rows)
        np.testing.assert_array_equal(data.y_train[rows], y)
        np.testing.assert_array_equal(data.x_val, x_val)
        np.testing.assert_array_equal(data.y_val, y_val)
    assert not np.array_equal(subsets[0][0][1], subsets[0][1][1])


def test_a_trial_is_the_mean_over_its_runs(subsets: list[list[tuning.Subset]]) -> None:
    config = load_config("diabetes", "gauss")
    together = [tuning.validation_nll(one, config, CORRECTED) for one in subsets]
    alone = [[tuning.validation_nll([one[i]], config, CORRECTED) for one in subsets] for i in range(2)]
    assert np.mean(alone, 0) == pytest.approx(together, rel=1e-6)
    assert together[1] < together[0]  # three times the labels


def test_a_diverged_model_is_worse_than_any(subsets: list[list[tuning.Subset]]) -> None:
    config = replace(load_config("diabetes", "nf"), lr=1e12)
    assert [tuning.validation_nll(one, config, CORRECTED) for one in subsets] == [math.inf, math.inf]
