"""Imports inside core/ run one way: from a room to those below it, never back (CONTRIBUTING.md)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: From the ground up. A room, or a file that is flat in core/, imports from its own line and those above it.
FLOORS = (
    ("batch_noise", "errors", "files", "protocol", "registry", "seeds", "util"),
    ("cli", "config", "dataset"),
    ("options",),
    ("models", "data"),
    ("training",),
    ("metrics", "state", "agent"),
    ("environment",),
    ("baselines",),
    ("runs",),
    ("rl",),
    ("experiment", "suggestion", "report"),
    ("sweep",),
    ("catalogue",),
)
FLOOR = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted((ROOT / "core").rglob("*.py"))


def room_of(module: str) -> str:
    """`runs` of `core.runs.files`, `config` of `core.config`."""
    return module.split(".")[1]


def imported(file: Path) -> Iterator[str]:
    """Full names of the modules of core, agents and datasets that a file imports anywhere."""
    package = ".".join(file.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) + 1 - node.level])
            module = ".".join(filter(None, [base if node.level else "", node.module]))
            # `from .. import util` imports a module, not a name of one.
            yield from (f"{module}.{alias.name}" if module == "core" else module for alias in node.names)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT / "core")))
def test_no_import_from_a_higher_room(file: Path) -> None:
    if file == ROOT / "core/__init__.py":
        return
    own = file.relative_to(ROOT / "core").with_suffix("").parts[0]
    for module in imported(file):
        if module.split(".")[0] == "core":
            assert FLOOR[room_of(module)] <= FLOOR[own], f"{own} imports {module}"
        assert module.split(".")[0] not in ("agents", "datasets"), f"core imports {module}"


def test_rooms_do_not_import_each_other() -> None:
    """Within a floor too: two rooms of one floor would be one."""
    edges = set()
    for file in FILES[1:]:
        own = file.relative_to(ROOT / "core").with_suffix("").parts[0]
        edges |= {
            (own, room_of(name))
            for name in imported(file)
            if name.startswith("core.") and room_of(name) != own
        }
    assert not {(a, b) for a, b in edges if (b, a) in edges}


def test_every_room_says_what_it_is() -> None:
    for folder in (ROOT / "core").iterdir():
        if folder.is_dir() and folder.name != "__pycache__":
            text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
            assert re.search(r"Imports .*Start\swith ", text, re.DOTALL), folder
