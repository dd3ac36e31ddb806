"""Proximal policy optimisation of a scoring network; needs the extra `rl`.

Schulman et al., *Proximal Policy Optimization Algorithms*, 2017, arXiv 1707.06347, as Stable-Baselines3 and
sb3-contrib have it, with the mask of Huang & Ontanon, 2020, arXiv 2006.14171.

Shapes: B observations, C candidates, m and k numbers of a candidate and of the run, q points of a batch.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger, configure
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor
from torch import Tensor, nn

from ..runs import checkpoint
from ..training.side_by_side import side_by_side
from ..util import tqdm
from .candidates import CandidateEnv
from .evaluation import Evaluation
from .features import RUN
from .scorer import Policy, Scorer, check_settings, masked_mean, save_policy

__all__ = ["Lockstep", "Watch", "make_learner", "resume", "scorer_of"]

#: Passes over what was seen since the last update, and the size of a minibatch.
PASSES, BATCH = 6, 256
WIDTH = 64


class Lockstep(DummyVecEnv):
    """S environments in one process: the models of all are trained as one stack."""

    envs: list[CandidateEnv]  # type: ignore[assignment]

    def reset(self) -> Any:
        seeded = zip(self.envs, self._seeds, strict=True)
        begun = side_by_side([partial(env.reset, seed=seed) for env, seed in seeded])
        for i, (seen, self.reset_infos[i]) in enumerate(begun):
            self._save_obs(i, seen)
        self._reset_seeds()
        return self._obs_from_buf()

    def step_wait(self) -> Any:
        def one(i: int) -> Any:
            env = self.envs[i]
            seen, reward, done, _, info = env.step(self.actions[i])
            if done:
                info["terminal_observation"] = seen
                seen, self.reset_infos[i] = env.reset()
            return seen, reward, done, info

        made = side_by_side([partial(one, i) for i in range(self.num_envs)])
        for i, (seen, reward, done, info) in enumerate(made):
            self._save_obs(i, seen)
            self.buf_rews[i], self.buf_dones[i], self.buf_infos[i] = reward, done, info
        return self._obs_from_buf(), self.buf_rews.copy(), self.buf_dones.copy(), list(self.buf_infos)


class _Whole(BaseFeaturesExtractor):
    """Hands the observation on as it is: the heads below know its parts."""

    def __init__(self, space: Any) -> None:
        super().__init__(space, features_dim=1)

    def forward(self, seen: Any) -> Any:
        return seen


class _Heads(nn.Module):
    """The scorer, and a critic that sees the validation part too.

    What is chosen must not need it, since no agent has it; how a run goes is judged better with it (Pinto et
    al., *Asymmetric Actor Critic for Image-Based Robot Learning*, 2017, arXiv 1710.06542).
    """

    def __init__(self, m: int, k: int, query_size: int, width: int) -> None:
        super().__init__()
        self.query_size = query_size
        self.scorer = Scorer(m, len(RUN), width)
        self.each = nn.Sequential(nn.Linear(m, width), nn.Tanh())
        self.value = nn.Sequential(nn.Linear(width + k, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, seen: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        return self.forward_actor(seen), self.forward_critic(seen)

    def forward_actor(self, seen: dict[str, Tensor]) -> Tensor:
        """Logits [B, q C]: each point of a batch is drawn from the same scores."""
        scores = self.scorer(seen["candidates"], seen["context"][:, : len(RUN)], seen["mask"])
        return scores.repeat(1, self.query_size)

    def forward_critic(self, seen: dict[str, Tensor]) -> Tensor:
        """Values [B, 1]."""
        mean = masked_mean(self.each(seen["candidates"]), seen["mask"])
        return self.value(torch.cat([mean, seen["context"]], -1))


class _ScoringPolicy(MaskableActorCriticPolicy):
    """Actor and critic of Stable-Baselines3 around `_Heads`."""

    def __init__(self, *args: Any, width: int = WIDTH, **kwargs: Any) -> None:
        self.width = width
        super().__init__(*args, **kwargs | {"features_extractor_class": _Whole})

    def _build(self, lr_schedule: Callable[[float], float]) -> None:
        space: Any = self.observation_space
        m, k = space["candidates"].shape[-1], space["context"].shape[-1]
        query_size = math.prod(self.action_space.shape or ())
        heads = _Heads(m, k, query_size, self.width)
        with torch.no_grad():  # the first policy is nearly uniform
            last: Any
            for last in (heads.scorer.score[-1], heads.value[-1]):
                last.weight.mul_(0.01)
        self.mlp_extractor: Any = heads
        self.action_net: Any = nn.Identity()
        self.value_net: Any = nn.Identity()
        optimizer: Any = self.optimizer_class
        self.optimizer = optimizer(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)


def make_learner(
    env: VecEnv, seed: int, *, rate: float = 1e-3, discount: float = 0.9, rollout: int = 1024
) -> MaskablePPO:
    """An untrained learner on environments with the spaces of `CandidateEnv`.

    It seeds and draws from the generators of the whole process, as Stable-Baselines3 does.

    Args:
        seed: of weights, draws of actions, and environments.
        rate: learning rate of Adam.
        discount: of rewards; below 1, so that an early fall of the error is worth more.
        rollout: steps of all environments between two updates.
    """
    return MaskablePPO(
        _ScoringPolicy,
        VecMonitor(env),
        learning_rate=rate,
        n_steps=max(2, rollout // env.num_envs),
        batch_size=min(BATCH, rollout),
        n_epochs=PASSES,
        gamma=discount,
        gae_lambda=0.9,
        ent_coef=0.005,
        seed=seed,
        device="cpu",
    )


def scorer_of(learner: MaskablePPO) -> Scorer:
    """The part of a learner that is the policy."""
    scorer: Scorer = learner.policy.mlp_extractor.scorer  # type: ignore[assignment]
    return scorer


def resume(learner: MaskablePPO, folder: Path, settings: dict[str, Any]) -> None:
    """Goes on from the checkpoint in a folder, if there is one.

    Weights, optimiser and the count of steps go on; the tasks to come are others than those that would have
    come without a break.

    Raises:
        UserError: it was made with other settings.
    """
    found = checkpoint.read(folder / checkpoint.FILE)
    if found is None:
        return
    check_settings(folder, found["settings"], settings)
    learner.policy.load_state_dict(found["weights"])
    learner.policy.optimizer.load_state_dict(found["optimizer"])
    learner.num_timesteps = found["steps"]
    learner.get_env().seed(settings["seed"] + found["steps"])  # type: ignore[union-attr]


def logger_of(folder: Path) -> Logger:
    """TensorBoard's files in a folder."""
    return configure(str(folder), ["tensorboard"])


class Watch(BaseCallback):
    """Progress, checkpoints, and evaluations beside random.

    The folder gets `checkpoint.pt` and `policy.pt`, the last one.

    Args:
        folder: exists.
        settings: of the training; kept with checkpoint and policy.
        scores: the agents whose scores the policy sees.
        steps: in all.
        every: steps between two evaluations; a checkpoint is written before each update.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any],
        scores: Sequence[str],
        evaluation: Evaluation,
        steps: int,
        every: int,
    ) -> None:
        super().__init__()
        self.folder, self.settings, self.scores = folder, settings, tuple(scores)
        self.evaluation, self.steps, self.every = evaluation, steps, every

    def _on_training_start(self) -> None:
        self._next = self.num_timesteps + self.every
        self._bar = tqdm(total=self.steps, initial=self.num_timesteps, desc="learning")

    def _on_step(self) -> bool:
        self._bar.update(self.num_timesteps - self._bar.n)
        return True

    def _on_rollout_start(self) -> None:  # between two updates: weights and optimiser belong together
        self.keep()
        if self.num_timesteps >= self._next:
            self._next = self.num_timesteps + self.every
            self.evaluate()

    def _on_training_end(self) -> None:
        self.keep()
        self.evaluate()
        self._bar.close()

    def keep(self) -> None:
        """Writes checkpoint and policy."""
        policy = self.model.policy
        checkpoint.write(
            self.folder / checkpoint.FILE,
            {
                "settings": self.settings,
                "steps": self.num_timesteps,
                "weights": policy.state_dict(),
                "optimizer": policy.optimizer.state_dict(),
            },
        )
        trained = self.settings | {"steps": self.num_timesteps}
        scorer = scorer_of(self.model)  # type: ignore[arg-type]
        save_policy(self.folder / "policy.pt", Policy(scorer, self.scores, trained))

    def evaluate(self) -> None:
        """Plays the evaluation's tasks, and notes how the policy did."""
        self.evaluation.note(self.num_timesteps, scorer_of(self.model))  # type: ignore[arg-type]
        for name, value in self.evaluation.row.items():
            self.logger.record(f"evaluation/{name}", value)
        self._bar.set_postfix({name: f"{value:.4f}" for name, value in self.evaluation.row.items()})
