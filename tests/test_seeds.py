"""Streams of random numbers: docs/METHOD.md, section 4."""

import numpy as np
import pytest
import torch

from core import Seeds

USES = ("split", "init", "dropout", "batches", "candidates", "agent", "evaluation")
SEED_OF = {
    "split": "pool_seed",
    "init": "model_seed",
    "dropout": "model_seed",
    "candidates": "agent_seed",
    "agent": "agent_seed",
    "evaluation": "model_seed",
}


def test_streams_differ_between_uses_and_runs() -> None:
    draws = {
        (use, run_id): tuple(Seeds(run_id).numpy(use).integers(2**62, size=2))
        for use in USES
        for run_id in range(5)
    }
    assert len(set(draws.values())) == len(draws)
    numbers = {torch.rand((), generator=Seeds(run_id).torch(use)).item() for use, run_id in draws}
    assert len(numbers) == len(draws)


@pytest.mark.parametrize("use", USES)
def test_a_use_hangs_on_its_seed_alone(use: str) -> None:
    for seed in ("agent_seed", "pool_seed", "model_seed"):
        changed = Seeds(1, **{seed: 7}).numpy(use).random() != Seeds(1).numpy(use).random()
        assert changed == (SEED_OF.get(use) == seed)


def test_stream_is_the_documented_one() -> None:
    expected = np.random.default_rng(np.random.SeedSequence([5, 3, 0])).random()
    assert Seeds(run_id=3, pool_seed=5).numpy("split").random() == expected
    expected = np.random.default_rng(np.random.SeedSequence([1, 3, 3])).random()
    assert Seeds(run_id=3, model_seed=9, agent_seed=9).numpy("batches").random() == expected


def test_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        Seeds(pool_seed=-1).numpy("split")
