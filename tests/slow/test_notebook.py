"""The notebook from top to bottom."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from core.report import sections
from tests.synthetic_runs import write_every_kind
from tests.test_figures import CORRECTED, NAMES

ROOT = Path(__file__).resolve().parents[2]
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
    # There are no problems, and without a store none says what is trained.
    assert text.count("for this") == 2
    assert "owned" in text
    assert "## A figure of our own\n\nWhat it shows." in text
    assert text.index("## Learning curves") < text.index("## A table of our own")


def test_nothing(tmp_path: Path) -> None:
    text = notebook(tmp_path / "runs", tmp_path / "figures")
    assert text.count(f"nothing in {tmp_path / 'runs'} for this") == len(sections.SECTIONS)
