"""The oracle: each round is the best of plain environments that try a point each, and the script works."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import evaluate_oracle
from core import CORRECTED, PROTOCOLS, Environment, EnvironmentLogger, Experiment, Protocol, Seeds
from core.baselines import Oracle, Trials
from core.cli import run_script
from core.runs.files import pack
from datasets import DATASETS
from tests.builders import make_config, no_global_randomness

MEASURED = ("mae", "nll", "crps", "calibration", "validation_nll", "epochs", "pit", "added")


def make(cls: type[Environment], variation: str, protocol: Protocol, **changes: Any) -> Any:
    torch.set_num_threads(1)
    config = make_config(variation, **{"later_epochs": 3} | changes)
    return cls(DATASETS["diabetes"]("nowhere", Seeds()), config, protocol, budget=3)


def measured(info: dict[str, Any]) -> dict[str, Any]:
    return {name: info[name] for name in MEASURED}


@pytest.mark.parametrize("fitting", ["finetuning", "from_scratch"])
@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("variation", ["nf", "gauss_ensemble"])
def test_rounds_are_the_best_of_plain_environments(variation: str, protocol: Protocol, fitting: str) -> None:
    oracle, trials = make(Oracle, variation, protocol, fitting=fitting), Trials(Seeds(), 4)
    with no_global_randomness():
        state, first = oracle.reset()
    before = first["mae"]
    chosen: list[int] = []
    for round_ in range(3):
        tried = trials.predict(state)
        assert len(set(tried.tolist())) == 4
        infos = []
        for position in tried:
            plain = make(Environment, variation, protocol, fitting=fitting)
            plain.reset()
            for earlier in chosen:
                plain.step([earlier])
            infos.append(plain.step([position])[-1])
        errors = [info["mae"] for info in infos]
        best = int(np.argmin(errors)) if min(errors) < before else 0
        with no_global_randomness():
            state, reward, done, truncated, info = oracle.step(tried)
        assert measured(info) == measured(infos[best])  # the same bits
        assert (reward, done, truncated) == (before - info["mae"], round_ == 2, False)
        assert len(state.x_labeled) == 50 + round_ + 1
        chosen.append(tried[best])
        before = info["mae"]
    with pytest.raises(ValueError, match="the budget of 3 points is used up"):
        oracle.step([0])


def test_small_pools_and_order() -> None:
    assert sorted(Trials(Seeds()).predict(torch.zeros(3)).tolist()) == [0, 1, 2]
    first = [int(Trials(Seeds(agent_seed=seed)).predict(torch.zeros(100))[0]) for seed in range(40)]
    assert 20 < np.mean(first) < 80  # not in ascending order: the first is a random one
    oracle = make(Oracle, "gauss", CORRECTED)
    oracle.reset()
    with pytest.raises(ValueError, match="distinct"):
        oracle.step([1, 1])


# --- the experiment and the script -----------------------------------------------------------


def results(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in pack(folder).items() if name != "meta.txt"}


def test_a_run_broken_off_goes_on_to_the_same_files(tmp_path: Path) -> None:
    experiment = Experiment("diabetes", "oracle", "gauss", "corrected", budget=4, tried=3)
    assert experiment.run([1, 2], tmp_path / "whole") == [1, 2]

    def breaking(env: Any, trials: Any, log_path: Path) -> None:
        with EnvironmentLogger(env, log_path) as logger:
            state = logger.reset()
            for _ in range(2):
                state, *_ = logger.step(trials.predict(state))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment.run([1], tmp_path / "broken", play=breaking)
    assert experiment.run([1], tmp_path / "broken") == [1]
    whole, broken = (experiment.folder(tmp_path / name) / "run_1" for name in ("whole", "broken"))
    assert results(whole) == results(broken)
    assert "accuracies.csv" in results(whole)


def test_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = f"--dataset diabetes --budget 2 --tried 2 --variation gauss --runs_folder {tmp_path}/runs"
    with pytest.raises(SystemExit) as done:
        run_script(lambda: evaluate_oracle.main([*typed.split(), "--restarts", "2"]))
    assert done.value.code == 0
    said = capsys.readouterr().out
    assert said.endswith("the oracle sees the test set: it is a rough bound, not an agent\n")
    folder = tmp_path / "runs_gauss/Diabetes/Oracle"
    lines = (folder / "accuracies.csv").read_text().splitlines()
    assert lines[0] == "added,run_1,run_2"
    assert [line.split(",")[0] for line in lines[1:]] == ["0", "1", "2"]
    assert {"sees_test_set: true", "tried: 2", "budget: 2"} <= set(
        (folder / "run_1/meta.txt").read_text().splitlines()
    )
