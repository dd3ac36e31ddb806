"""The compiled splines against zuko's, in float64."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from core.models import splines
from core.models.densities import FlowDensity
from tests.builders import quick, torch_rng

pytestmark = pytest.mark.machines


def parameters(rows: int, spread: float, seed: int = 0) -> Tensor:
    return spread * torch.randn((rows, 46), generator=torch_rng(seed))


@quick
@given(
    seed=st.integers(0, 999),
    spread=st.sampled_from([0.1, 1.0, 3.0]),
    rows=st.integers(1, 5),
    shared=st.booleans(),
    count=st.integers(1, 40),
)
def test_forward_is_zukos(seed: int, spread: float, rows: int, shared: bool, count: int) -> None:
    p = parameters(rows, spread, seed)
    y = 14 * torch.rand((1 if shared else rows, count), generator=torch_rng(seed)) - 7
    y = y.sort(-1).values  # some lie outside of the splines' bound
    z, jacobian = splines.forward(p.numpy(), y.numpy())
    density = FlowDensity(p.double()[:, None])
    expected, ladj = density.transform.call_and_ladj(y.double())
    np.testing.assert_allclose(z, expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(np.log(jacobian), ladj, rtol=1e-3, atol=1e-2)


@quick
@given(seed=st.integers(0, 999), spread=st.sampled_from([0.1, 1.0, 2.0]), count=st.integers(1, 40))
def test_inverse_is_zukos(seed: int, spread: float, count: int) -> None:
    p = parameters(3, spread, seed)
    z = 14 * torch.rand((3, count), generator=torch_rng(seed)) - 7
    before = z.clone()
    y, jacobian = splines.inverse(p.numpy(), z.numpy())
    assert torch.equal(z, before)
    expected, ladj = FlowDensity(p.double()[:, None]).transform.inv.call_and_ladj(z.double())
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=2e-3)
    np.testing.assert_allclose(np.log(jacobian), -ladj, rtol=1e-3, atol=1e-2)


def with_gradients(p: Tensor, y: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    """log p(y) of y [G, R], and the gradients of its weighted sum."""
    p, y = p.clone().requires_grad_(), y.clone().requires_grad_()
    log_p = FlowDensity(p).log_prob(y)
    return (log_p.detach(), *torch.autograd.grad((log_p * weight.to(p.dtype)).sum(), (p, y)))


@quick
@given(
    seed=st.integers(0, 999),
    spread=st.sampled_from([0.1, 1.0, 2.0]),
    rows=st.integers(1, 5),
    count=st.integers(1, 7),
)
def test_log_prob_and_its_gradients_are_zukos(seed: int, spread: float, rows: int, count: int) -> None:
    p, rng = parameters(rows, spread, seed), torch_rng(seed)
    y, weight = 14 * torch.rand((count, rows), generator=rng) - 7, torch.randn((count, rows), generator=rng)
    y[0, 0] = 9  # outside of the splines' bound
    expected = with_gradients(p.double(), y.double(), weight)
    for got, exact in zip(with_gradients(p, y, weight), expected, strict=True):
        assert got.dtype == torch.float32
        torch.testing.assert_close(got.double(), exact, rtol=1e-3, atol=3e-3 * max(1.0, spread**3))


@pytest.mark.parametrize("place", [0, 9, 20, 30])
def test_nan_stays_nan(place: int) -> None:
    p = parameters(2, 1.0)
    p[0, place] = torch.nan
    y = FlowDensity(p).log_prob_on(torch.linspace(0, 1, 5))
    assert y[0].isnan().all()
    assert y[1].isfinite().all()
    log_p, by_parameters, by_y = with_gradients(p, torch.zeros(4, 2), torch.ones(1))
    for part in (*FlowDensity(p).draw(6, torch_rng()), log_p, by_parameters.T, by_y):
        assert part[:, 0].isnan().all()
        assert part[:, 1].isfinite().all()


@pytest.mark.parametrize("batch", [(7,), (4, 7)])
def test_every_shape_of_y_is_zukos(batch: tuple[int, ...]) -> None:
    p = torch.randn((*batch, 46), generator=torch_rng(1))
    rows = torch.rand((7, 30), generator=torch_rng()).sort(-1).values

    def results(dtype: torch.dtype) -> list[Tensor]:
        density, y = FlowDensity(p.to(dtype)), rows.to(dtype)
        on = [density.log_prob_on(one) for one in (torch.linspace(0, 1, 50, dtype=dtype), y)]
        many = y.T.reshape(30, *len(batch[1:]) * [1], 7)
        return [*on, *(density.log_prob(one) for one in (y[0, 0], y[:, 0], many))]

    compiled = results(torch.float32)
    shapes = [(*batch, 50), (*batch, 30), batch, batch, (30, *batch)]
    assert [one.shape for one in compiled] == shapes
    for got, expected in zip(compiled, results(torch.float64), strict=True):
        torch.testing.assert_close(got.double(), expected, rtol=1e-4, atol=2e-3)


DIGESTS = """
import hashlib, sys
import numpy as np
from core.models import splines

rng = np.random.default_rng(0)
p, y = (rng.normal(0, 2, (300, n)).astype(np.float32) for n in (46, 40))
calls = {
    "forward": lambda: splines.forward(p, np.sort(y)),
    "inverse": lambda: splines.inverse(p, y),
    "log_prob": lambda: [splines.log_prob(p, y)],
    "gradients": lambda: splines.log_prob_gradients(p, y, y[::-1]),
}
order = list(calls) if sys.argv[1] == "forwards" else list(calls)[::-1]
digests = {name: hashlib.sha256(np.concatenate(calls[name](), None).tobytes()).hexdigest() for name in order}
print(sorted(digests.items()))
"""


@pytest.mark.slow
def test_bits_do_not_depend_on_who_compiled_the_kernels_or_when(tmp_path: Path) -> None:
    """They did: a run that compiled the kernels differed from one that found them in the cache."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    compiled, loaded = (
        subprocess.run(
            [sys.executable, "-c", DIGESTS, order],
            cwd=Path(__file__).parents[1],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for order in ("forwards", "backwards")
    )
    assert list(tmp_path.rglob("*.nbc"))  # else nothing was loaded
    assert compiled == loaded
