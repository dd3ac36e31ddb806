"""Writes the study's tables and figures as one HTML page, from whatever runs there are.

    python report.py --runs_folder runs --out report.html

The page needs nothing but itself: figures are inline SVG, and there are no scripts.
"""

import argparse
import html
import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from core.cli import ArgumentParser, run_script
from core.errors import UserError
from core.files import write_file
from core.report.reader import Results, load_results
from core.report.sections import SECTIONS, Figures, Section

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1250px; margin: auto; padding: 0 1em; color: #222 }
nav a { margin-right: 1em }
h2 { margin-top: 2.5em; border-bottom: 1px solid #ccc }
figure { margin: 1.5em 0 }
figure svg { max-width: 100%; height: auto }
figcaption, .note { color: #555 }
.table { overflow-x: auto; max-height: 45em }
table { border-collapse: collapse; font-size: 13px }
th, td { padding: 2px 8px; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
th { text-align: left; vertical-align: top; font-weight: 600 }
"""


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="report.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add("runs_folder", Path("runs"), "where the results are, with its sisters beside it", type=Path)
    parser.add("out", Path("report.html"), "the page", type=Path)
    return parser.parse_args(arguments)


def inline_svg(name: str, figure: Figure) -> str:
    """A figure as an SVG element whose ids no other figure of the page has."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def table_html(table: pd.DataFrame) -> str:
    """A table of texts and numbers; gaps stay empty."""
    style = table.style.format(precision=4, na_rep="", escape="html")
    for axis in (0, 1):  # names of agents and datasets stand here
        style = style.format_index(escape="html", axis=axis)
    return f'<div class="table">{style.to_html()}</div>'


def figures_html(figures: Figures) -> str:
    return "\n".join(
        f'<figure id="{html.escape(name)}">{inline_svg(name, figure)}'
        f"<figcaption>{html.escape(name)}</figcaption></figure>"
        for name, figure in figures
    )


def content_of(section: Section, found: Results) -> str:
    """The figures or the table of a section, under its text; empty where the runs give none."""
    made = section.make(found)
    if isinstance(made, pd.DataFrame):
        content = "" if made.empty else table_html(made)
    else:
        content = figures_html(made)
    return content and f'<p class="note">{html.escape(section.text)}</p>\n{content}'


def overview(found: Results, runs_folder: Path) -> str:
    """What there is, in a sentence."""
    finished = (found.runs["status"] == "finished").sum()
    if finished:
        others = len(found.runs) - finished
        text = f"{finished} finished runs in {runs_folder} and its sisters"
        return f"{text}; {others} unfinished or damaged" if others else text
    return f"No finished runs in {runs_folder} or its sisters: evaluate.py makes some"


def page(found: Results, runs_folder: Path) -> str:
    """The whole page."""
    contents = {section.heading: content_of(section, found) for section in SECTIONS.values()}
    parts = [(heading, content) for heading, content in contents.items() if content]
    links = "".join(f'<a href="#s{i}">{html.escape(heading)}</a>' for i, (heading, _) in enumerate(parts))
    body = "\n".join(
        f'<h2 id="s{i}">{html.escape(heading)}</h2>\n{content}' for i, (heading, content) in enumerate(parts)
    )
    lacking = ", ".join(heading for heading, content in contents.items() if not content)
    if lacking:
        body += f'\n<p class="note">Not here, as the runs give none of it: {html.escape(lacking)}.</p>'
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Results</title><style>{STYLE}</style></head>
<body>
<h1>Results</h1>
<p>{html.escape(overview(found, runs_folder))}. All metrics are on the scaled target; lower is better.</p>
<nav>{links}</nav>
{body}
</body>
</html>
"""


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_arguments(arguments)
    found = load_results(args.runs_folder)
    if not (args.runs_folder.is_dir() or len(found.runs)):
        raise UserError(f"--runs_folder {args.runs_folder} is not there, nor any of its sisters")
    text = page(found, args.runs_folder)
    write_file(args.out, lambda path: path.write_text(text, encoding="utf-8"))
    print(f"{overview(found, args.runs_folder)}\nreport: {args.out}")


if __name__ == "__main__":
    run_script(main)
