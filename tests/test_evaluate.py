"""evaluate.py as a user meets it: results, summary, and what it says of wrong input."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

import core
import evaluate
from agents import AGENTS
from core import EnvironmentLogger
from core.cli import run_script, set_threads
from core.runs.files import read_curves
from core.training.trainer import FitRequest, Trainer
from tests.builders import FILES

ROOT = Path(__file__).resolve().parent.parent
TRIAL = ("--agent", "random", "--dataset", "diabetes", "--query_size", "2", "--budget", "4")


def run(*arguments: str | Path) -> int:
    """The exit code of evaluate.py, run in this process."""
    with pytest.raises(SystemExit) as left:
        run_script(lambda: evaluate.main([str(argument) for argument in arguments]))
    return int(left.value.code or 0)


def test_a_run_is_the_same_alone_and_in_a_longer_loop(tmp_path: Path) -> None:
    agent = ("--agent", "balsa_emd", "--dataset", "diabetes", "--query_size", "2", "--budget", "4")
    assert run(*agent, "--restarts", "3", "--runs_folder", tmp_path / "loop") == 0
    assert run(*agent, "--restarts", "1", "--run_id", "3", "--runs_folder", tmp_path / "alone") == 0
    folder = Path("Diabetes/2/BALSA_EMD")
    for file in FILES:
        alone, loop = (tmp_path / name / folder / "run_3" / file for name in ("alone", "loop"))
        assert alone.read_bytes() == loop.read_bytes()
        table = pd.read_csv(tmp_path / "loop" / folder / file, index_col="added")
        assert list(table.columns) == ["run_1", "run_2", "run_3"]
        assert table.loc[0].nunique() == 3


def test_summary_has_a_line_a_run_and_the_auc(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*TRIAL, "--restarts", "2", "--run_id", "3", "--runs_folder", tmp_path / "runs") == 0
    lines = capsys.readouterr().out.splitlines()
    folder = tmp_path / "runs/Diabetes/2/RandomAgent"
    areas = pd.read_csv(folder / "accuracies.csv", index_col="added").mean()
    assert [line.split(":")[0] for line in lines] == ["run_3", "run_4", "AUC over 2 runs", "results"]
    assert f"MAE {areas['run_3']:.3g}" in lines[0]
    assert f"MAE {areas.mean():.3g} +- {areas.std():.2g}" in lines[2]
    assert lines[3] == f"results: {folder}"


def test_it_says_what_it_does_and_how_often_the_agent_beats_random(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = ("--restarts", "2", "--run_id", "2", "--runs_folder", tmp_path)
    assert run(*TRIAL, *others) == 0
    printed = capsys.readouterr()
    assert "better than random" not in printed.out
    plan = "published protocol (use --protocol corrected to compare agents), runs 2 to 3"
    assert f"{plan}, errors on the target scaled to [0, 1], less than a minute\n" in printed.err
    trial = [word.replace("random", "gsx") for word in TRIAL]
    assert run(*trial, "--restarts", "3", "--runs_folder", tmp_path) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "better" in line)
    folder, won = tmp_path / "Diabetes/2", []
    for file in ("likelihoods.csv", "accuracies.csv"):
        areas = [
            pd.read_csv(folder / name / file)[["run_2", "run_3"]].mean() for name in ("GSx", "RandomAgent")
        ]
        won.append((areas[0] < areas[1]).sum())
    assert line == f"gsx: better than random in {won[0]} of 2 runs (NLL), {won[1]} of 2 runs (MAE)"
    # A run of random that was damaged since does not count.
    damaged = folder / "RandomAgent/run_2/accuracies.csv"
    damaged.write_text(damaged.read_text().rpartition(",")[0] + ",\n")
    assert run(*trial, "--restarts", "3", "--runs_folder", tmp_path) == 0
    assert " of 1 runs (NLL)" in capsys.readouterr().out
    # Runs of another budget are not compared.
    assert run(*trial, "--budget", "6", "--overwrite", "1", "--restarts", "3", "--runs_folder", tmp_path) == 0
    assert "better than random" not in capsys.readouterr().out


def test_an_interrupt_says_what_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, step = [], EnvironmentLogger.step

    def interrupted(self: EnvironmentLogger, action: Any) -> Any:
        steps.append(action)
        if len(steps) == 4:  # the second round of run_2, which is trained beside run_1
            raise KeyboardInterrupt
        return step(self, action)

    with monkeypatch.context() as patch:
        patch.setattr(EnvironmentLogger, "step", interrupted)
        assert run(*TRIAL, "--restarts", "2", "--runs_folder", tmp_path) == 130
    said = "4 of 8 points kept; the same command resumes\nevaluate.py: interrupted\n"
    assert capsys.readouterr().err.endswith(said.replace("evaluate.py", Path(sys.argv[0]).name))
    assert run(*TRIAL, "--restarts", "2", "--runs_folder", tmp_path) == 0
    assert "run_1: resumes after 2 of 4 points\n" in capsys.readouterr().err


def test_folder_names_variation_and_protocol(tmp_path: Path) -> None:
    trial = (*TRIAL, "--restarts", "1", "--record_points", "1", "--runs_folder", tmp_path / "mine")
    for options, root in (("gauss", "mine_gauss"), ("gauss --protocol corrected", "mine_gauss_corrected")):
        assert run(*trial, "--variation", *options.split()) == 0
        folder = tmp_path / root / "Diabetes/2/RandomAgent/run_1"
        written = {path.name for path in folder.iterdir()} - {".lock"}  # some versions of filelock remove it
        assert written == {*FILES, "pit.csv", "meta.txt", "selected_points.pt", "selected_rows.csv"}
        wanted = "agent: random|run_id: 1|budget: 4|query_size: 2|threads: 1|hidden: [32, 64, 128]"
        assert set(wanted.split("|")) <= set((folder / "meta.txt").read_text().splitlines())


def test_what_was_asked_for_reaches_agent_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seeds, protocol, the agent's dropout, device and budget; nothing is trained."""
    monkeypatch.chdir(tmp_path)
    seen: dict[str, Any] = {}

    class Recorder(core.Environment):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            seen["env"] = self

    def no_loop(logger: EnvironmentLogger) -> EnvironmentLogger:
        raise FloatingPointError("seen enough")

    original = AGENTS["balsa_emd"].__init__

    def watch(self: Any, *args: Any, **kwargs: Any) -> None:
        seen["agent"], seen["seeds"] = self, args[1]
        original(self, *args, **kwargs)

    monkeypatch.setattr(AGENTS["balsa_emd"], "__init__", watch)
    monkeypatch.setattr("core.experiment.Environment", Recorder)
    monkeypatch.setattr(EnvironmentLogger, "__enter__", no_loop)
    options = "--run_id 3 --agent_seed 4 --pool_seed 5 --model_seed 6 --restarts 1 --threads 2"
    asked = [*options.split(), "--protocol", "corrected", "--skip_data_check", "1", "--budget", "9"]
    before = torch.get_num_threads()
    assert run("--agent", "balsa_emd", "--dataset", "diabetes", "--query_size", "2", *asked) == 1
    assert torch.get_num_threads() == 2
    set_threads(before)
    env = seen["env"]
    assert env.seeds == seen["seeds"] == core.Seeds(run_id=3, agent_seed=4, pool_seed=5, model_seed=6)
    assert env.protocol is seen["agent"].protocol is core.CORRECTED
    assert seen["agent"].query_size == 2
    assert env.config.dropout == 0.05  # raised by the agent
    assert env.dataset.skip_data_check
    assert env.budget == 9


def test_runs_of_other_settings_are_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trial = (*TRIAL, "--restarts", "1", "--runs_folder", tmp_path)
    assert run(*trial, "--record_points", "1") == 0
    for option, value, said in (
        ("--budget", "6", "budget 4, not 6"),
        ("--model_seed", "7", "model_seed 1, not 7"),
        ("--skip_data_check", "1", "skip_data_check False, not True"),
    ):
        assert run(*trial, "--run_id", "2", option, value) == 2
        assert f"RandomAgent was made with {said}" in capsys.readouterr().err
    assert run(*trial, "--budget", "6") == 2
    assert "RandomAgent was made with budget 4, not 6" in capsys.readouterr().err
    assert run(*trial, "--budget", "6", "--overwrite", "1") == 0  # nothing is left of the other
    folder = tmp_path / "Diabetes/2/RandomAgent"
    assert len(read_curves(folder / "accuracies.csv")) == 7
    assert not (folder / "run_1/selected_points.pt").exists()


def test_diverged_run_is_named_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Trainer.request

    def diverge(self: Trainer, x: Tensor, *rest: Tensor) -> FitRequest:
        if self.batches[0].initial_seed() == of_run_1:
            x = x * math.nan
        return request(self, x, *rest)

    of_run_1 = core.Seeds(1).torch("batches").initial_seed()
    monkeypatch.setattr(Trainer, "request", diverge)
    assert run(*TRIAL, "--restarts", "2", "--runs_folder", tmp_path) == 1
    printed = capsys.readouterr()
    assert "run_1: training diverged" in printed.err
    assert "AUC over 1 run:" in printed.out
    folder = tmp_path / "Diabetes/2/RandomAgent"
    assert list(read_curves(folder / "accuracies.csv").columns) == ["run_2"]


@pytest.mark.slow
def test_as_a_command_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "evaluate.py"), *TRIAL, "--restarts", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/Diabetes/2/RandomAgent/accuracies.csv").exists()
    command[command.index("random")] = "randm"
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert (
        done.stderr == "evaluate.py: unknown agent 'randm' (did you mean random or learned?): "
        "evaluate.py --list shows all\n"
    )
