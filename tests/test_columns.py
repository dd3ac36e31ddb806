"""core.data.columns, kinds: what becomes of columns as people write them, over one table or several."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.columns import Columns, apply, read_target, sort_columns
from core.data.frames import RawFrame
from core.data.suspects import far
from core.files import UnusableError
from tests.builders import quick

N = 40
RNG = np.random.default_rng(0)
TEMPERATURES = RNG.uniform(-30, 90, N).round(2)
AMOUNTS = RNG.uniform(1e3, 9e6, N).round(2)
DAYS = RNG.integers(0, 300, N)
DATES = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(DAYS, "D"))


def table(cells: Sequence[Any], name: str = "c", **others: Sequence[Any]) -> pd.DataFrame:
    """A column and its like; `other` is a feature that says nothing of points and commas."""
    return pd.DataFrame(
        {name: cells, "other": ["a", "b"] * (len(cells) // 2) + ["a"] * (len(cells) % 2), **others}
    )


def raw(frame: pd.DataFrame, where: str = "") -> RawFrame:
    return RawFrame(frame, where=where)


def sort(*tables: pd.DataFrame, declared: Sequence[str] = (), **decisions: Sequence[str]) -> Columns:
    """Of the labelled rows: those of the first table."""
    raws = [raw(frame, name) for name, frame in zip(("done.csv", "pool.csv"), tables, strict=False)]
    raws[0] = replace(raws[0], nominal=frozenset(declared))
    return sort_columns(raws, "y", np.arange(len(tables[0])), decisions)


def line(columns: Columns, name: str = "c") -> str:
    """What became of a column, in words."""
    (found,) = [column for column in columns if column.rule.name == name]
    return found.text


def feature(*tables: Sequence[Any]) -> tuple[str, np.ndarray]:
    """Of a column that is one feature: what became of it, and its values."""
    columns = sort(*map(table, tables))
    names, x = columns.features()
    assert names[0] == "c"
    return line(columns), x[:, 0]


def often(*cells: Any) -> list[Any]:
    return [cells[i % len(cells)] for i in range(N)]


#: Nothing here says what a comma means.
THOUSANDS = often("1,234", "2,500", "950")


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


# --- Numbers -----------------------------------------------------------------------------------

SPACES = "number, spaces or apostrophes between thousands"
PADDED = "number, leading zeros; --category c if these are codes"


def german(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(".,", ",."))


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (str, "number"),
        (lambda value: f"{value:.2f}".replace(".", ","), "number, decimal commas"),
        (lambda value: f"{value:,.2f}", "number, commas between thousands"),
        (german, "number, decimal commas, points between thousands"),
        (lambda value: f"{value:,.2f}".replace(",", "\u202f"), SPACES),
        (lambda value: f"{value:,.2f}".replace(",", "’"), SPACES),
        (lambda value: f"{value} mg/L", "number, in mg/L"),
        (lambda value: f"{value}°C", "number, in °C"),
        (lambda value: f"${value:,.2f}", "number, commas between thousands, in $"),
        (lambda value: f"{german(value)} €", "number, decimal commas, points between thousands, in €"),
        (lambda value: f"{value} %", "number, in %"),
        (lambda value: f"{value}E0", "number"),
        (lambda value: f" {value}\u00a0", "number"),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(write: Callable[[float], str], said: str) -> None:
    found, values = feature([write(value) for value in AMOUNTS])
    assert found == said
    np.testing.assert_array_equal(values, AMOUNTS)


@pytest.mark.parametrize(
    ("cells", "said", "values"),
    [
        (often("1", "1.0", "01", "1E5", "2"), PADDED, [1, 1, 1, 1e5]),
        (often("007", "012", "042"), PADDED, [7, 12, 42]),
        (often("TRUE", "True", "false", "1", "0"), "number, true is 1", [1, 1, 0, 1, 0]),
        (often(True, False, False), "number, true is 1", [1, 0, 0]),
        (often("yes", "No"), "number, yes is 1", [1, 0]),
        (often("1E2", "1E3"), "number, written like 1E2; --category c if these are codes", [100, 1000]),
        (often("5 mg", "0", "2.5 mg"), "number, in mg", [5, 0, 2.5]),
        (often("5 \u00b5g", "7 \u03bcg"), "number, in \u00b5g", [5, 7]),
        (often("0,125", "1,250"), "number, decimal commas", [0.125, 1.25]),
    ],
)  # fmt: skip
def test_what_else_is_a_number(cells: list[Any], said: str, values: list[float]) -> None:
    found, read = feature(cells)
    assert found == said
    np.testing.assert_allclose(read[: len(values)], values, rtol=1e-15)


@pytest.mark.parametrize("mark", ["n.d.", "-", "N/A", "?", "null", "", "—", "#DIV/0!", None])
def test_marks_of_missing_values_are_missing_among_numbers(mark: str | None) -> None:
    cells = [mark if i % 4 == 0 else str(value) for i, value in enumerate(TEMPERATURES)]
    columns = sort(table(cells))
    names, x = columns.features()
    assert names[:2] == ["c", "missingindicator_c"]
    known = np.arange(N) % 4 != 0
    np.testing.assert_array_equal(x[:, 0], np.where(known, TEMPERATURES, np.median(TEMPERATURES[known])))
    np.testing.assert_array_equal(x[:, 1], ~known)
    if mark in ("n.d.", "-", "#DIV/0!"):
        assert line(columns) == f"number, 10 cells are missing ({mark!r})"


def test_one_wrong_cell_among_many_numbers_is_found_soon() -> None:
    """An expression that can match digits in several ways tried all of them, for hours."""
    with pytest.raises(UnusableError, match="found 'x' in data row 5001"):
        sort(table([*(str(12_345_678 * i) for i in range(5000)), "x"]))


def test_a_minus_beside_a_plus_is_a_category() -> None:
    assert line(sort(table(often("+", "-")))) == "2 categories"


def test_cells_at_a_limit_are_the_limit_and_have_an_indicator_if_frequent() -> None:
    cells = ["<1.8" if i % 5 == 0 else str(i) for i in range(N)]
    columns = sort(table(cells))
    assert line(columns) == "number, 8 cells at a limit (<1.8) are the limit, with an indicator"
    names, x = columns.features()
    assert names[:2] == ["c", "c_limit"]
    np.testing.assert_array_equal(x[:6, :2], [[1.8, 1], [1, 0], [2, 0], [3, 0], [4, 0], [1.8, 1]])
    once = ["≥50", *map(str, RNG.permutation(N - 1))]
    assert line(sort(table(once))) == "number, 1 cells at a limit (≥50) are the limit"


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


# --- Dates --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("%Y-%m-%d", ""),
        ("%Y-%m-%dT00:00:00Z", ""),
        ("%Y/%m/%d 0:00", ""),
        ("%d/%m/%Y", "; day first"),
        ("%m/%d/%Y", "; month first"),
        ("%m/%d/%y", "; month first"),
        ("%d.%m.%Y", ""),
        ("%d.%m.%y 00:00:00", ""),
        ("%d-%b-%Y", ""),
        ("%b %d, %Y", ""),
        ("%A, %d %B %Y", ""),
        ("%Y-%m-%dT02:00:00+02:00", ""),
        ("%m/%d/%Y 12:00 AM", "; month first"),
    ],
)
def test_dates_are_days_since_the_first(pattern: str, said: str) -> None:
    found, values = feature(DATES.dt.strftime(pattern).tolist())
    assert found == f"number (days{said})"
    np.testing.assert_array_equal(values, DAYS - DAYS.min())


@pytest.mark.parametrize(
    ("cells", "days"),
    [
        (often("Jan 2024", "December 2023"), [31, 0]),
        (often("2024-W05", "2024-W06", "2023-W52"), [35, 42, 0]),
        (often("2024-W05-3", "2024-W06-1"), [0, 5]),
        (often("01-Jan-2024", "15-Feb-2024"), [0, 45]),
        (often("01-Jan-24", "15-Feb-24"), [0, 45]),
    ],
)
def test_months_and_weeks_begin_on_their_first_day(cells: list[str], days: list[float]) -> None:
    found, values = feature(cells)
    assert found == "number (days)"
    assert values[: len(days)].tolist() == days


def test_short_dates_are_said_as_they_are_read() -> None:
    found, values = feature(often("Mar-24", "FEB-24", "Jan-24"))
    assert found == "number (days; Mar-24 is read as 2024-03-01)"
    assert values[:3].tolist() == [60, 31, 0]
    texts = DATES.dt.strftime("%Y%m%d").tolist()
    found, values = feature(texts)
    read = f"{texts[0]} is read as {DATES[0]:%Y-%m-%d}"
    assert found == f"number (days; {read}; --numeric c if these are numbers)"
    np.testing.assert_array_equal(values, DAYS - DAYS.min())


def test_numbers_that_look_like_dates_are_numbers_if_some_do_not() -> None:
    texts = DATES.dt.strftime("%Y%m%d").tolist()
    for cells in ([*texts[1:], "20240230"], [*texts[1:], "18991231"], often("20240131", "20240201")):
        assert "days" not in line(sort(table(cells)))
    assert line(sort(table(texts), numeric=["c"])) == "number"
    assert line(sort(table([str(45292 + day) for day in DAYS]))) == "number"  # of a spreadsheet, or anything
    typed = pd.Series(texts, dtype=float).where(np.arange(N) > 0)
    assert line(sort(table(typed))).startswith(f"number (days; {texts[1]}")
    # In another table by what it was.
    rules = sort(table(texts)).rules
    x = apply(rules, raw(table(["20240131", ""]), "new.csv")).features()[1]
    assert x[0, 0] == (pd.Timestamp("2024-01-31") - DATES.min()).days


def test_durations_are_days() -> None:
    found, values = feature(
        often("0 days 06:00:00", "1 days 12:00:00", "-1 days +18:00:00", "2 days 00:00:00")
    )
    assert found == "number, in days"
    np.testing.assert_allclose(values[:4], [0.25, 1.5, -0.25, 2])


def test_times_are_parts_of_days_and_points_make_the_day_first() -> None:
    _, values = feature(often("2024-01-01 06:00", "2024-01-02", "2024-01-03T12:00:00+00:00"))
    np.testing.assert_array_equal(values[:3], [0, 0.75, 2.25])
    _, values = feature(often("2024-01-01 12:30 AM", "2024-01-01 1:00 pm"))
    np.testing.assert_allclose(values[:2], [0, 12.5 / 24], atol=1e-9)
    found, values = feature(often("01.02.2024", "02.02.2024"))
    assert found == "number (days)"
    np.testing.assert_array_equal(values[:2], [0, 1])


def test_the_time_of_the_year_and_of_the_day_is_a_feature_on_request() -> None:
    days = ["2024-01-01", "2024-07-01", "2025-01-01", ""] * 10
    names, x = sort(table(days), cyclic=["c"]).features()
    assert names[:4] == ["c", "missingindicator_c", "c_year_sin", "c_year_cos"]
    np.testing.assert_allclose(x[0, 2:4], x[2, 2:4], atol=0.02)  # the same day, a year later
    np.testing.assert_allclose(x[0, 2:4], -x[1, 2:4], atol=0.1)  # half a year later
    times = sort(table(often("2024-01-01 06:00", "2024-01-02 18:00")), cyclic=["c"])
    assert line(times) == "number (days), with the time of the year and of the day"
    names, x = times.features()
    np.testing.assert_allclose(x[:2, names.index("c_day_sin")], [1, -1], atol=1e-6)
    _, new = apply(times.rules, raw(table(["2025-01-01 06:00"]), "new.csv")).features()
    np.testing.assert_allclose(new[0, names.index("c_day_sin")], 1, atol=1e-6)
    for decisions, said in (
        ({"cyclic": ["other"]}, "column 'other': --cyclic other, but it holds no dates; found 'a'"),
        ({"cyclic": ["c"], "category": ["c"]}, "--category and --cyclic contradict each other"),
    ):
        with pytest.raises(UnusableError, match=said):
            sort(table(days), **decisions)


# --- Far from all others --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "cells"),
    [
        ("-999", TEMPERATURES),
        ("-9999", TEMPERATURES),
        ("-999", TEMPERATURES * 100 + 3000),  # within a range of them, but the only one below zero
        ("9999", TEMPERATURES),
        ("-1e30", AMOUNTS),
        ("25000000", TEMPERATURES),
        ("2500000000000", AMOUNTS),
        ("1e9", np.exp(RNG.normal(0, 1, N))),
    ],
)
def test_a_number_far_from_all_others_is_named_and_nothing_else_is(wrong: str, cells: np.ndarray) -> None:
    texts = [str(cell) for cell in cells]
    texts[6] = wrong
    said = line(sort(table(texts[:-1]), table([*texts[-4:]])))
    assert said.startswith(f"number, {wrong} in data row 7 of done.csv is far from all others (")
    assert said.endswith("and kept: correct it, or leave it empty, if it is no measurement")
    _, _, apart, _ = read_target(raw(table(texts, "y"), "done.csv"), "y")
    assert np.flatnonzero(apart).tolist() == [6]
    _, _, apart, _ = read_target(raw(table(texts, "y"), "done.csv"), "y", {"keep": ["y"]})
    assert not apart.any()
    assert line(sort(table([str(cell) for cell in cells]))) == "number"


@pytest.mark.parametrize("tail", ["lognormal", "pareto", "cauchy", "zeros", "nines"])
def test_heavy_tails_and_honest_nines_are_not_far(tail: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(100):
        values = {
            "lognormal": rng.lognormal(0, 2, 150),
            "pareto": rng.pareto(1, 150),
            "cauchy": rng.standard_cauchy(150),
            "zeros": rng.lognormal(0, 1, 150) * (rng.random(150) < 0.2),
            "nines": np.append(rng.uniform(20, 400, 149).round(), 999),
        }[tail]
        assert not far(values).any()


def test_a_date_far_from_all_others_is_named_as_it_is_written() -> None:
    cells = [*DATES.dt.strftime("%Y-%m-%d")[1:], "1900-01-01"]
    assert "1900-01-01 in data row 40 is far from all others (2024-01-" in line(sort(table(cells)))


# --- Properties -----------------------------------------------------------------------------------

STYLES = {
    "plain": lambda text: text,
    "decimal comma": lambda text: text.translate(str.maketrans(".,", ", ")).replace(" ", ""),
    "german": lambda text: text.translate(str.maketrans(".,", ",.")),
    "spaces": lambda text: text.replace(",", "\u00a0"),
    "minus": lambda text: text.replace("-", "\u2212"),
    "unit": lambda text: f"{text} kg m-2",
    "percent": lambda text: f"{text}%",
    "swiss": lambda text: text.replace(",", "'"),
}


@quick
@given(
    st.lists(st.integers(-(10**11), 10**11), min_size=5, max_size=40, unique=True),
    st.sampled_from(sorted(STYLES)),
)
def test_the_same_numbers_written_in_any_style_read_back_equal(hundredths: list[int], style: str) -> None:
    values = np.array([one / 100 for one in hundredths])
    _, read = feature([STYLES[style](f"{value:,.2f}") for value in values])
    np.testing.assert_array_equal(read, values)


CELLS = (
    "1|2|3.5|-4|01|007|0123|1E5|12A|X|red|a text||-|n.d.|<2|>50|25 C|26 C|77 F|5mg|3g|2024-01-05|15.01.2024"
    "|13/01/2024|02/03/2024|1/14/24|TRUE|false|yes|1 234|2,345,678|~5|1e400"
)


def kind(*tables: pd.DataFrame, rows: np.ndarray) -> str:
    try:
        columns = sort_columns([raw(one) for one in tables], "y", rows)
    except UnusableError:
        return "refused"
    return next(column.rule.kind for column in columns if column.rule.name == "c")


@quick
@given(st.lists(st.sampled_from(CELLS.split("|")), min_size=1, max_size=5).flatmap(
    lambda cells: st.lists(st.sampled_from(cells), min_size=30, max_size=60)
), st.data())  # fmt: skip
def test_neither_another_order_nor_a_split_changes_what_a_column_is(
    cells: list[str], data: st.DataObject
) -> None:
    frame = table(cells)
    whole = kind(frame, rows=np.arange(len(frame)))
    order = np.array(data.draw(st.permutations(range(len(frame)))))
    assert kind(frame.iloc[order], rows=np.arange(len(frame))) == whole
    at = data.draw(st.integers(1, len(frame) - 1))
    assert kind(frame[:at], frame[at:], rows=np.arange(len(frame))) == whole


@quick
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=5, max_size=40, unique=True))
def test_typed_numbers_and_their_texts_are_the_same_to_the_bit(values: list[float]) -> None:
    typed, texts = table(values), table([repr(value) for value in values])
    columns = sort(typed, texts, keep=["c"])
    _, x = columns.features()
    assert x[: len(values), 0].tobytes() == x[len(values) :, 0].tobytes() == np.array(values).tobytes()
