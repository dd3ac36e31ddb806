"""docs/AGENTS.md holds what its command writes, and what an agent does not say is no error."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from agents.geometry import CoresetGreedy
from core import Agent, State, catalogue
from tests.builders import refused

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/AGENTS.md"


@pytest.mark.slow
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
