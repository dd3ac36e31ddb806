"""The report as one HTML page: the figures or the table of every section that the runs give any of."""

import html
from pathlib import Path

import pandas as pd

from .. import util
from .html import document, figures_html, table_html
from .reader import Results
from .sections import SECTIONS, Section

__all__ = ["overview", "page"]


def _content(section: Section, found: Results) -> str:
    """The figures or the table of a section, under its text; empty where the runs give none."""
    made = section.make(found)
    if isinstance(made, pd.DataFrame):
        content = "" if made.empty else table_html(made)
    else:
        content = figures_html(made)
    return content and f'<p class="note">{html.escape(section.text)}</p>\n{content}'


def overview(found: Results, runs_folder: Path) -> str:
    """What there is, in a sentence."""
    stored = int(found.runs["stored"].sum())
    finished = (found.runs["status"] == "finished").sum() - stored
    beside = f", plus {stored} stored ones" if stored else ""
    if finished or stored:
        others = len(found.runs) - finished - stored
        text = f"{finished} finished runs in {runs_folder} and its sibling folders{beside}"
        return f"{text}; {others} unfinished or damaged" if others else text
    return f"No finished runs in {runs_folder} or its sibling folders: make some with evaluate.py"


def page(found: Results, runs_folder: Path) -> str:
    """The whole page."""
    contents = {}
    with util.tqdm(SECTIONS.values(), desc="drawing") as bar:
        for section in bar:
            bar.set_postfix_str(section.heading)
            contents[section.heading] = _content(section, found)
    parts = [(heading, content) for heading, content in contents.items() if content]
    lacking = ", ".join(heading for heading, content in contents.items() if not content)
    end = f"Not here, as the runs give none of it: {html.escape(lacking)}." if lacking else ""
    said = f"{overview(found, runs_folder)}. All metrics are on the scaled target; lower is better."
    return document("Results", said, parts, end and f'<p class="note">{end}</p>')
