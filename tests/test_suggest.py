"""suggest.py as a user meets it: its files, the same choice again, and what it says of wrong tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import suggest
from core import Seeds
from core.data.frames import read_frame
from core.errors import UserError
from core.suggestion import model, tables

pytestmark = pytest.mark.usefixtures("short_training")
KINDS = ("red", "green", "blue")


def make_frame(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.uniform(-3, 3, n), "b": rng.normal(size=n), "kind": rng.choice(KINDS, n)})
    frame["y"] = 100 * frame["a"] + 50 * (frame["kind"] == "red") + rng.normal(0, 5, n)
    return frame


def write(folder: Path, labelled: pd.DataFrame, pool: pd.DataFrame) -> list[str]:
    """The tables as files, and the options that name them."""
    labelled.to_csv(folder / "done.csv", index=False)
    pool.to_csv(folder / "pool.csv", index=False)
    named = ["--labelled", folder / "done.csv", "--pool", folder / "pool.csv", "--target", "y"]
    return [*map(str, named), "--count", "6", "--out", str(folder / "next.csv")]


def problem_of(folder: Path, labelled: pd.DataFrame, pool: pd.DataFrame) -> tables.Problem:
    write(folder, labelled, pool)
    return tables.make_problem(read_frame(folder / "done.csv"), read_frame(folder / "pool.csv"), "y")


@pytest.fixture
def typed(tmp_path: Path) -> list[str]:
    return write(tmp_path, make_frame(60), make_frame(120, 1).drop(columns="y"))


@pytest.mark.parametrize(
    ("agent", "variation"), [("balsa_kl_pairs", "nf"), ("coreset", "gauss_ensemble"), ("qbc", "auto")]
)
def test_the_chosen_rows_are_rows_of_the_pool(
    agent: str,
    variation: str,
    typed: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    more = ["--agent", agent, "--variation", variation]
    suggest.main([*typed, *more])
    said = capsys.readouterr().out
    assert "of 60 rows that were left out; it should hold " in said
    assert said.endswith(
        f"6 rows to measure next: {tmp_path / 'next.csv'}\npicture: {tmp_path / 'next.png'}\n"
    )
    assert (tmp_path / "next.png").read_bytes().startswith(b"\x89PNG")
    made, pool = pd.read_csv(tmp_path / "next.csv"), pd.read_csv(tmp_path / "pool.csv")
    assert made["rank"].tolist() == list(range(1, 7))
    assert made["pool_row"].is_unique
    chosen = pool.iloc[made["pool_row"] - 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(made[list(pool)], chosen)
    ends = made[["low_90", "low_50", "median", "high_50", "high_90"]].to_numpy()
    assert (np.diff(ends, axis=1) > 0).all()
    # In the target's own units, and near what the rows would be measured to be.
    truth = 100 * made["a"] + 50 * (made["kind"] == "red")
    assert (made["median"] - truth).abs().median() < 100
    if agent == "balsa_kl_pairs":
        assert made["score"].is_monotonic_decreasing
    if agent == "coreset":
        assert made["score"].isna().all()


def test_the_same_seed_makes_the_same_choice(typed: list[str], tmp_path: Path) -> None:
    made = []
    for seed in ("1", "1", "2"):
        suggest.main([*typed, "--agent", "random", "--variation", "gp", "--seed", seed])
        made.append((tmp_path / "next.csv").read_bytes())
    assert made[0] == made[1] != made[2]


def test_measured_rows_are_not_chosen_again(
    typed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who has measured adds the rows to the labelled ones, and may leave them in the pool."""
    suggest.main([*typed, "--agent", "igs"])
    first = pd.read_csv(tmp_path / "next.csv")
    measured = make_frame(120, 1).iloc[first["pool_row"] - 1]
    both = pd.concat([pd.read_csv(tmp_path / "done.csv"), measured])
    suggest.main([*write(tmp_path, both, make_frame(120, 1)), "--agent", "igs"])
    assert "note: 6 rows of the pool are labelled already" in capsys.readouterr().out
    assert not set(pd.read_csv(tmp_path / "next.csv")["pool_row"]) & set(first["pool_row"])


def test_whether_labelled_rows_are_left_in_the_pool_changes_nothing(tmp_path: Path) -> None:
    """Neither which columns are features, nor medians, nor the range that is scaled to [0, 1]."""
    every = make_frame(150).assign(id=range(1, 151))
    every.loc[::7, "a"] = np.nan
    problems = [problem_of(tmp_path, every[:50], pool) for pool in (every, every[50:])]
    left_in, taken_out = problems
    assert left_in.lines == taken_out.lines
    assert "id: not used (a different value in each row)" in left_in.lines
    np.testing.assert_array_equal(left_in.x, taken_out.x)
    np.testing.assert_array_equal(left_in.pool, taken_out.pool)
    assert left_in.rows.tolist() == (taken_out.rows + 50).tolist()


def test_rows_of_another_table_are_read_as_those_of_the_problem(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, make_frame(60), make_frame(40, 1))
    make_frame(40, 1).assign(rank=1).to_csv(tmp_path / "new.csv", index=False)
    new = tables.with_pool(problem, read_frame(tmp_path / "new.csv"), every_row=True)
    np.testing.assert_array_equal(new.pool, problem.pool)


@pytest.mark.parametrize("replicates", [False, True])
def test_what_is_measured_already_is_the_same_for_a_saved_model(replicates: bool, tmp_path: Path) -> None:
    """Rows that are equal in all columns, used or not, and not those that only have the same features."""
    done = make_frame(60).assign(sample=[f"sample {i}" for i in range(60)], lot=7)
    pool = pd.concat([done[:9], make_frame(40, 1).assign(sample="new", lot=7), done[9:12].assign(sample="x")])
    write(tmp_path, done.astype({"lot": float}), pool)
    frames = read_frame(tmp_path / "done.csv"), read_frame(tmp_path / "pool.csv")
    problem = tables.make_problem(*frames, "y", replicates=replicates)
    assert problem.rows.tolist() == list(range(9, 52))
    again = tables.with_pool(problem, frames[1], replicates)
    assert (again.rows.tolist(), again.notes) == (problem.rows.tolist(), problem.notes)


def test_a_row_whose_target_is_a_code_is_neither_learned_nor_suggested(tmp_path: Path) -> None:
    clean, wrong = make_frame(60), make_frame(60)
    wrong.loc[17, "y"] = -9999
    pool = pd.concat([make_frame(40, 1), wrong[17:18]])
    found, without = problem_of(tmp_path, wrong, pool), problem_of(tmp_path, clean.drop(17), pool[:-1])
    assert "y: -9999.0 in data row 18 is far from all others (-" in found.lines[-1]
    assert found.lines[-1].endswith("left out; --keep y keeps it")
    assert found.notes == ["1 row of the pool is labelled already, and not chosen again"]
    np.testing.assert_array_equal(found.y, without.y)
    np.testing.assert_array_equal(found.pool, without.pool)
    write(tmp_path, wrong, pool)
    done, kept = (read_frame(tmp_path / name) for name in ("done.csv", "pool.csv"))
    assert len(tables.make_problem(done, kept, "y", {"keep": ["y"]}).y) == len(wrong)


def test_a_code_in_the_pool_does_not_squeeze_the_other_rows(tmp_path: Path) -> None:
    pool = make_frame(40, 1)
    pool.loc[7, "a"] = -9999
    x = problem_of(tmp_path, make_frame(50), pool).x
    assert np.ptp(x, axis=0).min() > 0.3


def test_equal_rows_of_the_pool_are_one_candidate_unless_replicates_are_asked_for(tmp_path: Path) -> None:
    done, pool = make_frame(60), make_frame(40, 1)
    nearly = done[:3].assign(a=done["a"][:3] + 1e-9)
    write(tmp_path, done, pd.concat([pool, pool[:10].assign(y=0), nearly]))
    frames = read_frame(tmp_path / "done.csv"), read_frame(tmp_path / "pool.csv")
    problem = tables.make_problem(*frames, "y")
    assert problem.rows.tolist() == [*range(40), 50, 51, 52]
    assert problem.notes[0].startswith("10 rows of the pool are equal to others in all features")
    assert problem.notes[1].startswith("3 rows of the pool are as labelled ones, to a millionth")
    assert len(tables.make_problem(*frames, "y", replicates=True).rows) == 53


def measured(folder: Path) -> None:
    """Appends the chosen rows, with what was measured and our columns, to the labelled ones."""
    made, pool = pd.read_csv(folder / "next.csv"), make_frame(120, 1)
    made["y"] = pool["y"].to_numpy()[made["pool_row"] - 1]
    pd.concat([pd.read_csv(folder / "done.csv"), made]).to_csv(folder / "done.csv", index=False)


def test_rounds_are_counted_and_the_last_one_is_judged(
    typed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for number in (1, 2, 3):
        suggest.main([*typed, "--variation", "gp"])
        said.append(capsys.readouterr().out)
        assert (pd.read_csv(tmp_path / "next.csv")["round"] == number).all()
        measured(tmp_path)
    assert "the last" not in said[0]
    for line in said[1:]:
        assert "\nthe last 6 rows " in line
    # Whoever leaves our columns out is told nothing.
    done = pd.read_csv(tmp_path / "done.csv")
    done[["a", "b", "kind", "y"]].to_csv(tmp_path / "done.csv", index=False)
    suggest.main([*typed, "--variation", "gp"])
    assert "the last" not in capsys.readouterr().out


def test_one_table_without_targets_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "lab.csv").write_text("a,y\n" + "1,\n" * 30)
    with pytest.raises(UserError, match=r"lab.csv: no row has a target 'y'"):
        tables.split_by_target(read_frame(tmp_path / "lab.csv", "lab.csv"), "y")


def test_rounds_are_known_in_one_file(typed: list[str], tmp_path: Path) -> None:
    suggest.main([*typed, "--variation", "gp"])
    measured(tmp_path)
    both = pd.concat([pd.read_csv(tmp_path / "done.csv"), make_frame(50, 2).drop(columns="y")])
    both.to_csv(tmp_path / "lab.csv", index=False)
    problem = tables.make_problem(*tables.split_by_target(read_frame(tmp_path / "lab.csv"), "y"), "y")
    assert problem.names[:2] == ["a", "b"]
    assert problem.rounds.tolist() == [0] * 60 + [1] * 6


def test_the_last_round_helped_if_it_did(tmp_path: Path) -> None:
    """Rows like the older ones do; rows of a far corner, where the target is another, do not."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.uniform(-1, 1, (100, 2)), columns=["a", "b"])
    table["y"] = np.sin(4 * table["a"]) * table["b"] + rng.normal(0, 0.02, 100)

    def change(older: int, last: pd.DataFrame) -> tuple[float, float, float] | None:
        done = pd.concat([table[:older].assign(round=0), last.assign(round=1)])
        problem = problem_of(tmp_path, done, table[80:])
        return model.last_round(model.fit(problem, ["gp"], Seeds(), torch.device("cpu")), Seeds())

    helped = change(40, table[40:80])
    assert helped
    assert helped[1] < helped[0] < helped[2] < 0
    useless = change(40, table[40:50].add([9, 9, 3]))
    assert useless
    assert useless[2] > 0
    assert change(19, table[40:80]) is None


@pytest.mark.parametrize(("separator", "decimal"), [(";", ","), (";", "."), ("\t", ".")])
def test_the_chosen_rows_are_written_as_the_pool_was(
    separator: str, decimal: str, typed: list[str], tmp_path: Path
) -> None:
    """The same spreadsheet opens them; what was measured is appended to the labelled rows as it is."""
    kinds = {"sep": separator, "decimal": decimal, "index": False, "encoding": "utf-8-sig"}
    done = make_frame(60).rename(columns={"kind": "Größe"})
    pool = make_frame(120, 1).rename(columns={"kind": "Größe"}).drop(columns="y")
    done.to_csv(tmp_path / "done.csv", **kinds)
    pool.to_csv(tmp_path / "pool.csv", **kinds)
    suggest.main([*typed, "--variation", "gp", "--agent", "random", "--scores", str(tmp_path / "all.csv")])
    for name in ("next.csv", "all.csv"):
        assert (tmp_path / name).read_bytes().startswith(b"\xef\xbb\xbf")
        made = pd.read_csv(tmp_path / name, sep=separator, decimal=decimal, encoding="utf-8-sig")
        assert made["median"].dtype == float
    lines = (tmp_path / "pool.csv").read_text(encoding="utf-8-sig").splitlines()
    for line in (tmp_path / "next.csv").read_text(encoding="utf-8-sig").splitlines()[1:]:
        row = int(line.split(separator)[2])
        assert line.endswith(separator + lines[row])


@pytest.mark.parametrize(
    ("unit", "variation"), [(2.0**-990, "auto"), (2.0**990, "auto"), (2.0**-57, "gauss"), (2.0**990, "gauss")]
)
def test_units_change_no_choice(unit: float, variation: str, tmp_path: Path) -> None:
    made = []
    for one in (1.0, unit):
        done, pool = make_frame(60), make_frame(120, 1)
        for frame in (done, pool):
            frame[["a", "b", "y"]] *= one
        suggest.main([*write(tmp_path, done, pool), "--agent", "igs", "--variation", variation])
        made.append(pd.read_csv(tmp_path / "next.csv"))
    assert made[0]["pool_row"].tolist() == made[1]["pool_row"].tolist()
    np.testing.assert_allclose(made[1]["median"] / unit, made[0]["median"], rtol=1e-9)
