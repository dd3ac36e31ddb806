"""Stochastic batches: what the suffixes do to scores, and what the benchmark makes of such names."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from core import AGENTS, CORRECTED, Experiment, Seeds, UserError
from core.agent import SUFFIXES, Agent, perturbed, top
from core.report.leaderboard import agent_label
from core.sweep import cost
from tests.builders import make_state, torch_rng

pytestmark = pytest.mark.machines

SCORES = torch.tensor([0.5, 2.0, 1.0])


def chances(suffix: str) -> np.ndarray:
    """Of each to be the first of a batch: the softmax of what the noise is added to (Gumbel, 1954)."""
    s = SCORES.double().numpy()
    ranks = np.array([3.0, 1.0, 2.0])
    weights = {"power": s, "softmax": np.exp(s), "softrank": 1 / ranks}[suffix]
    return weights / weights.sum()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_frequencies(suffix: str) -> None:
    generator, draws = torch_rng(1), 4000
    first = [int(perturbed(SCORES, suffix, generator).argmax()) for _ in range(draws)]
    assert chisquare(np.bincount(first, minlength=3), draws * chances(suffix)).pvalue > 1e-3


def test_negative_scores_and_nan() -> None:
    scores = torch.tensor([-3.0, math.nan, 1.0, 0.0])
    power = perturbed(scores, "power", torch_rng())
    assert power.isnan().tolist() == [False, True, False, False]
    assert power[[0, 2, 3]].isfinite().all()
    assert int(power[[0, 2, 3]].argmax()) == 1  # the smallest positive float is e^-708
    assert top(power, 1).tolist() == [1]
    ranked = perturbed(scores, "softrank", torch_rng())
    noise = perturbed(torch.zeros(4), "softmax", torch_rng())
    ranks = torch.tensor([4, 1, 2, 3]).double()
    torch.testing.assert_close(ranked, noise - ranks.log())


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ["nf_std", "balsa_kl_pairs", "coreset", "epig"])
def test_the_batch_is_the_top_of_the_perturbed_scores(name: str, suffix: str) -> None:
    state = make_state("nf", CORRECTED)
    agent = AGENTS[name](5, Seeds(), CORRECTED)
    scores: Tensor = agent.score(state, state.x_unlabeled)
    expected = top(perturbed(scores, suffix, agent.generator), 5).tolist()
    assert AGENTS[f"{name}+{suffix}"](5, Seeds(), CORRECTED).predict(state).tolist() == expected


def test_every_agent_that_scores_has_them() -> None:
    for name, cls in AGENTS.classes.items():
        for suffix in SUFFIXES:
            if cls.score is Agent.score:
                with pytest.raises(UserError, match=f"{name} has no scores that [+]{suffix} could perturb$"):
                    AGENTS.name(f"{name}+{suffix}")
            else:
                made = AGENTS[f"{name}+{suffix}"]
                assert made is AGENTS[f"{name}+{suffix}"]
                assert made.folder == f"{cls.folder}+{suffix}"
                assert (made.variations, made.dropout, made.candidates) == (
                    cls.variations,
                    cls.dropout,
                    cls.candidates,
                )
    assert not any("+" in name for name in AGENTS.classes)


def test_any_agent_can_train_as_those_with_dropout_do() -> None:
    """`random+dropout05` has the model of `bald`, and chooses as `random` does."""
    plain, dropped, bald = (
        Experiment("diabetes", name, query_size=5) for name in ("random", "random+dropout05", "bald")
    )
    assert dropped.hyperparameters == bald.hyperparameters != plain.hyperparameters
    assert AGENTS["random+dropout05"].folder == "RandomAgent+dropout05"
    state = make_state("nf", CORRECTED)
    chosen = [
        AGENTS[name](5, Seeds(), CORRECTED).predict(state).tolist() for name in ("random", "random+dropout05")
    ]
    assert chosen[0] == chosen[1]


def test_names_in_settings_folders_figures_and_plans() -> None:
    plain, noisy = (Experiment("diabetes", name, query_size=5) for name in ("bald", "bald_point+power"))
    assert noisy.folder("runs").as_posix() == "runs/Diabetes/5/BALD_Point+power"
    both = plain.settings(), noisy.settings()
    assert {name for name in both[0] if both[0][name] != both[1][name]} == {"agent"}
    assert both[1]["agent"] == "bald+power"
    assert both[1]["agent_code"] == both[0]["agent_code"]
    assert agent_label("balsa_kl_pairs+power") == "BALSA KL pairs +power"
    assert agent_label("epig+softmax") == "EPIG +softmax"
    assert cost.seconds(noisy, 1) == cost.seconds(plain, 1)
    with pytest.raises(UserError, match=r"'gauss_std\+power' needs variation gauss"):
        Experiment("diabetes", "gauss_std+power")
