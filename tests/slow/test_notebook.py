"""The notebook from top to bottom, and the report in a browser."""

import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from core.report import sections
from core.report.load import load_results
from tests.synthetic_runs import write_every_kind
from tests.test_figures import CORRECTED, NAMES, names_of
from tests.test_report import OWN_SECTIONS, Page, make_report

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_every_kind(tmp_path_factory.mktemp("results") / "runs")


def notebook(runs: Path, out: Path, first: str = "") -> str:
    """Runs the notebook after a cell `first`; all that it prints and shows as text."""
    book = nbformat.read(ROOT / "eval_plots.ipynb", as_version=4)
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in book.cells)
    for cell in book.cells:
        cell.source = cell.source.replace('"runs"', repr(str(runs))).replace('"figures"', repr(str(out)))
    book.cells.insert(0, nbformat.v4.new_code_cell(first))
    client = NotebookClient(book, timeout=300, resources={"metadata": {"path": str(ROOT)}})
    client.execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    shown = [output.get("data", {}) for output in outputs]
    texts = [data.get("text/markdown") or data.get("text/plain", "") for data in shown]
    return "\n".join(output.get("text") or text for output, text in zip(outputs, texts, strict=True))


def test_all_kinds_of_results_and_an_own_section(runs: Path, tmp_path: Path) -> None:
    text = notebook(runs, tmp_path / "figures", OWN_SECTIONS)
    names = [name for section in NAMES for name in NAMES[section] + CORRECTED.get(section, [])]
    written = {path.name for path in (tmp_path / "figures").iterdir()}
    assert written == {f"{name}.{ending}" for name in [*names, "own_figure"] for ending in ("pdf", "png")}
    # Nobody has fewer runs than others, there are no problems, and without a store none says what is trained.
    assert text.count("for this") == 3
    assert "owned" in text
    assert "## A figure of our own\n\nWhat it shows." in text
    assert text.index("## Learning curves") < text.index("## A table of our own")


def test_nothing(tmp_path: Path) -> None:
    text = notebook(tmp_path / "runs", tmp_path / "figures")
    assert text.count(f"nothing in {tmp_path / 'runs'} for this") == len(sections.SECTIONS)


def test_a_browser_shows_the_report(runs: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
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
    found = load_results(runs)
    shown = Page(done.stdout)
    assert shown.figures == [name for heading in sections.SECTIONS for name in names_of(heading, found)]
    assert shown.svgs == len(shown.figures)
