"""The benchmark as a Gymnasium environment: its contract, its seeds, its candidates, its rewards."""

import math
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import sklearn.ensemble  # noqa: F401 - joblib draws from `random` as it is imported
import torch
from gymnasium.utils.env_checker import check_env, data_equivalence
from hypothesis import given
from hypothesis import strategies as st

from agents import AGENTS
from core import CORRECTED, Environment, Seeds
from core.models.variations import load_config
from core.rl.candidates import CandidateEnv
from core.rl.policy import LIMIT, RUN, SCORES, Features, names_of
from datasets import DATASETS
from tests.builders import NETWORKS, make_state, no_global_randomness, quick, torch_rng

QUICK: dict[str, Any] = {"first_epochs": 2, "later_epochs": 2}
SHORT: dict[str, Any] = {"variation": "gauss", "config": QUICK, "candidates": 8, "budget": 6}


def make(name: str = "diabetes", **options: Any) -> CandidateEnv:
    folder = "Synthetic" if name == "synthetic" else DATASETS[name].folder
    env = gym.make(f"BalsaBench/{folder}-v0", **SHORT | options).unwrapped
    assert isinstance(env, CandidateEnv)
    return env


def rollout(env: gym.Env[Any, Any], seed: int, steps: int = 6) -> list[Any]:
    """Observations, rewards and infos under random actions that the seed says."""
    rng = np.random.default_rng(seed)
    seen: list[Any] = [env.reset(seed=seed)]
    for _ in range(steps):
        seen.append(env.step(rng.integers(8)))
        if seen[-1][2]:
            seen.append(env.reset())
    return seen


# --- Gymnasium's contract --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("diabetes", {}),
        ("diabetes", {"variation": "nf", "protocol": "published"}),
        ("bimodalsin", {"variation": "ensemble"}),
        ("synthetic", {}),
    ],
)
def test_check_env_has_nothing_to_say(name: str, options: dict[str, Any]) -> None:
    with warnings.catch_warnings(), no_global_randomness():
        warnings.simplefilter("error")
        check_env(make(name, **options))


@pytest.mark.parametrize("name", ["diabetes", "synthetic"])
def test_rollouts_of_equal_seeds_are_equal(name: str) -> None:
    first = rollout(make(name), 3)
    assert data_equivalence(first, rollout(make(name), 3), exact=True)
    assert not data_equivalence(first, rollout(make(name), 4), exact=True)


@pytest.mark.slow
def test_four_in_processes_of_their_own() -> None:
    vector: Any = gym.make_vec(
        "BalsaBench/Diabetes-v0", 4, "async", vector_kwargs={"context": "spawn"}, **SHORT
    )
    try:
        together = [vector.reset(seed=[1, 2, 3, 4])]
        actions = np.array([[0, 1, 2, 3], [7, 6, 5, 4]])
        for row in actions:
            together.append(vector.step(row))
    finally:
        vector.close()
    for i in range(4):
        env = make()
        alone: list[Any] = [env.reset(seed=i + 1)] + [env.step(row[i]) for row in actions]
        for a, b in zip(together, alone, strict=True):
            assert {name: values[i].tolist() for name, values in a[0].items()} == {
                name: values.tolist() for name, values in b[0].items()
            }
            assert a[-1]["mae"][i] == b[-1]["mae"]
            assert a[-1]["action_mask"][i].tolist() == [1] * 8
        assert [step[1][i] for step in together[1:]] == [step[1] for step in alone[1:]]


# --- seeds -----------------------------------------------------------------------------------


def test_a_seed_is_a_run_of_the_benchmark() -> None:
    env = make(scores=("coreset",), config=None)
    _, info = env.reset(seed=5)
    plain = Environment(
        DATASETS["diabetes"]("nowhere", Seeds(5)),
        load_config("diabetes", "gauss", CORRECTED),
        CORRECTED,
        budget=6,
    )
    state, measured = plain.reset()
    assert info["mae"] == measured["mae"]
    for action in (3, 1):
        row = env.rows[action]
        _, _, _, _, info = env.step(action)
        state, _, _, _, measured = plain.step([row])
        assert info["mae"] == measured["mae"]
    assert torch.equal(env.env.state.x_labeled, state.x_labeled)


@pytest.mark.slow
def test_random_actions_do_as_the_agent_random() -> None:
    """Equal seeds begin alike, and the differences of the curves' ends have no sign of their own."""
    config = {"first_epochs": 10, "later_epochs": 10}
    env = make(scores=("coreset",), config=config, budget=20)
    falls = {"environment": [], "agent": []}  # type: dict[str, list[float]]
    for seed in range(1, 31):
        _, info = env.reset(seed=seed)
        first, done = info["mae"], False
        while not done:
            _, _, done, _, info = env.step(env.np_random.integers(8))
        falls["environment"].append(first - info["mae"])
        own = make(scores=("coreset",), config=config, budget=20).config
        plain = Environment(DATASETS["diabetes"]("nowhere", Seeds(seed)), own, CORRECTED, budget=20)
        agent = AGENTS["random"](1, Seeds(seed), CORRECTED)
        state, measured = plain.reset()
        assert measured["mae"] == first
        while not plain.finished:
            state, _, _, _, measured = plain.step(agent.predict(state))
        falls["agent"].append(first - measured["mae"])
    difference = np.subtract(falls["environment"], falls["agent"])
    assert abs(difference.mean()) < 3 * difference.std(ddof=1) / math.sqrt(len(difference))
    assert 0.5 < np.std(falls["environment"]) / np.std(falls["agent"]) < 2


# --- candidates, actions, rewards ------------------------------------------------------------


def test_an_action_without_a_candidate_stands_for_one_that_is_there() -> None:
    env = make("synthetic", budget=300, candidates=500)  # of 300 points
    _, info = env.reset(seed=1)
    assert info["action_mask"].tolist() == [1] * 300 + [0] * 200
    _, rows = env.env.points([env.rows[3]])
    env.step(303)
    assert env.env.dataset.rows_train[env.env._labeled[-1]] == rows[0]
    with pytest.raises(ValueError, match="a candidate is one of 0 to 499"):
        env.step(500)


def test_rewards_sum_to_the_validation_error_saved() -> None:
    def error() -> float:
        (x, y), generator = env.env.learner.validation, Seeds(4).torch("evaluation")
        return float((env.env.learner.predictor.predict(x, generator) - y).abs().mean())

    env = make()
    env.reset(seed=4)
    first, total, done = error(), 0.0, False
    while not done:
        _, gain, done, _, _ = env.step(0)
        total += gain
    assert total == pytest.approx((first - error()) / first)
    assert total != 0


# --- features --------------------------------------------------------------------------------


@quick
@given(st.sampled_from(NETWORKS), st.integers(1, 12))
def test_features_are_finite_and_go_with_their_candidates(variation: str, pool: int) -> None:
    state = make_state(variation, CORRECTED, pool=pool)
    scores = ("coreset", "nf_entropy")  # no randomness
    features = Features(scores, Seeds(), CORRECTED)
    found = features.of_candidates(state, state.x_unlabeled, torch_rng())
    assert found.shape == (pool, len(names_of(scores)))
    assert found.isfinite().all()
    assert found.abs().max() <= LIMIT
    order = torch.randperm(pool, generator=torch_rng(1))
    shuffled = features.of_candidates(state, state.x_unlabeled[order], torch_rng())
    torch.testing.assert_close(shuffled[:, -4:], found[order][:, -4:], rtol=1e-3, atol=1e-4)
    run = features.of_run(state)
    assert run.shape == (len(RUN),)
    assert run.isfinite().all()


def test_features_are_the_ranks_of_the_scores() -> None:
    state = make_state("gauss", CORRECTED)
    found = Features(SCORES, Seeds(), CORRECTED).of_candidates(state, state.x_unlabeled, torch_rng(7))
    generator = torch_rng(7)
    for column, name in enumerate(SCORES):
        agent = AGENTS[name](1, Seeds(), CORRECTED)
        agent.generator = generator
        scores = agent.score(state, state.x_unlabeled).tolist()
        expected = [sum(other < score for other in scores) / 11 for score in scores]
        torch.testing.assert_close(found[:, column], torch.tensor(expected))


@pytest.mark.parametrize("variation", ["gauss", "nf", "ensemble"])
def test_expected_change_is_the_gradient_of_the_mean_times_the_deviation(variation: str) -> None:
    state = make_state(variation, CORRECTED)
    classifier: Any = state.classifier
    model = classifier.model
    change = []
    for row in state.x_unlabeled:
        density = classifier._density(model.density_parameters(row.expand(len(model.theta), 1, -1)))
        (gradient,) = torch.autograd.grad(density.mean.sum(), model.theta)
        change.append(float(density.stddev.detach() * gradient.norm()))
    expected = [sum(other < one for other in change) / 11 for one in change]
    found = Features((), Seeds(), CORRECTED).of_candidates(state, state.x_unlabeled, torch_rng())
    torch.testing.assert_close(found[:, names_of(()).index("rank_change")], torch.tensor(expected))


def test_features_do_not_look_at_the_test_set() -> None:
    state = make_state("gauss", CORRECTED)
    other = state._replace(initial_test_acc=math.nan, current_test_acc=math.nan)
    features = Features(SCORES, Seeds(), CORRECTED)
    for look in (features.of_run, lambda of: features.of_candidates(of, of.x_unlabeled, torch_rng())):
        assert torch.equal(look(state), look(other))
