"""What comes from elsewhere, and who can reach what we open: addresses, hashes, ports, modes, pages."""

import subprocess
import sys
from pathlib import Path

import pytest

import compare
from core.data.tables import Table
from core.dataset import DATASETS
from core.report.load import Folders
from core.report.store import add_runs
from tests.test_explorer import page_data
from tests.test_store import write_runs

ROOT = Path(__file__).parents[2]
#: What a page, a shell or a path could take for something else.
EVIL = "<script>alert(1)<"


def test_raw_files_come_over_https() -> None:
    assert all(
        url.startswith("https://")
        for of in DATASETS.classes.values()
        if issubclass(of, Table)
        for url in of.urls
    )


LISTENING = """
import psutil
from core.sweep import driver
with driver.connected(None) as ray:
    ray.get(ray.remote(lambda: 1).remote())
    for process in psutil.Process().children(recursive=True):
        for connection in process.net_connections("inet"):
            if connection.status == "LISTEN":
                print(process.name(), connection.laddr.ip)
"""


@pytest.mark.xdist_group("ray")
def test_a_ray_of_our_own_listens_on_this_machine_alone() -> None:
    pytest.importorskip("ray")
    done = subprocess.run(
        [sys.executable, "-c", LISTENING], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    listening = [line.split()[-1] for line in done.stdout.splitlines()]
    assert listening, done.stderr
    assert {address.removeprefix("::ffff:") for address in listening} <= {"127.0.0.1", "::1"}


def test_names_on_the_page_of_a_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for agent in ("random", "coreset"):
        write_runs(tmp_path / "made", agent, (1, 2))
    add_runs(tmp_path / "store", Folders(tmp_path / "made").experiments)
    write_runs(tmp_path / "runs", EVIL, (1, 2), dropout=EVIL)
    broken = tmp_path / "runs/Diabetes/4" / EVIL.title() / "run_3"
    broken.mkdir()
    (broken / "meta.txt").write_text(f"a: [{EVIL}")
    out = tmp_path / "compare.html"
    compare.main([f"--runs_folder={tmp_path}/runs", f"--store={tmp_path}/store", f"--out={out}"])
    text = out.read_text(encoding="utf-8")
    assert EVIL.lower() in str(page_data(text)).lower()
    assert EVIL.lower() not in text.lower()
