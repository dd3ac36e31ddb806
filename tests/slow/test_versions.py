"""A run that resumes with other libraries, or on another processor, than it was started with."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import evaluate
from core.runs import checkpoint, settings
from core.runs.settings import read_meta
from tests.builders import interrupt_after_a_round

RUN = ["--agent", "random", "--dataset", "diabetes", "--variation", "gauss", "--query_size", "2"]
RUN += ["--budget", "4", "--restarts", "1", "--runs_folder"]


def test_other_versions_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    interrupt_after_a_round([*RUN, str(tmp_path / "runs")], monkeypatch)
    here = settings.provenance()
    monkeypatch.setattr("core.runs.logger.provenance", lambda: here | {"code": "later", "numpy": "99.0"})
    assert evaluate.main([*RUN, str(tmp_path / "runs")]) == 0
    said = f"code {here['code']}, not later, numpy {here['numpy']}, not 99.0"
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("warning"))
    assert line == f"warning: run_1: it was started with {said}"
    meta = tmp_path / "runs_gauss/Diabetes/2/RandomAgent/run_1/meta.txt"
    assert read_meta(meta)["begun_with"] == said
    # Made anew, it is of one version.
    assert evaluate.main([*RUN, str(tmp_path / "runs"), "--overwrite", "1"]) == 0
    assert "begun_with" not in read_meta(meta)


BEGIN = """
import sys, pytest
from tests.builders import interrupt_after_a_round
interrupt_after_a_round(sys.argv[1:], pytest.MonkeyPatch())
"""


def warnings(runs: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is warned of when run_1 goes on to its end."""
    assert evaluate.main([*RUN, str(runs)]) == 0
    said = capsys.readouterr().err.splitlines()
    assert any("resumes after" in line for line in said)
    return [line for line in said if line.startswith("warning")]


def test_another_processor_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(1)
    old = {"NUMBA_CPU_NAME": "generic", "ATEN_CPU_CAPABILITY": "default"}
    begin = [sys.executable, "-c", BEGIN, *RUN, str(tmp_path / "runs")]
    subprocess.run(begin, env=os.environ | old, check=True)
    (line,) = warnings(tmp_path / "runs", capsys)
    assert line.startswith("warning: run_1: it was started with ")
    assert re.search(rf" DEFAULT, .* {torch.backends.cpu.get_cpu_capability()}, ", line)
    assert "processor of numba generic, not " in line
    assert len(line) < 300
    meta = read_meta(tmp_path / "runs_gauss/Diabetes/2/RandomAgent/run_1/meta.txt")
    assert line.endswith(meta["begun_with"])
    # Who began it is no setting: runs that were begun here lie beside it.
    assert evaluate.main([*RUN, str(tmp_path / "runs"), "--run_id", "2"]) == 0


def test_a_checkpoint_that_names_no_processor_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    interrupt_after_a_round([*RUN, str(tmp_path / "runs")], monkeypatch)
    path = tmp_path / "runs_gauss/Diabetes/2/RandomAgent/run_1" / checkpoint.FILE
    content = checkpoint.read(path)
    assert content is not None
    content["versions"] = {
        name: settings.version(name) for name in ("torch", "numpy", "numba", "scikit-learn")
    }
    checkpoint.write(path, content)
    assert warnings(tmp_path / "runs", capsys) == []
