"""Learning a policy: it learns, environments side by side are those alone, what is broken off goes on."""

import csv
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from core.rl.candidates import VALIDATION, CandidateEnv
from core.rl.policy import RUN, SCORES, load_policy, names_of
from core.runs import checkpoint
from tests.builders import refused

pytest.importorskip("sb3_contrib", reason="the extra rl is not installed")
pytest.importorskip("tensorboard", reason="the extra rl is not installed")

from stable_baselines3.common.vec_env import DummyVecEnv

import learn_policy
from core.rl import ppo

M, K = len(names_of(SCORES)), len(RUN) + len(VALIDATION)


class Toy(gym.Env[Any, Any]):
    """The reward is the first number of the candidate that is chosen, of up to 8; ten steps."""

    observation_space = gym.spaces.Dict(
        {
            "candidates": gym.spaces.Box(-10, 10, (8, M), np.float32),
            "context": gym.spaces.Box(-10, 10, (K,), np.float32),
            "mask": gym.spaces.Box(0, 1, (8,), np.float32),
        }
    )
    action_space = gym.spaces.Discrete(8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.left = 10
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        assert self.mask[action]
        reward = float(self.candidates[action, 0])
        self.left -= 1
        return self._seen(), reward, self.left == 0, False, {}

    def action_masks(self) -> np.ndarray:
        return self.mask

    def _seen(self) -> Any:
        self.mask = np.arange(8) < self.np_random.integers(4, 9)
        self.candidates = self.np_random.random((8, M), dtype=np.float32) * self.mask[:, None]
        context = self.np_random.random(K, dtype=np.float32)
        return {"candidates": self.candidates, "context": context, "mask": self.mask.astype(np.float32)}


def mean_reward(choose: Any, steps: int = 400) -> float:
    env, rewards = Toy(), []
    seen, _ = env.reset(seed=99)
    for _ in range(steps):
        seen, reward, done, _, _ = env.step(choose(seen))
        rewards.append(reward)
        if done:
            seen, _ = env.reset()
    return float(np.mean(rewards))


def test_two_thousand_steps_move_a_toys_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ppo, "RATE", 3e-3)
    learner = ppo.make_learner(DummyVecEnv([Toy] * 4), seed=1, rollout=256)
    learner.learn(2000)
    policy: Any = learner.policy
    learned, rng = mean_reward(policy.mlp_extractor.scorer.best), np.random.default_rng(0)
    chance = mean_reward(lambda seen: int(rng.integers(int(seen["mask"].sum()))))
    assert chance == pytest.approx(0.5, abs=0.05)
    assert learned > chance + 0.25  # the best of the 4 to 8 is 0.85 on average


def make(**options: Any) -> CandidateEnv:
    config = {"first_epochs": 3, "later_epochs": 3}
    known: dict[str, Any] = {"candidates": 6, "budget": 3, "config": config, "anew": True}
    return CandidateEnv("synthetic", "gauss", **known | options)


def test_environments_side_by_side_are_those_alone() -> None:
    rng = np.random.default_rng(0)
    together: Any = ppo.Lockstep([make] * 3)
    alone: Any = DummyVecEnv([make] * 3)
    for env in (together, alone):
        env.seed(7)
    first, second = together.reset(), alone.reset()
    for _ in range(5):  # over the end of an episode
        for name, values in first.items():
            np.testing.assert_array_equal(values, second[name])
        actions = rng.integers(6, size=3)
        (first, *rest), (second, *others) = together.step(actions), alone.step(actions)
        np.testing.assert_array_equal(rest[0], others[0])
        np.testing.assert_array_equal(rest[1], others[1])
        for info, other in zip(rest[2], others[2], strict=True):
            assert info["mae"] == other["mae"]
            assert ("terminal_observation" in info) == ("terminal_observation" in other)


# --- the script ------------------------------------------------------------------------------

TYPED = "--task synthetic --steps 32 --environments 4 --budget 4 --candidates 6 --every 16"
TYPED += " --evaluations 2 --rollout 16 --out"


def test_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "policies/new"
    assert learn_policy.main([*TYPED.split(), str(out)]) == 0
    assert capsys.readouterr().out.endswith(f"policy: {out / 'policy.pt'}\n")
    names = {path.name.split(".")[0] for path in out.iterdir()}
    assert names == {"policy", "checkpoint", "evaluations", "events"}
    rows = list(csv.DictReader((out / "evaluations.csv").open()))
    assert [row["steps"] for row in rows] == ["16", "32"]
    for row in rows:
        difference = float(row["policy"]) - float(row["random"])
        assert float(row["difference"]) == pytest.approx(difference, abs=1e-5)
    policy = load_policy(out / "policy.pt")
    assert policy.scores == SCORES
    assert policy.trained["steps"] == 32
    assert policy.trained["task"] == "synthetic"

    # More steps go on from there; other settings are refused.
    assert learn_policy.main([*TYPED.replace("--steps 32", "--steps 64").split(), str(out)]) == 0
    assert [row["steps"] for row in csv.DictReader((out / "evaluations.csv").open())] == [
        "16",
        "32",
        "48",
        "64",
    ]
    assert f"{out}: resumes after 32 of 64 steps\n" in capsys.readouterr().err
    other = [*TYPED.split(), out, "--seed", "2"]
    assert "was started with seed 1, not 2" in refused(learn_policy.main, other, capsys)


def test_what_is_broken_off_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, typed = tmp_path / "new", TYPED.replace("--steps 32", "--steps 48").split()
    calls = []
    step = CandidateEnv.step

    def breaking(self: CandidateEnv, action: Any) -> Any:
        calls.append(action)
        if len(calls) == 40:  # in the second of three rollouts, behind an evaluation
            raise KeyboardInterrupt
        return step(self, action)

    monkeypatch.setattr("core.rl.candidates.CandidateEnv.step", breaking)
    monkeypatch.setattr("core.training.side_by_side.train_stack", _no_training)
    with pytest.raises(KeyboardInterrupt):
        learn_policy.main([*typed, str(out)])
    kept = checkpoint.read(out / "checkpoint.pt")
    assert kept is not None
    assert kept["steps"] == 16
    assert load_policy(out / "policy.pt").trained["steps"] == 16
    assert learn_policy.main([*typed, str(out)]) == 0
    assert load_policy(out / "policy.pt").trained["steps"] == 48


def _no_training(fits: Any) -> Any:
    from core.training.trainer import FitResult

    return [FitResult(1, 0.0) for _ in fits]
