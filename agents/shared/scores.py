"""The acquisition functions, as pure functions of log-densities and samples.

Shapes: T stochastic passes, N candidates, G grid points, M samples. Scores are [N].
The sums are those of docs/METHOD.md, section 3; the paper is Werner & Schmidt-Thieme, *Bayesian Active
Learning By Distribution Disagreement*, 2025, arXiv 2501.01248.

`log_space` says how densities are multiplied with logarithms. False is as published: float32
densities, where 0 log(0/q) is NaN (in `kl_diff` 0) and p log(p/0) is infinite. True stays with the
logarithms, where 0 log 0 = 0 and every score is finite.
"""

import math

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "ascending",
    "bald_point",
    "dist_entropy",
    "dist_std",
    "emd_full",
    "emd_pairs",
    "entropy",
    "entropy_difference",
    "kl_anomaly",
    "kl_diff",
    "kl_grid",
    "kl_pairs",
    "log_trapezoid",
    "mutual_information",
    "nflows_out",
    "std",
    "wasserstein",
]

# Below any log-density of a sane model, and far enough from float32's end to be summed.
_FLOOR = -1e30


def _log_mean_exp(log_p: Tensor) -> Tensor:
    """log mean_t p_t: [T, ...] -> [...]."""
    return log_p.logsumexp(0) - math.log(len(log_p))


def log_trapezoid(log_p: Tensor, spacing: float) -> Tensor:
    """Logarithm of the trapezoid integral of p over the last axis: [..., G] -> [...]."""
    weights = torch.full_like(log_p[..., :1], spacing).log().expand_as(log_p).clone()
    weights[..., [0, -1]] -= math.log(2)
    return (log_p + weights).logsumexp(-1)


def _kl(log_p: Tensor, log_q: Tensor, log_space: bool) -> Tensor:
    """sum_g p log(p / q) over the last axis, no spacing factor: [..., G] -> [...]."""
    if log_space:
        log_p, log_q = log_p.clamp(min=_FLOOR), log_q.clamp(min=_FLOOR)
        return (log_p.exp() * (log_p - log_q)).sum(-1)
    p, q = log_p.exp(), log_q.exp()
    return (p * (p / q).log()).sum(-1)


def _trapezoid(f: Tensor, spacing: float) -> Tensor:
    """Trapezoid integral over the last axis, [..., G] -> [...]; with fewer copies than torch's."""
    ends = f[..., 0] / 2 + f[..., -1] / 2
    return spacing * (f[..., 1:-1].sum(-1) + ends)


def entropy(log_p: Tensor, spacing: float, log_space: bool = True) -> Tensor:
    """H[p] = trapezoid integral of -p log p over the last axis: [..., G] -> [...]."""
    if log_space:
        log_p = log_p.clamp(min=_FLOOR)
        return -_trapezoid(log_p.exp().mul_(log_p), spacing)
    p = log_p.exp()
    return -_trapezoid(p.log().mul_(p), spacing)


def kl_grid(log_p: Tensor, log_space: bool, spacing: float | None = None) -> Tensor:
    """BALSA-KL grid: sum_t sum_g p_t log(p_t / pbar), pbar = mean_t p_t (paper, section 4).

    Args:
        log_p: log-densities [T, N, G].
        spacing: divide pbar by its trapezoid area with this spacing (`balsa_kl_grid_norm`).
    """
    if log_space:
        log_mean = _log_mean_exp(log_p.clamp(min=_FLOOR))
        if spacing is not None:
            log_mean = log_mean - log_trapezoid(log_mean, spacing)[..., None]
        return _kl(log_p, log_mean, True).sum(0)
    p = log_p.exp()
    mean = p.mean(0)
    if spacing is not None:
        mean = mean / _trapezoid(mean, spacing)[..., None]
    return (p * (p / mean).log()).sum((0, -1))


def kl_pairs(log_p: Tensor, log_space: bool) -> Tensor:
    """BALSA-KL pairs: sum over t of sum_g p_t log(p_t / p_{t+1}); log_p [T, N, G]."""
    return _kl(log_p[:-1], log_p[1:], log_space).sum(0)


def kl_diff(log_p: Tensor, log_space: bool) -> Tensor:
    """sum over t = 1..T-1 of KL(p_t, p_{t+1}) - KL(p_t, pbar); log_p [T, N, G].

    As published, terms are those of scipy's `rel_entr` on float32 densities: 0 log(0/q) = 0,
    p log(p/0) is infinite.
    """
    if log_space:
        log_mean = _log_mean_exp(log_p.clamp(min=_FLOOR))
        return (_kl(log_p[:-1], log_p[1:], True) - _kl(log_p[:-1], log_mean, True)).sum(0)
    p = log_p.exp()
    return (_relative_entropy(p[:-1], p[1:]) - _relative_entropy(p[:-1], p.mean(0))).sum(0)


def _relative_entropy(p: Tensor, q: Tensor) -> Tensor:
    """sum_g p log(p / q) over the last axis, 0 log(0/q) = 0: [..., G] -> [...]."""
    return torch.where(p > 0, p * (p / q).log(), 0).sum(-1)


def kl_anomaly(log_d: Tensor, log_space: bool) -> Tensor:
    """-sum_t sum_j log(d_tj / mean_t d_tj).

    As published, a density d_tj that float32 takes for zero makes the score infinite (NaN, if it is
    zero in all passes).

    Args:
        log_d: log-densities [T, N, M], under one mask, of samples drawn under another.
    """
    if log_space:
        log_d = log_d.clamp(min=_FLOOR)
        return (_log_mean_exp(log_d) - log_d).sum((0, -1))
    d = log_d.exp()
    return -(d / d.mean(0)).log().sum((0, -1))


def entropy_difference(log_p: Tensor, spacing: float) -> Tensor:
    """sum over t = 1..T-1 of H[p_t] - H[exp(mean_t log p_t)]; log_p [T, N, G]."""
    log_p = log_p.clamp(min=_FLOOR)
    return (entropy(log_p[:-1], spacing) - entropy(log_p.mean(0), spacing)).sum(0)


def dist_entropy(log_p: Tensor, spacing: float, log_space: bool) -> Tensor:
    """BALD on entropies: sum_t H[q] - H[p_t], q = mean_t p_t divided by its own trapezoid area.

    Houlsby et al., *Bayesian Active Learning for Classification and Preference Learning*, 2011,
    on the densities [T, N, G] of a flow.
    """
    if log_space:
        log_mean = _log_mean_exp(log_p.clamp(min=_FLOOR))
        log_q = log_mean - log_trapezoid(log_mean, spacing)[..., None]
    else:
        mean = log_p.exp().mean(0)
        log_q = (mean / _trapezoid(mean, spacing)[..., None]).log()
    return (entropy(log_q, spacing, log_space) - entropy(log_p, spacing, log_space)).sum(0)


def std(samples: Tensor) -> Tensor:
    """Standard deviation over the last axis, ten times as fast on the CPU as torch's own."""
    deviation = samples - samples.mean(-1, keepdim=True)
    return torch.linalg.vector_norm(deviation, dim=-1) / math.sqrt(samples.shape[-1] - 1)


def dist_std(samples: Tensor, absolute: bool) -> Tensor:
    """sum over consecutive passes of std(s_t) - std(s_{t-1}), or of its absolute values.

    Signed, the sum telescopes to the last minus the first. samples: [T, N, M].
    """
    steps = std(samples).diff(dim=0)
    return (steps.abs() if absolute else steps).sum(0)


def bald_point(predictions: Tensor) -> Tensor:
    """Standard deviation of the point prediction over passes: [T, N] -> [N]."""
    return predictions.std(0)


def nflows_out(log_p: Tensor) -> Tensor:
    """mean_t(mean_t' a(t') - a(t)) with a(t) the mean over the grid of -log p_t; log_p [T, N, G].

    As published: in exact arithmetic this is zero, so it ranks by rounding noise.
    """
    a = -log_p.mean(-1)
    return (a.mean(0) - a).mean(0)


def mutual_information(own: Tensor, log_p: Tensor) -> Tensor:
    """Monte Carlo mutual information of target and model.

    Over samples y_tj ~ p_t the mean of log p_t(y_tj) - log mean_t' p_t'(y_tj) (Berry & Meger,
    *Normalizing Flow Ensembles for Rich Aleatoric and Epistemic Uncertainty Modeling*, 2023,
    arXiv 2302.01312).

    Args:
        own: [M, T, N], the log-density under pass t of its own sample j.
        log_p: [T', N, MT], the log-densities under pass t' of the samples of all passes, in any order.
    """
    mixture = _log_mean_exp(log_p.clamp(min=_FLOOR))
    # A small difference of two large means: float32 would lose it.
    return own.mean((0, 1), dtype=torch.float64) - mixture.mean(-1, dtype=torch.float64)


def ascending(samples: Tensor) -> Tensor:
    """The samples sorted along their last axis."""
    if samples.device.type == "cpu":
        # numpy's sort of short float32 rows is ten times faster than torch's.
        return torch.from_numpy(np.sort(samples.numpy(), axis=-1))
    return samples.sort(-1).values


def wasserstein(a: Tensor, b: Tensor) -> Tensor:
    """1-Wasserstein distance of two samples of one size, [..., M], sorted already: [...].

    In one dimension it is the mean absolute difference of the order statistics.
    """
    return (a - b).abs().mean(-1)


def emd_pairs(samples: Tensor) -> Tensor:
    """BALSA-EMD: sum over t of the 1-Wasserstein distance of s_t and s_{t+1}; samples [T, N, M]."""
    ordered = ascending(samples)
    return wasserstein(ordered[:-1], ordered[1:]).sum(0)


def emd_full(samples: Tensor) -> Tensor:
    """Mean over passes of the summed distances to all other passes; samples [T, N, M]."""
    ordered = ascending(samples)
    return torch.stack([wasserstein(one, ordered).sum(0) for one in ordered]).mean(0)
