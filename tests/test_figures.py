"""Figures, the notebook and the report: on invented results, on a real run, on nothing and on half of it."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from nbclient import NotebookClient

import agents
import evaluate
import report
from core import UserError
from core.cli import run_script
from core.report import plots, sections
from core.report.analysis import areas, blocks, compare, relative_areas, select
from core.report.labels import agent_label, task_label
from core.report.reader import Results, load_results
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


@pytest.mark.parametrize("heading", sections.FIGURES)
def test_every_section_has_its_figures(found: Results, heading: str, tmp_path: Path) -> None:
    drawn = dict(sections.FIGURES[heading](found))
    assert sorted(drawn) == sorted(NAMES[heading] + CORRECTED.get(heading, []))
    for name, figure in drawn.items():
        plots.save(figure, tmp_path / f"{name}.pdf")
        assert figure.get_suptitle() or figure.axes[0].get_title()


def only(section: str, found: Results, name: str) -> Figure:
    return dict(sections.FIGURES[section](found))[name]


def test_learning_curves_are_the_means(found: Results) -> None:
    figure = only("Learning curves", found, "curves_diabetes_nf_q4")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["Random (3)", "BALSA EMD (3)", "CoreSet (3)", "BALSA EMD dual (3)", "full data set"]
    for panel, metric in zip(figure.axes, ("mae", "nll", "crps"), strict=True):
        of_task = "variation == 'nf' and protocol == 'published' and query_size == 4"
        curves = found.curves.query(f"{of_task} and metric == '{metric}' and agent == 'coreset'")
        (line,) = [line for line in panel.get_lines() if line.get_label() == "CoreSet (3)"]
        assert np.asarray(line.get_xdata()).tolist() == [50, 54, 58, 62]
        np.testing.assert_allclose(np.asarray(line.get_ydata()), curves.groupby("labelled")["value"].mean())
        band = np.asarray(panel.collections[2].get_paths()[0].vertices)
        values = curves[curves["labelled"] == 54]["value"]
        half = 4.302652729911275 * values.std() / 3**0.5  # t of 97.5 % with two degrees of freedom
        at = band[band[:, 0] == 54, 1]
        np.testing.assert_allclose([at.min(), at.max()], [values.mean() - half, values.mean() + half])
        bound = found.upper_bounds.query(f"metric == '{metric}'").sort_values("epoch")
        (line,) = [line for line in panel.get_lines() if line.get_label() == "full data set"]
        np.testing.assert_allclose(np.asarray(line.get_ydata()), bound.groupby("run")["value"].last().mean())


def test_an_agent_looks_the_same_everywhere(found: Results) -> None:
    seen: dict[str, set[tuple[str, str]]] = {}
    for section in ("Learning curves", "Query sizes", "Dual ablation", "Calibration"):
        for _, figure in sections.FIGURES[section](found):
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
    table = sections.rank_table(found)
    assert set(table.index) == {*AGENTS, "gauss_std", "(blocks)"}
    p_values = sections.difference_table(found)
    assert list(p_values.loc["published"].index) == sorted(AGENTS)
    assert list(p_values.loc["corrected"].index) == ["coreset", "random"]
    assert "without a run in some task: Gauss std" in figure.axes[0].get_title()


def test_tables(found: Results) -> None:
    tables = {heading: make(found) for heading, make in sections.TABLES.items()}
    area = tables["Areas under the curves"].xs(("diabetes", "nf", "published", 4, "random", 3))
    task = {"variation": "nf", "protocol": "published", "query_size": 4}
    values = select(areas(found.curves), task | {"agent": "random", "metric": "mae"})["area"]
    assert area["MAE"].startswith(f"{values.mean():.4f} ± {values.std():.4f} [")
    assert (
        tables["Wins against random"].loc["coreset", ("diabetes", "nf", "published", 4, "MAE")] == "3 / 0 / 0"
    )
    upper = tables["Upper bounds, last epoch"].xs(("diabetes", "nf", "published"))
    assert upper["restarts"] == 2
    missing = tables["What is missing"].set_index(["variation", "query_size", "agent", "protocol"])
    assert missing.loc[("nf", 4, "coreset", "published"), "unfinished"] == "4"


def notebook(runs: Path, out: Path) -> str:
    """Runs the notebook from top to bottom; all that it prints and shows as text."""
    book = nbformat.read(ROOT / "eval_plots.ipynb", as_version=4)
    for cell in book.cells:
        cell.source = cell.source.replace('"runs"', repr(str(runs))).replace('"figures"', repr(str(out)))
    client = NotebookClient(book, timeout=300, resources={"metadata": {"path": str(ROOT)}})
    client.execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


def test_notebook_is_committed_without_outputs() -> None:
    book = nbformat.read(ROOT / "eval_plots.ipynb", as_version=4)
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in book.cells)
    assert max(len(cell.source.splitlines()) for cell in book.cells) < 15


def test_notebook_on_all_kinds_of_results(runs: Path, tmp_path: Path) -> None:
    text = notebook(runs, tmp_path / "figures")
    names = [name for section in NAMES for name in NAMES[section] + CORRECTED.get(section, [])]
    written = {path.name for path in (tmp_path / "figures").iterdir()}
    assert written == {f"{name}.{ending}" for name in names for ending in ("pdf", "png")}
    assert "no finished runs" not in text


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
    assert text.count("no finished runs in") == len(sections.FIGURES)


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


def make_report(folder: Path, out: Path) -> str:
    report.main(["--runs_folder", str(folder), "--out", str(out)])
    return out.read_text()


def test_report_holds_every_figure_and_table(runs: Path, found: Results, tmp_path: Path) -> None:
    text = make_report(runs, tmp_path / "report.html")
    page = Page(text)
    assert page.figures == [name for make in sections.FIGURES.values() for name, _ in make(found)]
    assert page.svgs == len(page.figures)
    assert page.scripts == 0
    assert not page.fetched
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", text)
    assert headings == [*(name for name in sections.TABLES if name != "Problems"), *sections.FIGURES]
    assert "Not here, as the runs give none of it: Problems." in text
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
    assert shown.figures == [name for make in sections.FIGURES.values() for name, _ in make(found)]
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


def test_labels() -> None:
    assert agent_label("balsa_kl_pairs_dual") == "BALSA KL pairs dual"
    assert agent_label("my_agent") == "My agent"
    assert task_label({"dataset": "sarcos", "variation": "gauss", "query_size": 1}) == (
        "Sarcos, Gaussian, query size 1"
    )
    assert set(plots._AGENTS) == set(agents.AGENTS.classes) - {"random"}
    styles = [str(plots._style(agent)) for agent in agents.AGENTS.classes]
    assert len(set(styles)) == len(styles)
