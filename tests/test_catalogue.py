"""docs/AGENTS.md holds what its command writes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core import catalogue
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


def test_a_page_without_its_marks_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = shutil.copy(ROOT / "README.md", tmp_path)
    said = refused(catalogue.main, ["--page", page], capsys)
    assert "README.md lacks the line" in said
    assert Path(page).read_bytes() == (ROOT / "README.md").read_bytes()
    assert "nowhere.md: No such file" in refused(catalogue.main, ["--page", tmp_path / "nowhere.md"], capsys)
