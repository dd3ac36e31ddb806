"""One line for each agent, for `evaluate.py --list` and the table of docs/AGENTS.md.

    python -m core.catalogue

rewrites the table from the registered classes.
"""

import re
import sys
from pathlib import Path

from .agent import AGENTS, Agent
from .cli import ArgumentParser, run_script
from .files import write_between

PAGE = Path(__file__).resolve().parent.parent / "docs/AGENTS.md"
#: The lines of the page around the table.
FIRST, LAST = "<!-- Written by python -m core.catalogue: -->", "<!-- (until here) -->"
#: A reference such as `Wu, Lin, Huang 2019, arXiv 1808.04245`: first author, year and number.
ARXIV = re.compile(r"(\w+)[^;]*? (\d{4}), arXiv (\d{4}\.\d{4,5})")


def first_line(thing: object) -> str:
    """The first line of a docstring of a class or module; empty if there is none."""
    return (getattr(thing, "__doc__", None) or "").strip().partition("\n")[0]


def families() -> dict[str, dict[str, type[Agent]]]:
    """The agents by name, by the first line of their file: a file holds a family."""
    found: dict[str, dict[str, type[Agent]]] = {}
    for name, cls in AGENTS.classes.items():
        family = first_line(sys.modules[cls.__module__]) or cls.__module__
        found.setdefault(family, {})[name] = cls
    return found


def table() -> str:
    """A table in Markdown with a row for each agent, family by family."""
    import pandas as pd

    from .report.sections import markdown

    rows = [
        {
            "name": f"`{name}`" + "".join(f" (`{alias}`)" for alias in AGENTS.aliases(name)),
            "score, or how the batch is chosen": cls.formula or first_line(cls).rstrip("."),
            "needs": cls.needs or ", ".join(sorted(cls.asks)) or "density",
            "batch-aware": cls.batch_aware or ("no" if cls.select is Agent.select else "yes"),
            "reference": ARXIV.sub(r"[\1 \2](https://arxiv.org/abs/\3)", cls.reference),
        }
        for agents in families().values()
        for name, cls in agents.items()
    ]
    return markdown(pd.DataFrame(rows))


def main(arguments: list[str] | None = None) -> None:
    parser = ArgumentParser(prog="core.catalogue", description=first_line(sys.modules[__name__]))
    parser.add("page", PAGE, "the page whose table is rewritten", type=Path)
    page = parser.parse_args(arguments).page
    write_between(page, FIRST, LAST, table())
    print(f"agents: {page}")


if __name__ == "__main__":
    run_script(main)
