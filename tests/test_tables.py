"""core.data.tables and core.data.frames: where a table comes from, what is checked, what is cached."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.data import tables
from core.errors import UserError
from core.files import UnusableError
from core.seeds import Seeds
from tests.mini_table import FRAME, Mini, MiniMat, N, arff, csv, expected_x, mat, put, zipped


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test reads its files itself, and none may reach the network."""
    tables._load.cache_clear()

    def no_network(url: str, target: Path) -> None:
        raise UnusableError("no network in this test")

    monkeypatch.setattr(tables, "fetch", no_network)


def forget() -> None:
    tables._load.cache_clear()


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refused(cls: type[tables.Table], folder: Path, skip: bool = False) -> str:
    """The message of the expected UserError, which must stand on one line."""
    with pytest.raises(UserError) as info:
        cls.load(folder, skip_data_check=skip)
    message = str(info.value)
    assert "\n" not in message
    return message


# --- kinds of files ------------------------------------------------------------------------

RAW_FILES = {
    "mini.csv": csv(),
    "mini.csv.gz": csv(),
    "mini.zip": zipped(csv()),
    "mini.zip.gz": zipped(csv()),
    "mini.arff": arff(),
    "mini.arff.gz": arff(),
    "bare": arff(),
}


@pytest.mark.parametrize("name", RAW_FILES)
def test_every_kind_of_raw_file_gives_the_same_table(tmp_path: Path, name: str) -> None:
    put(tmp_path, name, RAW_FILES[name])
    table = Mini.load(tmp_path)
    np.testing.assert_allclose(table.x, expected_x(), rtol=1e-15)
    np.testing.assert_array_equal(table.y, FRAME["y"])
    assert (table.source.name, table.data_check) == (name, "passed")
    assert files_of(tmp_path) == sorted([name, "mini.npz"])  # nothing unpacked, no temporary file


@pytest.mark.parametrize("name", ["mini.mat", "mini.mat.gz"])
def test_matlab_columns_go_by_place(tmp_path: Path, name: str) -> None:
    put(tmp_path, name, mat())
    table = MiniMat.load(tmp_path)
    np.testing.assert_array_equal(table.x, FRAME[["a", "b"]])
    np.testing.assert_array_equal(table.y, FRAME["y"])


# --- order of the sources ------------------------------------------------------------------


def test_sources_are_taken_in_order(tmp_path: Path) -> None:
    names = ["mini.csv", "mini.csv.gz", "mini.zip", "mini.arff", "bare"]
    for name in names:
        put(tmp_path, name, RAW_FILES[name])
    for name in names:
        assert Mini.load(tmp_path).source.name == name
        forget()
        assert Mini.load(tmp_path).source.name == "mini.npz"
        forget()
        (tmp_path / name).unlink()
        (tmp_path / "mini.npz").unlink()
    message = refused(Mini, tmp_path)
    assert "no network in this test" in message
    assert f"fetch {Mini.urls[0]} by hand and save it as {tmp_path / 'mini.zip'}" in message


# --- the check -----------------------------------------------------------------------------


def with_cell(column: str, value: object, row: int = 3) -> pd.DataFrame:
    frame = FRAME.astype(object)
    frame.loc[row, column] = value
    return frame


NOT_TRAINABLE = {
    "empty cell": (
        with_cell("a", None),
        "column 'a': a finite number is expected; found nothing in data row 4",
    ),
    "text for a number": (
        with_cell("b", "many"),
        "column 'b': a finite number is expected; found 'many' in data row 4",
    ),
    "infinite": (with_cell("a", np.inf), "a finite number is expected; found 'inf'"),
    "unknown category": (
        with_cell("kind", "fine"),
        "one of plain, very good, ideal is expected; found 'fine'",
    ),
    "missing column": (FRAME.drop(columns="b"), "1 of 6 columns are missing: b"),
}


@pytest.mark.parametrize("case", NOT_TRAINABLE)
def test_what_cannot_be_trained_on_is_refused_even_unchecked(tmp_path: Path, case: str) -> None:
    frame, expected = NOT_TRAINABLE[case]
    path = put(tmp_path, "mini.csv", csv(frame))
    message = refused(Mini, tmp_path, skip=True)
    assert expected in message
    assert message.startswith(f"mini: {path}: ")
    assert Mini.urls[0] in message
    assert str(tmp_path / "mini.zip") in message
    assert "skip_data_check" not in message
    assert files_of(tmp_path) == ["mini.csv"]  # the user's file stays, nothing is cached


DIFFERENT = {
    "short": (FRAME.iloc[:-1], "39 rows instead of 40; target mean 19.5 instead of 20"),
    "long": (pd.concat([FRAME, FRAME]), "80 rows instead of 40"),
    "other mean": (with_cell("y", 3.51), "target mean 20.00025 instead of 20"),
    "one column more": (FRAME.assign(more=1), "7 columns instead of 6"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_another_table_is_refused_or_noted(
    tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    frame, difference = DIFFERENT[case]
    put(tmp_path, "mini.csv", csv(frame))
    assert f"{difference} (--skip_data_check 1 uses it anyway)" in refused(Mini, tmp_path)

    dataset = Mini(tmp_path, Seeds(), skip_data_check=True)
    assert dataset.data_check == f"skipped: {difference}"
    assert len(dataset.x_test) == len(frame) - int(0.8 * len(frame))
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1
    assert difference in warning
    assert files_of(tmp_path) == ["mini.csv"]
    # What was read unchecked is not there for a run with the check on, in this process or another.
    refused(Mini, tmp_path)
    forget()
    refused(Mini, tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("mini.csv", b"", "it has no columns"),
        ("mini.csv", b"<!DOCTYPE html>\n<p>moved</p>\n", "6 of 6 columns are missing"),
        ("mini.csv", csv().replace(b"\n", b",1\n").replace(b"b,1\n", b"b\n", 1), "line 2 has 7 fields"),
        ("mini.zip", zipped(csv())[:-60], "cannot be read"),
        ("mini.zip", zipped(csv(), "other.csv"), "expected table.csv in the archive, found readme.txt, oth"),
        ("mini.arff", arff()[:60], "no @DATA line"),
    ],
)  # fmt: skip
def test_damaged_files_are_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    put(tmp_path, name, content)
    for skip in (False, True):
        assert expected in refused(Mini, tmp_path, skip)
    assert files_of(tmp_path) == [name]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (mat()[:-40], "cannot be read"),
        (mat(other=[1]), "expected one matrix, found table, other"),
    ],
)
def test_damaged_matlab_files_are_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    put(tmp_path, "mini.mat", content)
    assert expected in refused(MiniMat, tmp_path)


# --- the cache -----------------------------------------------------------------------------


def test_the_cache_serves_without_the_raw_file(tmp_path: Path) -> None:
    put(tmp_path, "mini.csv", csv()).chmod(0o444)
    first = Mini.load(tmp_path)
    forget()
    (tmp_path / "mini.csv").unlink()
    again = Mini.load(tmp_path, skip_data_check=True)
    assert again.source.name == "mini.npz"
    assert again.data_check == "passed"
    np.testing.assert_array_equal(again.x, first.x)
    np.testing.assert_array_equal(again.y, first.y)


def _savez(path: Path, **changes: np.ndarray) -> None:
    names = np.array(Mini.feature_names())
    np.savez(path, **{"x": expected_x(), "y": FRAME["y"].to_numpy(), "features": names} | changes)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "flipped byte": lambda path: path.write_bytes(path.read_bytes()[:400] + b"?" + path.read_bytes()[401:]),
    "other mean": lambda path: _savez(path, y=FRAME["y"].to_numpy() + 1),
    "other features": lambda path: _savez(path, features=np.array(Mini.feature_names()[::-1])),
    "pickled": lambda path: _savez(path, y=np.array([None] * N)),
    "array missing": lambda path: np.savez(path, x=expected_x()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_cache_is_told_and_made_anew(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, "mini.csv", csv())
    Mini.load(tmp_path)
    DAMAGES[damage](tmp_path / "mini.npz")
    forget()
    table = Mini.load(tmp_path)
    assert table.source.name == "mini.csv"
    np.testing.assert_array_equal(table.x, expected_x())
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1
    assert str(tmp_path / "mini.npz") in warning
    forget()
    assert Mini.load(tmp_path).source.name == "mini.npz"
    assert capsys.readouterr().err == ""


def test_a_read_only_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, "mini.csv", csv())
    tmp_path.chmod(0o555)
    try:
        assert Mini.load(tmp_path).data_check == "passed"
        assert files_of(tmp_path) == ["mini.csv"]
        assert capsys.readouterr().err == ""
        # Nor is anything fetched into it, or made below it.
        (tmp_path / "mini.csv").chmod(0o444)
        for folder in (tmp_path, tmp_path / "new" / "folder"):
            said = refused(MiniMat, folder)
            assert f"in {folder}; cannot write to {folder}: it is read-only" in said
            assert "by hand and save it as" in said
        assert files_of(tmp_path) == ["mini.csv"]
    finally:
        tmp_path.chmod(0o755)


def test_an_empty_category_is_refused_in_arff_too(tmp_path: Path) -> None:
    put(tmp_path, "mini.arff", arff(frame=with_cell("kind", "?")))
    assert "column 'kind': one of " in (said := refused(Mini, tmp_path))
    assert "found nothing in data row 4" in said
