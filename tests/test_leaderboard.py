"""Leaderboards and the statistics behind them: against slow references by hand."""

import pandas as pd
import pytest

from core.report.leaderboard import comparisons, leaderboard, runs_won
from core.report.load import Results
from core.report.statistics import blocks, versus
from tests.test_statistics import area_rows


def curves_of(areas: pd.DataFrame) -> pd.DataFrame:
    """Curves of one measurement each that have these areas."""
    return areas.rename(columns={"area": "value"}).assign(labelled=10)


def both(values: dict[str, list[float]], **task: object) -> pd.DataFrame:
    return pd.concat([area_rows(values, metric, **task) for metric in ("nll", "mae")])


def results(areas: pd.DataFrame) -> Results:
    tables = {name: pd.DataFrame() for name in ("pit", "runs", "upper_bounds", "problems", "trained")}
    return Results(curves=curves_of(areas), settings={}, **tables)


def first_board(areas: pd.DataFrame) -> pd.DataFrame:
    """Of the task, or of all tasks together."""
    return leaderboard(next(comparisons(results(areas))))


def test_leaderboard_by_hand() -> None:
    table = both({"random": [2.0, 4.0, 1.0], "good": [1.0, 2.0, 8.0], "own": [1.5, 5.0]})
    board = first_board(table)
    assert list(board.index) == ["good", "random", "own"]  # by rank, over runs 1 and 2
    assert board["rank NLL"].tolist() == [1.0, 2.5, 2.5]
    assert board["runs"].tolist() == [3, 3, 2]
    assert board["ranked"].tolist() == [2, 2, 2]
    assert str(board.loc["good", "AUC NLL"]) == "1.5"  # run 3 is not all's
    assert board.loc["good", "MAE won / tied / lost"] == "2 / 0 / 1"
    assert board.loc["own", "MAE won / tied / lost"] == "1 / 0 / 1"
    assert board.loc["own", "NLL minus random"] == "+0.250"
    said = "better than random in 2 of 3 runs (NLL), 2 of 3 runs (MAE)"
    assert runs_won(versus(table), "good") == said
    assert not runs_won(versus(table), "other")


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
    tasks = [
        area_rows({agent: [1.0] * len(ids)}, dataset=str(task)).assign(run=ids)
        for agent, of in runs.items()
        for task, ids in enumerate(of)
    ]
    assert list(blocks(pd.concat(tasks), "mae").table) == sorted(kept.split())


def test_several_datasets_by_hand() -> None:
    """Ranks are over the runs that all have; each dataset counts alike in the difference."""
    table = pd.concat(
        [
            both({"random": [3.0, 3.0], "a": [1.0, 2.9], "b": [2.0, 2.0]}),
            both({"random": [3.0], "a": [2.0], "b": [1.0]}, dataset="e"),
            both({"random": [3.0], "a": [1.0], "b": [2.0], "lone": [0.1]}, dataset="f"),
        ]
    )
    board = first_board(table)
    assert list(board.index) == ["a", "b", "random"]
    assert board["runs"].tolist() == [4, 4, 4]
    assert board["rank MAE"].to_dict() == {"a": 1.5, "b": 1.5, "random": 3.0}
    assert board.loc["b", "NLL minus random"] == f"{-(1 + 2 + 1) / 3:+.3f}"
    assert board.loc["b", "MAE minus random"] == f"{-(1 + 2 + 1) / 9:+.1%}"
    assert board.loc["a", "NLL won / tied / lost"] == "4 / 0 / 0"
    assert not any(name.startswith("AUC") for name in map(str, board))


def test_the_datasets_of_each_query_size_are_compared_together() -> None:
    """Not those on which an agent is alone."""
    three = {"random": [3.0], "a": [1.0], "b": [2.0]}
    tasks = [("d", 1), ("d", 4), ("e", 4), ("d", 9), ("e", 9), ("f", 9)]
    table = pd.concat([both(three, dataset=dataset, query_size=size) for dataset, size in tasks])
    lone = both({"random": [3.0]}, dataset="g", query_size=9)
    found = {
        (one.task["dataset"], one.task["query_size"]): leaderboard(one)
        for one in comparisons(results(pd.concat([table, lone])))
    }
    assert [*found] == [
        ("d", 1),
        ("all 2 datasets", 4),
        ("d", 4),
        ("e", 4),
        ("all 3 datasets", 9),
        ("d", 9),
        ("e", 9),
        ("f", 9),
        ("g", 9),
    ]
    assert found["all 3 datasets", 9]["runs"].to_dict() == {"a": 3, "b": 3, "random": 3}
    apart = pd.concat([both({"a": [1.0], "c": [2.0]}), both({"b": [1.0], "d": [2.0]}, dataset="e")])
    boards = [leaderboard(one) for one in comparisons(results(apart))]
    assert [len(board) for board in boards] == [0, 2, 2]
