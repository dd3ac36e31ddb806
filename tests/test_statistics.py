"""Tables of results: read from folders, areas, ranks and tests against values made by hand."""

import math
import os
import shutil
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests  # scikit-posthocs brings it

from core.errors import UserError
from core.files import EXACT_FLOATS
from core.metrics import METRICS
from core.report import statistics
from core.report.leaderboard import comparisons
from core.report.load import EXPERIMENT, load_results
from core.report.statistics import blocks, last_rounds, p_values
from core.runs.files import aggregate
from tests.synthetic_runs import BUDGET, write_experiment, write_upper_bound


def area_rows(values: dict[str, list[float]], metric: str = "mae", **task: object) -> pd.DataFrame:
    """Areas of agents, one a run; run ids from 1."""
    task = {"dataset": "d", "variation": "nf", "protocol": "published", "query_size": 1} | task
    lines = [
        {**task, "agent": agent, "run": i, "metric": metric, "area": area}
        for agent, of_agent in values.items()
        for i, area in enumerate(of_agent, 1)
    ]
    return pd.DataFrame(lines)


# Every pair differs in one direction: by 1 to 5, so that no two differences tie.
HAND = {
    "random": [10.0, 20.0, 30.0, 40.0, 50.0],
    "good": [9.0, 18.0, 27.0, 36.0, 45.0],
    "best": [7.0, 14.5, 22.0, 29.5, 37.0],
}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_experiment(tmp_path / "runs", "random", (1, 2, 10))
    write_experiment(
        tmp_path / "runs", "coreset", (1,), variation="gauss", protocol="corrected", query_size=6
    )
    write_upper_bound(tmp_path / "runs")
    found = load_results(tmp_path / "runs")
    assert len(found.curves) == len(METRICS) * (3 * 4 + 1 * 3)
    for run in (1, 2, 10):
        folder = tmp_path / f"runs/Diabetes/4/Random/run_{run}"
        for metric in METRICS:
            one = found.curves.query(f"agent == 'random' and run == {run} and metric == '{metric}'")
            assert one["labelled"].tolist() == [50, 54, 58, 62]
            written = pd.read_csv(folder / METRICS[metric].file, index_col=0, **EXACT_FLOATS).dropna()[
                f"run_{run}"
            ]
            assert one["value"].tolist() == written.tolist()
        counts = found.pit.query(f"agent == 'random' and run == {run}").sort_values("bin")
        assert counts["labelled"].unique().tolist() == [62]  # the last round's alone
        assert counts["count"].tolist() == pd.read_csv(folder / "pit.csv", index_col=0).loc[12].tolist()
        np.testing.assert_array_equal(counts["bin"], [k / 20 for k in range(20)])
    other = found.curves[found.curves["agent"] == "coreset"]
    assert set(other[EXPERIMENT].itertuples(index=False, name=None)) == {
        ("diabetes", "gauss", "corrected", 6, "coreset")
    }
    assert other["labelled"].unique().tolist() == [50, 56, 62]
    assert found.runs["status"].tolist() == ["finished"] * 4
    assert found.runs["rounds"].tolist() == [3, 3, 3, 2]
    last = found.upper_bounds.query("metric == 'mae'").groupby("run")["epoch"].agg(["min", "max"])
    assert last.to_numpy().tolist() == [[1, 32], [1, 35]]


def test_unfinished_and_damaged_runs_are_listed_and_left_out(tmp_path: Path) -> None:
    folder = write_experiment(tmp_path / "runs", run_ids=range(1, 10))
    (folder / "run_2/meta.txt").unlink()
    (folder / "run_3/pit.csv").unlink()
    (folder / "run_4/likelihoods.csv").write_text("added,run_4\n0,much\n")
    (folder / "run_5/meta.txt").write_text("seed_set: many\n")
    (folder / "run_6/meta.txt").unlink()
    (folder / "run_6/meta.txt").mkdir()
    (folder / "run_7/pit.csv").write_text("added,first\n0,3\n")
    lines = (folder / "run_8/crps.csv").read_text().splitlines()
    (folder / "run_8/crps.csv").write_text("\n".join([*lines[:4], "4,", *lines[6:]]))
    (folder / "run_x").mkdir()
    shutil.copytree(folder / "run_1", folder / "run_01")
    found = load_results(tmp_path / "runs")
    assert found.runs["run"].tolist() == list(range(1, 10))
    status = found.runs["status"].tolist()
    assert status == ["finished", "unfinished", *["damaged"] * 6, "finished"]
    problems = [Path(name).name for name in found.problems["folder"]]
    assert problems == [f"run_{i}" for i in range(3, 9)]
    assert "pit.csv cannot be read" in found.problems["problem"][0]
    assert found.problems["problem"][2] == "meta.txt: seed_set is many, not a number"
    assert set(found.curves["run"]) == set(found.pit["run"]) == {1, 9}


def replace_in(name: str, old: str, new: str) -> Callable[[Path], object]:
    def edit(run: Path) -> None:
        text = (run / name).read_text()
        assert old in text
        (run / name).write_text(text.replace(old, new, 1))

    return edit


def cell(value: str) -> Callable[[Path], object]:
    """The error after eight points becomes another one."""

    def edit(run: Path) -> None:
        lines = (run / "accuracies.csv").read_text().splitlines()
        (run / "accuracies.csv").write_text("\n".join([*lines[:9], f"8,{value}", *lines[10:], ""]))

    return edit


def as_folder(run: Path) -> None:
    (run / "crps.csv").unlink()
    (run / "crps.csv").mkdir()


def as_pipe(run: Path) -> None:
    (run / "crps.csv").unlink()
    os.mkfifo(run / "crps.csv")


def as_a_copy_that_was_interrupted(run: Path) -> None:
    path = run / "accuracies.csv"
    path.write_bytes(path.read_bytes()[:-3])


def as_a_spreadsheet_saves(run: Path) -> None:
    text = (run / "accuracies.csv").read_text()
    (run / "accuracies.csv").write_text(text.replace(",", ";").replace(".", ","))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (replace_in("accuracies.csv", "run_2", "run_1"), "accuracies.csv is of run_1, not of run_2"),
        (replace_in("accuracies.csv", "run_2", "mae"), "accuracies.csv is of mae, not of run_2"),
        (
            replace_in("likelihoods.csv", "\n1,", "\n0,\n1,"),
            "likelihoods.csv cannot be read (line 3: it does not follow",
        ),
        (
            replace_in("crps.csv", "\n1,", "\n1,3,"),
            "crps.csv cannot be read (line 3: it has 3 cells, not 2",
        ),
        (cell("inf"), "accuracies.csv cannot be read (line 10: it is not finite"),
        (cell("1e308"), "accuracies.csv: line 10: 1e+308 is no MAE"),
        (cell("-0.5"), "accuracies.csv: line 10: -0.5 is no MAE"),
        (cell("0.1x"), "accuracies.csv cannot be read (line 10: could not convert string to float: '0.1x'"),
        (
            as_a_spreadsheet_saves,
            "(it has semicolons, as if saved by a spreadsheet",
        ),
        (as_a_copy_that_was_interrupted, "it is cut off)"),
        (lambda run: (run / "crps.csv").write_text(""), "crps.csv cannot be read (no rows)"),
        (as_folder, "crps.csv is a folder"),
        (as_pipe, "crps.csv is no regular file"),
        (
            replace_in("meta.txt", "seed_set: 50", "seed_set: [50]"),
            "seed_set is [50], not a number",
        ),
        (replace_in("meta.txt", "seed_set: 50", "seed_set: .inf"), "seed_set is inf, not a number"),
        (
            replace_in("meta.txt", "seed_set", "run_id: 1\nseed_set"),
            "meta.txt is of run_1: the folder",
        ),
    ],
)
def test_a_run_edited_by_hand_is_left_out_with_file_and_line(
    edit: Callable[[Path], object], said: str, tmp_path: Path
) -> None:
    folder = write_experiment(tmp_path / "runs", run_ids=(1, 2))
    edit(folder / "run_2")
    found = load_results(tmp_path / "runs")
    assert found.runs["status"].tolist() == ["finished", "damaged"]
    assert said in found.problems["problem"][0]


def test_a_copied_run_is_not_collected(tmp_path: Path) -> None:
    folder = write_experiment(tmp_path / "runs", run_ids=(1, 2))
    shutil.copytree(folder / "run_1", folder / "run_3")
    with pytest.raises(UserError, match=r"run_3/accuracies.csv is of run_1, not of run_3"):
        aggregate(folder)


def test_runs_of_another_length_are_left_out(tmp_path: Path) -> None:
    write_experiment(tmp_path / "runs", "random")
    folder = write_experiment(tmp_path / "runs", "coreset", (1, 2))
    meta = (folder / "run_1/meta.txt").read_text()
    (folder / "run_1/meta.txt").write_text(meta.replace("seed_set: 50", "seed_set: 60"))
    for path in (folder / "run_2").glob("*.csv"):
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-4]))
    found = load_results(tmp_path / "runs")
    assert set(found.curves["agent"]) == {"random"}
    assert found.runs["status"].tolist() == ["damaged"] * 2 + ["finished"] * 3
    assert found.problems["problem"].tolist() == [
        "60 to 72 labelled points, not 50 to 62",
        "50 to 58 labelled points, not 50 to 62",
    ]


def test_without_any_runs(tmp_path: Path) -> None:
    (tmp_path / "runs/Diabetes/5/RandomAgent/run_1").mkdir(parents=True)  # no settings: it never began
    for folder in ("runs", "nowhere"):
        found = load_results(tmp_path / folder)
        assert not any(len(table) for table in vars(found).values())
        assert found.areas.empty
        assert statistics.versus(found.areas).empty
        assert found.needed.empty
        assert not list(comparisons(found))


def test_area_is_the_mean_of_the_rows(tmp_path: Path) -> None:
    folder = write_experiment(tmp_path / "runs", run_ids=(3,))
    table = load_results(tmp_path / "runs").areas.set_index("metric")["area"]
    for metric in METRICS:
        lines = (folder / "run_3" / METRICS[metric].file).read_text().splitlines()[1:]
        values = [float(line.split(",")[1]) for line in lines if not line.endswith(",")]
        assert len(values) == BUDGET / 4 + 1
        assert math.isclose(table[metric], sum(values) / len(values))


def test_blocks_are_complete() -> None:
    first = area_rows(HAND | {"good": HAND["good"][:4]})
    second = area_rows({"random": [1.0, 2.0], "best": [0.5, 1.0], "good": [3.0]}, dataset="e")
    found = blocks(pd.concat([first, second, area_rows(HAND, metric="nll")]), "mae")
    assert found.left_out == []
    assert found.incomplete == 2
    assert len(found.table) == 5
    lacks = area_rows({"random": [1.0, 2.0], "best": [0.5, 1.0]}, dataset="e")
    found = blocks(pd.concat([first, lacks]), "mae")
    assert found.left_out == ["good"]
    assert (len(found.table), found.incomplete) == (7, 0)
    assert list(found.table.columns) == ["best", "random"]
    alone = area_rows({"random": [1.0, 2.0]}, dataset="e")  # nobody to compare with
    found = blocks(pd.concat([first, alone]), "mae")
    assert (len(found.table), found.left_out) == (4, [])


def test_p_values_by_hand() -> None:
    found = p_values(blocks(area_rows(HAND), "mae").table)
    # Five differences of one sign: 2 of the 32 sign patterns are as extreme; times 3, 2 and 1 by Holm,
    # never falling.
    off_diagonal = found.to_numpy()[~np.eye(3, dtype=bool)]
    np.testing.assert_allclose(off_diagonal, 3 * 2 / 32)
    assert np.diag(found).tolist() == [1, 1, 1]


def holm(table: pd.DataFrame) -> pd.DataFrame:
    """Wilcoxon's test of all pairs, identical agents p = 1, and Holm's correction by statsmodels."""
    pairs = list(combinations(table.columns, 2))
    raw = []
    for a, b in pairs:
        alike = (table[a] == table[b]).all()
        raw.append(1.0 if alike else stats.wilcoxon(table[a], table[b], zero_method="pratt").pvalue)
    expected = pd.DataFrame(1.0, table.columns, table.columns)
    for (a, b), p in zip(pairs, multipletests(raw, method="holm")[1], strict=True):
        expected.loc[a, b] = expected.loc[b, a] = p
    return expected


@pytest.mark.parametrize("runs", [1, 8, 14])  # up to 13 with ties scipy tries all signs
@pytest.mark.parametrize("values", [2, 10**6])  # many ties, none
def test_all_pairs(runs: int, values: int) -> None:
    """Beside the same one by one; with agents that are alike, of which scikit-posthocs says NaN."""
    rng = np.random.default_rng([runs, values])
    table = pd.DataFrame(rng.integers(values, size=(runs, 3)) + np.eye(3)[1], columns=list("cba"))
    table["alike"] = table["c"]
    pd.testing.assert_frame_equal(p_values(table), holm(table), rtol=1e-12, check_names=False)


def test_beside_random() -> None:
    table = area_rows(HAND | {"other": [10.0, 21.0, 29.0]})  # in two runs of five `other` is missing
    found = statistics.versus(table).set_index("agent")
    assert found[["won", "tied", "lost"]].T.to_dict("list") == {
        "best": [5, 0, 0],
        "good": [5, 0, 0],
        "other": [1, 1, 1],
    }
    assert list(found.index) == ["best", "good", "other"]
    assert found["value"].tolist() == pytest.approx([-8.0, -3.0, 0.0])
    assert found["verdict"].tolist() == ["better", "better", "few"]
    assert statistics.versus(table, share=True).set_index("agent")["value"]["good"] == pytest.approx(-0.1)
    worse = statistics.versus(table, reference="best").set_index("agent")
    assert worse["verdict"].to_dict() == {"good": "worse", "random": "worse", "other": "few"}
    gone = statistics.versus(area_rows({"random": [1.0] * 5, "gone": [np.inf] * 5}))
    assert gone["verdict"].tolist() == ["diverged"]
    assert gone["lost"].tolist() == [5]
    assert statistics.versus(area_rows({"random": [1.0] * 5, "alike": [1.0] * 5}))["verdict"].tolist() == [
        "same"
    ]


def test_tasks_are_apart_or_averaged() -> None:
    """Together only agents that are in every task count; a metric that may be negative has no shares."""
    first = area_rows({"random": [1.0] * 5, "a": [2.0] * 5, "b": [0.5] * 5}, "nll")
    second = area_rows({"random": [4.0] * 5, "a": [2.0] * 5}, "nll", dataset="e")
    table = pd.concat([first, second, pd.concat([first, second]).assign(metric="mae")])
    apart = statistics.versus(table, ["dataset"]).set_index(["dataset", "metric", "agent"])["value"]
    assert {key[::2]: value for key, value in apart.items() if key[1] == "nll"} == {
        ("d", "a"): 1.0,
        ("d", "b"): -0.5,
        ("e", "a"): -2.0,
    }
    together = statistics.versus(table, share=True).set_index(["metric", "agent"])["value"]
    assert together.to_dict() == {("nll", "a"): -0.5, ("mae", "a"): 0.25}


def test_whether_the_last_rounds_helped() -> None:
    rng, lines = np.random.default_rng(1), []
    for agent, slope in (("falls", -0.1), ("rests", 0.0), ("few", -0.1)):
        for run in range(1, 3 if agent == "few" else 7):
            for labelled in range(50, 60):
                value = slope * labelled + 0.01 * rng.normal()
                lines.append(("d", "nf", "corrected", 1, agent, run, labelled, value))
    table = last_rounds(pd.DataFrame(lines, columns=[*EXPERIMENT, "run", "labelled", "value"])).droplevel(
        [*range(4)]
    )
    assert table["seen"].to_dict() == {"falls": "gain", "rests": "no change seen", "few": ""}
    assert table.loc["falls", "mean"] == pytest.approx(-0.5, abs=0.03)
    assert table.loc["falls", "low"] < -0.5 + 0.03 < table.loc["falls", "high"] + 0.06
    assert np.isnan(table.loc["few", "low"])
