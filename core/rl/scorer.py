"""A learned policy: the network that scores candidates, and its file.

Shapes: B observations, C candidates, m and k numbers of a candidate and of the run, w width.
"""

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..agent import AGENTS
from ..errors import UserError
from ..files import write_file
from .features import RUN, names_of

__all__ = ["Policy", "Scorer", "check_settings", "load_policy", "masked_mean", "save_policy"]

_VERSION = 1
_KEYS = {"version", "scores", "run", "width", "trained", "weights"}


def masked_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over the candidates that are there: [B, C, w], [B, C] -> [B, w]; 0 where none is."""
    return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


class Scorer(nn.Module):
    """Scores each candidate by its own numbers, the run's, and the mean over all candidates.

    Candidates in another order get their scores in that order, and there may be any number of them
    (Zaheer et al., *Deep Sets*, 2017, arXiv 1703.06114).

    Args:
        m, k: numbers of a candidate, and of the run.
        width: w.
    """

    def __init__(self, m: int, k: int, width: int = 64) -> None:
        super().__init__()
        self.width = width
        self.each = nn.Sequential(nn.Linear(m + k, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())
        self.score = nn.Sequential(nn.Linear(2 * width, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, candidates: Tensor, run: Tensor, mask: Tensor) -> Tensor:
        """Scores [B, C] of candidates [B, C, m] in runs [B, k]; mask [B, C] is 1 where there is one."""
        everywhere = run[:, None].expand(-1, candidates.shape[1], -1)
        hidden = self.each(torch.cat([candidates, everywhere], -1))
        mean = masked_mean(hidden, mask)[:, None].expand_as(hidden)
        return self.score(torch.cat([hidden, mean], -1))[..., 0]


@dataclass(frozen=True)
class Policy:
    """A scorer, and what it must be shown.

    Attributes:
        scores: the agents whose scores are among the candidates' numbers.
        trained: how it was trained, in words and numbers.
    """

    scorer: Scorer
    scores: tuple[str, ...]
    trained: dict[str, Any] = field(default_factory=dict)


def save_policy(path: Path, policy: Policy) -> None:
    """Writes a policy's file, whole or not at all."""
    content = {
        "version": _VERSION,
        "scores": list(policy.scores),
        "run": list(RUN),
        "width": policy.scorer.width,
        "trained": policy.trained,
        "weights": {name: tensor.cpu() for name, tensor in policy.scorer.state_dict().items()},
    }
    write_file(path, lambda beside: torch.save(content, beside))


def load_policy(path: Path) -> Policy:
    """Reads what `save_policy` wrote; nothing in the file is executed.

    Raises:
        UserError: there is no such file, it is no policy, or one of another version.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"the policy {path} cannot be read: {error.strerror or error}") from error
    try:
        with warnings.catch_warnings():  # of pickles that are not torch's
            warnings.simplefilter("ignore")
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    # torch raises nearly anything on what it did not write, or will not execute.
    except Exception as error:
        raise UserError(f"{path} is no policy: {type(error).__name__} while it was read") from error
    if not isinstance(content, dict) or set(content) != _KEYS:
        raise UserError(f"{path} is no policy: it holds something else")
    if content["version"] != _VERSION or content["run"] != list(RUN):
        raise UserError(f"{path} is a policy of another version")
    try:
        scores = tuple(AGENTS.name(name) for name in content["scores"])
        with torch.device("meta"):  # initial weights would be drawn from the generator of the whole process
            scorer = Scorer(len(names_of(scores)), len(RUN), content["width"])
        scorer.load_state_dict(content["weights"], assign=True)
    except (UserError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is a damaged policy: {str(error).splitlines()[0]}") from error
    if not all(tensor.isfinite().all() for tensor in scorer.parameters()):
        raise UserError(f"{path} is a damaged policy: its weights are not finite")
    return Policy(scorer.float().requires_grad_(False), scores, content["trained"])


def check_settings(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raises a UserError if what lies in a folder was begun with other settings."""
    for name, value in wanted.items():
        if found.get(name) != value:
            raise UserError(
                f"{folder} was begun with {name} {found.get(name)}, not {value}; take another folder"
            )
