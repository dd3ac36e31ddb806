"""core.data.frames and columns: what Parquet holds that a text file does not: dates, lists, an index."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from core.data.columns import sort_columns
from core.data.frames import read_frame
from core.files import UnusableError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
N = 60


def numbers() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return pd.DataFrame({"a": rng.normal(size=N), "y": rng.normal(size=N)})


def features(path: Path) -> tuple[list[str], np.ndarray]:
    columns = sort_columns([read_frame(path)], "y", np.arange(N))
    return columns.features()


@pytest.mark.parametrize("unit", ["s", "ns"])
@pytest.mark.parametrize("kind", ["date", "duration"])
def test_dates_and_durations_are_what_they_are_in_a_text_file(
    tmp_path: Path, kind: str, unit: Literal["s", "ns"]
) -> None:
    frame = numbers()
    days = (
        pd.date_range("2020-03-01", periods=6)
        if kind == "date"
        else pd.timedelta_range("0D", "9h", periods=6)
    )
    frame["when"] = days.as_unit(unit)[np.arange(N) % 6]
    frame.loc[[4, 17], "when"] = pd.NaT
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv", index=False)
    names, x = features(tmp_path / "t.parquet")
    of_text, expected = features(tmp_path / "t.csv")
    assert names == of_text
    assert names == ["a", "when", "missingindicator_when"]
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("index", [range(1000, 1000 + N), [f"r{i}" for i in range(N)]])
def test_rows_are_counted_from_the_file_s_first(tmp_path: Path, index: Any) -> None:
    frame = numbers().assign(b=[str(i / 4) for i in range(N)])
    frame.loc[7, "b"] = "wrong"
    frame.index = pd.Index(index)
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(UnusableError, match="'wrong' in data row 8"):
        features(tmp_path / "t.parquet")


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    columns = [pa.array([1.0, 2.0]), pa.array([3.0, 4.0])]
    pq.write_table(pa.Table.from_arrays(columns, names=["a", "a"]), tmp_path / "t.parquet")
    with pytest.raises(UnusableError, match="2 columns are called 'a'"):
        read_frame(tmp_path / "t.parquet")
