"""Figures, the notebook and the report: on invented results, on a real run, on nothing and on half of it."""

import re
from itertools import chain, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agents import AGENTS as REGISTERED
from core import UserError
from core.metrics import METRICS
from core.report import plots, sections
from core.report.analysis import areas, blocks, compare, relative_areas, select
from core.report.labels import agent_label, task_label
from core.report.reader import TASK, Results, load_results
from core.report.styles import STUDY, ordered, style
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
    "Upper bounds": ["upper_bound_diabetes_nf"],
}
CORRECTED = {
    "Learning curves": ["curves_diabetes_nf_q4_corrected"],
    "Beside random": ["heat_map_nll_corrected", "heat_map_mae_corrected"],
    "Critical differences": ["critical_differences_nll_corrected", "critical_differences_mae_corrected"],
    "Calibration": ["calibration_diabetes_nf_q4_corrected"],
    "Time": ["times_diabetes_nf_q4_corrected"],
}


TABLES = [
    *("Finished runs", "Areas under the curves", "Wins against random", "Mean ranks"),
    *(
        "Over several tasks",
        "Differences between agents",
        "Upper bounds, last epoch",
        "What is missing",
        "Fewer runs than others",
    ),
]


def figures_of(heading: str, found: Results) -> dict[str, Figure]:
    made = sections.SECTIONS[heading].make(found)
    assert not isinstance(made, pd.DataFrame)
    return dict(made)


def table_of(heading: str, found: Results) -> Any:
    """A section's table; for pandas' stubs `.loc` of several levels might give anything."""
    made = sections.SECTIONS[heading].make(found)
    assert isinstance(made, pd.DataFrame)
    return made


def test_a_section_says_what_it_shows() -> None:
    assert {*NAMES, *TABLES, "Problems"} <= set(sections.SECTIONS)
    for heading, section in sections.SECTIONS.items():
        assert section.heading == heading
        assert section.text.endswith(".")
        assert "\n" not in section.text
    assert "may pass below the line 'full data set'" in sections.SECTIONS["Learning curves"].text
    assert "Only what was begun" in sections.SECTIONS["What is missing"].text


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
        ({"a": late}, False),
        ({"a": [0.3] * 9}, False),
        ({"a": [5.0] + [0.3] * 9}, False),  # two levels alone
        ({"a": [1.0, float("inf"), 0.5]}, False),
        ({"a": [float("nan")] * 3}, False),
    ):
        figure = plots.learning_curves(made_curves(values))
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


def test_a_long_title_ends_before_a_wide_legend() -> None:
    title = "Diamonds, normalizing flow, query size 50, corrected protocol; pale: 23 stored agents"
    title += ", over the first 400 points"
    curves = made_curves({f"balsa_kl_pairs_dual_{i}": [0.2, 0.1, 0.15] for i in range(26)})
    figure = plots.learning_curves(curves, title=title, front=["balsa_kl_pairs_dual_1"])
    figure.draw_without_rendering()
    heading = next(text for text in figure.texts if text.get_text().startswith("Diamonds"))
    assert heading.get_text().split() == title.split()
    assert heading.get_window_extent().x1 < figure.legends[0].get_window_extent().x0


def test_the_first_epochs_are_never_cut_off() -> None:
    curves = made_curves({"a": [9.0, 4.0] + [0.2 + 0.1 * (i % 3) for i in range(40)]})
    figure = plots.upper_bound_curves(curves.rename(columns={"labelled": "epoch"}))
    assert all(panel.child_axes and seen_at(panel, 9.0) and seen_at(panel, 0.2) for panel in figure.axes)


@pytest.mark.parametrize("count", [1, 2, 8])
@pytest.mark.parametrize("metric", ["nll", "calibration"])
def test_labels_of_a_heat_map_are_whole(count: int, metric: str) -> None:
    lines = [("d", "nf", "published", 1, f"a{i}", 1.0 + i, 1.0, 0.5 * i, 1.0 + i) for i in range(count)]
    table = pd.DataFrame(lines, columns=[*TASK, "agent", "area", "reference", "difference", "ratio"])
    figure = plots.heat_map(table, metric, "area under the curve")
    figure.draw_without_rendering()
    panel, bar = figure.axes
    for label in (bar.yaxis.label, panel.title, *panel.get_xticklabels(), *panel.get_yticklabels()):
        extent = label.get_window_extent()
        assert extent.width > 0
        assert (extent.y0, extent.x0) >= (0, 0), label.get_text()
        assert extent.y1 <= figure.bbox.y1, label.get_text()
        assert extent.x1 <= figure.bbox.x1, label.get_text()


def test_an_agent_looks_the_same_everywhere(found: Results) -> None:
    seen: dict[str, set[tuple[str, str]]] = {}
    for section in ("Learning curves", "Query sizes", "Dual ablation", "Calibration"):
        for figure in figures_of(section, found).values():
            for panel in figure.axes:
                for line in panel.get_lines():
                    label = re.sub(r" \(\d+\)$", "", str(line.get_label()))
                    if not label.startswith("_"):
                        seen.setdefault(label, set()).add((str(line.get_color()), str(line.get_linestyle())))
    assert {"Random", "CoreSet", "BALSA EMD", "BALSA EMD dual", "Gauss std"} <= set(seen)
    assert all(len(styles) == 1 for styles in seen.values())
    of_agents = [styles for label, styles in seen.items() if label not in ("full data set", "calibrated")]
    assert len(set.union(*of_agents)) == len(of_agents)


def test_heat_map_says_how_far_from_random(found: Results) -> None:
    of_metric = areas(select(found.curves, {"protocol": "published"}))
    for metric, unit in (("mae", "%"), ("nll", "difference")):
        relative = relative_areas(of_metric, metric)
        figure = plots.heat_map(relative, metric)
        line = relative.query("variation == 'nf' and query_size == 6 and agent == 'coreset'").iloc[0]
        text = f"{100 * (line['ratio'] - 1):+.1f}" if unit == "%" else f"{line['difference']:+.2f}"
        columns = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
        rows = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
        at = columns.index("Diabetes\nnf, 6"), rows.index("CoreSet")
        (cell,) = [t for t in figure.axes[0].texts if t.get_position() == at]
        assert cell.get_text() == text
        assert unit in figure.axes[1].get_ylabel()


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
    tables = {heading: table_of(heading, found) for heading in TABLES}
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
    assert tables["Finished runs"].loc[("diabetes", "nf", "published", 4, "random"), "runs"] == 3


def test_who_has_fewer_runs_than_others(tmp_path: Path) -> None:
    write_experiment(tmp_path / "runs", "random", range(1, 5))
    folder = write_experiment(tmp_path / "runs", "coreset", range(1, 4))
    (folder / "run_2/meta.txt").unlink()
    write_experiment(tmp_path / "runs", "bald", range(2, 6))
    write_experiment(tmp_path / "runs", "random", (1,), query_size=6)  # nobody else there
    table = table_of("Fewer runs than others", load_results(tmp_path / "runs"))
    assert table.to_dict("index") == {
        ("diabetes", "nf", "published", 4, "coreset"): {"finished": 2, "most of an agent here": 4}
    }


def test_figures_that_cannot_be_written(found: Results, tmp_path: Path) -> None:
    figure = only("Upper bounds", found, "upper_bound_diabetes_nf")
    no_folder, no_format = tmp_path / "no/such.png", tmp_path / "figure.txtx"
    with pytest.raises(UserError, match=f"{no_folder} cannot be written: No such file"):
        plots.save(figure, no_folder)
    with pytest.raises(UserError, match=f"cannot write {no_format}: Format 'txtx' is not supported"):
        plots.save(figure, no_format)
    assert not list(tmp_path.glob("*figure*"))


def test_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    assert agent_label("balsa_kl_pairs_dual") == "BALSA KL pairs dual"
    assert agent_label("my_agent") == "My agent"
    assert task_label({"dataset": "sarcos", "variation": "gauss", "query_size": 1}) == (
        "Sarcos, Gaussian, query size 1"
    )
    monkeypatch.setattr(REGISTERED["balsa_emd"], "label", "Mover <2>", raising=False)
    assert agent_label("balsa_emd") == "Mover <2>"
    assert agent_label("balsa_emd_dual") == "BALSA EMD dual"  # not inherited


def test_styles_of_the_study() -> None:
    assert set(STUDY) < set(REGISTERED.classes)
    styles = [str(style(agent)) for agent in ("random", *STUDY)]
    assert len(set(styles)) == len(styles)
    assert style("coreset") == {"color": "#CC79A7", "linestyle": "-"}
    assert ordered(pd.Index(["zeta", "coreset", "alpha", "random", "balsa_emd"])) == [
        *("random", "balsa_emd", "coreset", "alpha", "zeta")
    ]


def test_any_other_agent_has_a_style_by_its_name() -> None:
    assert style("uncertain_far") == {"color": "#E6007E", "linestyle": "-."}  # in each process the same
    names = [f"agent_{i}" for i in range(300)]
    own = {str(style(name)) for name in names}
    assert len(own) == 30
    assert not own & {str(style(agent)) for agent in ("random", *STUDY)}
    assert len({str(style("".join(letters))) for letters in permutations("abcd")}) > 10  # anagrams


def test_every_registered_agent_is_drawn() -> None:
    curves = made_curves({name: [1.0, 0.5, 0.25] for name in REGISTERED.classes})
    figure = plots.learning_curves(curves)
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert labels == {f"{agent_label(name)} (1)" for name in REGISTERED.classes}
    assert len(labels) == len(REGISTERED.classes)
