"""Figures and tables of the report, on invented results."""

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agents import AGENTS as REGISTERED
from core.metrics import METRICS
from core.report import plots, sections
from core.report.curves import learning_curves
from core.report.labels import agent_label
from core.report.load import Results, areas, load_results, select
from core.report.statistics import blocks, compare
from tests.synthetic_runs import AGENTS, write_every_kind, write_experiment


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_every_kind(tmp_path_factory.mktemp("results") / "runs")


@pytest.fixture(scope="module")
def found(runs: Path) -> Results:
    return load_results(runs)


NAMES = {
    "Learning curves": ["curves_diabetes_gauss_q4", "curves_diabetes_nf_q4", "curves_diabetes_nf_q6"],
    "Query sizes": ["query_sizes_diabetes_nf"],
    "Beside random": ["heat_map_nll", "heat_map_mae"],
    "Critical differences": [
        f"critical_differences{of}_{m}" for of in ("", "_gauss", "_nf") for m in ("nll", "mae")
    ],
    "Critical differences, runs averaged first": [
        f"critical_differences_tasks{of}_{m}" for of in ("", "_nf") for m in ("nll", "mae")
    ],
    "Dual ablation": ["dual_diabetes_gauss_q4", "dual_diabetes_nf_q4", "dual_diabetes_nf_q6"],
    "Calibration": [f"calibration_diabetes_{task}" for task in ("gauss_q4", "nf_q4", "nf_q6")],
    "Time": ["times_diabetes_gauss_q4", "times_diabetes_nf_q4", "times_diabetes_nf_q6"],
    "Labels needed": ["labels_gauss", "labels_nf"],
    "Upper bounds": ["upper_bound_diabetes_nf"],
}
CORRECTED = {
    "Learning curves": ["curves_diabetes_nf_q4_corrected"],
    "Beside random": ["heat_map_nll_corrected", "heat_map_mae_corrected"],
    "Labels needed": ["labels_nf_corrected"],
    "Critical differences": ["critical_differences_nll_corrected", "critical_differences_mae_corrected"],
    "Calibration": ["calibration_diabetes_nf_q4_corrected"],
    "Time": ["times_diabetes_nf_q4_corrected"],
}


def figures_of(heading: str, found: Results) -> dict[str, Figure]:
    made = sections.SECTIONS[heading].make(found)
    assert not isinstance(made, pd.DataFrame)
    return dict(made)


def table_of(heading: str, found: Results) -> Any:
    """A section's table; for pandas' stubs `.loc` of several levels might give anything."""
    made = sections.SECTIONS[heading].make(found)
    assert isinstance(made, pd.DataFrame)
    return made


@pytest.mark.parametrize("heading", NAMES)
def test_every_section_has_its_figures(found: Results, heading: str, tmp_path: Path) -> None:
    drawn = figures_of(heading, found)
    assert sorted(drawn) == sorted(NAMES[heading] + CORRECTED.get(heading, []))
    for name, figure in drawn.items():
        plots.save(figure, tmp_path / f"{name}.pdf")
        assert figure.get_suptitle() or figure.axes[0].get_title()


def names_of(heading: str, found: Results) -> list[str]:
    made = sections.SECTIONS[heading].make(found)
    return [] if isinstance(made, pd.DataFrame) else [name for name, _ in made]


def points(line: Line2D) -> np.ndarray:
    """What a line goes through [n, 2]."""
    return np.asarray(line.get_xydata())


def only(section: str, found: Results, name: str) -> Figure:
    return figures_of(section, found)[name]


def test_learning_curves_are_the_means(found: Results) -> None:
    figure = only("Learning curves", found, "curves_diabetes_nf_q4")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["Random (3)", "BALSA EMD (3)", "CoreSet (3)", "BALSA EMD dual (3)", "full data set"]
    for panel, metric in zip(figure.axes, ("mae", "nll", "crps"), strict=True):
        of_task = "variation == 'nf' and protocol == 'published' and query_size == 4"
        curves = found.curves.query(f"{of_task} and metric == '{metric}' and agent == 'coreset'")
        (line,) = [line for line in panel.get_lines() if line.get_label() == "CoreSet (3)"]
        assert points(line)[:, 0].tolist() == [50, 54, 58, 62]
        np.testing.assert_allclose(points(line)[:, 1], curves.groupby("labelled")["value"].mean())
        # Three runs: each by itself, thinner than the mean and in its colour, and no band.
        single = [of for of in panel.get_lines() if of.get_linewidth() < line.get_linewidth()]
        drawn = [points(of)[:, 1].tolist() for of in single if of.get_color() == line.get_color()]
        assert drawn == [list(of["value"]) for _, of in curves.groupby("run")]
        assert not panel.collections
        bound = found.upper_bounds.query(f"metric == '{metric}'").sort_values("epoch")
        (line,) = [line for line in panel.get_lines() if line.get_label() == "full data set"]
        np.testing.assert_allclose(points(line)[:, 1], bound.groupby("run")["value"].last().mean())


def test_a_band_is_the_confidence_interval_of_the_mean(tmp_path: Path) -> None:
    write_experiment(tmp_path / "runs", "random", range(1, 7))
    write_experiment(tmp_path / "runs", "coreset", range(1, 5))
    found = load_results(tmp_path / "runs")
    figure = only("Learning curves", found, "curves_diabetes_nf_q4")
    for panel, metric in zip(figure.axes, ("mae", "nll", "crps"), strict=True):
        (collection,) = panel.collections  # of six runs; four are drawn one by one
        band = np.asarray(collection.get_paths()[0].vertices)
        at_54 = f"metric == '{metric}' and agent == 'random' and labelled == 54"
        values = found.curves.query(at_54)["value"]
        half = 2.570581835636314 * values.std() / 6**0.5  # t of 97.5 % with five degrees of freedom
        at = band[band[:, 0] == 54, 1]
        np.testing.assert_allclose([at.min(), at.max()], [values.mean() - half, values.mean() + half])


def made_curves(values: dict[str, list[float]]) -> pd.DataFrame:
    """Curves of one run each, a row for each labelled point, the same for each metric."""
    lines = [
        (agent, 1, labelled, metric, value)
        for agent, of_agent in values.items()
        for labelled, value in enumerate(of_agent)
        for metric in METRICS
    ]
    return pd.DataFrame(lines, columns=["agent", "run", "labelled", "metric", "value"])


def seen_at(panel: Axes, value: float) -> bool:
    """Whether a value lies within the limits of a panel, or of the part above its break."""
    return any(low <= value <= high for low, high in (part.get_ylim() for part in (panel, *panel.child_axes)))


def test_the_beginning_is_never_cut_off() -> None:
    falling = [1 / (1 + i) for i in range(21)]
    late = [0.1] * 15 + [0.9] * 6
    for values, broken in (
        ({"a": [50.0, 20.0, *falling], "b": falling}, True),
        ({"a": [-2.0, *late]}, False),  # far below
        ({"a": [1.0, float("inf"), 0.5]}, False),
        ({"a": [float("nan")] * 3}, False),
    ):
        figure = learning_curves(made_curves(values))
        for panel in figure.axes:
            assert bool(panel.child_axes) is broken
            for value in filter(np.isfinite, chain(*values.values())):
                assert seen_at(panel, value)
            for above in panel.child_axes:  # the two parts meet: what lies between is seen too
                assert above.get_ylim()[0] == panel.get_ylim()[1]
                assert above.get_xlim() == panel.get_xlim()
                shown = [points(line) for line in above.get_lines() if len(points(line)) > 1]
                below = [points(line) for line in panel.get_lines() if len(points(line)) > 1]
                np.testing.assert_array_equal(np.concatenate(shown), np.concatenate(below))


def test_critical_differences_tell_who_differs(found: Results) -> None:
    figure = only("Critical differences", found, "critical_differences_nll")
    shown = {text.get_text() for text in figure.axes[0].texts}
    compared = compare(blocks(select(areas(found.curves), {"protocol": "published"}), "nll").table)
    for agent, rank in compared.mean_ranks.items():
        name = agent_label(str(agent))
        assert {f"{name} ({rank:.2f})", f"({rank:.2f}) {name}"} & shown
    assert len(shown) == len(AGENTS)
    assert "9 blocks, Friedman p = " in figure.axes[0].get_title()
    table = table_of("Mean ranks", found)
    assert list(table.index.unique("metric")) == [metric.label for metric in METRICS.values()]
    assert set(table.loc["CRPS"].index) == {*AGENTS, "gauss_std", "(blocks)"}
    p_values = table_of("Differences between agents", found)
    for metric in METRICS.values():
        assert list(p_values.loc["published", metric.label].index) == sorted(AGENTS)
        assert list(p_values.loc["corrected", metric.label].dropna(axis=1).index) == ["coreset", "random"]
    assert "without a run in some task, or in common with the others: Gauss std" in figure.axes[0].get_title()


def test_tables(found: Results) -> None:
    shown = ("Areas under the curves", "Wins against random", "Upper bounds, last epoch", "What is missing")
    tables = {heading: table_of(heading, found) for heading in shown}
    assert list(tables["Areas under the curves"]) == [metric.label for metric in METRICS.values()]
    area = tables["Areas under the curves"].loc[("diabetes", "nf", "published", 4, "random", 3)]
    task = {"variation": "nf", "protocol": "published", "query_size": 4}
    values = select(areas(found.curves), task | {"agent": "random", "metric": "mae"})["area"]
    assert area["MAE"] == f"{values.mean():.4f} ± {values.std():.4f}"  # three runs: no interval
    wins = tables["Wins against random"]
    assert list(wins.index.unique("metric")) == [metric.label for metric in METRICS.values()]
    assert wins.loc[("MAE", "coreset"), ("diabetes", "nf", "published", 4)] == "3 / 0 / 0"
    upper = tables["Upper bounds, last epoch"].loc[("diabetes", "nf", "published")]
    assert upper["restarts"] == 2
    missing = tables["What is missing"].set_index(["variation", "query_size", "agent", "protocol"])
    assert missing.loc[("nf", 4, "coreset", "published"), "unfinished"] == "4"


def test_every_registered_agent_is_drawn() -> None:
    curves = made_curves({name: [1.0, 0.5, 0.25] for name in REGISTERED.classes})
    figure = learning_curves(curves)
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert labels == {f"{agent_label(name)} (1)" for name in REGISTERED.classes}
    assert len(labels) == len(REGISTERED.classes)
