"""Proximal policy optimisation of a scoring network; needs the extra `rl`.

Schulman et al., *Proximal Policy Optimization Algorithms*, 2017, arXiv 1707.06347, as Stable-Baselines3 and
sb3-contrib have it, with the mask of Huang & Ontanon, 2020, arXiv 2006.14171.

B observations, C candidates, m and k numbers of a candidate and of the run. A step labels one point.
"""

import sys
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from scipy.stats import sem
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor
from torch import Tensor, nn

from ..errors import UserError
from ..files import write_file
from ..runs import checkpoint
from ..training.side_by_side import side_by_side
from ..util import tqdm
from .candidates import CandidateEnv, Observation
from .policy import RUN, Policy, masked_mean, save_policy

#: Passes over what was seen since the last update, the size of a minibatch, and Adam's learning rate.
PASSES, BATCH, RATE = 6, 256, 1e-3
WIDTH = 64  # of the critic


class Lockstep(DummyVecEnv):
    """S environments in one process: the models of all are trained as one stack."""

    envs: list[CandidateEnv]  # type: ignore[assignment]

    def reset(self) -> Any:
        seeded = zip(self.envs, self._seeds, strict=True)
        begun = side_by_side([partial(env.reset, seed=seed) for env, seed in seeded])
        self._reset_seeds()
        return _stacked([seen for seen, _ in begun])

    def step_wait(self) -> Any:
        def step(env: CandidateEnv, action: int) -> Any:
            seen, reward, done, _, info = env.step(action)
            if done:
                info["terminal_observation"] = seen
                seen, _ = env.reset()
            return seen, reward, done, info

        pairs = zip(self.envs, self.actions, strict=True)
        seen, rewards, done, infos = zip(*side_by_side([partial(step, *pair) for pair in pairs]), strict=True)
        return _stacked(seen), np.array(rewards, np.float32), np.array(done), list(infos)


def _stacked(seen: Sequence[Observation]) -> Observation:
    return {name: np.stack([one[name] for one in seen]) for name in seen[0]}


class _Heads(nn.Module):
    """The policy, and a critic that sees the validation part too, which no agent has (Pinto et al.,
    *Asymmetric Actor Critic for Image-Based Robot Learning*, 2017, arXiv 1710.06542).
    """

    def __init__(self, m: int, k: int) -> None:
        super().__init__()
        self.scorer = Policy()
        self.each = nn.Sequential(nn.Linear(m, WIDTH), nn.Tanh())
        self.value = nn.Sequential(nn.Linear(WIDTH + k, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 1))

    def forward(self, seen: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        return self.forward_actor(seen), self.forward_critic(seen)

    def forward_actor(self, seen: dict[str, Tensor]) -> Tensor:
        """Logits [B, C]."""
        return self.scorer(seen["candidates"], seen["context"][:, : len(RUN)], seen["mask"])

    def forward_critic(self, seen: dict[str, Tensor]) -> Tensor:
        """Values [B, 1]."""
        mean = masked_mean(self.each(seen["candidates"]), seen["mask"])
        return self.value(torch.cat([mean, seen["context"]], -1))


class _ScoringPolicy(MaskableActorCriticPolicy):
    """Actor and critic of Stable-Baselines3 around `_Heads`, which take observations as they are."""

    def _build(self, lr_schedule: Callable[[float], float]) -> None:
        space: Any = self.observation_space
        heads = _Heads(space["candidates"].shape[-1], space["context"].shape[-1])
        last: Any
        for last in (heads.scorer.score[-1], heads.value[-1]):
            last.weight.data.mul_(0.01)  # the first policy is nearly uniform
        self.features_extractor = self.vf_features_extractor = nn.Identity()  # type: ignore[assignment]
        self.mlp_extractor: Any = heads
        self.action_net: Any = nn.Identity()
        self.value_net: Any = nn.Identity()
        self.optimizer = torch.optim.Adam(self.parameters(), lr_schedule(1), **self.optimizer_kwargs)


def make_learner(env: VecEnv, seed: int, rollout: int) -> MaskablePPO:
    """An untrained learner, which is updated after `rollout` steps of all environments.

    It seeds and draws from the generators of the whole process, as Stable-Baselines3 does.
    """
    return MaskablePPO(
        _ScoringPolicy,
        VecMonitor(env),
        learning_rate=RATE,
        n_steps=max(2, rollout // env.num_envs),
        batch_size=min(BATCH, rollout),
        n_epochs=PASSES,
        gamma=0.9,  # an early fall of the error is worth more
        gae_lambda=0.9,
        ent_coef=0.005,
        seed=seed,
        device="cpu",
    )


class Evaluation:
    """Evaluates a policy on the same tasks each time, each an environment and a seed.

    Appends a line to a table: the mean area under the curve of policy and random, and mean and standard error
    of the difference over the tasks.
    """

    def __init__(self, path: Path, envs: Sequence[CandidateEnv], seeds: Sequence[int]) -> None:
        self.path, self.envs, self.seeds = path, envs, seeds

    @cached_property
    def _random(self) -> np.ndarray:
        rng = np.random.default_rng(0)
        return self._areas(lambda seen: int(rng.integers(int(seen["mask"].sum()))))

    def _areas(self, choose: Callable[[Observation], int]) -> np.ndarray:
        """The mean test MAE over an episode, divided by the first, for each of S seeds; [S]."""

        def played(env: CandidateEnv, seed: int) -> float:
            seen, info = env.reset(seed=seed)
            curve, done = [info["mae"]], False
            while not done:
                seen, _, done, _, info = env.step(choose(seen))
                curve.append(info["mae"])
            return float(np.mean(curve[1:]) / curve[0])

        seeded = zip(self.envs, self.seeds, strict=True)
        return np.array(side_by_side([partial(played, env, seed) for env, seed in seeded]))

    def note(self, steps: int, policy: Policy) -> dict[str, float]:
        """Evaluates a policy after so many training steps; returns the new row of the table."""
        areas = self._areas(policy.best)
        difference = areas - self._random
        row = {"policy": areas.mean(), "random": self._random.mean()}
        row |= {"difference": difference.mean(), "error": sem(difference)}
        table = pd.DataFrame([{"steps": steps} | row])
        text = self.path.read_text() if self.path.exists() else ""
        text += table.to_csv(header=not text, index=False, float_format="%.6g")
        write_file(self.path, lambda part: part.write_text(text))
        return row


def learn_by_ppo(
    folder: Path,
    settings: dict[str, Any],
    learner: MaskablePPO,
    evaluation: Evaluation,
    steps: int,
    every: int,
) -> None:
    """Plays and updates the policy in turn; writes `checkpoint.pt` and `policy.pt` after each update.

    Resumes from the folder's checkpoint, with freshly drawn tasks.

    Args:
        settings: what must be the same when training resumes.
        steps: their total number.
        every: steps between two evaluations.

    Raises:
        UserError: the folder's checkpoint has other settings.
    """
    policy: Any = learner.policy
    if found := checkpoint.read(folder / checkpoint.FILE):
        for name, value in settings.items():
            if (known := found["settings"].get(name)) != value:
                raise UserError(f"{folder} was started with {name} {known}, not {value}; use another --out")
        policy.load_state_dict(found["weights"])
        policy.optimizer.load_state_dict(found["optimizer"])
        learner.num_timesteps = found["steps"]
        print(f"{folder}: resumes after {found['steps']:,} of {steps:,} steps", file=sys.stderr)
        learner.get_env().seed(settings["seed"] + found["steps"])  # type: ignore[union-attr]
    learner.set_logger(configure(str(folder), ["tensorboard"]))
    due = learner.num_timesteps + every
    with tqdm(total=steps, initial=learner.num_timesteps, desc="learning") as bar:

        def show(*_: Any) -> bool:
            bar.update(learner.num_timesteps - bar.n)
            return True  # keep learning

        while learner.num_timesteps < steps:
            learner.learn(1, callback=show, reset_num_timesteps=False)  # as far as the next update
            made, kept = learner.num_timesteps, policy.mlp_extractor.scorer
            content = {"settings": settings, "steps": made, "weights": policy.state_dict()}
            content["optimizer"] = policy.optimizer.state_dict()
            checkpoint.write(folder / checkpoint.FILE, content)
            kept.trained = settings | {"steps": made}
            save_policy(folder / "policy.pt", kept)
            if made >= min(due, steps):
                due = made + every
                row = evaluation.note(made, kept)
                for name, number in row.items():
                    learner.logger.record(f"evaluation/{name}", number)
                bar.set_postfix({name: f"{number:.4f}" for name, number in row.items()})
