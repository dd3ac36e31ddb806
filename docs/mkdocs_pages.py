"""A hook of mkdocs: adds pages from outside docs/, and points links to where the site has their files.

README.md is the first page. Links to files that the site does not have become plain text.
"""

import os
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
#: Where the site has files from outside docs/.
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "results/README.md": "RESULTS.md",
    **{f"results/{path.name}": f"results/{path.name}" for path in (ROOT / "results").glob("*.png")},
}
_SOURCES = {place: source for source, place in OUTSIDE.items()}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s:#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the files outside docs/."""
    for source, place in OUTSIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Points the links of a page to where the site has their files."""
    place = page.file.src_uri
    source = _SOURCES.get(place, f"docs/{place}")

    def rewritten(link: re.Match[str]) -> str:
        image, text, target, anchor = link.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if not os.path.exists(ROOT / path):
            return link[0]  # mkdocs warns of it
        found = OUTSIDE.get(path, path.removeprefix("docs/"))
        if files.get_file_from_path(found) is None:
            return text
        return f"{image}[{text}]({posixpath.relpath(found, posixpath.dirname(place) or '.')}{anchor or ''})"

    return _LINK.sub(rewritten, markdown)
