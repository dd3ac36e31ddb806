"""An experiment as an object, and what tells its runs from those of another: settings, digests."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest

import evaluate
from core import Experiment, UserError, load_results
from core.agent import AGENTS
from core.cli import run_script
from core.experiment import BASELINES
from core.runs.settings import SINCE, read_meta, write_meta
from tests.builders import files

ROOT = Path(__file__).resolve().parent.parent
TRIAL = Experiment("diabetes", "random", variation="gauss", query_size=2, budget=4)


def test_names_are_settled() -> None:
    experiment = Experiment("diabetes", "bald_point", query_size=5, data_folder=Path("elsewhere"))
    assert (experiment.agent, experiment.budget) == ("bald", 100)
    assert experiment.folder("here") == Path("here/Diabetes/5/BALD_Point")
    # Where the data lie makes no other experiment; anything else does.
    assert experiment == Experiment("diabetes", "bald", query_size=5, budget=100)
    assert (
        len({experiment, replace(experiment, model_seed=2), replace(experiment, protocol="corrected")}) == 3
    )
    with pytest.raises(FrozenInstanceError):
        experiment.budget = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": "diabets"}, "unknown dataset 'diabets' (did you mean diabetes"),
        (
            {"agent": "gauss_std", "variation": "nf"},
            "agent 'gauss_std' needs variation gauss",
        ),
        ({"variation": "nff"}, "unknown variation 'nff'; one of nf, gauss, "),
        ({"protocol": "publised"}, "unknown protocol 'publised'; one of published, corrected"),
        (
            {"query_size": 0},
            "a query size is a number of points such as 50, or several such as 10,20,40, not 0",
        ),
        ({"query_size": 5}, "diabetes: a query size of 5 is more than the budget of 4 points"),
    ],
)
def test_what_cannot_be_run_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as refused:
        replace(TRIAL, **change)
    assert str(refused.value).startswith(message)
    assert "--" not in str(refused.value).replace("evaluate.py --list", "")  # options are the scripts'


@pytest.mark.parametrize("baseline", BASELINES)
def test_baselines_are_experiments(baseline: str) -> None:
    with pytest.raises(UserError, match="unknown variation 'new'; one of "):
        Experiment("diabetes", baseline, variation="new")
    assert baseline not in AGENTS.classes  # nobody takes it for an agent
    settings = Experiment("diabetes", baseline).settings()
    assert "query_size" not in settings
    assert settings.get("sees_test_set", False) == (baseline == "oracle")


def test_a_run_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run ids are given"):
        TRIAL.run([], tmp_path / "runs")
    with pytest.raises(TypeError, match="argument 'record_point'"):
        TRIAL.run([1], tmp_path / "runs", record_point=True)  # type: ignore[call-arg]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_ten_lines_in_a_notebook(tmp_path: Path) -> None:
    """docs/USING.md's, in a process that imports nothing but core."""
    text = (ROOT / "docs/USING.md").read_text(encoding="utf-8")
    (code,) = (part.split("```")[0] for part in text.split("```python\n") if "core.Experiment(" in part)
    assert len(code.strip().splitlines()) <= 10
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}\nprint(len(curves), set(curves['agent']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "balsa_emd" in done.stdout


def test_object_and_script_make_the_same_bytes(tmp_path: Path) -> None:
    assert TRIAL.run(range(1, 3), tmp_path / "a", record_points=True) == [1, 2]
    typed = "--dataset diabetes --agent random --variation gauss --query_size 2 --budget 4 --restarts 2"
    assert evaluate.main([*typed.split(), "--record_points", "1", "--runs_folder", f"{tmp_path}/b"]) == 0
    made, other = files(tmp_path / "a_gauss"), files(tmp_path / "b_gauss")
    assert made == other
    for folder in ("a_gauss", "b_gauss"):
        assert (tmp_path / folder / "Diabetes/2/RandomAgent/run_2/selected_points.pt").exists()
    curves = load_results(tmp_path / "a").curves
    assert curves.groupby("run", observed=True)["labelled"].max().tolist() == [54, 54]


def test_settings_are_yaml_and_hold_what_makes_the_runs(tmp_path: Path) -> None:
    TRIAL.run([1], tmp_path / "runs")
    folder = TRIAL.folder(tmp_path / "runs")
    settings = read_meta(folder / "settings.txt")
    assert settings["hidden"] == [32, 64, 128]
    assert settings["weight_decay"] == TRIAL.hyperparameters.weight_decay
    assert {"agent_code", "agent_version", "data", "protocol_version"} <= set(settings)
    meta = read_meta(folder / "run_1/meta.txt")
    assert {name: meta[name] for name in settings} == settings
    (folder / "settings.txt").write_text("a: [1\n")
    with pytest.raises(UserError, match=r"settings\.txt is damaged"):
        TRIAL.run([2], tmp_path / "runs")


def test_a_folder_of_an_older_release_goes_on(tmp_path: Path) -> None:
    """Settings that it does not know yet had the values that these had then.

    It noted a digest of the dataset's module, which changed with every rewording there.
    """
    TRIAL.run([1], tmp_path / "runs")
    folder = TRIAL.folder(tmp_path / "runs")
    for path in (folder / "settings.txt", folder / "run_1/meta.txt"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text(
            "".join(line for line in lines if line.split(":")[0] not in {*SINCE, "dataset_code"})
            + "config: old.yaml\ndataset_code: 35626c131938\n"
        )
    assert TRIAL.run([1, 2], tmp_path / "runs") == [1, 2]


def test_runs_of_two_versions_of_a_protocol_do_not_share_a_folder(tmp_path: Path) -> None:
    corrected = replace(TRIAL, protocol="corrected")
    settings = {**corrected.settings(), "protocol_version": 1}
    folder = corrected.folder(tmp_path / "runs")
    folder.mkdir(parents=True)
    write_meta(folder / "settings.txt", settings)
    (folder / "run_1").mkdir()
    write_meta(folder / "run_1/meta.txt", settings)
    with pytest.raises(UserError, match="was made with protocol_version 1, not 2"):
        corrected.run([2], tmp_path / "runs")


def test_scripts_name_the_option(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    TRIAL.run([1], tmp_path / "runs")
    typed = "--dataset diabetes --agent random --variation gauss --query_size 2 --budget 4 --restarts 1"
    options = [*typed.split(), "--runs_folder", f"{tmp_path}/runs", "--record_points", "1"]
    with pytest.raises(SystemExit) as left:
        run_script(lambda: evaluate.main(options))
    assert left.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith("was made without selected_points.pt: --overwrite 1 runs it again")
