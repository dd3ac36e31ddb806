"""A policy's network and file, and the agent that follows it."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import evaluate
from agents import AGENTS
from core import CORRECTED, Experiment, Seeds, UserError
from core.rl.candidates import CandidateEnv
from core.rl.policy import RUN, SCORES, Policy, load_policy, names_of, save_policy
from core.runs.settings import read_meta
from tests.builders import quick, refused

M, K = len(names_of(SCORES)), len(RUN)
TRIAL = ("--agent", "learned", "--dataset", "diabetes", "--query_size", "2", "--budget", "4")


def make_policy(seed: int = 0) -> Policy:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Policy(width=8)


def saved(path: Path, seed: int = 0) -> Path:
    policy = make_policy(seed)
    policy.trained = {"steps": 7}
    save_policy(path, policy)
    return path


@quick
@given(st.integers(1, 20), st.integers(0, 5), st.integers(0, 100))
def test_scores_go_with_their_candidates_whatever_their_number(count: int, absent: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    candidates, run = torch.randn(1, count, M, generator=generator), torch.randn(1, K, generator=generator)
    policy, mask = make_policy(), torch.ones(1, count)
    scores = policy(candidates, run, mask)
    order = torch.randperm(count, generator=generator)
    torch.testing.assert_close(policy(candidates[:, order], run, mask), scores[:, order])
    # Places without a candidate change nothing.
    wider = torch.cat([candidates, torch.randn(1, absent, M, generator=generator)], 1)
    there = torch.cat([mask, torch.zeros(1, absent)], 1)
    torch.testing.assert_close(policy(wider, run, there)[:, :count], scores)


def test_file_keeps_the_policy(tmp_path: Path) -> None:
    policy = load_policy(saved(tmp_path / "policy.pt"))
    assert policy.scores == SCORES
    assert policy.trained == {"steps": 7}
    for name, tensor in make_policy().state_dict().items():
        assert torch.equal(policy.state_dict()[name], tensor)
    assert [path.name for path in tmp_path.iterdir()] == ["policy.pt"]


class Harmful:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("executed"),)


def bad_files(folder: Path) -> dict[str, str]:
    """Names of files that are no policies, and what is said of them."""
    content = torch.load(saved(folder / "good.pt"), weights_only=True)
    weights = content["weights"]
    nan = {name: tensor * torch.nan for name, tensor in weights.items()}
    for name, other in (
        ("keys.pt", {"weights": weights}),
        ("version.pt", content | {"version": 1}),
        ("agent.pt", content | {"scores": ["nobody"]}),
        ("shape.pt", content | {"width": 9}),
        ("nan.pt", content | {"weights": nan}),
        ("harmful.pt", content | {"trained": Harmful()}),
    ):
        torch.save(other, folder / name)
    (folder / "text.pt").write_text("a policy")
    (folder / "half.pt").write_bytes((folder / "good.pt").read_bytes()[:900])
    return {
        "missing.pt": "cannot be read: No such file",
        "text.pt": "is no policy, or a damaged one: ",
        "half.pt": "is no policy, or a damaged one: ",
        "harmful.pt": "is no policy, or a damaged one: UnpicklingError",
        "keys.pt": "is no policy, or a damaged one: ",
        "version.pt": "it is of another version",
        "agent.pt": "damaged one: unknown agent 'nobody'",
        "shape.pt": "is no policy, or a damaged one: ",
        "nan.pt": "its weights are not finite",
    }


def test_bad_files_are_one_line_and_nothing_is_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, said in bad_files(tmp_path).items():
        line = refused(evaluate.main, [*TRIAL, "--policy", name, "--runs_folder", "runs"], capsys)
        assert said in line, name
    assert not (tmp_path / "executed").exists()
    assert not (tmp_path / "runs").exists()


def test_settings_hold_the_digest_of_the_policy(tmp_path: Path) -> None:
    one, other = saved(tmp_path / "one.pt"), saved(tmp_path / "other.pt", seed=1)
    typed = [*TRIAL, "--restarts", "2", "--runs_folder", str(tmp_path / "runs")]
    assert evaluate.main([*typed, "--policy", str(one)]) == 0
    folder = tmp_path / "runs/Diabetes/2/Learned"
    expected = hashlib.sha256(one.read_bytes()).hexdigest()
    assert read_meta(folder / "settings.txt")["policy"] == expected
    assert read_meta(folder / "run_2/meta.txt")["policy"] == expected
    with pytest.raises(UserError, match="was made with policy"):
        evaluate.main([*typed, "--policy", str(other)])
    assert "policy" not in Experiment("diabetes", "random").settings()
    # Its own is used where none is named, under any suffix.
    own = AGENTS["learned"].policy
    assert own is not None
    named = Experiment("diabetes", "learned+softmax").settings()["policy"]
    assert named == hashlib.sha256(own.read_bytes()).hexdigest()


@pytest.mark.parametrize("variation", ["gauss", "nf"])
def test_agent_scores_what_the_environment_shows(variation: str, tmp_path: Path) -> None:
    """Of a pool that is offered whole, both choose the same point."""
    config = {"first_epochs": 2, "later_epochs": 2}
    env = CandidateEnv("diabetes", variation, candidates=233, config=config, scores=("coreset", "nf_entropy"))
    # Without passes nothing is random: the policy is asked for two scores only.
    policy = Policy(env.scores, 8)
    save_policy(tmp_path / "two.pt", policy)
    seen, _ = env.reset(seed=3)
    agent = AGENTS["learned"](1, Seeds(3), CORRECTED, policy=tmp_path / "two.pt")  # type: ignore[call-arg]
    assert agent.predict(env.env.state).tolist() == [env.rows[policy.best(seen)]]
    assert policy.scores != SCORES
