"""A run that goes on with other versions of the libraries than it was started with."""

from pathlib import Path

import pytest
import torch

import evaluate
from core.runs import settings
from core.runs.settings import read_meta
from tests.builders import interrupt_after_a_round

RUN = ["--agent", "random", "--dataset", "diabetes", "--variation", "gauss", "--query_size", "2"]
RUN += ["--budget", "4", "--restarts", "1", "--runs_folder"]


def test_other_versions_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    version = settings.version
    interrupt_after_a_round([*RUN, str(tmp_path / "runs")], monkeypatch)
    monkeypatch.setattr(settings, "version", lambda name: "99.0" if name == "numpy" else version(name))
    assert evaluate.main([*RUN, str(tmp_path / "runs")]) == 0
    said = f"numpy {version('numpy')}, not 99.0"
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("warning"))
    assert line == f"warning: run_1: it was started with {said}"
    meta = tmp_path / "runs_gauss/Diabetes/2/RandomAgent/run_1/meta.txt"
    assert read_meta(meta)["begun_with"] == said
    # Made anew, it is of one version.
    assert evaluate.main([*RUN, str(tmp_path / "runs"), "--overwrite", "1"]) == 0
    assert "begun_with" not in read_meta(meta)
