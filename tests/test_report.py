"""The report: on invented results, on a real run, on nothing and on half of it."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

import evaluate
import report
from core.report import page, sections
from core.report.load import Results, load_results
from tests.synthetic_runs import write_every_kind, write_experiment
from tests.test_figures import names_of


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_every_kind(tmp_path_factory.mktemp("results") / "runs")


@pytest.fixture(scope="module")
def found(runs: Path) -> Results:
    return load_results(runs)


def test_names_are_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)<"
    runs = tmp_path / "runs"
    write_experiment(runs, evil, (1, 2))
    broken = write_experiment(runs, "coreset", (3,), dataset="<script>data</script>".replace("/", ""))
    (broken / "run_3/likelihoods.csv").write_text(f"added,{evil}\n{evil}\n")
    text = make_report(runs, tmp_path / "report.html")
    assert evil in set(load_results(runs).runs["agent"])
    assert "alert(1)" in text
    assert "<script" not in text.lower()


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


def test_one_function_adds_a_section(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the notebook: tests/slow/test_notebook.py."""
    monkeypatch.setattr(sections, "SECTIONS", {})
    monkeypatch.setattr(page, "SECTIONS", sections.SECTIONS)
    exec(OWN_SECTIONS, {})
    text = make_report(runs, tmp_path / "report.html")
    assert headings(text) == ["A figure of our own", "A table of our own"]
    assert Page(text).figures == ["own_figure"]
    assert "What it shows." in text
    assert "owned" in text


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


@pytest.mark.slow
def test_report_holds_every_figure_and_table(runs: Path, found: Results, tmp_path: Path) -> None:
    text = make_report(runs, tmp_path / "report.html")
    shown = Page(text)
    assert shown.figures == [name for heading in sections.SECTIONS for name in names_of(heading, found)]
    assert shown.svgs == len(shown.figures)
    assert shown.scripts == 0
    assert not shown.fetched
    empty = ("Is it trained?", "Problems", "Fewer runs than others")
    assert headings(text) == [heading for heading in sections.SECTIONS if heading not in empty]
    assert "Not here, as the runs give none of it: Is it trained?, Fewer runs than others, Problems." in text
    assert "45 finished runs" in text
    # Clip paths and markers of one figure must not be those of another.
    svgs = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    ids = [set(re.findall(r'<clipPath id="([^"]+)"', svg)) for svg in svgs]
    assert sum(map(len, ids)) == len(set.union(*ids))


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
