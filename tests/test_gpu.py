"""What needs a CUDA device: `pytest -m gpu`; skipped where there is none. It has run on none so far."""

from pathlib import Path

import pytest
import torch

import evaluate
from agents import AGENTS
from core import PROTOCOLS
from core.models.masks import dropout
from core.report.reader import load_results
from core.rl.candidates import CandidateEnv

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


def test_dropout() -> None:
    """Rate, scale and repeatability; the bits are those of the device's own generator."""
    first, second = (torch.Generator("cuda").manual_seed(1) for _ in range(2))
    x = torch.full((1, 500, 801), 3.0, device="cuda")
    out = dropout(x, 0.3, [first])
    assert torch.equal(out, dropout(x, 0.3, [second]))
    assert (out == 0).double().mean().item() == pytest.approx(0.3, abs=0.005)
    torch.testing.assert_close(out[out != 0], torch.full_like(out[out != 0], 3 / 0.7))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("agent", AGENTS.classes)
def test_a_run(agent: str, protocol: str, tmp_path: Path) -> None:
    """Every agent, two runs side by side of four points: finished, and all values are numbers."""
    variation = AGENTS.classes[agent].variations[0]
    options = {"agent": agent, "protocol": protocol, "variation": variation, "device": "cuda"}
    options |= {"dataset": "diabetes", "query_size": "2", "budget": "4", "restarts": "2"}
    evaluate.main(
        [f"--{name}={value}" for name, value in options.items()] + [f"--runs_folder={tmp_path}/runs"]
    )
    found = load_results(tmp_path / "runs")
    assert found.runs["status"].tolist() == ["finished"] * 2
    assert found.curves["value"].notna().all()


def test_an_environment_of_candidates() -> None:
    """Observations are arrays of the space, and an action trains on the device."""
    env = CandidateEnv("diabetes", budget=2, candidates=4, device="cuda")
    seen, _ = env.reset(seed=1)
    assert env.observation_space.contains(seen)
    seen, reward, *_ = env.step(0)
    assert env.observation_space.contains(seen)
    assert isinstance(reward, float)
    assert env.env.learner.x.is_cuda
