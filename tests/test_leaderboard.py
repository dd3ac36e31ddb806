"""Leaderboards and the statistics behind them: against slow references by hand."""

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.report.leaderboard import leaderboard, over_tasks, probabilities, rankings
from core.report.statistics import (
    common_runs,
    probability_of_improvement,
    task_blocks,
    with_common_runs,
)
from tests.test_statistics import area_rows


def two_tasks(first: Mapping[str, list[float]], second: Mapping[str, list[float]]) -> pd.DataFrame:
    return pd.concat([area_rows(dict(first)), area_rows(dict(second), dataset="e")])


def test_a_task_is_a_block_of_the_runs_that_all_have() -> None:
    table = two_tasks({"a": [1.0, 2.0, 9.0], "b": [2.0, 5.0]}, {"a": [4.0], "b": [3.0]})
    found = task_blocks(table, "mae")
    assert found.table.to_numpy().tolist() == [[1.5, 3.5], [4.0, 3.0]]
    assert found.incomplete == 1
    alone = pd.concat([table, area_rows({"c": [1.0, 2.0]})])
    assert task_blocks(alone, "mae").left_out == ["c"]
    assert sorted(common_runs(table)["area"]) == [1.0, 2.0, 2.0, 3.0, 4.0, 5.0]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 5).map(float), min_size=2, max_size=5), min_size=1, max_size=3),
    st.integers(0, 99),
)
def test_probability_of_improvement_is_that_of_all_pairs(tasks: list[list[float]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts, expected = [], []
    for i, x in enumerate(tasks):
        y = rng.integers(6, size=len(x)).astype(float)
        parts.append(area_rows({"a": x, "b": [*y]}, dataset=f"d{i}"))
        won = [1.0 if p < q else 0.5 if p == q else 0.0 for p, q in itertools.product(x, y)]
        expected.append(sum(won) / len(won))
    table = pd.concat(parts)
    found = probability_of_improvement(table, "a", "b")
    assert found.value == pytest.approx(sum(expected) / len(expected))
    if min(map(len, tasks)) == 5:
        assert 0 <= found.low <= found.high <= 1
    back = probability_of_improvement(table, "b", "a")
    assert found.value + back.value == pytest.approx(1)


def test_intervals_are_of_the_stratified_bootstrap() -> None:
    """Beside resampling one by one; tasks keep their number of runs."""
    rng = np.random.default_rng(3)
    x, y = ({"d": rng.normal(i, size=12), "e": rng.normal(i, size=7)} for i in (0, 0.5))
    table = pd.concat([area_rows({"a": [*x[d]], "b": [*y[d]]}, dataset=d) for d in "de"])
    improved = []
    for _ in range(3000):
        drawn = [(rng.choice(x[d], len(x[d])), rng.choice(y[d], len(y[d]))) for d in "de"]
        improved.append(np.mean([(p[:, None] < q).mean() for p, q in drawn]))
    found = probability_of_improvement(table, "a", "b")
    np.testing.assert_allclose([found.low, found.high], np.quantile(improved, [0.025, 0.975]), atol=0.02)
    assert found == probability_of_improvement(table, "a", "b")


def curves_of(areas: pd.DataFrame) -> pd.DataFrame:
    """Curves of one measurement each that have these areas."""
    return areas.rename(columns={"area": "value"}).assign(labelled=10)


def both(values: dict[str, list[float]], **task: object) -> pd.DataFrame:
    return pd.concat([area_rows(values, metric, **task) for metric in ("nll", "mae")])


def test_leaderboard_by_hand() -> None:
    table = both({"random": [2.0, 4.0, 1.0], "good": [1.0, 2.0, 8.0], "own": [1.5, 5.0]})
    board = leaderboard(table, curves_of(table))
    assert list(board.index) == ["good", "random", "own"]  # by rank, over runs 1 and 2
    assert board["rank NLL"].tolist() == [1.0, 2.5, 2.5]
    assert board["runs"].tolist() == [3, 3, 2]
    assert board["ranked"].tolist() == [2, 2, 2]
    assert str(board.loc["good", "AUC NLL"]) == "1.5"  # run 3 is not all's
    assert board.loc["good", "MAE won / tied / lost"] == "2 / 0 / 1"
    assert board.loc["own", "MAE won / tied / lost"] == "1 / 0 / 1"
    assert board.loc["own", "NLL less random"] == "+0.250"


#: Of each agent its run ids in each task, and who is to be ranked.
STORED = {agent: [range(1, 4)] for agent in ("random", "b", "c", "d")}
APART = [
    (STORED | {"mine": [range(4, 31)]}, "random b c d"),
    (STORED | {"mine": [range(4, 31)], "yours": [range(4, 31)]}, "random b c d"),
    ({"random": [range(10)] * 2, "a": [range(10)] * 2, "mine": [range(30), range(10, 40)]}, "random a"),
    ({"random": [range(2)], "a": [range(10)], "b": [range(10)], "mine": [range(2, 10)]}, "random a b"),
    ({"random": [range(10)], "a": [range(10)], "mine": [range(9, 20)]}, "random a mine"),
    ({"random": [range(10)], "mine": [range(10, 20)]}, ""),
]


@pytest.mark.parametrize(("runs", "kept"), APART)
def test_as_many_as_can_be_are_ranked(runs: dict[str, list[range]], kept: str) -> None:
    there = pd.DataFrame(
        {
            agent: {(task, run): True for task, ids in enumerate(of) for run in ids}
            for agent, of in runs.items()
        }
    )
    found = with_common_runs(there.notna(), np.array([task for task, _ in there.index]))
    assert found == kept.split()


def test_over_tasks_by_hand() -> None:
    """Ranks are over the runs that all have; each task counts alike in the difference."""
    table = pd.concat(
        [
            both({"random": [3.0, 3.0], "a": [1.0, 2.9], "b": [2.0, 2.0]}),
            both({"random": [3.0], "a": [2.0], "b": [1.0]}, dataset="e"),
            both({"random": [3.0], "a": [1.0], "b": [2.0], "lone": [0.1]}, dataset="f"),
        ]
    )
    board = over_tasks(table, curves_of(table))
    assert list(board.index) == ["a", "b", "random"]
    assert board["rank MAE"].to_dict() == {"a": 1.5, "b": 1.5, "random": 3.0}
    assert board.loc["b", "NLL less random"] == f"{-(1 + 2 + 1) / 3:+.3f}"
    assert str(board.loc["a", "P(MAE < random)"]).startswith("1.00")
    assert pd.isna(board["P(MAE < random)"]["random"])
    better = probabilities(table, ["a"])
    assert better.loc["lone", "A, MAE"] == "0.00"
    assert set(better.index) == {"random", "b", "lone"}


def test_rankings_over_the_tasks_of_each_size_and_over_all() -> None:
    """`b` has no run at size 1, so it is ranked at the others alone; `c` is in one task."""
    table = pd.concat(
        [
            both(
                {"random": [3.0], "a": [1.0]} | ({"b": [2.0]} if size > 1 else {}),
                dataset=dataset,
                query_size=size,
            )
            for dataset, size in (("d", 1), ("d", 4), ("e", 4), ("d", 9), ("e", 9), ("f", 9))
        ]
    )
    table = pd.concat([table, both({"c": [0.5]}, dataset="f", query_size=9)])
    found = dict(rankings(table, curves_of(table)))
    assert {name: list(board.index) for name, board in found.items()} == {
        "2 tasks of query size 4": ["a", "b", "random"],
        "3 tasks of query size 9": ["a", "b", "random"],
        "all 6 tasks": ["a", "random"],
    }
    of_nine = table[table["query_size"] == 9]
    pd.testing.assert_frame_equal(found["3 tasks of query size 9"], over_tasks(of_nine, curves_of(of_nine)))
    assert [name for name, _ in rankings(of_nine, curves_of(of_nine))] == ["all 3 tasks"]
    of_one = table[table["query_size"] == 1]
    assert [name for name, _ in rankings(of_one, curves_of(of_one))] == ["one task"]
    lone = both({"random": [3.0]}, dataset="g", query_size=9)  # nobody to be ranked with
    with_lone = pd.concat([of_nine, lone])
    assert [name for name, _ in rankings(with_lone, curves_of(with_lone))] == ["all 3 tasks"]
    assert not list(rankings(lone, curves_of(lone)))
    apart = pd.concat([both({"a": [1.0], "c": [2.0]}), both({"b": [1.0], "d": [2.0]}, dataset="e")])
    assert not list(rankings(apart, curves_of(apart)))
