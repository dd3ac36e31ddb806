"""docs/AGENTS.md holds what its command writes."""

import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import UserError
from docs import agents_table


@pytest.mark.slow
def test_the_page_is_what_the_command_writes(tmp_path: Path) -> None:
    """Fails when an agent has changed: `python -m docs.agents_table` writes the table anew."""
    page = tmp_path / "AGENTS.md"
    page.write_text(f"{agents_table.FIRST}{agents_table.LAST}", encoding="utf-8")
    code = f"from docs import agents_table as it; it.PAGE = it.Path({str(page)!r}); it.main()"
    root = agents_table.PAGE.parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert page.read_text(encoding="utf-8") in agents_table.PAGE.read_text(encoding="utf-8")


def test_a_page_without_its_marks_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a page")
    with pytest.raises(UserError, match=r"page.md lacks the line"):
        agents_table.write_between(page, agents_table.FIRST, agents_table.LAST, "")
    assert page.read_text() == "a page"
