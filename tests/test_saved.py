"""Labels needed and differences to random: against slow references by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from core.report.leaderboard import needed_in_words
from core.report.plots import labels_saved
from core.report.statistics import labels_needed, versus
from core.report.store import TASK
from tests.test_statistics import area_rows

LABELLED = (20, 40, 60, 80, 100)
#: Of two runs of each agent: random ends with 2 on average.
HAND = {
    "random": [(9.0, 6.0, 5.0, 4.0, 3.0), (9.0, 4.0, 3.0, 2.0, 1.0)],
    "good": [(9.0, 4.0, 2.0, 1.0, 1.0), (9.0, 4.0, 2.0, 1.0, 1.0)],  # on the spot at 60
    "between": [(9.0, 6.0, 5.0, 1.0, 1.0), (9.0, 6.0, 5.0, 1.0, 1.0)],  # three quarters of the way to 80
    "at once": [(2.0, 5.0, 5.0, 5.0, 5.0), (1.0, 5.0, 5.0, 5.0, 5.0)],
    "never": [(9.0, 8.0, 7.0, 6.0, 5.0), (9.0, 8.0, 7.0, 6.0, 5.0)],
}


def curve_rows(
    curves: Mapping[str, Sequence[tuple[float, ...]]],
    dataset: str = "d",
    labelled: tuple[int, ...] = LABELLED,
) -> pd.DataFrame:
    task = {"dataset": dataset, "variation": "nf", "protocol": "corrected", "query_size": 20}
    lines = [
        {**task, "agent": agent, "run": run, "labelled": at, "metric": "nll", "value": value}
        for agent, runs in curves.items()
        for run, values in enumerate(runs, 1)
        for at, value in zip(labelled, values, strict=True)
    ]
    return pd.DataFrame(lines)


def needed_of(curves: pd.DataFrame) -> pd.DataFrame:
    return labels_needed(curves).set_index("agent")


def test_labels_needed_by_hand() -> None:
    needed = needed_of(curve_rows(HAND))
    assert needed["value"].to_dict() == {
        "random": 1.0,
        "good": 0.6,
        "between": pytest.approx(0.75),
        "at once": 0.2,
        "never": np.inf,
    }
    assert needed["low"].isna().all()  # of two runs no interval is given
    assert needed_in_words(needed.reset_index(), True).to_dict() == {
        "random": "100 of 100",
        "good": "60 of 100",
        "between": "75 of 100",
        "at once": "20 of 100",
        "never": "> 100",
    }
    assert needed_in_words(needed.reset_index(), False)["never"] == "> 100%"


def test_nothing_is_said_where_random_gets_worse() -> None:
    rising = {"random": [(1.0, 2.0, 3.0, 4.0, 5.0)], "good": [(1.0, 1.0, 1.0, 1.0, 1.0)]}
    needed = needed_of(curve_rows(rising))
    assert needed_in_words(needed.reset_index(), True).to_dict() == {"random": "-", "good": "-"}
    two = pd.concat([curve_rows(HAND), curve_rows(rising, "e")])
    titles = [axis.get_title(loc="left") for axis in labels_saved(labels_needed(two, TASK)).axes]
    assert list(filter(None, titles)) == ["D, query size 20"]


def test_only_runs_that_both_have_count_and_only_agents_of_all_tasks() -> None:
    more = HAND | {"random": [*HAND["random"], (0.0,) * 5]}
    needed = needed_of(curve_rows(more))
    assert (needed.loc["good", "value"], needed.loc["random", "value"]) == (
        0.6,
        pytest.approx(22.8 / 30, abs=0.3),
    )
    two = pd.concat([curve_rows(HAND), curve_rows({"random": HAND["random"], "good": HAND["random"]}, "e")])
    assert needed_of(two)["value"].to_dict() == {"random": 1.0, "good": pytest.approx(0.8)}
    assert labels_needed(curve_rows({"good": HAND["good"]})).empty


def falling(rng: np.random.Generator, runs: int) -> tuple[np.ndarray, np.ndarray]:
    """Curves of an agent and of `random`, with what a run has in common."""
    shared, line = rng.normal(0, 0.3, (runs, 1)), np.linspace(2, 1, 5)
    return line - 0.3 + shared + rng.normal(0, 0.1, (runs, 5)), line + shared + rng.normal(0, 0.1, (runs, 5))


def test_the_interval_holds_where_a_paired_t_test_sees_no_difference() -> None:
    good, random = falling(np.random.default_rng(2), 8)
    found = needed_of(curve_rows({"random": list(map(tuple, random)), "good": list(map(tuple, good))})).loc[
        "good"
    ]
    for at in np.linspace(20, 100, 33):
        values = [np.interp(at, LABELLED, run) for run in good]
        inside = found["low"] <= at / 100 <= found["high"]
        interval = stats.ttest_rel(values, random[:, -1]).confidence_interval(0.95)
        assert inside == (interval.low <= 0 <= interval.high) or min(map(abs, interval)) < 0.03, at


@pytest.mark.parametrize("tasks", [1, 3])
def test_intervals_of_five_runs_hold_the_truth(tasks: int) -> None:
    """The bootstrap's held it in about 82 of 100 cases."""
    rng, held = np.random.default_rng(5), 0
    for _ in range(100):
        parts = []
        for task in range(tasks):
            good, random = falling(rng, 5)
            curves = {"random": list(map(tuple, random)), "good": list(map(tuple, good))}
            parts.append(curve_rows(curves, str(task)))
        found = needed_of(pd.concat(parts)).loc["good"]
        held += found["low"] <= 0.76 <= found["high"]  # 1.7 at 20 labels, 0.7 at 100: 1.0 at 76
    assert held >= 89  # of 95, whose standard deviation is 2.2


def test_mean_difference_is_student_s_and_welch_s() -> None:
    rng = np.random.default_rng(4)
    values = {name: [*rng.normal(size=8)] for name in ("random", "a")}
    table = area_rows(values)
    found = tuple(versus(table).loc[0, ["value", "low", "high"]])
    of_pairs = stats.ttest_rel(values["a"], values["random"])
    low, high = of_pairs.confidence_interval(0.95)
    assert found == pytest.approx((np.subtract(values["a"], values["random"]).mean(), low, high))
    # The mean over two tasks, of which one is -x, is half the difference of two samples: Welch's test.
    x, y = rng.normal(1, 1, 9), rng.normal(0, 3, 6)
    two = [
        area_rows({"random": [0.0] * len(of), "a": [*of]}, dataset=name) for name, of in (("d", x), ("e", -y))
    ]
    both = tuple(versus(pd.concat(two)).loc[0, ["value", "low", "high"]])
    low, high = stats.ttest_ind(x, y, equal_var=False).confidence_interval(0.95)
    assert both == pytest.approx(((x.mean() - y.mean()) / 2, low / 2, high / 2))


def test_the_picture_has_a_bar_for_each_agent_best_first() -> None:
    worse = HAND | {"no": [tuple(2 * value for value in run) for run in HAND["never"]]}
    both = pd.concat([curve_rows(worse), curve_rows(HAND, "e")])
    figure = labels_saved(labels_needed(both, TASK), "here")
    shown = [axis for axis in figure.axes if axis.get_title(loc="left")]
    assert [axis.get_title(loc="left") for axis in shown] == ["D, query size 20", "E, query size 20"]
    for axis, never in zip(shown, (["Never", "No"], ["Never"]), strict=True):
        names = [label.get_text() for label in axis.get_yticklabels()]
        bars: list[Any] = list(axis.patches)
        assert names == ["At once", "Good", "Between", *never]
        assert [bar.get_width() for bar in bars] == pytest.approx([0.2, 0.6, 0.75, 1.0, 1.0][: len(bars)])
