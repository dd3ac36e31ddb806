"""Pages that need nothing but themselves: tables, figures as inline SVG, no scripts."""

import html
import io
from collections.abc import Iterable, Sequence

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

__all__ = ["document", "figures_html", "inline_svg", "table_html"]

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


def figures_html(figures: Iterable[tuple[str, Figure]]) -> str:
    return "\n".join(
        f'<figure id="{html.escape(name)}">{inline_svg(name, figure)}'
        f"<figcaption>{html.escape(name)}</figcaption></figure>"
        for name, figure in figures
    )


def document(title: str, said: str, parts: Sequence[tuple[str, str]], end: str = "") -> str:
    """A whole page.

    Args:
        title, said: plain texts.
        parts: headings, plain, and what stands under them, HTML.
        end: HTML.
    """
    links = "".join(f'<a href="#s{i}">{html.escape(heading)}</a>' for i, (heading, _) in enumerate(parts))
    body = "\n".join(
        f'<h2 id="s{i}">{html.escape(heading)}</h2>\n{content}' for i, (heading, content) in enumerate(parts)
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style></head>
<body>
<h1>{html.escape(title)}</h1>
<p>{html.escape(said)}</p>
<nav>{links}</nav>
{body}
{end}
</body>
</html>
"""
