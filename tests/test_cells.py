"""core.data.cells, suspects: numbers and dates as people write them, and those far from all others."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.columns import apply, read_target, sort_columns
from core.data.suspects import far
from core.files import UnusableError
from tests.builders import quick
from tests.column_builders import (
    AMOUNTS,
    DATES,
    DAYS,
    RNG,
    TEMPERATURES,
    N,
    feature,
    line,
    often,
    raw,
    sort,
    table,
)

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
