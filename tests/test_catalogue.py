"""docs/AGENTS.md holds what its command writes, and what an agent does not say is no error."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from agents import AGENTS
from agents.geometry import CoresetGreedy
from core import Agent, State, catalogue
from core.sweep.cost import Costs
from tests.builders import refused

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/AGENTS.md"


def row_of(name: str) -> list[str]:
    """The cells of an agent's line in the page."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith((f"| `{name}` |", f"| `{name}` (`"))]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_the_page_is_what_the_command_writes(tmp_path: Path) -> None:
    """Fails when an agent or a measurement has changed: `python -m core.catalogue` writes the tables anew."""
    page = tmp_path / "AGENTS.md"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(catalogue.FIRST)
    after = rest.partition(catalogue.LAST)[2]
    page.write_text(f"{before}{catalogue.FIRST}{catalogue.LAST}{after}", encoding="utf-8")
    command = [sys.executable, "-m", "core.catalogue", "--page", str(page)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert page.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", AGENTS.classes)
def test_every_agent_has_a_row(name: str) -> None:
    row, cls = row_of(name), AGENTS[name]
    assert len(row) == 7
    assert row[1] == f"`{cls.folder}`"
    assert all(f"`{alias}`" in row[0] for alias in AGENTS.aliases(name))
    seconds = Costs().choices("sarcos").get(name)
    assert row[5] == "-" if seconds is None else float(row[5]) == seconds


@pytest.mark.parametrize(
    ("name", "needs", "batch_aware"),
    [
        ("random", "nothing", "no"),
        ("coreset", "embedding", "under `corrected`"),
        ("balsa_kl_grid_dual", "passes", "no"),
        ("qbc", "passes", "no"),
        ("epig", "shared passes", "no"),
        ("nf_std", "density", "no"),
        ("gauss_lc", "density, a Gaussian: variation `gauss`", "no"),
        ("badge", "gradients", "yes"),
        ("typiclust", "embedding", "yes"),
    ],
)
def test_rows(name: str, needs: str, batch_aware: str) -> None:
    assert row_of(name)[3:5] == [needs, batch_aware]


def test_an_agent_need_not_say_anything() -> None:
    class Silent(Agent):
        def score(self, state: State, x: Tensor) -> Tensor:
            return x[:, 0]

    class Brief(Silent):
        """First line.

        Needs: much, and
            more than that

        Args:
            x: none of the fields.
        """

        def select(self, state: State, x: Tensor, count: int) -> np.ndarray:
            return np.arange(count)

    class Heir(CoresetGreedy):
        pass

    assert catalogue.described(Silent) == ("-", "-", "-", "no", "-")
    assert catalogue.described(Brief) == (
        "First line.",
        "First line.",
        "much, and more than that",
        "yes",
        "-",
    )
    # What is said of a registered agent is not said of those made of it.
    assert catalogue.described(Heir) == ("-", "-", "-", "yes", "-")


def test_a_page_without_its_marks_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = shutil.copy(ROOT / "README.md", tmp_path)
    said = refused(catalogue.main, ["--page", page], capsys)
    assert "README.md lacks the line" in said
    assert Path(page).read_bytes() == (ROOT / "README.md").read_bytes()
    assert "nowhere.md: No such file" in refused(catalogue.main, ["--page", tmp_path / "nowhere.md"], capsys)
