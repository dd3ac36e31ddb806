"""Names and the classes behind them: what is refused, and that files of a package are found by themselves."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.registry import Registry


class Bird:
    folder: str


@pytest.fixture
def birds() -> Registry[Bird]:
    registry: Registry[Bird] = Registry("bird")
    registry.register("tit", "titmouse")(type("Tit", (Bird,), {"folder": "Tit"}))
    return registry


def test_a_class_without_a_folder_is_refused_in_one_line(birds: Registry[Bird]) -> None:
    with pytest.raises(UserError, match="bird 'wren': Wren needs a class attribute folder") as info:
        birds.register("wren")(type("Wren", (Bird,), {}))
    assert "\n" not in str(info.value)
    assert list(birds.classes) == ["tit"]


def test_names_and_folders_are_given_once(birds: Registry[Bird]) -> None:
    for name, taken in (("tit", "tit"), ("titmouse", "titmouse"), ("wren", "tit")):
        with pytest.raises(UserError, match=f"bird '{taken}' is there already") as info:
            birds.register(name, "tit")(type("Wren", (Bird,), {"folder": "Wren"}))
        assert "\n" not in str(info.value)
    with pytest.raises(UserError, match="folder Tit is that of Tit"):
        birds.register("wren")(type("Wren", (Bird,), {"folder": "Tit"}))
    assert list(birds.classes) == ["tit"]
    assert birds.aliases("tit") == ["titmouse"]


def test_a_notebook_cell_may_run_again(birds: Registry[Bird]) -> None:
    for _ in range(2):
        wren = type("Wren", (Bird,), {"folder": "Wren"})
        birds.register("wren", "jenny")(wren)
    assert birds["jenny"] is wren


# --- a package of entries ------------------------------------------------------------------

HEAD = "from registry_of_a_test import BIRDS\n"
TIT = HEAD + "@BIRDS.register('tit')\nclass Tit:\n    folder = 'Tit'\n"
WREN = TIT.replace("tit", "wren").replace("Tit", "Wren")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with one entry that nobody has imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "from core.registry import Registry\nBIRDS = Registry('bird', package='birds_of_a_test')\n"
    (tmp_path / "registry_of_a_test.py").write_text(text)
    folder = tmp_path / "birds_of_a_test"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "tit.py").write_text(TIT)
    yield folder
    for name in [name for name in sys.modules if "s_of_a_test" in name or "registry_of_a_test" in name]:
        del sys.modules[name]


def registry_of(package: Path) -> Registry[Any]:
    """The registry that the package fills."""
    registry = import_module("registry_of_a_test").BIRDS
    assert isinstance(registry, Registry)
    return registry


def test_a_broken_file_raises_its_own_error_every_time(package: Path) -> None:
    """Not 'unknown bird', nor that what stands above the fault is there already."""
    birds = registry_of(package)
    (package / "wren.py").write_text(WREN + "1 / 0\n")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            birds["tit"]
    (package / "wren.py").write_text(WREN + "# mended, and of another length than before\n")
    assert list(birds.classes) == ["tit", "wren"]
