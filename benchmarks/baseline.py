"""The straightforward way to choose and to train, to divide the benchmark's own times by.

Written from docs/METHOD.md without a thought of speed: candidates in batches of 256, one `log_prob` of
the whole grid (or one `sample((64,))`) of zuko's flow for each pass and batch, likelihoods in one
[25, N, 200] tensor, scipy's `wasserstein_distance` row by row, a dense adjacency, a DataLoader
over a TensorDataset, the test set in batches of 64 with the most likely sample picked in a loop.

Everything is the published protocol's, on the CPU, with the global generator. N candidates.
"""

from collections.abc import Callable

import faiss
import numpy as np
import torch
from scipy.stats import wasserstein_distance
from sklearn.cluster import KMeans, MiniBatchKMeans
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.utils.data import DataLoader, TensorDataset
from zuko.flows import NSF

PASSES, GRID, SAMPLES, BATCH = 25, 200, 64, 256


class Model(nn.Module):
    """Encoder and flow, layer by layer."""

    def __init__(self, features: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(features, 32)]
        for n_in, n_out in ((32, 32), (32, 64), (64, 128)):
            layers += [nn.Linear(n_in, n_out), nn.Dropout(dropout)]
        self.encoder = nn.Sequential(*layers)
        self.flow = NSF(1, 128, transforms=2, bins=8, hidden_features=(64, 64), slope=1e-4)

    def forward(self, x: Tensor) -> Distribution:
        return self.flow(self.encoder(x))


def _by_pass(model: Model, x: Tensor, result: Callable[[Distribution], Tensor]) -> Tensor:
    """`result` of the density of each batch in each pass: [25, N, ...]."""
    model.train()
    passes = []
    with torch.no_grad():
        for _ in range(PASSES):
            passes.append(torch.cat([result(model(batch)) for batch in x.split(BATCH)]))
    return torch.stack(passes)


def _likelihoods(model: Model, x: Tensor) -> Tensor:
    """p_t(y|x) on the grid: [25, N, 200]."""
    grid = torch.linspace(0.1, 0.9, GRID)

    def on_grid(density: Distribution) -> Tensor:
        y = grid[:, None, None].expand(GRID, density.batch_shape[0], 1)
        return density.log_prob(y).exp().T

    return _by_pass(model, x, on_grid)


def _samples(model: Model, x: Tensor) -> Tensor:
    """[25, N, 64]."""
    return _by_pass(model, x, lambda density: density.sample((SAMPLES,))[..., 0].T)


def _most_likely(density: Distribution) -> Tensor:
    """The most likely of 64 samples of each row: [N]."""
    samples = density.sample((SAMPLES,))
    best = density.log_prob(samples).argmax(0)
    return torch.stack([samples[best[i], i, 0] for i in range(samples.shape[1])])


def _embed(model: Model, x: Tensor) -> Tensor:
    model.eval()
    with torch.no_grad():
        return torch.cat([model.encoder(batch) for batch in x.split(BATCH)])


def _entropy(p: Tensor) -> Tensor:
    return torch.trapezoid(-p * p.log(), dx=0.8 / GRID)


def balsa_emd(model: Model, x: Tensor, labelled: Tensor) -> Tensor:
    samples = _samples(model, x).numpy()
    scores = np.zeros(len(x))
    for t in range(PASSES - 1):
        for n in range(len(x)):
            scores[n] += wasserstein_distance(samples[t, n], samples[t + 1, n])
    return torch.from_numpy(scores).topk(1).indices


def balsa_kl_pairs(model: Model, x: Tensor, labelled: Tensor) -> Tensor:
    p = _likelihoods(model, x)
    return (p[:-1] * (p[:-1] / p[1:]).log()).sum((0, 2)).topk(1).indices


def balsa_kl_grid(model: Model, x: Tensor, labelled: Tensor) -> Tensor:
    p = _likelihoods(model, x)
    return (p * (p / p.mean(0)).log()).sum((0, 2)).topk(1).indices


def bald_dist_entropy(model: Model, x: Tensor, labelled: Tensor) -> Tensor:
    p = _likelihoods(model, x)
    q = p.mean(0)
    q = q / torch.trapezoid(q, dx=0.8 / GRID)[:, None]
    return (_entropy(q) - _entropy(p)).sum(0).topk(1).indices


def nflows_out(model: Model, x: Tensor, labelled: Tensor) -> Tensor:
    a = -_likelihoods(model, x).log().mean(-1)
    return (a.mean(0) - a).mean(0).topk(1).indices


def bald(model: Model, x: Tensor, labelled: Tensor) -> Tensor:
    return _by_pass(model, x, _most_likely).std(0).topk(1).indices


def bald_dist_std(model: Model, x: Tensor, labelled: Tensor) -> Tensor:
    return _samples(model, x).std(-1).diff(dim=0).sum(0).topk(1).indices


def coreset(model: Model, x: Tensor, labelled: Tensor) -> Tensor:
    distance = torch.cdist(_embed(model, x), _embed(model, labelled))
    return distance.min(1).values.topk(1).indices


def typiclust(model: Model, x: Tensor, labelled: Tensor) -> int:
    features = torch.cat([_embed(model, x), _embed(model, labelled)]).numpy()
    k = min(len(labelled) + 1, 500)
    method = KMeans(k, n_init=10) if k <= 50 else MiniBatchKMeans(k, batch_size=5000, n_init=10)
    label = method.fit_predict(features)
    ranked = sorted(range(k), key=lambda c: ((label[len(x) :] == c).sum(), -(label == c).sum()))
    cluster = next(c for c in ranked if (label == c).sum() > 5)
    members = np.flatnonzero(label[: len(x)] == cluster)
    neighbours = min(20, len(members) // 2)
    index = faiss.IndexFlatL2(features.shape[1])
    index.add(features[members])
    distance, _ = index.search(features[members], neighbours + 1)
    return int(members[(1 / (distance[:, 1:].mean(1) + 1e-5)).argmax()])


def coregcn(model: Model, x: Tensor, labelled: Tensor, steps: int = 200) -> Tensor:
    points = F.normalize(torch.cat([_embed(model, x), _embed(model, labelled)]))
    eye = torch.eye(len(points))
    similarity = points @ points.T - eye
    adjacency = similarity @ torch.diag(1 / (similarity.sum(0) + 1e-6)) + eye
    first, second = nn.Linear(128, 128, bias=False), nn.Linear(128, 1, bias=False)
    bias = nn.Parameter(torch.zeros(128)), nn.Parameter(torch.zeros(1))
    parameters = [*first.parameters(), *second.parameters(), *bias]
    optimizer = torch.optim.Adam(parameters, lr=1e-3, weight_decay=5e-4)
    for _ in range(steps):
        hidden = (adjacency @ first(points) + bias[0]).relu()
        score = (adjacency @ second(F.dropout(hidden, 0.3)) + bias[1]).sigmoid()[:, 0]
        loss = -(score[len(x) :] + 1e-6).log().mean() - 1.2 * (1 - score[: len(x)] + 1e-6).log().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    features = torch.cat([hidden, second(hidden)], 1).detach()
    return torch.cdist(features[: len(x)], features[len(x) :]).min(1).values.topk(1).indices


def fit(
    model: Model, optimizer: Optimizer, x: Tensor, y: Tensor, x_val: Tensor, y_val: Tensor, epochs: int
) -> None:
    """Trains for so many epochs and validates after each."""
    train = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True, drop_last=len(x) > 64)
    validation = DataLoader(TensorDataset(x_val, y_val), batch_size=512)
    for _ in range(epochs):
        model.train()
        for rows, targets in train:
            optimizer.zero_grad()
            loss = -model(rows).log_prob(targets[:, None]).mean()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            sum(model(rows).log_prob(targets[:, None]).mean().item() for rows, targets in validation)


def test(model: Model, x: Tensor, y: Tensor) -> tuple[float, float, float]:
    """MAE, NLL and CRPS of the test set in batches of 64."""
    model.eval()
    errors, nll, crps = [], [], []
    with torch.no_grad():
        for rows, targets in zip(x.split(64), y.split(64), strict=True):
            density = model(rows)
            errors.append((_most_likely(density) - targets).abs())
            nll.append(-density.log_prob(targets[:, None]))
            samples = density.sample((SAMPLES,))[..., 0]
            spread = (samples[:, None] - samples).abs().mean((0, 1))
            crps.append((samples - targets).abs().mean(0) - spread / 2)
    return torch.cat(errors).mean().item(), torch.cat(nll).mean().item(), torch.cat(crps).mean().item()
