"""Imitation of the greedy oracle: what is tried out is what steps do, and a policy learns what helps."""

from pathlib import Path

import numpy as np
import pytest
import torch

import learn_policy
from core.rl.candidates import VALIDATION, CandidateEnv, Observation
from core.rl.learning import falls, imitate, try_out
from core.rl.policy import RUN, SCORES, Policy, load_policy, names_of


def make(candidates: int = 4) -> CandidateEnv:
    config = {"first_epochs": 3, "later_epochs": 3}
    return CandidateEnv("synthetic", "gauss", candidates=candidates, budget=3, config=config)


def mae(env: CandidateEnv) -> float:
    """On the test set, with the samples that `falls` takes."""
    x, y = env.env.learner.test
    generator = env.env.seeds.torch("evaluation")
    return float((env.env.learner.predictor.predict(x, generator) - y).abs().mean())


def test_falls_are_those_of_real_steps_and_change_nothing() -> None:
    env = make()
    env.reset(seed=5)
    theta = env.env.learner.predictor.model.theta.clone()
    found = falls(env)
    assert torch.equal(env.env.learner.predictor.model.theta, theta)
    assert env.env.added == 0
    for action in range(4):
        plain = make()
        plain.reset(seed=5)
        before = mae(plain)
        plain.step(action)
        assert found[action] == pytest.approx(before - mae(plain), abs=1e-6)


def test_a_policy_learns_which_candidates_help() -> None:
    rng = np.random.default_rng(0)
    tried = []
    for _ in range(200):
        candidates = rng.random((8, len(names_of(SCORES))), dtype=np.float32)
        mask = np.array([1] * 6 + [0] * 2, dtype=np.float32)
        fall = np.where(mask > 0, 0.01 * (candidates[:, 1] - candidates[:, 2]) - 5, np.nan)
        context = rng.random(len(RUN) + len(VALIDATION), dtype=np.float32)
        tried.append({"candidates": candidates, "context": context, "mask": mask, "fall": fall})
    torch.manual_seed(0)
    errors = imitate(Policy(width=16), tried, seed=1)
    assert errors[0] > 0.8
    assert errors[-1] < 0.2


def test_script_goes_on_with_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = "--algorithm imitation --task synthetic --budget 3 --candidates 4 --evaluations 2"

    def learn(steps: int, out: str) -> Policy:
        assert learn_policy.main([*typed.split(), "--steps", str(steps), "--out", str(tmp_path / out)]) == 0
        return load_policy(tmp_path / out / "policy.pt")

    once, first = learn(6, "once"), learn(3, "twice")
    assert (once.trained["steps"], first.trained["steps"]) == (6, 3)
    seeds = []

    def watched(env: CandidateEnv, seed: int) -> list[Observation]:
        seeds.append(seed)
        return try_out(env, seed)

    monkeypatch.setattr("core.rl.learning.try_out", watched)
    twice = learn(6, "twice")
    assert seeds == [1001]
    assert twice.trained == once.trained
    for name, weights in once.state_dict().items():
        assert torch.equal(weights, twice.state_dict()[name])
    assert (tmp_path / "twice/evaluations.csv").read_text().count("\n") == 3
