"""Figures, the notebook and the report: on invented results, on a real run, on nothing and on half of it."""

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from itertools import chain, permutations
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from nbclient import NotebookClient

import evaluate
import report
from agents import AGENTS as REGISTERED
from core import UserError
from core.cli import run_script
from core.metrics import METRICS
from core.report import plots, sections
from core.report.analysis import areas, blocks, compare, relative_areas, select
from core.report.labels import agent_label, task_label
from core.report.reader import TASK, Results, load_results
from core.report.styles import STUDY, ordered, style
from tests.synthetic_runs import write_experiment, write_upper_bound

ROOT = Path(__file__).resolve().parent.parent
AGENTS = ("random", "balsa_emd", "balsa_emd_dual", "coreset")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of every kind, one run of them unfinished."""
    folder = tmp_path_factory.mktemp("results") / "runs"
    for i, agent in enumerate(AGENTS):
        for query_size in (4, 6):
            write_experiment(folder, agent, query_size=query_size, level=0.1 - 0.01 * i)
        write_experiment(folder, agent, variation="gauss", level=0.1 - 0.01 * i)
    write_experiment(folder, "gauss_std", variation="gauss")
    write_experiment(folder, "random", protocol="corrected")
    write_experiment(folder, "coreset", protocol="corrected", level=0.09)
    write_upper_bound(folder)
    (folder / "Diabetes/4/Coreset/run_4").mkdir()
    return folder


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
        "Over all tasks",
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


def table_of(heading: str, found: Results) -> pd.DataFrame:
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
        assert list(line.get_xdata()) == [50, 54, 58, 62]
        np.testing.assert_allclose(line.get_ydata(), curves.groupby("labelled")["value"].mean())
        # Three runs: each by itself, thinner than the mean and in its colour, and no band.
        single = [of for of in panel.get_lines() if of.get_linewidth() < line.get_linewidth()]
        drawn = [list(of.get_ydata()) for of in single if of.get_color() == line.get_color()]
        assert drawn == [list(of["value"]) for _, of in curves.groupby("run")]
        assert not panel.collections
        bound = found.upper_bounds.query(f"metric == '{metric}'").sort_values("epoch")
        (line,) = [line for line in panel.get_lines() if line.get_label() == "full data set"]
        np.testing.assert_allclose(np.asarray(line.get_ydata()), bound.groupby("run")["value"].last().mean())


def test_a_band_is_the_confidence_interval_of_the_mean(tmp_path: Path) -> None:
    write_experiment(tmp_path / "runs", "random", range(1, 7))
    write_experiment(tmp_path / "runs", "coreset", range(1, 5))
    found = load_results(tmp_path / "runs")
    figure = only("Learning curves", found, "curves_diabetes_nf_q4")
    for panel, metric in zip(figure.axes, ("mae", "nll", "crps"), strict=True):
        (collection,) = panel.collections  # of six runs; four are drawn one by one
        band = collection.get_paths()[0].vertices
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
                shown = [line.get_xydata() for line in above.get_lines() if len(line.get_xydata()) > 1]
                below = [line.get_xydata() for line in panel.get_lines() if len(line.get_xydata()) > 1]
                np.testing.assert_array_equal(np.concatenate(shown), np.concatenate(below))


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
    assert "without a run in some task: Gauss std" in figure.axes[0].get_title()


def test_tables(found: Results) -> None:
    tables = {heading: table_of(heading, found) for heading in TABLES}
    assert list(tables["Areas under the curves"]) == [metric.label for metric in METRICS.values()]
    area = tables["Areas under the curves"].loc[("diabetes", "nf", "published", 4, "random", 3)]
    task = {"variation": "nf", "protocol": "published", "query_size": 4}
    values = select(areas(found.curves), task | {"agent": "random", "metric": "mae"})["area"]
    assert area["MAE"].startswith(f"{values.mean():.4f} ± {values.std():.4f} [")
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


def test_runs_older_than_a_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are in every figure and table of the other metrics."""
    for metric in ("mae", "crps"):
        monkeypatch.setitem(METRICS, metric, replace(METRICS[metric], in_every_run=False))
    write_experiment(tmp_path / "runs", "random")
    old = write_experiment(tmp_path / "runs", "coreset")
    for query_size in (6, 12):
        write_experiment(tmp_path / "runs", "random", query_size=query_size)
    for path in [*old.glob("run_*/accuracies.csv"), *(tmp_path / "runs/Diabetes/12").rglob("crps.csv")]:
        path.unlink()
    found = load_results(tmp_path / "runs")
    assert set(found.runs["status"]) == {"finished"}
    curves = only("Learning curves", found, "curves_diabetes_nf_q4")
    labels = [text.get_text() for text in curves.legends[0].get_texts()]
    assert labels == ["Random (3)", "CoreSet (3)"]
    areas_shown = table_of("Areas under the curves", found).xs(("coreset", 3), level=("agent", "runs"))
    assert areas_shown.columns[areas_shown.isna().any()].tolist() == ["MAE"]
    text = make_report(tmp_path / "runs", tmp_path / "report.html")
    lacking = {"Dual ablation", "Upper bounds", "Critical differences, runs averaged first"}
    assert set(NAMES) - lacking <= set(headings(text))


def test_names_are_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    runs = tmp_path / "runs"
    for agent in ("random", evil):
        folder = write_experiment(runs, "random", (1, 2))
        if agent == evil:
            continue
        folder.rename(folder.with_name("Evil"))
        for path in [
            runs / "Diabetes/4/Evil/settings.txt",
            *(runs / "Diabetes/4/Evil").glob("run_*/meta.txt"),
        ]:
            path.write_text(path.read_text().replace("agent: random", f"agent: {evil}"))
    broken = write_experiment(runs, "coreset", (3,), dataset="<script>data</script>".replace("/", ""))
    (broken / "run_3/likelihoods.csv").write_text(f"added,{evil}\n{evil}\n")
    text = make_report(runs, tmp_path / "report.html")
    assert evil in set(load_results(runs).runs["agent"])
    assert "alert(1)" in text
    assert Page(text).scripts == 0
    assert "<script" not in text.lower()


def notebook(runs: Path, out: Path, first: str = "") -> str:
    """Runs the notebook from top to bottom, after a cell `first`; all that it prints and shows as text."""
    book = nbformat.read(ROOT / "eval_plots.ipynb", as_version=4)
    for cell in book.cells:
        cell.source = cell.source.replace('"runs"', repr(str(runs))).replace('"figures"', repr(str(out)))
    book.cells.insert(0, nbformat.v4.new_code_cell(first))
    client = NotebookClient(book, timeout=300, resources={"metadata": {"path": str(ROOT)}})
    client.execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    shown = [output.get("data", {}) for output in outputs]
    texts = [data.get("text/markdown") or data.get("text/plain", "") for data in shown]
    return "\n".join(output.get("text") or text for output, text in zip(outputs, texts, strict=True))


def test_notebook_is_committed_without_outputs() -> None:
    book = nbformat.read(ROOT / "eval_plots.ipynb", as_version=4)
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in book.cells)
    assert max(len(cell.source.splitlines()) for cell in book.cells) < 15


def test_notebook_on_all_kinds_of_results(runs: Path, tmp_path: Path) -> None:
    text = notebook(runs, tmp_path / "figures")
    names = [name for section in NAMES for name in NAMES[section] + CORRECTED.get(section, [])]
    written = {path.name for path in (tmp_path / "figures").iterdir()}
    assert written == {f"{name}.{ending}" for name in names for ending in ("pdf", "png")}
    assert text.count("for this") == 2  # nobody has fewer runs than others, there are no problems


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short real runs of two agents, a third one that was broken off."""
    folder = tmp_path_factory.mktemp("real") / "runs"
    trial = ["--dataset", "diabetes", "--query_size", "3", "--budget", "6", "--runs_folder", str(folder)]
    for agent in ("random", "coreset"):
        assert evaluate.main([*trial, "--agent", agent, "--restarts", "2"]) == 0
    shutil.copytree(folder / "Diabetes/3/Coreset_Greedy/run_2", folder / "Diabetes/3/Coreset_Greedy/run_3")
    (folder / "Diabetes/3/Coreset_Greedy/run_3/meta.txt").unlink()
    return folder


def test_notebook_on_real_half_finished_runs(real: Path, tmp_path: Path) -> None:
    text = notebook(real, tmp_path / "figures")
    assert (tmp_path / "figures/curves_diabetes_nf_q3.png").exists()
    assert "coreset" in text
    assert re.search(r"random\s+3\b", text)  # run 3 of random is missing, that of coreset unfinished


def test_notebook_on_nothing(tmp_path: Path) -> None:
    text = notebook(tmp_path / "runs", tmp_path / "figures")
    assert text.count(f"nothing in {tmp_path / 'runs'} for this") == len(sections.SECTIONS)


OWN_SECTIONS = """
from matplotlib.figure import Figure
import pandas as pd
from core.report.sections import section

@section("A figure of our own")
def own_figure(found):
    'What it shows.'
    figure = Figure()
    figure.suptitle(f"{len(found.runs)} runs")
    yield "own_figure", figure

@section("A table of our own")
def own_table(found):
    'What it lists.'
    return pd.DataFrame({"mine": ["owned"]})
"""


def test_one_function_adds_a_section_to_report_and_notebook(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "SECTIONS", {})
    monkeypatch.setattr(report, "SECTIONS", sections.SECTIONS)
    exec(OWN_SECTIONS, {})
    text = make_report(runs, tmp_path / "report.html")
    assert headings(text) == ["A figure of our own", "A table of our own"]
    assert Page(text).figures == ["own_figure"]
    assert "What it shows." in text
    assert "owned" in text

    few = tmp_path / "few"
    write_experiment(few)
    text = notebook(few, tmp_path / "figures", OWN_SECTIONS)
    assert (tmp_path / "figures/own_figure.png").exists()
    assert "owned" in text
    assert "## A figure of our own\n\nWhat it shows." in text
    assert text.index("## Learning curves") < text.index("## A table of our own")


def test_a_section_without_a_text_or_with_anothers_heading_is_refused() -> None:
    def silent(found: Results) -> pd.DataFrame:
        return pd.DataFrame()

    with pytest.raises(ValueError, match="'Mine': silent needs a docstring"):
        sections.section("Mine")(silent)
    with pytest.raises(ValueError, match="'Time' is there already"):
        sections.section("Time")(sections.times)


class Page(HTMLParser):
    """Which figures and headings a page has, and what it would fetch or execute."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.figures: list[str] = []
        self.svgs = self.scripts = 0
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "figure":
            self.figures.append(given["id"] or "")
        self.svgs += tag == "svg"
        self.scripts += tag == "script"
        links = [given.get("src"), given.get("href"), given.get("xlink:href")]
        self.fetched += [link for link in links if link and not link.startswith(("#", "data:"))]


def headings(text: str) -> list[str]:
    return re.findall(r"<h2[^>]*>(.*?)</h2>", text)


def make_report(folder: Path, out: Path) -> str:
    report.main(["--runs_folder", str(folder), "--out", str(out)])
    return out.read_text()


def test_report_holds_every_figure_and_table(runs: Path, found: Results, tmp_path: Path) -> None:
    text = make_report(runs, tmp_path / "report.html")
    page = Page(text)
    assert page.figures == [name for heading in sections.SECTIONS for name in names_of(heading, found)]
    assert page.svgs == len(page.figures)
    assert page.scripts == 0
    assert not page.fetched
    empty = ("Problems", "Fewer runs than others")
    assert headings(text) == [heading for heading in sections.SECTIONS if heading not in empty]
    assert "Not here, as the runs give none of it: Fewer runs than others, Problems." in text
    assert "45 finished runs" in text
    # Clip paths and markers of one figure must not be those of another.
    svgs = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    ids = [set(re.findall(r'<clipPath id="([^"]+)"', svg)) for svg in svgs]
    assert sum(map(len, ids)) == len(set.union(*ids))


def test_report_in_a_browser(runs: Path, found: Results, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs chromium")
    page = tmp_path / "report.html"
    make_report(runs, page)
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
    command += ["--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={tmp_path / 'page.png'}"]
    done = subprocess.run(
        [*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert "CONSOLE" not in done.stderr
    shown = Page(done.stdout)
    assert shown.figures == [name for heading in sections.SECTIONS for name in names_of(heading, found)]
    assert shown.svgs == len(shown.figures)


def test_report_on_half_finished_runs_and_on_nothing(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = make_report(real, tmp_path / "report.html")
    assert "4 finished runs" in text
    assert "1 unfinished or damaged" in text
    assert "What is missing" in text
    (tmp_path / "runs").mkdir()
    text = make_report(tmp_path / "runs", tmp_path / "empty.html")
    assert "No finished runs in" in text
    assert "<svg" not in text
    assert "No finished runs in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--runs_folder", "nowhere"], "--runs_folder nowhere is not there, nor any of its sisters"),
        (["--runs_folder", ".", "--out", "no/report.html"], "no/report.html cannot be written"),
        (["--runs", "."], "unrecognized arguments"),
    ],
)
def test_wrong_input_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        run_script(lambda: report.main(arguments))
    assert left.value.code == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_figures_that_cannot_be_written(found: Results, tmp_path: Path) -> None:
    figure = only("Upper bounds", found, "upper_bound_diabetes_nf")
    for path in (tmp_path / "no/such.png", tmp_path / "figure.txtx"):
        with pytest.raises(UserError, match="cannot write"):
            plots.save(figure, path)


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    for query_size in (4, 6):
        folder = write_experiment(tmp_path / "runs", query_size=query_size)
        for run in (1, 2):
            path = folder / f"run_{run}/likelihoods.csv"
            path.write_text(re.sub(r"^12,.*$", "12,inf", path.read_text(), flags=re.MULTILINE))
        write_experiment(tmp_path / "runs", "coreset", query_size=query_size)
    write_upper_bound(tmp_path / "runs")
    path = tmp_path / "runs/Diabetes/UpperBound/run_1/likelihoods.csv"
    path.write_text(re.sub(r"^30,.*$", "30,inf", path.read_text(), flags=re.MULTILINE))
    text = make_report(tmp_path / "runs", tmp_path / "report.html")
    assert "curves_diabetes_nf_q4" in text


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
    assert ordered(["zeta", "coreset", "alpha", "random", "balsa_emd"]) == [
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
