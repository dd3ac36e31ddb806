"""sweep.py and ray_tune.py with Ray: two nodes on this machine, killed workers, no shared folder."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from core import CORRECTED
from core.config import Config, check_changes, read_file
from core.dataset import DATASETS
from core.models.variations import load_config
from core.runs import checkpoint
from core.training import tuning
from tests.builders import FILES, files
from tests.slow.worker import finish, start, wait_for

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112, its name; else other work on this machine goes first
ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")

# One worker of pytest-xdist runs them all (--dist loadgroup): one cluster is enough.
pytestmark = pytest.mark.xdist_group("ray")

ROOT = Path(__file__).parents[2]
AGENTS = ("random", "coreset", "bald", "balsa_emd", "balsa_kl_pairs", "nf_std", "nf_entropy")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of two nodes with a core each, and a server for drivers from elsewhere."""
    from ray.cluster_utils import Cluster

    small: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    head = small | {"include_dashboard": False, "ray_client_server_port": free_port()}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.client = f"ray://{cluster.head_node.node_ip_address}:{head['ray_client_server_port']}"  # type: ignore[attr-defined]
    cluster.add_node(**small)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("", 0))
        return int(listening.getsockname()[1])


def own_folders(nodes: Any) -> list[Path]:
    """Where tasks have worked that do not see the sweep's runs folder: beside Ray's copies of the code."""
    copies = Path(nodes.head_node.get_session_dir_path()) / "runtime_resources/working_dir_files"
    return list(copies.glob("_ray_pkg_*/runs-*"))


STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def nothing_goes_on() -> Iterator[None]:
    """Ends what a failed test has left running."""
    yield
    while STARTED:
        process = STARTED.pop()
        process.kill()
        process.wait()


def script(name: str, folder: Path, *arguments: object) -> subprocess.Popen[str]:
    """A process that runs a script; what it says goes to `folder`/said."""
    folder.mkdir(exist_ok=True)
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / name), *map(str, arguments)],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1", "HOME": str(folder)},  # Ray keeps a token there
            stdout=said,
            stderr=said,
            text=True,
            start_new_session=True,
        )
    STARTED.append(process)
    return process


def task_of(node: Any) -> psutil.Process:
    """The process of a node that is at a task, as soon as there is one; it is stopped."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    found: list[psutil.Process] = []

    def stopped() -> bool:
        for process in raylet.children(recursive=True):
            if process.cmdline()[:1] == ["ray::run_group"]:
                process.suspend()
                if process.cmdline()[:1] == ["ray::run_group"]:  # and not: it has just ended
                    found.append(process)
                    return True
                process.resume()
        return False

    wait_for(stopped, 300)
    return found[0]


def alone(runs_folder: Path, restarts: int, side_by_side: int, *arguments: object) -> None:
    """The same runs by evaluate.py."""
    sizes = ("--restarts", restarts, "--side_by_side", side_by_side, "--runs_folder", runs_folder)
    assert finish(start([*arguments, *sizes])) == 0


def test_killed_and_failing_tasks_among_fourteen_experiments(nodes: Any, tmp_path: Path) -> None:
    case = f"--datasets diabetes --agents {' '.join(AGENTS)} --query_sizes 2 4 --run_ids 1-2 --budget 4"
    wrong = tmp_path / "runs/Diabetes/4/RandomAgent/settings.txt"
    wrong.parent.mkdir(parents=True)
    wrong.write_text("dataset: nothing\n")
    process = script("sweep.py", tmp_path, *case.split(), "--side_by_side", 2, "--address", nodes.address)
    task_of(*nodes.worker_nodes).kill()
    for agent in AGENTS:
        for query_size in (2, 4):
            if (agent, query_size) != ("random", 4):
                options = f"--agent {agent} --dataset diabetes --query_size {query_size} --budget 4"
                alone(tmp_path / "alone", 2, 2, *options.split())
    assert process.wait(600) == 1
    said = (tmp_path / "said").read_text()
    assert "failed groups: 1 of 14\ndiabetes 4 random nf published, run_1 to run_2: " in said
    assert "was made with dataset nothing, not diabetes: " in said
    assert f"{wrong.parent}/sweep_1-2.log\n" in said
    assert "finished groups: 13 of 14" in said
    made = files(tmp_path / "runs")
    assert len(made) == 13 * (len(FILES) + 2 * (len(FILES) + 1))
    assert made == files(tmp_path / "alone")
    assert not list(tmp_path.glob("runs/.sweep-*"))
    assert not own_folders(nodes)


def test_files_come_back_where_no_runs_folder_is_shared(nodes: Any, tmp_path: Path) -> None:
    """/proc/self/cwd is another folder for each process: what the driver writes there, no task sees.

    The driver is elsewhere, too: it is connected by Ray's client alone.
    """
    case = "--datasets diabetes --agents random nf_std --query_sizes 2 --run_ids 1-3 --budget 4"
    case += f" --side_by_side 2 --runs_folder /proc/self/cwd/runs --address {nodes.client}"
    wrong = tmp_path / "runs/Diabetes/2/NF_Std/settings.txt"
    wrong.parent.mkdir(parents=True)
    wrong.write_text("dataset: nothing\n")
    process = script("sweep.py", tmp_path, *case.split())
    options = "--agent random --dataset diabetes --query_size 2 --budget 4"
    alone(tmp_path / "alone", 3, 2, *options.split())
    assert process.wait(600) == 1
    said = (tmp_path / "said").read_text()
    assert said.count("was made with dataset nothing, not diabetes: ") == 2
    assert files(tmp_path / "runs") == files(tmp_path / "alone")
    made = tmp_path / "runs/Diabetes/2/RandomAgent"
    assert "AUC over 2 runs" in (made / "sweep_1-2.log").read_text()
    assert "was made with dataset nothing" in (wrong.parent / "sweep_3-3.log").read_text()
    assert not [path for own in own_folders(nodes) for path in own.glob("runs/Diabetes/2/NF_Std/run_*")]
    assert (made / "settings.txt").exists()
    assert [path for own in own_folders(nodes) for path in own.glob("runs/Diabetes/2/RandomAgent")]

    # What the nodes keep does not hinder a sweep of other settings, nor decide on them.
    shutil.rmtree(tmp_path / "runs")
    other = case.replace("random nf_std", "random").replace("--budget 4", "--budget 2")
    other = other.replace(nodes.client, nodes.address)  # Ray's server for clients may fail to start twice
    assert script("sweep.py", tmp_path, *other.split()).wait(600) == 0
    assert "budget: 2" in (made / "settings.txt").read_text()


def test_ctrl_c_leaves_everything_to_be_gone_on_with(tmp_path: Path) -> None:
    case = "--datasets diabetes --agents balsa_emd --query_sizes 2 --run_ids 1-4 --budget 40 --side_by_side 2"
    process = script("sweep.py", tmp_path, *case.split())
    runs = tmp_path / "runs/Diabetes/2/BALSA_EMD"
    wait_for(lambda: any("0/20" in path.read_text() for path in runs.glob("*.log")) or process.poll(), 300)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to Ray's processes too
    assert process.wait(600) == 130
    said = (tmp_path / "said").read_text()
    assert said.endswith("\nsweep.py: interrupted\n")
    assert "Traceback" not in said
    assert list(runs.glob(f"run_*/{checkpoint.FILE}"))
    assert not list(runs.glob("run_*/meta.txt"))

    again = script("sweep.py", tmp_path, *case.split())
    options = "--agent balsa_emd --dataset diabetes --query_size 2 --budget 40"
    alone(tmp_path / "alone", 4, 2, *options.split())
    assert again.wait(600) == 0
    logs = "".join(path.read_text() for path in runs.glob("*.log"))
    assert "resumes after" in logs
    assert files(tmp_path / "runs") == files(tmp_path / "alone")


def test_the_search_beats_a_bad_default_and_writes_what_it_found(nodes: Any, tmp_path: Path) -> None:
    case = f"--dataset diabetes --trials 8 --address {nodes.address}"
    process = script("ray_tune.py", tmp_path, *case.split())
    subsets = tuning.make_subsets(DATASETS["diabetes"], Path("nowhere"), False)

    def judged(config: Config) -> float:
        return sum(tuning.validation_nll(one, config, CORRECTED) for one in subsets) / 2

    bad = replace(load_config("diabetes", "nf"), lr=3e-6, weight_decay=0.01, dropout=0.3)
    assert process.wait(600) == 0
    table = pd.read_csv(tmp_path / "tuned/diabetes_trials.csv")
    assert len(table) == 8
    assert table["validation_nll"].is_monotonic_increasing
    best = check_changes(read_file(tmp_path / "tuned/diabetes.yaml"), "tuned")
    found = replace(load_config("diabetes", "nf", CORRECTED), **best)
    assert table["validation_nll"][0] < judged(bad) - 0.5
    assert judged(found) == pytest.approx(table["validation_nll"][0], abs=1e-5)
    assert (tmp_path / "said").read_text().splitlines()[-1].startswith("configuration and table: ")


def test_no_cluster_there_is_one_line(tmp_path: Path) -> None:
    process = script(
        "sweep.py", tmp_path, "--datasets", "diabetes", "--agents", "random", "--address", "127.0.0.1:1"
    )
    assert process.wait(120) == 2
    said = (tmp_path / "said").read_text()
    assert said.startswith("sweep.py: --address 127.0.0.1:1: no cluster of Ray answers there (")
    assert len(said.splitlines()) == 1
