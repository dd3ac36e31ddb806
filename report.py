"""Writes the study's tables and figures as one HTML page, from whatever runs there are.

    python report.py --runs_folder runs --out report.html

The page needs nothing but itself: figures are inline SVG, and there are no scripts.
"""

import argparse
import html
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from core import util
from core.cli import ArgumentParser, run_script
from core.errors import UserError
from core.files import write_file
from core.report.html import document, figures_html, table_html
from core.report.reader import Results, load_results
from core.report.sections import SECTIONS, Section
from core.runs.layout import check_target


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="report.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add("runs_folder", Path("runs"), "where the results are; runs_gauss, ... beside it too", type=Path)
    parser.add("store", None, "reference runs to stand beside them, such as results", type=Path)
    parser.add("out", Path("report.html"), "the page", type=Path)
    return parser.parse_args(arguments)


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
    stored = int(found.runs["stored"].sum())
    finished = (found.runs["status"] == "finished").sum() - stored
    beside = f", beside {stored} stored ones" if stored else ""
    if finished or stored:
        others = len(found.runs) - finished - stored
        text = f"{finished} finished runs in {runs_folder} and beside it{beside}"
        return f"{text}; {others} unfinished or damaged" if others else text
    return f"No finished runs in {runs_folder} or beside it: evaluate.py makes some"


def page(found: Results, runs_folder: Path) -> str:
    """The whole page."""
    contents = {}
    with util.tqdm(SECTIONS.values(), desc="drawing") as bar:
        for section in bar:
            bar.set_postfix_str(section.heading)
            contents[section.heading] = content_of(section, found)
    parts = [(heading, content) for heading, content in contents.items() if content]
    lacking = ", ".join(heading for heading, content in contents.items() if not content)
    end = f"Not here, as the runs give none of it: {html.escape(lacking)}." if lacking else ""
    said = f"{overview(found, runs_folder)}. All metrics are on the scaled target; lower is better."
    return document("Results", said, parts, end and f'<p class="note">{end}</p>')


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_arguments(arguments)
    check_target(args.out)
    found = load_results(args.runs_folder, args.store)
    if not (args.runs_folder.is_dir() or len(found.runs)):
        raise UserError(f"--runs_folder {args.runs_folder} is not there, nor another beside it")
    text = page(found, args.runs_folder)
    write_file(args.out, lambda path: path.write_text(text, encoding="utf-8"))
    print(f"{overview(found, args.runs_folder)}\nreport: {args.out}")


if __name__ == "__main__":
    run_script(main)
