"""The environment: which points are labelled, what a step returns, what it refuses."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import datasets
from core import PUBLISHED, Environment, Protocol, Seeds, State
from core.models.variations import load_config
from core.training.trainer import FitRequest, FitResult


def environment(run_id: int = 1, protocol: Protocol = PUBLISHED, **kwargs: Any) -> Environment:
    dataset = datasets.DATASETS["diabetes"]("unused", Seeds(run_id))
    return Environment(dataset, load_config("diabetes", "nf"), protocol, **kwargs)


@pytest.fixture
def labelled_at_fit(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Replaces training by notes of the points it was given."""
    notes: list[torch.Tensor] = []

    def note(fits: Sequence[FitRequest]) -> list[FitResult]:
        notes.extend(torch.cat([fit.x, fit.y[:, None]], 1) for fit in fits)
        return [FitResult(1, 0.0)] * len(fits)

    monkeypatch.setattr("core.training.side_by_side.train_stack", note)
    return notes


def test_state_and_pool_follow_the_labels(labelled_at_fit: list[torch.Tensor]) -> None:
    env = environment(budget=7)
    assert isinstance(env, gymnasium.Env)
    state, _ = env.reset()
    data = env.dataset
    assert " ".join(State._fields) == (
        "x_unlabeled x_labeled y_labeled per_class_instances budget added_images "
        "initial_test_acc current_test_acc classifier optimizer"
    )
    assert (state.budget, state.added_images) == (7, 0)
    np.testing.assert_array_equal(state.x_labeled, data.x_train[data.seed_indices])
    np.testing.assert_array_equal(state.y_labeled, data.y_train[data.seed_indices])
    np.testing.assert_array_equal(
        state.x_unlabeled.numpy(), np.delete(data.x_train, data.seed_indices, axis=0)
    )

    labels = np.delete(data.y_train, data.seed_indices)
    before, first_mae = state.x_unlabeled, state.current_test_acc
    state, reward, terminated, truncated, info = env.step(np.array([5, 200, 17]))
    # Added in descending order of the pool's index.
    np.testing.assert_array_equal(state.x_labeled[50:], before[[200, 17, 5]])
    np.testing.assert_array_equal(state.y_labeled[50:], labels[[200, 17, 5]])
    np.testing.assert_array_equal(state.x_unlabeled.numpy(), np.delete(before.numpy(), [5, 17, 200], axis=0))
    assert (state.added_images, terminated, truncated) == (3, False, False)
    assert state.initial_test_acc == first_mae
    assert state.current_test_acc == info["mae"] == first_mae - reward

    state, _, terminated, _, _ = env.step(torch.tensor([0, 1, 2, 3]))
    assert terminated
    assert state.added_images == 7


def test_episode_ends_when_the_pool_is_empty(labelled_at_fit: list[torch.Tensor]) -> None:
    pool = 442 * 8 // 10 - 442 * 8 // 10 * 2 // 10 - 50
    env = environment(budget=pool)
    env.reset()
    state, _, terminated, _, _ = env.step(range(pool))
    assert terminated
    assert state.x_unlabeled.shape == (0, 10)
    with pytest.raises(ValueError, match="need more than the 283 points"):
        environment(budget=pool + 1)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ([3, 3], "must be distinct"),
        ([-1], "the pool has the indices 0 to 232"),
        ([233], "the pool has the indices 0 to 232"),
        ([], "a list of one or more integers"),
        ([[1, 2]], "a list of one or more integers"),
        ([0.5], "a list of one or more integers"),
        ([True], "a list of one or more integers"),
        ([0, 1, 2], "3 points are more than the 2 left to add"),
    ],
)
def test_wrong_action_changes_nothing(
    labelled_at_fit: list[torch.Tensor], action: list[Any], message: str
) -> None:
    env = environment(budget=2)
    before, _ = env.reset()
    with pytest.raises(ValueError, match=message):
        env.step(action)
    assert env.added == 0
    assert torch.equal(env.state.x_unlabeled, before.x_unlabeled)
    assert len(labelled_at_fit) == 1


def measured(info: dict[str, Any]) -> dict[str, Any]:
    """An info without its seconds, which are no two times the same."""
    return {name: value for name, value in info.items() if name != "seconds"}


def rollout(env: Environment, actions: list[list[int]]) -> list[object]:
    state, info = env.reset()
    seen: list[object] = [measured(info)]
    for action in actions:
        state, reward, terminated, _, info = env.step(action)
        seen += [reward, terminated, measured(info)]
    return [*seen, state.x_labeled.tolist(), env.learner.predictor.model.theta.tolist()]


def test_rollouts_repeat_bit_for_bit() -> None:
    env = environment(budget=4)
    first = rollout(env, [[3, 1], [7, 2]])
    assert rollout(env, [[3, 1], [7, 2]]) == first  # reset restores everything
    assert rollout(environment(budget=4), [[3, 1], [7, 2]]) == first
    assert rollout(environment(run_id=2, budget=4), [[3, 1], [7, 2]]) != first


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_no_point_is_lost_or_labelled_twice(data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "core.training.side_by_side.train_stack", lambda fits: [FitResult(1, 0.0) for _ in fits]
        )
        env = environment()
        state, _ = env.reset()
        everything = sorted(map(tuple, env.dataset.x_train.tolist()))
        for _ in range(data.draw(st.integers(1, 4))):
            n = len(state.x_unlabeled)
            action = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=9, unique=True))
            points, _ = env.points(action)
            expected = state.x_unlabeled[action]
            assert torch.equal(points[:, :-1], expected)
            state, *_ = env.step(action)
            assert sorted(map(tuple, state.x_labeled[-len(action) :].tolist())) == sorted(
                map(tuple, expected.tolist())
            )
            together = torch.cat([state.x_labeled, state.x_unlabeled]).tolist()
            assert sorted(map(tuple, together)) == everything
