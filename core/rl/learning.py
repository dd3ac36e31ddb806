"""How a policy is evaluated, beside random choices on the same tasks; and imitation of the greedy oracle.

Imitation tries out how much each of C candidates would help, and learns to tell from its features. Where it
does not beat random, the features do not say which point helps. (For classification: Liu, Buntine, Haffari,
*Learning How to Actively Learn: A Deep Imitation Learning Approach*, 2018.)
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..errors import UserError
from ..files import one_line, write_file
from ..runs import checkpoint
from ..training.side_by_side import side_by_side
from ..util import tqdm
from .candidates import CandidateEnv, Observation, mae
from .policy import RUN, Policy, save_policy

#: A position among the candidates of an observation.
Choose: TypeAlias = Callable[[Observation], int]

SEEN = ("candidates", "context", "mask")
#: Passes over all observations, observations of a minibatch, and the learning rate of Adam.
EPOCHS, BATCH, RATE = 60, 64, 1e-3
#: Falls are clipped to so many of their standard deviations among the candidates.
_CLIP = 3.0


def best_of(policy: Policy) -> Choose:
    """Always the candidate of highest score."""

    @torch.no_grad()
    def choose(seen: Observation) -> int:
        candidates, context, mask = (torch.from_numpy(seen[name])[None] for name in SEEN)
        scores = policy(candidates, context[:, : len(RUN)], mask)
        return int(torch.where(mask > 0, scores, -torch.inf).argmax())

    return choose


def random_of(rng: np.random.Generator) -> Choose:
    return lambda seen: int(rng.integers(int(seen["mask"].sum())))


def areas(envs: Sequence[CandidateEnv], seeds: Sequence[int], choose: Choose) -> np.ndarray:
    """Of an episode from each seed: the mean over its rounds of the test MAE, divided by the first; [S]."""

    def played(env: CandidateEnv, seed: int) -> float:
        seen, info = env.reset(seed=seed)
        curve, done = [info["mae"]], False
        while not done:
            seen, _, done, _, info = env.step(choose(seen))
            curve.append(info["mae"])
        return float(np.mean(curve[1:]) / curve[0])

    seeded = zip(envs, seeds, strict=True)
    return np.array(side_by_side([partial(played, env, seed) for env, seed in seeded]))


class Evaluation:
    """Plays the same tasks again and again, and keeps a table of how a policy did.

    By steps it has the mean area under the curve of policy and random, and mean and standard error of the
    difference over the tasks, each an environment and a seed. A table that is there goes on.
    """

    def __init__(self, path: Path, envs: Sequence[CandidateEnv], seeds: Sequence[int]) -> None:
        self.path, self.envs, self.seeds = path, envs, seeds
        self.table = pd.DataFrame(index=pd.Index([], name="steps"))
        self._random: np.ndarray | None = None
        if path.exists():
            try:
                self.table = pd.read_csv(path, index_col="steps", dtype=float).rename(int)
            except ValueError as error:
                raise UserError(f"{path} is damaged ({one_line(error)}); remove it") from error

    def note(self, steps: int, policy: Policy) -> dict[str, float]:
        """Evaluates a policy that has been trained for so many steps; the new row of the table."""
        if self._random is None:
            self._random = areas(self.envs, self.seeds, random_of(np.random.default_rng(0)))
        areas_of_policy = areas(self.envs, self.seeds, best_of(policy))
        difference = areas_of_policy - self._random
        row = {
            "policy": float(areas_of_policy.mean()),
            "random": float(self._random.mean()),
            "difference": float(difference.mean()),
            "error": float(difference.std(ddof=1) / len(difference) ** 0.5),
        }
        new = pd.DataFrame([row], index=pd.Index([steps], name="steps"))
        self.table = pd.concat([self.table[self.table.index < steps], new])
        write_file(self.path, lambda beside: self.table.to_csv(beside, float_format="%.6g"))
        return row


def read_checkpoint(folder: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The checkpoint in a folder, None if there is none; a UserError if it has other settings."""
    found = checkpoint.read(folder / checkpoint.FILE)
    if found is None:
        return None
    for name, value in settings.items():
        known = found["settings"].get(name)
        if known != value:
            raise UserError(f"{folder} was begun with {name} {known}, not {value}; take another folder")
    return found


def falls(env: CandidateEnv) -> np.ndarray:
    """By how much the test MAE would fall if a candidate were added: each is, to a copy of the run; [C].

    All copies are trained as one stack, from the same state of their generators. NaN where there is none.
    """
    learners, _, _ = env.env.with_each(env.rows)
    before, *after = (mae(learner, *learner.test) for learner in (env.env.learner, *learners))
    result = np.full(env.candidates, np.nan)
    result[: len(learners)] = before - np.array(after)
    return result


def try_out(env: CandidateEnv, seed: int) -> list[Observation]:
    """The observations of an episode, each with `fall` [C]; half of its steps take the best candidate."""
    tried, rng = [], np.random.default_rng(seed)
    seen, _ = env.reset(seed=seed)
    done = False
    while not done:
        fall = falls(env)
        tried.append(seen | {"fall": fall})
        best = int(np.nanargmax(fall))
        action = best if rng.random() < 0.5 else int(rng.integers(int(seen["mask"].sum())))
        seen, _, done, _, _ = env.step(action)
    return tried


def _stacked(tried: Sequence[Observation]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.stack([one[name] for one in tried])) for name in tried[0]}


def imitate(policy: Policy, tried: Sequence[Observation], seed: int) -> list[float]:
    """Trains a policy to say which candidates help more than others; the mean squared error of each epoch.

    What it is to say is the fall of the MAE in standard deviations from the mean over the candidates: about
    1 is the error of one that knows nothing.
    """
    stacked = _stacked(tried)
    candidates, context, mask = (stacked[name] for name in SEEN)
    target = torch.from_numpy(np.stack([_standardised(one["fall"]) for one in tried])).float()
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(policy.parameters(), RATE, weight_decay=1e-4)
    errors = []
    for _ in range(EPOCHS):
        total = 0.0
        for rows in torch.randperm(len(tried), generator=generator).split(BATCH):
            scores = policy(candidates[rows], context[rows][:, : len(RUN)], mask[rows])
            error = ((scores - target[rows]).square() * mask[rows]).sum() / mask[rows].sum()
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
            total += float(error.detach()) * len(rows)
        errors.append(total / len(tried))
    return errors


def _standardised(fall: np.ndarray) -> np.ndarray:
    """Deviations from the mean in standard deviations, clipped; 0 where there is no candidate."""
    deviation = max(float(np.nanstd(fall)), 1e-9)
    return np.nan_to_num((fall - np.nanmean(fall)) / deviation).clip(-_CLIP, _CLIP)


def learn_by_imitation(
    folder: Path, settings: dict[str, Any], env: CandidateEnv, evaluation: Evaluation, steps: int
) -> None:
    """Tries out episodes until there are so many steps, imitates, and writes and evaluates the policy.

    Episode i has the seed 1000 * the settings' seed + i. Those in the folder's checkpoint are not played
    again.
    """
    tried: list[Observation] = []
    episode = 0
    if found := read_checkpoint(folder, settings):
        episode, names = found["episode"], (*SEEN, "fall")
        tried = [{name: found[name][i].numpy() for name in names} for i in range(len(found["fall"]))]
    with tqdm(total=steps, initial=len(tried), desc="trying out") as bar:
        while len(tried) < steps:
            tried += try_out(env, 1000 * settings["seed"] + episode)
            episode += 1
            kept = {"settings": settings, "episode": episode, **_stacked(tried)}
            checkpoint.write(folder / checkpoint.FILE, kept)
            bar.update(len(tried) - bar.n)
    torch.manual_seed(settings["seed"])  # the weights, in a process of our own
    policy = Policy()
    errors = imitate(policy, tried, settings["seed"])
    policy.trained = settings | {"steps": len(tried), "error": errors[-1]}
    save_policy(folder / "policy.pt", policy)
    evaluation.note(len(tried), policy)
