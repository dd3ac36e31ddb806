"""An experiment as an object, and what tells its runs from those of another: settings, digests."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaluate
from core import Experiment, OracleExperiment, UpperBoundExperiment, UserError, load_results
from core.cli import run_script
from core.runs.settings import read_meta
from core.runs.sources import code_digest
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
        ({"dataset": "diabets"}, "unknown dataset 'diabets'; did you mean diabetes"),
        ({"agent": "randm"}, "unknown agent 'randm'; did you mean random"),
        (
            {"agent": "gauss_std", "variation": "nf"},
            "agent 'gauss_std' does not score variation nf, but gauss",
        ),
        ({"variation": "nff"}, "unknown variation 'nff'; one of nf, gauss, "),
        ({"protocol": "publised"}, "unknown protocol 'publised'; one of published, corrected"),
        ({"query_size": 0}, "a query size is at least 1, not 0"),
        ({"query_size": 5}, "diabetes: a query size of 5 is more than the budget of 4 points"),
    ],
)
def test_what_cannot_be_run_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as refused:
        replace(TRIAL, **change)
    assert str(refused.value).startswith(message)
    assert "--" not in str(refused.value).replace("evaluate.py --list", "")  # options are the scripts'


@pytest.mark.parametrize("kind", [OracleExperiment, UpperBoundExperiment])
@pytest.mark.parametrize("name", ["variation", "protocol"])
def test_bounds_with_unknown_names_are_refused(kind: Any, name: str) -> None:
    with pytest.raises(UserError, match=f"unknown {name} 'new'; one of "):
        kind("diabetes", **{name: "new"})


def test_a_run_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run ids are given"):
        TRIAL.run([], tmp_path / "runs")
    with pytest.raises(TypeError, match="no argument record_point"):
        TRIAL.run([1], tmp_path / "runs", record_point=True)
    assert not list(tmp_path.iterdir())


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


def test_upper_bound_as_an_object(tmp_path: Path) -> None:
    bound = UpperBoundExperiment("diabetes", "gauss", epoch_limit=2)
    assert bound.run([1], tmp_path / "runs") == [1]
    assert load_results(tmp_path / "runs").upper_bounds["epoch"].max() == 2


def test_settings_are_yaml_and_hold_what_makes_the_runs(tmp_path: Path) -> None:
    TRIAL.run([1], tmp_path / "runs")
    folder = TRIAL.folder(tmp_path / "runs")
    settings = read_meta(folder / "settings.txt")
    assert settings["hidden"] == [32, 64, 128]
    assert settings["weight_decay"] == TRIAL.config.weight_decay
    assert {"agent_code", "dataset_code", "data", "results_version"} <= set(settings)
    meta = read_meta(folder / "run_1/meta.txt")
    assert {name: meta[name] for name in settings} == settings
    (folder / "settings.txt").write_text("a: [1\n")
    with pytest.raises(UserError, match=r"settings\.txt is damaged"):
        TRIAL.run([2], tmp_path / "runs")


# --- edited code and data --------------------------------------------------------------------

OWN_AGENT = '''"""An agent of our own."""

from core.agent import AGENTS, Agent

from . import own_scores


@AGENTS.register("own")
class Own(Agent):
    """Large x."""

    folder = "Own"

    def score(self, state, x):
        return own_scores.first(x)
'''
OWN_SCORES = '''def first(x):
    """Of the first feature."""
    return x[:, 0]
'''
OWN_DATASET = '''"""A dataset of our own."""

import pandas as pd

from core.dataset import DATASETS, Dataset


@DATASETS.register("mine")
class Mine(Dataset):
    """Read from a file."""

    folder = "Mine"
    seed_set = 10
    budget = 4

    def rows(self, rng):
        table = pd.read_csv(self.data_folder / "mine.csv").to_numpy()
        return table[:, :-1], table[:, -1]
'''


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The code in a folder of its own, with an agent, a dataset and its file."""
    folder = tmp_path / "code"
    tracked = subprocess.run(["git", "ls-files", "*.py", "configs"], cwd=ROOT, capture_output=True, text=True)
    for name in tracked.stdout.split():
        if not name.startswith("tests/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    (folder / "agents/own.py").write_text(OWN_AGENT)
    (folder / "agents/own_scores.py").write_text(OWN_SCORES)
    (folder / "datasets/mine.py").write_text(OWN_DATASET)
    table = np.random.default_rng(1).uniform(size=(60, 3))
    pd.DataFrame(table, columns=["a", "b", "y"]).to_csv(folder / "mine.csv", index=False)
    return folder


def evaluate_in(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    typed = (
        "evaluate.py --agent own --dataset mine --variation gauss --query_size 4 --data_folder . --restarts 1"
    )
    command = [sys.executable, *typed.split(), *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_edited_code_and_data_are_refused_and_named(copy: Path) -> None:
    first = evaluate_in(copy)
    assert first.returncode == 0, first.stderr
    before = files(copy / "runs_gauss")

    def edit(name: str, old: str, new: str) -> None:
        text = (copy / name).read_text()
        assert old in text
        (copy / name).write_text(text.replace(old, new))

    # What changes no number: comments, docstrings, line breaks.
    edit("agents/own.py", "first(x)", "first(\n            x)  # a comment")
    edit("agents/own_scores.py", "Of the first feature.", "Of the feature that comes first.")
    again = evaluate_in(copy)
    assert again.returncode == 0, again.stderr

    for name, old, new, said in (
        ("agents/own.py", "own_scores.first", "-own_scores.first", "other code of the agent"),
        ("agents/own_scores.py", "x[:, 0]", "x[:, 1]", "other code of the agent"),
        ("datasets/mine.py", "budget = 4", "budget = 4\n    more = 1", "other code of the dataset"),
        ("mine.csv", "0.", "0.0", "other data"),
    ):
        kept = (copy / name).read_text()
        edit(name, old, new)
        refused = evaluate_in(copy, "--run_id", "2")
        assert refused.returncode == 2, refused.stderr
        (line,) = [line for line in refused.stderr.splitlines() if not line.startswith("note:")]
        assert f"was made with {said}" in line
        assert "--overwrite 1" in line
        assert files(copy / "runs_gauss") == before
        (copy / name).write_text(kept)
    assert evaluate_in(copy, "--run_id", "2").returncode == 0


def test_indentation_is_part_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "own_package"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    digests = []
    for i, last in enumerate(("        y += 1", "    y += 1")):
        source = f"class A: ...\ndef f(y):\n    for _ in range(3):\n        y += 2\n{last}\n    return y\n"
        (package / f"m{i}.py").write_text(source)
        __import__(f"own_package.m{i}")
        renamed = package / "m.py"
        renamed.write_text(source)
        digests.append(code_digest(sys.modules[f"own_package.m{i}"].A))
    assert digests[0] != digests[1]


def test_a_class_without_a_file_has_a_digest() -> None:
    sys.modules["typed_in"] = ModuleType("typed_in")
    assert code_digest(type("Typed", (), {"__module__": "typed_in"})) == "unknown"


def test_an_experiment_that_cannot_be_run_leaves_nothing(tmp_path: Path) -> None:
    impossible = replace(TRIAL, budget=400)
    with pytest.raises(UserError, match="need more than the"):
        impossible.run([1], tmp_path / "runs")
    assert not list(tmp_path.iterdir())


def test_scripts_name_the_option(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    TRIAL.run([1], tmp_path / "runs")
    typed = "--dataset diabetes --agent random --variation gauss --query_size 2 --budget 4 --restarts 1"
    options = [*typed.split(), "--runs_folder", f"{tmp_path}/runs", "--record_points", "1"]
    with pytest.raises(SystemExit) as left:
        run_script(lambda: evaluate.main(options))
    assert left.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith("was made without selected_points.pt: --overwrite 1 makes it anew")
