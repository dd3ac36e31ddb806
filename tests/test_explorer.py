"""The page to explore results with: its numbers are those of the statistics."""

import base64
import gzip
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.report.load import Results, load_results, select
from core.report.page import explorer_page, task_data
from core.report.statistics import labels_needed, versus
from tests.synthetic_runs import write_experiment


def page_data(text: str) -> dict[str, Any]:
    """The data of a page."""
    packed = re.search(r'<script id="data" type="text/plain">([\w+/=]+)</script>', text)
    assert packed
    return json.loads(gzip.decompress(base64.b64decode(packed[1])))


@pytest.fixture
def found(tmp_path: Path) -> Results:
    """Five runs that all agents have, one more of `random`, and another of `badge`; `bald` has one run."""
    write_experiment(tmp_path / "runs", "random", range(1, 7))
    write_experiment(tmp_path / "runs", "coreset", range(1, 6), level=0.05)
    write_experiment(tmp_path / "runs", "badge", (1, 2, 3, 4, 5, 9), level=0.2)
    write_experiment(tmp_path / "runs", "lcmd", range(1, 6))
    write_experiment(tmp_path / "runs", "bald", (2,))
    return load_results(tmp_path / "runs")


def agents(found: Results, curves: pd.DataFrame) -> list[dict[str, Any]]:
    """What the page shows of the agents if the curves are other ones."""
    (task,) = task_data(replace(found, curves=curves), {})
    return task["agents"]


def agents_of(found: Results, metric: str) -> dict[str, dict[str, Any]]:
    (task,) = page_data(explorer_page(found, "Title", ""))["tasks"]
    return {agent["name"]: agent["metrics"][metric] for agent in task["agents"]}


@pytest.mark.parametrize("metric", ["mae", "nll", "crps", "calibration"])
def test_the_numbers_are_those_of_the_statistics(found: Results, metric: str) -> None:
    shown = agents_of(found, metric)
    assert {name: agent["runs"] for name, agent in shown.items()} == {
        "random": 6,
        "coreset": 5,
        "badge": 5,
        "lcmd": 5,
        "bald": 1,
    }
    differences = select(versus(found.areas), {"metric": metric}).set_index("agent")
    needed = select(labels_needed(found.curves), {"metric": metric}).set_index("agent")
    of_metric = found.curves[(found.curves["metric"] == metric) & (found.curves["run"] < 9)]
    for name, agent in shown.items():
        if name == "random":
            assert "difference" not in agent
        else:
            expected = list(differences.loc[name, ["value", "low", "high"]])
            assert agent["verdict"] == differences.loc[name, "verdict"]
            values = [np.nan if value is None else value for value in agent["difference"]]
            assert values == pytest.approx(expected, rel=1e-3, nan_ok=True)
        curve = select(of_metric, {"agent": name}).groupby("labelled")["value"].mean()
        assert agent["x"] == list(curve.index)
        assert agent["mean"] == pytest.approx(list(curve), rel=1e-3)
        assert ("half" in agent) == (name != "bald")
        line = needed.loc[name, ["value", "low", "high"]].dropna() * 62
        labels = [np.inf if value is None else value for value in agent["labels"]]
        assert labels == pytest.approx(list(line), rel=1e-3)


def test_the_verdicts(found: Results) -> None:
    shown = agents_of(found, "nll")
    verdicts = {name: agent["verdict"] for name, agent in shown.items() if "verdict" in agent}
    assert verdicts == {"coreset": "better", "badge": "worse", "lcmd": "same", "bald": "few"}


def test_without_random_there_are_curves_but_no_differences(found: Results) -> None:
    curves = found.curves[found.curves["agent"] != "random"]
    for agent in agents(found, curves):
        assert not agent["metrics"]["nll"].keys() & {"difference", "verdict", "labels"}
        means = replace(found, curves=curves).areas.groupby(["agent", "metric"], observed=True)["area"].mean()
        assert agent["metrics"]["nll"]["area"] == pytest.approx(means[agent["name"], "nll"], rel=1e-3)


def test_a_diverged_run_is_no_obstacle(found: Results) -> None:
    curves = found.curves.copy()
    curves.loc[(curves["agent"] == "coreset") & (curves["labelled"] == 54), "value"] = np.inf
    coreset = next(agent for agent in agents(found, curves) if agent["name"] == "coreset")
    assert coreset["metrics"]["nll"]["mean"][1] is None
    assert coreset["metrics"]["nll"]["difference"][0] is None
    assert coreset["metrics"]["nll"]["verdict"] == "diverged"


def test_long_curves_are_thinned_and_keep_their_ends(tmp_path: Path) -> None:
    write_experiment(tmp_path / "runs", "random", (1,), query_size=1)
    found = load_results(tmp_path / "runs")
    curves = found.curves
    longer = curves.loc[curves.index.repeat(40)].copy()
    longer["labelled"] = longer.groupby(["run", "metric"], observed=True).cumcount() + 50
    (random,) = agents(found, longer)
    x = random["metrics"]["mae"]["x"]
    assert (x[0], x[-1], len(x)) == (50, 50 + 13 * 40 - 1, 100)
