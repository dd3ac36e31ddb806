"""Imitation of the greedy oracle: how much each candidate would help is tried out, and learned from features.

No score of the same features chooses single points better than one that knows how much they help. Where such
an imitation does not beat random, the features do not say which point helps. (For classification: Liu,
Buntine, Haffari, *Learning How to Actively Learn: A Deep Imitation Learning Approach*, 2018.)

Shapes: B observations, C candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..runs import checkpoint
from ..util import tqdm
from .candidates import CandidateEnv, Observation, mae
from .features import RUN
from .scorer import Scorer, check_settings

__all__ = ["Tried", "falls", "imitate", "try_out", "try_out_more"]

#: Passes over all observations, observations of a minibatch, and the learning rate of Adam.
EPOCHS, BATCH, RATE = 60, 64, 1e-3
_SEEN = ("candidates", "context", "mask")
#: Gains are clipped to so many of their standard deviations among the candidates.
_CLIP = 3.0


@dataclass(frozen=True)
class Tried:
    """An observation, and by how much each candidate would lower the MAE on the test set, [C]."""

    seen: Observation
    fall: np.ndarray


def falls(env: CandidateEnv) -> np.ndarray:
    """By how much the test MAE would fall if a candidate were added: each is, to a copy of the run; [C].

    All copies are trained as one stack, from the same state of their generators. NaN where there is none.
    """
    run = env.env
    learners, _, _ = run.with_each(env.rows)
    before, *after = (mae(of, *of.test) for of in (run.learner, *learners))
    result = np.full(env.candidates, np.nan)
    result[: len(learners)] = before - np.array(after)
    return result


def try_out(env: CandidateEnv, seed: int) -> list[Tried]:
    """What an episode shows; half of its steps take the best candidate, half any."""
    tried = []
    rng = np.random.default_rng(seed)
    seen, _ = env.reset(seed=seed)
    done = False
    while not done:
        fall = falls(env)
        tried.append(Tried(seen, fall))
        best = int(np.nanargmax(fall))
        action = best if rng.random() < 0.5 else int(rng.integers(int(seen["mask"].sum())))
        seen, _, done, _, _ = env.step(action)
    return tried


def try_out_more(folder: Path, settings: dict[str, Any], env: CandidateEnv, steps: int) -> list[Tried]:
    """Episodes until there are so many steps; those in the folder's checkpoint are taken from there.

    Episode i is played from seed 1000 * the settings' seed + i.

    Raises:
        UserError: the checkpoint was made with other settings.
    """
    path = folder / checkpoint.FILE
    tried, episode = [], 0
    if (found := checkpoint.read(path)) is not None:
        check_settings(folder, found["settings"], settings)
        episode = found["episode"]
        parts = zip(found["fall"], *(found[name] for name in _SEEN), strict=True)
        tried = [
            Tried({name: part.numpy() for name, part in zip(_SEEN, seen, strict=True)}, fall.numpy())
            for fall, *seen in parts
        ]
    with tqdm(total=steps, initial=len(tried), desc="trying out") as bar:
        while len(tried) < steps:
            tried += try_out(env, 1000 * settings["seed"] + episode)
            episode += 1
            kept = {name: torch.from_numpy(np.stack([one.seen[name] for one in tried])) for name in _SEEN}
            kept["fall"] = torch.from_numpy(np.stack([one.fall for one in tried]))
            checkpoint.write(path, {"settings": settings, "episode": episode, **kept})
            bar.update(len(tried) - bar.n)
    return tried


def imitate(scorer: Scorer, tried: Sequence[Tried], seed: int) -> list[float]:
    """Trains a scorer to say which candidates help more than others; the mean squared error of each epoch.

    What it is to say is the fall of the MAE in standard deviations from the mean over the candidates: about
    1 is the error of one that knows nothing.
    """
    candidates, context, mask = (
        torch.from_numpy(np.stack([one.seen[name] for one in tried])) for name in _SEEN
    )
    target = torch.from_numpy(np.stack([_standardised(one.fall) for one in tried])).float()
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(scorer.parameters(), RATE, weight_decay=1e-4)
    errors = []
    for _ in range(EPOCHS):
        total = 0.0
        for rows in torch.randperm(len(tried), generator=generator).split(BATCH):
            scores = scorer(candidates[rows], context[rows][:, : len(RUN)], mask[rows])
            error = _error(scores, target[rows], mask[rows])
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


def _error(scores: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    return ((scores - target).square() * mask).sum() / mask.sum()
