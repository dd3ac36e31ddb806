"""docs/ADD_A_MODEL.md's model, in one file of a copy of the code that has it not: it needs no other edit.

Alone and as an ensemble; its configurations are left out, too.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own_model")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in (name for name in tracked.stdout.splitlines() if "mdn" not in name):
        if Path(name).parts[0] in ("core", "agents", "datasets", "configs", "tests") or name.count("/") == 0:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    (folder / "core/models/mdn.py").write_text(shown(), encoding="utf-8")
    return folder


def shown() -> str:
    """The model as the page has it."""
    page = (ROOT / "docs/ADD_A_MODEL.md").read_text(encoding="utf-8")
    return page.split("```python\n")[1].split("```")[0]


def test_the_page_shows_the_file() -> None:
    assert shown() == (ROOT / "core/models/mdn.py").read_text(encoding="utf-8")


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("variation", ["mdn", "mdn_ensemble"])
def test_agents_choose_with_it(copy: Path, variation: str) -> None:
    typed = f"--dataset diabetes --query_size 2 --budget 4 --restarts 2 --variation {variation}".split()
    agents = ["random", "bald", "balsa_kl_pairs", "balsa_emd"]
    calls = "\n".join(f"evaluate.main({['--agent', agent, *typed]})" for agent in agents)
    done = python(copy, "-c", f"import evaluate\n{calls}")  # in one process: most of the time is imports
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"note: no configs/diabetes_{variation}.yaml, mdn.py is used\n") == len(agents)
    assert len(list((copy / f"runs_{variation}/Diabetes/2").glob("*/accuracies.csv"))) == 4
    meta = (copy / f"runs_{variation}/Diabetes/2/RandomAgent/run_1/meta.txt").read_text(encoding="utf-8")
    members = 5 if variation == "mdn_ensemble" else 1
    assert {"model: mdn", "config: mdn.py", f"members: {members}"} <= set(meta.splitlines())
    refused = python(copy, "evaluate.py", "--agent", "gauss_std", *typed)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert f"'gauss_std' does not score variation {variation}, but gauss\n" in refused.stderr


@pytest.mark.parametrize(
    ("file", "chosen"),
    [
        ("test_model_contract.py", "mdn"),
        ("test_rooms.py", "room"),
        ("test_side_by_side.py", "mdn"),
        ("test_agents.py", "random-mdn or bald-mdn or balsa_kl_pairs-mdn or balsa_emd-mdn"),
    ],
)
def test_contracts(copy: Path, file: str, chosen: str) -> None:
    done = python(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, f"tests/{file}")
    assert done.returncode == 0, done.stdout[-3000:]


def test_scripts_and_figures_know_it(copy: Path) -> None:
    assert "mdn_ensemble" in python(copy, "evaluate.py", "--list").stdout
    tuned = python(copy, "ray_tune.py", "--dataset", "diabetes", "--variation", "mdn_ensemble")
    assert tuned.returncode == 2
    assert "; one of nf, gauss, mdn\n" in tuned.stderr  # single models alone are tuned
    shown = "from core.report.labels import task_label; print(task_label({'variation': 'mdn_ensemble'}))"
    assert python(copy, "-c", shown).stdout == "ensemble of mixture density networks\n"
    costs = "from core.sweep.cost import Costs; run = Costs().run; print(run({0}, 'mdn') == run({0}, 'nf'))"
    assert (
        python(copy, "-c", costs.format("'diabetes', 'bald'")).stdout == "True\n"
    )  # not measured: as the flow
