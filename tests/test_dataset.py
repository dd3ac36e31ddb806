"""core.dataset: rows that cannot be used, and the way back from scaled data to the target's own units."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler

from core.dataset import SPLIT_SEED, TRAIN_SHARE, VALIDATION_SHARE, Dataset, RangeScaler
from core.errors import UserError
from core.seeds import Seeds

N = 60


class Own(Dataset):
    """Rows that a test gives."""

    folder = "Own"
    seed_set = 5
    budget = 10

    def __init__(self, x: Any, y: Any, run_id: int = 1, names: tuple[str, ...] = ()) -> None:
        self.given = x, y
        self.names = names
        super().__init__("nowhere", Seeds(run_id))

    def rows(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return self.given

    def feature_names(self) -> list[str]:  # type: ignore[override]
        return list(self.names)


def good(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(5, 3, (N, 4)), rng.normal(-100, 20, N)


def refused(x: Any, y: Any, names: tuple[str, ...] = ()) -> str:
    """The message of the expected UserError, which must stand on one line."""
    with pytest.raises(UserError) as info:
        Own(x, y, names=names)
    assert "\n" not in str(info.value)
    return str(info.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", range(0, N, 13))
def test_features_that_are_not_finite_are_named_and_counted(value: float, row: int) -> None:
    x, y = good()
    x[[row, (row + 1) % N], 2] = value
    assert "Own.rows: column 2 of x has 2 values NaN or infinite" in refused(x, y)
    names = ("a", "b", "age", "c")
    assert "Own.rows: column age of x has 2 values NaN or infinite" in refused(x, y, names)
    x[3, [1, 3]] = value
    assert "Own.rows: column 1 of x has 1 value NaN or infinite" in refused(x, y)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_targets_that_are_not_finite_are_counted(value: float) -> None:
    x, y = good()
    y[:3] = value
    assert "Own.rows: the target has 3 values NaN or infinite" in refused(x, y)


@pytest.mark.parametrize(
    ("x", "y", "found"),
    [
        (good()[0], good()[1][:-1], "(60, 4) and (59,)"),
        (good()[0], good()[1][:, None], "(60, 4) and (60, 1)"),
        (good()[0][:, 0], good()[1], "(60,) and (60,)"),
        (good()[0][:, :0], good()[1], "(60, 0) and (60,)"),
        (good()[0].astype(str), good()[1], "type is <U32"),
        (good()[0], good()[1].astype(object), "type is object"),
        (good()[0].tolist(), good()[1], "list and (60,)"),
        (good()[0][:4], good()[1][:4], "4 rows"),
        (good()[0][:7], good()[1][:7], "leaves nothing"),
    ],
)
def test_rows_of_another_shape_or_type_are_told_in_one_line(x: Any, y: Any, found: str) -> None:
    message = refused(x, y)
    assert message.startswith("Own")
    assert found in message


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 99))
def test_rows_and_raw_values_are_found_again(seed: int, run_id: int) -> None:
    x, y = good(seed)
    x[:, 3] = 7.0  # a constant feature
    data = Own(x, y, run_id)
    assert sorted(np.concatenate([data.rows_train, data.rows_val, data.rows_test]).tolist()) == list(range(N))
    parts = (
        (data.rows_train, data.x_train, data.y_train),
        (data.rows_val, data.x_val, data.y_val),
        (data.rows_test, data.x_test, data.y_test),
    )
    for rows, x_part, y_part in parts:
        assert rows.dtype.kind == "i"
        np.testing.assert_allclose(data.to_raw(x_part), x[rows], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(data.y_to_raw(y_part), y[rows], rtol=1e-5)
    assert len(data.rows_test) == N - int(TRAIN_SHARE * N)
    assert len(data.rows_val) == int(VALIDATION_SHARE * int(TRAIN_SHARE * N))
    own = np.concatenate([data.rows_train, data.rows_val])
    order = np.random.default_rng(SPLIT_SEED).permutation(N)
    assert sorted(own) == sorted(order[: int(TRAIN_SHARE * N)])
    assert data.y_scale == pytest.approx(y[own].max() - y[own].min())


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_ordinary_ranges_are_scaled_to_the_bits_of_scikit_learn(dtype: type) -> None:
    values: np.ndarray = (np.random.default_rng(1).normal(size=(N, 5)) * [1e-3, 1, 30, 1e4, 1e6]).astype(
        dtype
    )
    values[:, 1] = 3
    known, ours = MinMaxScaler().fit(values), RangeScaler(values)
    scaled = ours.transform(values)
    assert scaled.tobytes() == known.transform(values).tobytes()
    assert ours.inverse_transform(scaled).tobytes() == known.inverse_transform(scaled).tobytes()


@settings(max_examples=60, deadline=None)
@given(st.integers(-990, 990), st.floats(0.1, 10), st.floats(-5, 5), st.integers(0, 10**6))
def test_an_affine_change_of_the_units_changes_nothing(
    power: int, slope: float, shift: float, seed: int
) -> None:
    """To the bit for powers of two, which round nothing, and else as far as numbers are exact."""
    x, y = good(seed)
    data, unit = Own(x, y), 2.0**power
    other = Own(x * unit, y * unit)
    for name in ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test", "seed_indices"):
        np.testing.assert_array_equal(getattr(other, name), getattr(data, name))
    assert other.y_scale == data.y_scale * unit
    moved = Own((slope * x + shift) * unit, (slope * y + shift) * unit)
    np.testing.assert_allclose(moved.x_train, data.x_train, atol=1e-6)
    np.testing.assert_allclose(moved.y_train, data.y_train, atol=1e-6)
