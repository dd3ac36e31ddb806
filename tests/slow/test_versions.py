"""Runs that go on with other versions of the libraries than they were begun with."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import evaluate
from core.cli import told
from core.errors import UserError
from core.runs import checkpoint, provenance
from core.runs.logger import KEYS, LATER_KEYS
from core.runs.settings import read_meta
from tests.builders import files, interrupt_after_a_round

RUN = ["--agent", "random", "--dataset", "diabetes", "--variation", "gauss", "--query_size", "2"]
RUN += ["--budget", "4", "--restarts", "1", "--runs_folder"]
FOLDER = Path("runs_gauss/Diabetes/2/RandomAgent/run_1")


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runs folder of a run that was interrupted."""
    torch.set_num_threads(1)
    interrupt_after_a_round([*RUN, str(tmp_path / "runs")], monkeypatch)
    return tmp_path / "runs"


def later(name: str, places: int) -> Callable[[str], str]:
    """The versions, with that of one library another one from its major, minor or third number on."""

    def version(of: str) -> str:
        parts = provenance_version(of).split(".")
        return ".".join([*parts[:places], "999"]) if of == name else ".".join(parts)

    return version


provenance_version = provenance.version


@pytest.mark.parametrize("name", ["torch", "numpy", "numba", "scikit-learn"])
def test_versions_with_other_numbers(
    begun: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = begun.parent / FOLDER / checkpoint.FILE
    before = path.read_bytes()
    monkeypatch.setattr(provenance, "version", later(name, 1))
    with pytest.raises(UserError) as refused:
        evaluate.main([*RUN, str(begun)])
    line = told(refused.value)
    assert line.startswith(f"run_1: its checkpoint was written with {name} {provenance_version(name)}, not ")
    assert line.endswith(": --accept_other_versions 1 goes on with it, --overwrite 1 makes it anew")
    assert path.read_bytes() == before
    for _ in range(2 if name == "torch" else 1):  # one that is finished has nothing to go on with
        assert evaluate.main([*RUN, str(begun), "--accept_other_versions", "1"]) == 0
    assert "goes on after 2 of 4 points" in capsys.readouterr().err
    assert name in read_meta(begun.parent / FOLDER / "meta.txt")["begun_with"]


def test_overwrite_begins_anew(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "version", later("torch", 0))
    assert evaluate.main([*RUN, str(begun), "--overwrite", "1"]) == 0
    assert "begun_with" not in read_meta(begun.parent / FOLDER / "meta.txt")


def test_releases_that_mend_errors(
    begun: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(provenance, "version", later("numpy", 2))
    assert evaluate.main([*RUN, str(begun)]) == 0
    assert "warning: run_1: its checkpoint was written with numpy " in capsys.readouterr().err


def test_a_checkpoint_of_older_code(begun: Path, tmp_path: Path) -> None:
    """It does not say its versions."""
    path = begun.parent / FOLDER / checkpoint.FILE
    content = checkpoint.read(path, KEYS, LATER_KEYS)
    assert content is not None
    del content["versions"]
    checkpoint.write(path, content)
    assert evaluate.main([*RUN, str(begun)]) == 0
    assert evaluate.main([*RUN, str(tmp_path / "whole/runs")]) == 0
    assert files(begun.parent / "runs_gauss") == files(tmp_path / "whole/runs_gauss")
