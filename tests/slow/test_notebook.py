"""The notebooks from top to bottom."""

import re
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


def notebook(name: str, folders: dict[str, Path], first: str = "") -> str:
    """Runs a notebook after a cell `first`, in other folders than its own; all that it prints and shows."""
    book = nbformat.read(ROOT / name, as_version=4)
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in book.cells)
    for cell in book.cells:
        for folder, other in folders.items():
            cell.source = cell.source.replace(f'"{folder}"', repr(str(other)))
    book.cells.insert(0, nbformat.v4.new_code_cell(first))
    client = NotebookClient(book, timeout=300, resources={"metadata": {"path": str(ROOT)}})
    client.execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    shown = [output.get("data", {}) for output in outputs]
    texts = [data.get("text/markdown") or data.get("text/plain", "") for data in shown]
    return "\n".join(output.get("text") or text for output, text in zip(outputs, texts, strict=True))


def test_all_kinds_of_results_and_an_own_section(runs: Path, tmp_path: Path) -> None:
    folders = {"runs": runs, "figures": tmp_path / "figures"}
    text = notebook("eval_plots.ipynb", folders, OWN_SECTIONS)
    names = [name for section in NAMES for name in NAMES[section] + CORRECTED.get(section, [])]
    written = {path.name for path in (tmp_path / "figures").iterdir()}
    assert written == {f"{name}.{ending}" for name in [*names, "own_figure"] for ending in ("pdf", "png")}
    # There are no problems, and without a store none says what is trained.
    assert text.count("for this") == 2
    assert "owned" in text
    assert "## A figure of our own\n\nWhat it shows." in text
    assert text.index("## Learning curves") < text.index("## A table of our own")


def test_nothing(tmp_path: Path) -> None:
    text = notebook("eval_plots.ipynb", {name: tmp_path / name for name in ("runs", "figures")})
    assert text.count(f"nothing in {tmp_path / 'runs'} for this") == len(sections.SECTIONS)


def test_quick_start(tmp_path: Path) -> None:
    text = notebook("quickstart.ipynb", {"runs_quickstart": tmp_path / "runs"})
    assert "100 labels: MAE" in text
    assert re.search(r"far_and_wide: better than random in \d of 3 runs \(MAE\)", text)
    made = {path.parent.parent.name for path in tmp_path.rglob("run_3/meta.txt")}
    assert made == {"RandomAgent", "LCMD", "FarAndWide"}
