"""Writes the table of docs/AGENTS.md from the registered agents.

python -m docs.agents_table
"""

import re
from pathlib import Path

import pandas as pd

from core.agent import AGENTS, Agent
from core.cli import run_script
from core.errors import UserError
from core.files import write_file
from core.report.sections import markdown
from evaluate import first_line

PAGE = Path(__file__).resolve().parent / "AGENTS.md"
#: The lines of the page around the table.
FIRST, LAST = "<!-- Written by python -m docs.agents_table: -->", "<!-- (until here) -->"
#: A reference such as `Wu, Lin, Huang 2019, arXiv 1808.04245`: first author, year and number.
ARXIV = re.compile(r"(\w+)[^;]*? (\d{4}), arXiv (\d{4}\.\d{4,5})")


def table() -> str:
    """A table in Markdown with a row for each agent, family by family."""
    rows = [
        {
            "name": f"`{name}`" + "".join(f" (`{alias}`)" for alias in AGENTS.aliases(name)),
            "score, or how the batch is chosen": cls.formula or first_line(cls).rstrip("."),
            "needs": cls.needs or ", ".join(sorted(cls.asks)) or "density",
            "batch-aware": cls.batch_aware or ("no" if cls.select is Agent.select else "yes"),
            "reference": ARXIV.sub(r"[\1 \2](https://arxiv.org/abs/\3)", cls.reference),
        }
        for name, cls in AGENTS.classes.items()
    ]
    return markdown(pd.DataFrame(rows))


def write_between(page: Path, first: str, last: str, text: str) -> None:
    """Replaces the text between two lines of a page.

    Raises:
        UserError: the page lacks one of the lines.
    """
    whole = page.read_text(encoding="utf-8")
    before, found, rest = whole.partition(first)
    _, ended, after = rest.partition(last)
    if not (found and ended):
        raise UserError(f"{page} lacks the line '{first}', or '{last}' behind it")
    whole = f"{before}{first}\n\n{text.strip()}\n\n{last}{after}"
    write_file(page, lambda part: part.write_text(whole, encoding="utf-8"))


def main() -> None:
    write_between(PAGE, FIRST, LAST, table())
    print(f"agents: {PAGE}")


if __name__ == "__main__":
    run_script(main)
