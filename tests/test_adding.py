"""The agent and the dataset that CONTRIBUTING.md shows: one file each, and edits do not mix with old runs."""

import re
import sys
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaluate
import report
from core import AGENTS, CORRECTED, DATASETS, Experiment, UserError
from core.cli import message
from docs import agents_table
from tests import test_agents
from tests.builders import choose, files, make_state
from tests.test_explorer import page_data

ROOT = Path(__file__).resolve().parent.parent
SHOWN = dict(
    re.findall(
        r"`((?:agents|datasets)/\w+\.py)`:\n\n```python\n(.*?)```",
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
        re.DOTALL,
    )
)
DATASET = '''"""A dataset of our own."""

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

#: Writes a file of a package, and imports it as if it lay there.
Add = Callable[[str, str], None]


@pytest.fixture
def add(tmp_path: Path) -> Iterator[Add]:
    added: set[str] = set()

    def forget(module: str) -> None:
        registries: list[Any] = [AGENTS, DATASETS]
        for registry in registries:
            for name in [name for name, cls in registry.classes.items() if cls.__module__ == module]:
                del registry.classes[name]
        sys.modules.pop(module, None)

    def add(name: str, code: str) -> None:
        path, module = tmp_path / name, name.removesuffix(".py").replace("/", ".")
        forget(module)
        added.add(module)
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)
        spec = spec_from_file_location(module, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[module] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[module])

    yield add
    for module in added:
        forget(module)


def test_shown_agent_and_dataset(
    add: Add, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(SHOWN) == ["agents/uncertain_far.py", "agents/mean_gradients.py", "datasets/friedman.py"]
    for name, code in SHOWN.items():
        add(name, code)
    typed = "--agent uncertain_far --dataset friedman --query_size 3 --budget 6 --restarts 2"
    assert evaluate.main([*typed.split(), "--runs_folder", str(tmp_path / "runs")]) == 0
    assert "note: no configs/friedman.yaml, default.yaml is used\n" in capsys.readouterr().err
    folder = tmp_path / "runs/Friedman/3/UncertainFar"
    assert (folder / "accuracies.csv").read_text().startswith("added,run_1,run_2\n")
    report.main(["--runs_folder", str(tmp_path / "runs"), "--out", str(tmp_path / "report.html")])
    (task,) = page_data((tmp_path / "report.html").read_text())["tasks"]
    assert [agent["name"] for agent in task["agents"]] == ["uncertain_far"]

    # Of itself it gives nothing but a first line.
    line = "Spread of the predicted samples times the distance to the nearest labelled point"
    family = "An agent of our own: uncertain points that are far from the labelled ones"
    capsys.readouterr()
    evaluate.list_names()
    assert f" {family}.\n  {'uncertain_far':28}{line}.\n" in capsys.readouterr().out
    assert f"| `uncertain_far` | {line} | density | no | - |\n" in agents_table.table()
    test_agents.test_contract("uncertain_far", "gauss", CORRECTED, monkeypatch)


@pytest.mark.parametrize("variation", ["nf", "gauss", "ensemble"])
def test_shown_batch_agent(variation: str, add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its batch is spread out: a point and its copies are chosen once while others are left."""
    add("agents/mean_gradients.py", SHOWN["agents/mean_gradients.py"])
    test_agents.test_contract("mean_gradients", variation, CORRECTED, monkeypatch)
    state = make_state(variation, CORRECTED)
    state = state._replace(x_unlabeled=state.x_unlabeled[[0, 0, 0, 0, 1, 2]])
    assert sorted(choose("mean_gradients", state, CORRECTED, 3))[1:] == [4, 5]


def test_an_agent_of_ensembles_alone(add: Add) -> None:
    code = SHOWN["agents/mean_gradients.py"].replace("(Agent):", "(Agent):\n    density = MixtureDensity")
    add("agents/mean_gradients.py", f"from core.models.densities import MixtureDensity\n{code}")
    with pytest.raises(UserError, match="needs variation ensemble or"):
        Experiment("diabetes", "mean_gradients")
    Experiment("diabetes", "mean_gradients", variation="gauss_ensemble")


def test_edited_code_and_data_are_refused_and_named(add: Add, tmp_path: Path) -> None:
    agent = SHOWN["agents/uncertain_far.py"]
    table = pd.DataFrame(np.random.default_rng(1).uniform(size=(60, 3)), columns=["a", "b", "y"])

    def write(code: str = agent, dataset: str = DATASET, scale: float = 1.0) -> None:
        add("agents/uncertain_far.py", code)
        add("datasets/mine.py", dataset)
        (table * [1, 1, scale]).to_csv(tmp_path / "mine.csv", index=False)

    typed = [
        "--agent",
        "uncertain_far",
        "--dataset",
        "mine",
        "--variation",
        "gauss",
        "--query_size",
        "4",
        "--restarts",
        "1",
    ]
    typed += ["--data_folder", str(tmp_path), "--runs_folder", str(tmp_path / "runs")]
    write()
    assert evaluate.main(typed) == 0
    # What changes no number: comments, docstrings, line breaks.
    layout = agent.replace("Spread", "A spread").replace(" * dist", " \\\n            * dist") + "# end\n"
    write(layout)
    assert evaluate.main([*typed, "--run_id", "2"]) == 0
    made = files(tmp_path)

    changes: list[tuple[dict[str, Any], str]] = [
        ({"code": agent.replace("* distance", "+ distance")}, "other code of the agent"),
        ({"dataset": DATASET.replace("table[:, -1]", "2 * table[:, -1]")}, "other data"),
        ({"dataset": DATASET.replace("seed_set = 10", "seed_set = 5")}, "seed_set 10, not 5"),
        ({"scale": 2.0}, "other data"),
    ]
    for change, said in changes:
        write(**change)
        with pytest.raises(UserError) as info:
            evaluate.main([*typed, "--run_id", "3"])
        line = message(info.value)
        assert f"was made with {said}" in line
        assert "--overwrite 1" in line
        assert files(tmp_path) == made
    write()
    assert evaluate.main([*typed, "--run_id", "3"]) == 0
