"""Tables as people have them, through the real scripts; each case says what is right."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import evaluate
import suggest
from core import Seeds
from core.data import own
from core.data.own import find_dataset
from tests.builders import refused

CASES = (Path(__file__).resolve().parents[2] / "shared" / "cases").resolve()
pytestmark = [
    pytest.mark.skipif(not CASES.is_dir(), reason=f"needs {CASES}"),
    # What is read is looked at here, not how well it is learned.
    pytest.mark.usefixtures("short_training"),
]


def chosen(folder: Path, labelled: Path, pool: Path | None, *more: str) -> pd.DataFrame:
    """What suggest.py writes with a small model, as text."""
    typed = ["--labelled", str(labelled), "--target", "y", "--count", "5", "--out", str(folder / "next.csv")]
    typed += [] if pool is None else ["--pool", str(pool)]
    suggest.main([*typed, "--variation", "gauss", "--agent", "coreset", *more])
    separator = ";" if ";" in (folder / "next.csv").read_text() else ","
    return pd.read_csv(folder / "next.csv", sep=separator, dtype=str, keep_default_na=False)


def rows(path: Path, **decisions: list[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Features, target and names of a table, as evaluate.py has them."""
    own._table_class.cache_clear()
    cls = find_dataset(str(path), "y", decisions=decisions)
    x, y = cls(path.parent, Seeds()).rows(np.random.default_rng())
    return x, y, cls.feature_names()


def test_lots_are_the_same_whatever_else_is_in_the_other_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES / "types_per_file"
    made = chosen(tmp_path, case / "done.csv", case / "pool.csv")
    said = capsys.readouterr().out
    assert said.startswith("lot: 5 categories; numbers and codes\ntemp, press: number\n")
    clean = chosen(tmp_path, case / "done.csv", case / "pool_ok.csv")
    both = made.merge(clean, on=["lot", "temp", "press"])
    assert len(both) >= 3  # only the rows with a blank differ
    median = both[["median_x", "median_y"]].astype(float)
    assert (median["median_x"] - median["median_y"]).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("case", "wrong", "right", "note"),
    [
        ("decimal_comma", ("done.csv", "pool.csv"), ("right.csv", "right_pool.csv"), "decimal commas"),
        ("parquet_index", ("done.parquet", "pool.parquet"), ("done2.parquet", "pool2.parquet"), "temp"),
    ],
)
def test_the_same_as_the_table_that_is_right(
    case: str,
    wrong: tuple[str, str],
    right: tuple[str, str],
    note: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if case == "parquet_index":
        pytest.importorskip("pyarrow")
    found = []
    for files in (wrong, right):
        more = ["--ignore", "flag"] * (files[0] == "done2.parquet")
        labelled, pool = (CASES / case / file for file in files)
        made = chosen(tmp_path, labelled, pool, *more)
        said = capsys.readouterr().out
        assert "labelled already" not in said
        assert note in said or files is right
        found.append(
            made[["pool_row", "median", "low_90", "high_90"]].map(lambda cell: cell.replace(",", "."))
        )
    pd.testing.assert_frame_equal(*found)


def test_cells_below_a_limit_are_numbers_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = CASES / "below_limit"
    chosen(tmp_path, case / "done.csv", case / "pool.csv")
    assert (
        "press: number, 91 cells at a limit (<1.8) are the limit, with an indicator"
        in capsys.readouterr().out
    )


def test_targets_of_1e_17_are_scaled_as_any(tmp_path: Path) -> None:
    case = CASES / "scale_1e-17"
    for name in ("done.csv", "pool.csv"):
        frame = pd.read_csv(case / name)
        frame.assign(y=frame["y"] * 2.0**57).to_csv(tmp_path / name, index=False)
    small = chosen(tmp_path, case / "done.csv", case / "pool.csv")
    large = chosen(tmp_path, tmp_path / "done.csv", tmp_path / "pool.csv")
    assert small["pool_row"].tolist() == large["pool_row"].tolist()
    ratio = large["median"].astype(float) / small["median"].astype(float)
    np.testing.assert_allclose(ratio, 2.0**57, rtol=1e-6)


def test_a_sweep_of_integers_is_a_feature(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = CASES / "integer_sweep"
    chosen(tmp_path, case / "done.csv", case / "pool.csv")
    expected = "kelvin: number, each of 300 ... 359 once; --ignore kelvin if these are row numbers\n"
    assert capsys.readouterr().out.startswith(expected)


def test_percent_signs_and_quotes_of_arff_are_cells(tmp_path: Path) -> None:
    found, right = rows(CASES / "arff_percent/r.arff"), rows(CASES / "arff_percent/right.arff")
    np.testing.assert_array_equal(found[0], right[0])
    assert found[2] == right[2] == ["conc", "temp", "grade_50%", "grade_high", "grade_low"]
    for name, makers in (
        ("r.arff", ["D'Or, B", "O'Neil, J", "kids"]),
        ("r2.arff", ["D'Or", "Le Roi", "kids"]),
    ):
        x, _, names = rows(CASES / "arff_escape" / name)
        assert names == ["conc", "temp", *(f"maker_{maker}" for maker in makers)]
        assert x[:, 2:].sum(axis=0).tolist() == [100, 100, 100]


def test_what_comes_out_is_what_went_in_and_can_be_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES / "ids_out"
    pool = pd.read_csv(case / "pool.csv", dtype=str, keep_default_na=False)
    made = chosen(tmp_path, case / "done.csv", case / "pool.csv")
    assert made.columns.is_unique
    assert list(made)[-len(pool.columns) :] == list(pool)
    expected = pool.iloc[made["pool_row"].astype(int) - 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(made[list(pool)], expected)
    # Who has measured appends these rows as they are, our columns too.
    done = pd.read_csv(case / "done.csv", dtype=str, keep_default_na=False)
    pd.concat([done, made.assign(y="1.5")]).to_csv(tmp_path / "more.csv", index=False)
    capsys.readouterr()
    again = chosen(tmp_path, tmp_path / "more.csv", case / "pool.csv")
    said = capsys.readouterr().out
    assert "score, suggested_rank: not used (written by suggest.py)" in said
    assert "note: 5 rows of the pool are labelled already" in said
    assert not {*again["pool_row"]} & {*made["pool_row"]}


def test_one_sentinel_among_the_targets_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES / "target_one_sentinel"
    done = pd.read_csv(case / "done.csv", dtype=str)
    (row,) = np.flatnonzero(done["y"].astype(float) == -999)
    made = chosen(tmp_path, case / "done.csv", case / "pool.csv")
    assert f"y: {done['y'][row]} in data row {row + 1} is far from all others (" in capsys.readouterr().out
    done.drop(index=row).to_csv(tmp_path / "done.csv", index=False)
    without = chosen(tmp_path, tmp_path / "done.csv", case / "pool.csv")
    pd.testing.assert_frame_equal(made, without)
    typed = ["--dataset", str(case / "done.csv"), "--target", "y", "--agent", "random"]
    capsys.readouterr()
    said = refused(evaluate.main, [*typed, "--runs_folder", str(tmp_path / "runs")], capsys)
    assert f"target 'y': {done['y'][row]} in data row {row + 1} is far from all others" in said
    assert "--keep y" in said


@pytest.mark.parametrize("agent", ["balsa_kl_pairs", "bald_point", "badge", "coreset", "random"])
def test_copies_of_a_setting_are_one_candidate(agent: str, tmp_path: Path) -> None:
    case = CASES / "copies"
    more = ["--agent", agent, "--variation", "nf", "--count", "10"]
    made = chosen(tmp_path, case / "done.csv", case / "pool.csv", *more)
    assert len(made.drop_duplicates(["temp", "press"])) == len(made) == 10


def test_a_huge_integer_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = CASES / "huge_int"
    typed = ["--labelled", str(case / "done.csv"), "--pool", str(case / "pool.csv"), "--target", "y"]
    said = refused(suggest.main, [*typed, "--out", str(tmp_path / "next.csv")], capsys)
    assert "column 'temp': a finite number, or nothing, is expected; found '1000" in said
    assert "in data row 4. --numeric temp" in said


def test_a_header_with_a_line_break(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["--dataset", str(CASES / "multiline_header/m.csv"), "--target", "y", "--agent", "random"]
    typed += ["--protocol", "corrected", "--query_size", "20", "--budget", "20", "--restarts", "1"]
    typed += ["--variation", "gauss"]
    assert evaluate.main([*typed, "--runs_folder", str(tmp_path / "runs")]) == 0
    said = capsys.readouterr()
    assert "m.csv: temp (C), conc: number" in said.err
    assert "AUC of MAE 0.0" in said.out


def test_rows_without_a_target_are_the_pool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.read_csv(CASES / "one_file/lab.csv", dtype=str, keep_default_na=False)
    made = chosen(tmp_path, CASES / "one_file/lab.csv", None)
    assert (made["y"] == "").all()
    picked = table.iloc[made["pool_row"].astype(int) - 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(made[list(table)], picked)


def all_of(folder: Path, case: Path) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Predictions of all rows of a case's pool, what is true of them, and the labelled targets."""
    typed = ["--labelled", str(case / "done.csv"), "--pool", str(case / "pool.csv"), "--target", "y"]
    suggest.main([*typed, "--count", "0", "--agent", "random", "--scores", str(folder / "all.csv")])
    predicted = pd.read_csv(folder / "all.csv")
    truth = pd.read_csv(case / "pool.csv")["y"].iloc[predicted["pool_row"] - 1].reset_index(drop=True)
    return predicted, truth, pd.read_csv(case / "done.csv")["y"]


def test_a_positive_target_with_a_heavy_tail_stays_positive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predicted, truth, known = all_of(tmp_path, CASES / "lognormal")
    assert "of the log of y: held-out NLL" in capsys.readouterr().out
    assert (predicted["low_90"] > 0).all()
    assert (predicted["low_90"] > known.min()).any()
    assert (predicted["median"] - truth).abs().mean() < 0.97 * (known.median() - truth).abs().mean()
    assert 0.85 < truth.between(predicted["low_90"], predicted["high_90"]).mean() < 0.95
    assert 0.4 < truth.between(predicted["low_50"], predicted["high_50"]).mean() < 0.6


def test_intervals_by_twenty_rows_hold_about_what_they_say(tmp_path: Path) -> None:
    """By 20 rows the factor itself is uncertain by a tenth."""
    predicted, truth, _ = all_of(tmp_path, CASES / "twenty")
    assert truth.between(predicted["low_90"], predicted["high_90"]).mean() > 0.8
    assert 0.35 < truth.between(predicted["low_50"], predicted["high_50"]).mean() < 0.75
