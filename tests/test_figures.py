"""Figures and tables of the report, on invented results."""

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
from core.report.leaderboard import agent_label
from core.report.load import Results, load_results, select
from core.report.plots import learning_curves
from core.report.statistics import blocks
from tests.synthetic_runs import AGENTS, write_every_kind, write_experiment
from tests.test_statistics import area_rows


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_every_kind(tmp_path_factory.mktemp("results") / "runs")


@pytest.fixture(scope="module")
def found(runs: Path) -> Results:
    return load_results(runs)


TASKS = ("gauss_q4", "nf_q4", "nf_q6")
MAIN = ("nll", "mae")
NAMES = {
    "Learning curves": [f"curves_diabetes_{task}_{m}" for task in TASKS for m in MAIN],
    "Compared with random": [f"beside_random_{model}_{m}" for model in ("gauss", "nf") for m in MAIN],
    "Critical differences": [f"critical_differences{of}_{m}" for of in ("", "_gauss", "_nf") for m in MAIN],
    "Dual ablation": [f"dual_diabetes_{task}_nll" for task in TASKS],
    "Calibration": [f"calibration_diabetes_{task}" for task in TASKS],
    "Labels needed": ["labels_gauss", "labels_nf"],
}
CORRECTED = {
    "Learning curves": [f"curves_diabetes_nf_q4_{m}_corrected" for m in MAIN],
    "Compared with random": [f"beside_random_nf_{m}_corrected" for m in MAIN],
    "Labels needed": ["labels_nf_corrected"],
    "Critical differences": [f"critical_differences_{m}_corrected" for m in MAIN],
    "Calibration": ["calibration_diabetes_nf_q4_corrected"],
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


def names_at_ends(panel: Axes) -> list[str]:
    """The names beside a panel, from above."""
    texts = [text for text in panel.texts if text.get_position()[0] > 1]
    return [text.get_text() for text in sorted(texts, key=lambda text: -text.get_position()[1])]


def test_learning_curves_are_the_means_and_below_them_the_differences(found: Results) -> None:
    task = {"variation": "nf", "protocol": "published", "query_size": 4, "metric": "mae"}
    curves = select(found.curves, task)
    table = curves.pivot(index=["labelled", "run"], columns="agent", values="value")
    top, below = only("Learning curves", found, "curves_diabetes_nf_q4_mae").axes
    assert "test error (MAE)" in top.get_ylabel()
    less = table.sub(table["random"], axis=0)
    for panel, values in ((top, table), (below, less.drop(columns="random"))):
        curves_of = [points(line) for line in panel.get_lines() if len(points(line)) == 4]
        assert len(curves_of) == values.shape[1]
        for agent in values:
            mean = values[agent].groupby("labelled").mean()
            expected = np.transpose([mean.index, mean])
            assert any(np.allclose(drawn, expected) for drawn in curves_of)
    last = table.groupby("labelled").mean().iloc[-1].sort_values(ascending=False)
    assert names_at_ends(top) == [agent_label(str(agent)) for agent in last.index]
    assert not top.collections  # of three runs there is no band
    bound = found.upper_bounds.query("metric == 'mae'").sort_values("epoch")
    bound_at = bound.groupby("run")["value"].last().mean()
    marks = {text.get_text() for text in top.texts}
    assert {f"seed set: {table['random'].loc[50].mean():.3g}", f"all data: {bound_at:.3g}"} <= marks


def test_a_band_is_the_confidence_interval_of_the_mean(tmp_path: Path) -> None:
    write_experiment(tmp_path / "runs", "random", range(1, 7))
    write_experiment(tmp_path / "runs", "coreset", range(1, 5))
    found = load_results(tmp_path / "runs")
    (collection,) = only("Learning curves", found, "curves_diabetes_nf_q4_mae").axes[0].collections
    band = np.asarray(collection.get_paths()[0].vertices)  # of six runs; four have none
    values = found.curves.query("metric == 'mae' and agent == 'random' and labelled == 54")["value"]
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


def test_of_many_agents_your_own_random_and_the_best_are_named() -> None:
    level = {f"agent_{i:02}": [3.0, 2.0 + i / 100] for i in range(30)}
    curves = made_curves(level | {"random": [3.0, 2.05], "mine": [3.0, 2.9]})
    top, _ = learning_curves(curves, "mae", own=["mine"]).axes
    assert names_at_ends(top) == ["Mine", "Random", "Agent 02", "Agent 01", "Agent 00"]
    colours = [line.get_color() for line in top.get_lines() if len(points(line)) == 2]
    assert colours.count(plots.GREY) == 27
    heights = sorted(text.get_position()[1] for text in top.texts if text.get_position()[0] > 1)
    assert np.diff(heights).min() > 0.03  # they do not lie on each other
    for metric in METRICS:
        of_all = learning_curves(made_curves({name: [1.0, 0.5] for name in REGISTERED.classes}), metric)
        assert len(names_at_ends(of_all.axes[0])) == 4


def test_an_early_spike_does_not_stretch_the_axis() -> None:
    falling = [1 / (1 + i) for i in range(21)]
    top = learning_curves(
        made_curves({"random": [50.0, 20.0, *falling], "b": [50.0, *falling, 0.04]}), "nll"
    ).axes[0]
    assert top.get_ylim()[1] < 1.5
    assert "seed set: 50 ↑" in {text.get_text() for text in top.texts}
    for values in ([1.0, float("inf"), 0.5], [float("nan")] * 3, [-2.0, 0.1, 0.9]):
        learning_curves(made_curves({"a": values}), "mae")


def test_errors_in_the_target_s_own_units() -> None:
    curves = made_curves({"random": [3.0, 2.0], "mine": [3.0, 2.5]})
    scaled, own = (learning_curves(curves, "mae", unit=unit).axes[0] for unit in ((1.0, ""), (7.0, "mg/l")))
    for one, other in zip(scaled.get_lines(), own.get_lines(), strict=True):
        values, expected = (np.asarray(line.get_ydata(), float) for line in (other, one))
        np.testing.assert_allclose(values, 7 * expected)
    assert "mg/l" in own.get_ylabel()


def test_agents_stand_in_three_groups_beside_random() -> None:
    steady = [1.0, 1.1, 0.9, 1.2, 1.0]
    shift = {"better": -0.2, "worse": 0.2, "far": 90.0}
    agents = {name: [value + by + i / 100 for i, value in enumerate(steady)] for name, by in shift.items()}
    agents |= {"same": [1.1, 1.0, 1.0, 1.1, 0.9], "few": [1.3, 1.2]}
    figure = plots.leaderboard(area_rows({"random": steady} | agents, "nll"), "nll", "here")
    panel = figure.axes[0]
    assert [text.get_text() for text in panel.get_yticklabels()] == ["Better", "Same", "Worse", "Far", "Few"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["better", "no difference seen", "worse", "fewer than 5 runs: no interval"]
    # One far away is an arrow at the edge, with its number.
    assert panel.get_xlim()[1] < 10
    assert "+90" in "".join(text.get_text() for text in panel.texts)


def test_critical_differences_tell_who_differs(found: Results) -> None:
    figure = only("Critical differences", found, "critical_differences_nll")
    shown = {text.get_text() for text in figure.axes[0].texts}
    table = blocks(select(found.areas, {"protocol": "published"}), "nll").table
    for agent, rank in table.rank(axis=1).mean().items():
        name = agent_label(str(agent))
        assert {f"{name} ({rank:.1f})", f"({rank:.1f}) {name}"} & shown
    assert len(shown) == len(AGENTS)
    said = figure.get_supxlabel()
    assert "9 blocks, lower is better" in said
    assert "not ranked, for lack of common runs: Gauss std" in said


def test_tables(found: Results) -> None:
    task = {"variation": "nf", "protocol": "published", "query_size": 4}
    boards = table_of("Leaderboards", found)
    line = boards.loc[("diabetes", "nf", "published", 4, "coreset")]
    values = select(found.areas, task | {"agent": "coreset", "metric": "mae"})["area"]
    assert line["AUC MAE"] == f"{values.mean():.4g}"
    assert line["MAE won / tied / lost"] == "3 / 0 / 0"
    upper = table_of("Upper bounds, last epoch", found).loc[("diabetes", "nf", "published")]
    assert upper["restarts"] == 2
    seconds = table_of("Seconds to choose", found)
    runs = select(found.runs, task | {"agent": "coreset", "status": "finished"})
    chosen_in = (runs["seconds_choosing"] / 3).mean()
    assert float(seconds.loc["coreset", ("diabetes", "nf", "published", 4)]) == pytest.approx(
        chosen_in, rel=0.01
    )
