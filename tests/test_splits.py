"""The declared datasets against docs/DATASETS.md, their splits against docs/METHOD.md, section 1."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data import tables
from core.seeds import Seeds
from datasets import DATASETS
from tests.mini_table import Mini, N

# Name: rows, features, train / val / test, seed set, budget.
SPEC = {
    "pakinsons": (5875, 61, 3760, 940, 1175, 200, 800),
    "superconductors": (21263, 81, 13608, 3402, 4253, 200, 800),
    "sarcos": (44484, 21, 28470, 7117, 8897, 200, 1200),
    "diamonds": (53940, 26, 34522, 8630, 10788, 200, 1200),
}


@pytest.mark.parametrize("name", SPEC)
def test_declarations_agree_with_the_specification(name: str) -> None:
    cls = DATASETS[name]
    assert issubclass(cls, tables.Table)
    rows, features, *_, seed_set, budget = SPEC[name]
    assert (cls.name, cls.folder) == (name, name.capitalize())
    assert (cls.n_rows, len(cls.feature_names())) == (rows, features)
    assert (cls.seed_set, cls.budget) == (seed_set, budget)
    assert cls.download in cls.files
    assert {cls.target, *cls.dropped, *cls.categories} < set(cls.columns)
    assert len(set(cls.columns)) == len(cls.columns)


@pytest.mark.parametrize("name", SPEC)
def test_split_sizes_of_the_specification(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _, train, val, test, seed_set, _ = SPEC[name]
    x = np.arange(2.0 * rows).reshape(rows, 2)
    made_up = tables.LoadedTable(x, x[:, 0], Path(), "passed")
    monkeypatch.setattr(DATASETS[name], "load", lambda *args, **kwargs: made_up)
    dataset = DATASETS[name]("nowhere", Seeds())
    assert (len(dataset.x_train), len(dataset.x_val), len(dataset.x_test)) == (train, val, test)
    assert len(set(dataset.seed_indices.tolist())) == seed_set
    assert dataset.x_train.dtype == dataset.y_test.dtype == np.float32


class Numbered(Mini):
    """Its target numbers the rows; every split part can be traced to them."""

    size = N

    @classmethod
    def load(cls, data_folder: str | Path, *, skip_data_check: bool = False) -> tables.LoadedTable:
        y = np.arange(float(cls.size))
        return tables.LoadedTable(np.stack([y**2, -y], axis=1), y, Path(), "passed")


def row_numbers(dataset: Mini, y: np.ndarray) -> np.ndarray:
    """The rows behind scaled targets: undoes the scaling by the train part's range, found slowly."""
    order = np.random.default_rng(1).permutation(Numbered.size)
    train = order[: int(0.8 * Numbered.size)].tolist()
    low, high = min(train), max(train)
    return np.rint(y * (high - low) + low).astype(int)


@settings(max_examples=60, deadline=None)
@given(st.integers(20, 300), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 99))
def test_split_properties(size: int, run_id: int, other: int, seed: int) -> None:
    Numbered.size = size
    dataset = Numbered("nowhere", Seeds(run_id=run_id, pool_seed=seed))
    parts = [row_numbers(dataset, y) for y in (dataset.y_train, dataset.y_val, dataset.y_test)]
    train, val, test = parts
    # Disjoint and whole; the test part is the specification's, whatever the run.
    assert sorted(np.concatenate(parts).tolist()) == list(range(size))
    assert test.tolist() == np.random.default_rng(1).permutation(size)[int(0.8 * size) :].tolist()
    assert len(val) == int(0.2 * int(0.8 * size))
    # Features belong to their targets, and are scaled on train and validation part alone.
    own = np.concatenate([train, val]).astype(float)
    for x, rows in zip((dataset.x_train, dataset.x_val, dataset.x_test), parts, strict=True):
        squares = (rows.astype(float) ** 2 - (own**2).min()) / ((own**2).max() - (own**2).min())
        np.testing.assert_allclose(x[:, 0], squares, atol=1e-6)
        np.testing.assert_allclose(x[:, 1], (own.max() - rows) / (own.max() - own.min()), atol=1e-6)
    # The seed set: distinct rows of the pool.
    assert len(set(dataset.seed_indices.tolist())) == dataset.seed_set
    assert 0 <= dataset.seed_indices.min() <= dataset.seed_indices.max() < len(train)

    seeds_before = dataset.seed_indices.copy()
    dataset.y_train[:], dataset.x_val = 0, dataset.x_val[:0]
    dataset.reset()
    assert row_numbers(dataset, dataset.y_train).tolist() == train.tolist()
    assert len(dataset.x_val) == len(val)
    assert dataset.seed_indices.tolist() == seeds_before.tolist()

    neighbour = Numbered("nowhere", Seeds(run_id=other, pool_seed=seed))
    np.testing.assert_array_equal(neighbour.x_test, dataset.x_test)
    same = neighbour.y_train.tolist() == dataset.y_train.tolist()
    assert same == (other == run_id)
