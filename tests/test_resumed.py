"""Runs that go on in another process's place: every kind of state an agent, a model or a run keeps."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import torch

import evaluate
from agents.random import RandomAgent
from core.runs import checkpoint
from tests.builders import files, interrupt_after_a_round

pytestmark = pytest.mark.machines


def test_an_agent_whose_state_no_checkpoint_can_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RandomAgent, "state_dict", lambda self: {"seen": np.float64(3)})
    run = "--agent random --dataset diabetes --query_size 2 --budget 4 --restarts 1"
    with pytest.raises(TypeError, match="state_dict must return tensors and plain values alone"):
        evaluate.main([*run.split(), "--runs_folder", str(tmp_path / "runs")])


@pytest.mark.parametrize(
    ("agent", "variation"),
    [
        ("balsa_kl_grid_dual", "nf"),  # as published, its raised dropout stays in the model
        ("balsa_emd", "ensemble"),
        ("typiclust", "gauss"),
        pytest.param("coregcn", "nf", marks=pytest.mark.slow),
    ],
)
def test_goes_on_to_the_same_bytes(
    agent: str, variation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    run = ["--agent", agent, "--dataset", "diabetes", "--variation", variation, "--query_size", "2"]
    run += ["--budget", "6", "--restarts", "1", "--record_points", "1", "--runs_folder"]
    assert evaluate.main([*run, str(tmp_path / "whole/runs")]) == 0
    for _ in range(3):
        interrupt_after_a_round([*run, str(tmp_path / "parts/runs")], monkeypatch)
    assert evaluate.main([*run, str(tmp_path / "parts/runs")]) == 0
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    points = [torch.load(next((tmp_path / of).rglob("selected_points.pt"))) for of in ("parts", "whole")]
    assert torch.equal(*points)


def test_a_checkpoint_of_another_version_is_set_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, buffer = tmp_path / checkpoint.FILE, io.BytesIO()
    torch.save({"version": 0}, buffer)
    payload = buffer.getvalue()
    path.write_bytes(hashlib.sha256(payload).digest() + payload)
    assert checkpoint.read(path) is None
    printed = capsys.readouterr().err
    assert "cannot be used (its version is 0, this code reads 1)" in printed
    assert printed.count("\n") == 1
    assert not path.exists()
    assert path.with_name("checkpoint.pt.damaged").exists()
