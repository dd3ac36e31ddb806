"""Every agent in a line: for `evaluate.py --list`, and the tables of docs/AGENTS.md.

    python -m core.catalogue

writes the tables anew, from the registry and `core/sweep/costs.csv`. What they say of an agent stands in its
docstring alone, behind the first line: `Formula:`, `Needs:`, `Batch-aware:`, `Reference:`, each of which may
be missing. A docstring is no part of the digest of an agent's code: to edit it sets no runs apart.
"""

import inspect
import re
import sys
from pathlib import Path
from typing import NamedTuple

from .agent import AGENTS, Agent
from .cli import ArgumentParser, run_script
from .sweep.cost import Costs

__all__ = ["Described", "described", "families", "first_line", "tables"]

PAGE = Path(__file__).resolve().parent.parent / "docs/AGENTS.md"
#: The lines of the page between which the tables stand.
FIRST, LAST = "<!-- Written by python -m core.catalogue: -->", "<!-- (until here) -->"
#: What a table says of an agent that does not say it.
UNKNOWN = "-"

_FIELD = re.compile(r"^(Formula|Needs|Batch-aware|Reference): (.+(?:\n[ ]+.+)*)", re.MULTILINE)


class Described(NamedTuple):
    """What the tables say of an agent; `UNKNOWN` where neither its code nor its docstring says it."""

    summary: str
    formula: str
    needs: str
    batch_aware: str
    reference: str


def first_line(thing: object) -> str:
    """Of the docstring of a class or module; empty where there is none."""
    return (inspect.cleandoc(getattr(thing, "__doc__", None) or "").splitlines() or [""])[0]


def described(cls: type[Agent]) -> Described:
    """What an agent's docstring says, and where it is silent those of its bases that are no agents."""
    said: dict[str, str] = {}
    for one in cls.__mro__:
        if one is cls or one not in AGENTS.classes.values():
            text = inspect.cleandoc(one.__doc__ or "")
            said = {name: " ".join(value.split()) for name, value in _FIELD.findall(text)} | said
    takes_the_top = cls.select is Agent.select
    return Described(
        summary=first_line(cls) or UNKNOWN,
        formula=said.get("Formula") or first_line(cls) or UNKNOWN,
        needs=said.get("Needs", UNKNOWN),
        batch_aware=said.get("Batch-aware", "no" if takes_the_top else "yes"),
        reference=said.get("Reference", UNKNOWN),
    )


def families() -> dict[str, dict[str, type[Agent]]]:
    """The agents by name, by what their file says of them: a file holds a family."""
    found: dict[str, dict[str, type[Agent]]] = {}
    for name, cls in AGENTS.classes.items():
        family = first_line(sys.modules[cls.__module__]) or cls.__module__
        found.setdefault(family, {})[name] = cls
    return found


def tables() -> str:
    """A table in Markdown for each family, a row for each agent; seconds are those measured on sarcos."""
    seconds = Costs().choices("sarcos")
    columns = ("name (alias)", "result folder", "score, or how the batch is chosen", "needs", "batch-aware")
    parts = []
    for family, agents in families().items():
        rows = [[*columns, "s", "reference"], ["---"] * 5 + ["--:", "---"]]
        for name, cls in agents.items():
            about = described(cls)
            names = f"`{name}`" + "".join(f" (`{alias}`)" for alias in AGENTS.aliases(name))
            cost = f"{seconds[name]:.3g}" if name in seconds else UNKNOWN
            row = [names, f"`{cls.folder}`", about.formula, about.needs, about.batch_aware]
            row += [cost, about.reference]
            rows.append([cell.replace("|", "\\|") for cell in row])
        lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        parts.append(f"### {family.removesuffix('.')}\n\n{lines}\n")
    return "\n".join(parts)


def main(arguments: list[str] | None = None) -> None:
    from .report.page import write_between

    parser = ArgumentParser(prog="core.catalogue", description=first_line(sys.modules[__name__]))
    parser.add("page", PAGE, "the page whose tables are written anew", type=Path)
    page = parser.parse_args(arguments).page
    write_between(page, FIRST, LAST, tables())
    print(f"agents: {page}")


if __name__ == "__main__":
    run_script(main)
