"""core.data.columns, kinds: what columns become, over one table or several; what is refused or decided."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.data.columns import apply, read_target
from core.files import UnusableError
from tests.column_builders import (
    DATES,
    RNG,
    TEMPERATURES,
    THOUSANDS,
    N,
    feature,
    line,
    often,
    raw,
    sort,
    table,
)

# --- Several tables -------------------------------------------------------------------------------

LOTS = often("1", "2", "3", "X", "Y")


@pytest.mark.parametrize(
    ("done", "pool"),
    [
        (LOTS, often("1", "2", "3", "")),
        (LOTS, often(1.0, 2.0, 3.0, np.nan)),
        (LOTS, pd.array(often(1, 2, 3, None), dtype="Int64")),
        (LOTS, often("01", "02", "03", None)),
        (LOTS, often("1E0", "2.0", "3", None)),
        (often("TRUE", "FALSE", "X"), often(True, False, None)),
    ],
)
def test_a_lot_is_one_column_whatever_its_file_makes_of_it(done: list[Any], pool: Any) -> None:
    names, x = sort(table(done), table(pool)).features()
    assert len(names) == len(set(done)) + 2
    where = {cell: x[done.index(cell), :-2].argmax() for cell in done}
    for i, cell in enumerate(["TRUE", "FALSE"] if "TRUE" in done else ["1", "2", "3"]):
        assert x[N + i, :-2].tolist() == [j == where[cell] for j in range(len(names) - 2)]


@pytest.mark.parametrize(
    ("done", "pool"),
    [
        ([str(x) for x in TEMPERATURES], [str(x).replace(".", ",") for x in TEMPERATURES]),
        (list(TEMPERATURES), [str(x).replace(".", ",") for x in TEMPERATURES]),
        (pd.Series(TEMPERATURES, dtype="float32"), [str(x) for x in TEMPERATURES]),
        (list(DATES), DATES.dt.strftime("%m/%d/%Y").tolist()),
        (often(True, False), often("1", "0")),
        (often("1", "0"), often("True", "FALSE")),
        (often(5, 10**20), often("5", "1E20")),
    ],
)  # fmt: skip
def test_one_meaning_for_both_files(done: list[Any], pool: list[Any]) -> None:
    _, x = feature(done, pool)
    np.testing.assert_array_equal(x[:N], x[N:])


def test_what_a_comma_means_is_said_by_other_columns_of_the_table() -> None:
    for others, said in (
        (["0,5", "12,25"], "decimal commas"),
        (["0.5", "12.25"], "commas between thousands"),
    ):
        assert line(sort(table(THOUSANDS, more=often(*others)))) == f"number, {said}"
    points = table(often("1.234", "950"), more=often("0,5", "12,25"))
    assert line(sort(points)) == "number, points between thousands"
    assert line(sort(table(often("1.234", "950")))) == "number"
    # Or by the same column of the other table, unless these contradict.
    pool = table(often("0,5", "12,25"))
    assert line(sort(table(THOUSANDS), pool)) == "number, decimal commas"
    with pytest.raises(UnusableError, match=r"done.csv: column 'c': a cell could be 1.234 or 1234"):
        sort(table(THOUSANDS, more=often("0.5", "12.25")), pool.assign(more="0.5"))


def test_columns_of_the_same_share_a_line() -> None:
    columns = sort(table(often("1.5", "2"), d=often("3", "4"), id=range(N), y=range(N)))
    assert columns.lines == [
        "c, d: number",
        "other: 2 categories",
        "id: not used (a different value in each row)",
    ]


def test_details_say_what_columns_hold() -> None:
    frame = table(
        ["1.5", "2.5", ""] * 10, lot=["A", "B", "A", "B", "C"] * 6, on=["2024-03-01", "2024-03-09"] * 15
    )
    assert sort(frame).details == [
        "c: number; 1.5 ... 2.5, median 2, 10 empty",
        "other: 2 categories; a: 15, b: 15",
        "lot: 3 categories; A: 12, B: 12, C: 6",
        "on: number (days); 2024-03-01 ... 2024-03-09, median 2024-03-05",
    ]


def test_decisions_name_columns_and_do_not_contradict() -> None:
    cells = table(often("1", "2"), y=range(N))
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"numeric": ["othr"]}, "--numeric othr: there is no column 'othr'; did you mean 'other'?"),
        ({"numeric": ["c"], "ignore": ["c"]}, "column 'c': --ignore and --numeric contradict each other"),
        ({"ignore": ["y"]}, "--ignore y: that is the target"),
        ({"numeric": ["other"]}, "column 'other': --numeric other, but no cell is a number; found 'a'"),
        ({"ignore": ["c", "other"]}, "no feature is left: c, other: not used (as asked)"),
    ]
    for decision, said in wrong:
        with pytest.raises(UnusableError) as caught:
            sort(cells, **decision)
        assert said in str(caught.value)


def test_levels_are_counted_on_the_labelled_rows_and_new_ones_are_rare() -> None:
    done, pool = table(["a"] * 20 + ["b"] * 18 + ["c", "d"]), table(often("c", "e", "a"))
    columns = sort(done, pool)
    assert line(columns) == "2 categories, 2 rare as one, 13 cells of others that no labelled row has"
    np.testing.assert_array_equal(columns.features()[1][N : N + 3, :3], [[0, 0, 1], [0, 0, 1], [1, 0, 0]])
    _, without = sort(table(often("a", "b")), pool).features()
    assert not without[N : N + 2, :2].any()


def test_equal_rows_have_equal_contents_whether_columns_are_used_or_not() -> None:
    done = table(["1.50"] * N, barcode=[f"{i:03}" for i in range(N)])
    pool = table(["1.5"] * N, barcode=[str(i + 2) for i in range(N)])
    columns = sort(done, pool)
    assert "row numbers" in line(columns, "barcode")
    keys = columns.contents()
    assert keys[2:N] == keys[N : 2 * N - 2]
    assert keys[-1] not in keys[:N]


DONE = table(
    often("1,5", "2,25", ""),
    lot=often("1", "2", "X", "Y"),
    on=often("13/01/2024", "02/02/2024"),
    w=often("3 mg", "5 mg", "<1 mg"),
    id=range(N),
)


def test_rules_make_the_same_features_of_the_same_rows_in_another_table() -> None:
    columns = sort(DONE, DONE.iloc[:6])
    rules = columns.rules
    np.testing.assert_array_equal(apply(rules, raw(DONE, "new.csv")).features()[1], columns.features()[1][:N])
    # Alone none of these cells says what the earlier tables said.
    one = DONE.iloc[1:2].assign(c="1,234", lot="2.0", on="03/02/2024", w="7 mg")
    found = dict(zip(columns.features()[0], apply(rules, raw(one, "new.csv")).features()[1][0], strict=True))
    assert (found["c"], found["lot_2"], found["on"], found["w"]) == (1.234, 1, 21, 7)
    new = apply(rules, raw(one.assign(c="", lot="Z"), "new.csv")).features()[1][0]
    assert new[0] == 1.5  # the median
    assert not any(value for name, value in zip(columns.features()[0], new, strict=True) if "lot_" in name)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"c": "warm"}, "new.csv: column 'c': a number is expected; found 'warm' in data row 1"),
        ({"on": "next week"}, "new.csv: column 'on': a date is expected; found 'next week' in data row 1"),
        ({"w": "7 kg"}, "new.csv: column 'w': most numbers are in 'mg', not all; found '7 kg' in data row 1"),
        ({"more": "1"}, "the earlier tables have no column 'more'"),
        ({"c": None}, "new.csv: it has no column 'c'"),
    ],
)
def test_rules_refuse_what_their_columns_did_not_hold(changed: dict[str, str | None], said: str) -> None:
    new = DONE.iloc[:2].assign(**{name: cell for name, cell in changed.items() if cell is not None})
    new = new.drop(columns=[name for name, cell in changed.items() if cell is None])
    with pytest.raises(UnusableError, match=re.escape(said)) as caught:
        apply(sort(DONE).rules, raw(new, "new.csv"))
    assert "--" not in str(caught.value)


# --- The target -----------------------------------------------------------------------------------


def test_a_target_is_read_as_a_column_of_its_table() -> None:
    y, note, *_ = read_target(raw(table(often("1,5", "2"), "y"), "done.csv"), "y")
    np.testing.assert_array_equal(y[:2], [1.5, 2])
    assert note == "decimal commas"
    y, *_ = read_target(raw(table(THOUSANDS, "y", a=often("0,5", "7,25")), "done.csv"), "y")
    np.testing.assert_array_equal(y[:3], [1.234, 2.5, 950])
    assert read_target(raw(table(often("<1", "2"), "y"), "done.csv"), "y", {"numeric": ["y"]})[0][0] == 1


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (often("1", ""), "20 of 40 rows have no target 'y', as data row 2: fill it in"),
        (often("high", "1"), "the target must be a number; found 'high' in data row 1"),
        (often("<1", "2"), "only a limit is known; found '<1' in data row 1"),
        (often("3.5", "3.50"), "the target 'y' is 3.5 in all rows: nothing to learn"),
        (THOUSANDS, "a cell could be 1.234 or 1234; found '1,234' in data row 1"),
        (often("1", np.inf), "the target must be a number; found 'inf' in data row 2"),
    ],
)
def test_a_target_that_cannot_be_learned_is_told_in_one_line(cells: list[Any], said: str) -> None:
    with pytest.raises(UnusableError) as caught:
        read_target(raw(table(cells, "y"), "done.csv"), "y")
    assert said in str(caught.value)
    assert "--category" not in str(caught.value)  # the target is none, whatever is asked for
    with pytest.raises(UnusableError, match="there is no column 'yy'; did you mean 'y'"):
        read_target(raw(table(cells, "y"), "done.csv"), "yy")


# --- What is refused, and what decides ----------------------------------------------------------

AMBIGUOUS_DATES = often("01/02/2024", "03/04/2024", "05/05/2024")
LOD = ["LOD" if i % 5 < 3 else str(x) for i, x in enumerate(TEMPERATURES)]
REST = [str(x) for x in TEMPERATURES[1:]]
MISSING = "--numeric c takes such cells as missing; or --category c, --ignore c"
REFUSED = [
    (THOUSANDS, "a cell could be 1.234 or 1234; found '1,234' in data row 1", "--numeric c reads 1234"),
    (AMBIGUOUS_DATES, "could be day first or month first; found '01/02/2024' in data row 1", "--numeric c"),
    (
        [*REST, "12..5"],
        "39 of 40 cells are numbers, the others are not; found '12..5' in data row 40",
        MISSING,
    ),
    ([*REST, "12,5"], "39 of 40 cells are numbers, the others are not; found '12,5' in data row 40", MISSING),
    (LOD, "16 of 40 cells are numbers, the others are not; found 'LOD' in data row 1", MISSING),
    (often("25 C", "77.5 F", "26 C"), "most numbers are in 'C', not all; found '77.5 F'", "--ignore c"),
    (often("25 C", "26 C", "25.5"), "most numbers are in 'C', not all; found '25.5'", "--numeric c"),
    (often("50 %", "40 %", "0.5"), "most numbers are in '%', not all; found '0.5'", "--numeric c"),
    (
        ["2024-02-30", *DATES[1:].dt.strftime("%Y-%m-%d")],
        "39 of 40 cells are dates, the others are not",
        MISSING,
    ),
    ([f"{x} ± 0.1" for x in TEMPERATURES], "its cells look like numbers, but in no way", "--ignore c"),
    ([f"~{x:.0f}" for x in TEMPERATURES], "its cells look like numbers, but in no way", "--ignore c"),
    (
        often("3. März 2024", "15. Mai 2024"),
        "its cells look like dates, but in no known language",
        "--ignore c",
    ),
    (["9" * 400, *REST], "a finite number, or nothing, is expected; found '9999", MISSING),
    ([np.inf, *TEMPERATURES[1:]], "the others are not; found 'inf' in data row 1", MISSING),
]


@pytest.mark.parametrize(("cells", "what", "option"), REFUSED)
def test_what_is_ambiguous_or_wrong_is_one_line_with_row_cell_and_option(
    cells: list[Any], what: str, option: str
) -> None:
    with pytest.raises(UnusableError) as caught:
        sort(table(cells))
    said = str(caught.value)
    assert said.startswith("done.csv: column 'c': ")
    assert what in said
    assert option in said
    assert "\n" not in said
    assert len(said) < 400
    # Each of these decides it.
    assert line(sort(table(cells), ignore=["c"])) == "not used (as asked)"
    assert "categor" in line(sort(table(cells), category=["c"]))


@pytest.mark.parametrize(
    ("cells", "said", "values"),
    [
        (THOUSANDS, "number, commas between thousands", [1234, 2500, 950]),
        (AMBIGUOUS_DATES, "number (days; day first)", [0, 62, 94]),
        (often("LOD", "2", "3"), "number, 14 cells are no numbers, taken as missing ('LOD')", [2.5, 2, 3]),
        (often("25 C", "26 C", "25.5"), "number, in C", [25, 26, 25.5]),
    ],
)
def test_the_user_decides_that_a_column_holds_numbers(
    cells: list[str], said: str, values: list[float]
) -> None:
    columns = sort(table(cells), numeric=["c"])
    assert line(columns) == said
    np.testing.assert_array_equal(columns.features()[1][:3, 0], values)


# --- Categories, row numbers, columns of no use --------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (often("001", "01B", "002"), ["001", "002", "01B"]),
        (often("01", "1", "X"), ["01", "1", "X"]),
        (often("12A", "12B", "7C"), ["12A", "12B", "7C"]),
        (often("20-29", "30-39", "40+"), ["20-29", "30-39", "40+"]),
        (often("0.5-1.5", "1.5-2.5"), ["0.5-1.5", "1.5-2.5"]),
        (often("2024 Q1", "2024 Q2"), ["2024 Q1", "2024 Q2"]),
        (often("red", None, "blue"), ["blue", "red", "nan"]),
        (["a"] * 20 + ["b"] * 17 + ["c", "c", "d"], ["a", "b", "rare"]),
        (pd.Categorical(often(1, 2)), ["1", "2"]),
    ],
)
def test_categories(cells: Any, names: list[str]) -> None:
    declared = ["c"] if isinstance(cells, pd.Categorical) else []
    found, x = sort(table(cells), declared=declared).features()
    assert found == [*(f"c_{name}" for name in names), "other_a", "other_b"]
    assert (x.sum(axis=1) == 2).all()


@pytest.mark.parametrize(
    ("name", "cells", "said"),
    [
        ("name", [f"sample {i}" for i in range(N)], "not used (a different value in each row)"),
        ("name", [f"sample {i // 2}" for i in range(N)], "not used (no value 3 times in the labelled rows)"),
        ("uuid", [f"{i * 7919:08x}-{i:04x}" for i in range(N)], "not used (a different value in each row)"),
        ("run_id", [f"{i}A" if i % 2 else i for i in range(N)], "not used (a different value in each row)"),
        ("same", ["1", "1.0"] * (N // 2), "not used (one value in all rows)"),
        ("nothing", [""] * N, "not used (empty)"),
        ("", range(N), "not used (a different value in each row)"),
        ("Unnamed: 0", RNG.permutation(N), "not used (a different value in each row)"),
        ("Sample ID", RNG.permutation(N * 9)[:N], "not used (a different value in each row)"),
        ("no", [str(i + 7) for i in range(N)], "not used (a different value in each row)"),
        ("barcode", [f"{i:06}" for i in range(N)], "not used (row numbers, in the file's order; "
         "--keep barcode if they mean more)"),
        ("kelvin", RNG.permutation(N) + 300, "number, each of 300 ... 339 once; "
         "--ignore kelvin if these are row numbers"),
        ("patient_id", [str(i % 9) for i in range(N)], "number, called as row numbers are; "
         "--category patient_id, --ignore patient_id if it is no number"),
    ],
)  # fmt: skip
def test_row_numbers_and_names_are_not_used(name: str, cells: Sequence[Any], said: str) -> None:
    assert line(sort(table(cells, name)), name) == said
    if "each row" in said or "row numbers" in said:
        assert "not used" not in line(sort(table(cells, name), keep=[name]), name)


def test_one_of_two_tables_in_order_makes_row_numbers_of_distinct_integers_only() -> None:
    chosen = [str(i) for i in RNG.permutation(60)[:N]]
    assert "row numbers" in line(sort(table(chosen), table([str(i) for i in range(60)])))
    repeated = table([str(i % 30) for i in range(60)])
    assert line(sort(table(chosen), repeated)) == "number"
    in_order = table([str(i) for i in range(N)])
    assert line(sort(in_order, repeated)).startswith("number, each of 0 ... 39 once; --ignore c")
