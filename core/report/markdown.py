"""Tables in Markdown, and pages of which a part is written by a program."""

from pathlib import Path

import pandas as pd

from ..errors import UserError
from ..files import write_file

__all__ = ["markdown", "write_between"]


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table; texts to the left, numbers to the right."""
    numeric = [pd.api.types.is_numeric_dtype(table[name]) for name in table]
    rule = ["--:" if right else "---" for right in numeric]
    lines = [[_cell(value) for value in line] for line in table.itertuples(index=False, name=None)]
    return "\n".join(f"| {' | '.join(line)} |" for line in ([*map(str, table)], rule, *lines))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.2f}"
    return str(value).replace("|", "\\|")


def write_between(page: Path, first: str, last: str, text: str) -> None:
    """Writes a page anew with other text between two lines of it.

    Raises:
        UserError: the page lacks one of the lines, or is no text.
    """
    try:
        whole = page.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{page} is no UTF-8 text ({error.reason} at byte {error.start})") from error
    before, found, rest = whole.partition(first)
    _, ended, after = rest.partition(last)
    if not (found and ended):
        raise UserError(f"{page} lacks the line '{first}', or '{last}' behind it")
    whole = f"{before}{first}\n\n{text.strip()}\n\n{last}{after}"
    write_file(page, lambda beside: beside.write_text(whole, encoding="utf-8"))
