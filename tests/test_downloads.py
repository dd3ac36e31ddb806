"""The downloads of core.data.tables, against a real server on this machine."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import download_all_datasets
from core.data import tables
from core.data.tables import fetch
from core.errors import UserError
from core.files import UnusableError
from datasets import DATASETS
from tests.mini_table import FRAME, Mini, csv, expected_x, put, zipped

ROOT = Path(__file__).resolve().parents[1]


class Server(ThreadingHTTPServer):
    """Answers each path with what `answers` lists for it, one after the other, the last for ever.

    An answer is (status, body, announced length); `requests` holds the paths asked for.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[tuple[int, bytes, int]]] = {}
        self.requests: list[str] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def answer(self, path: str, *answers: tuple[int, bytes, int]) -> str:
        self.answers[path] = list(answers)
        return self.url(path)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        answers = self.server.answers.get(self.path, [(404, b"no such file", 12)])
        status, body, length = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        if status == 302:
            self.send_header("Location", body.decode())
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def whole(body: bytes) -> tuple[int, bytes, int]:
    return 200, body, len(body)


def broken_off(body: bytes) -> tuple[int, bytes, int]:
    return 200, body[: len(body) // 2], len(body)


UNAVAILABLE = (503, b"later", 5)
GOOD = zipped(csv())


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits before new attempts, which are not waited for; and an empty memory of tables."""
    tables._load.cache_clear()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    waited: list[float] = []
    monkeypatch.setattr(tables, "sleep", waited.append)
    return waited


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("[!.]*"))


def mini(*urls: str, **declared: object) -> type[Mini]:
    return type("Mini", (Mini,), {"urls": urls} | declared)


# --- fetch ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [UNAVAILABLE, (429, b"", 0), broken_off(b"the whole answer")])
def test_fetch_tries_again(
    tmp_path: Path, server: Server, waits: list[float], bad: tuple[int, bytes, int]
) -> None:
    fetch(server.answer("/file", bad, bad, whole(b"the whole answer")), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"the whole answer"
    assert len(server.requests) == 3
    assert waits == [1, 2]


@pytest.mark.parametrize(
    ("bad", "reason", "attempts"),
    [(UNAVAILABLE, "HTTP status 503", 1 + tables.RETRIES), ((404, b"", 0), "HTTP status 404", 1)],
)
def test_fetch_gives_up(
    tmp_path: Path, server: Server, bad: tuple[int, bytes, int], reason: str, attempts: int
) -> None:
    with pytest.raises(UnusableError, match=f": {reason}$"):
        fetch(server.answer("/file", bad), tmp_path / "file")
    assert len(server.requests) == attempts
    assert files_of(tmp_path) == []


def test_fetch_without_a_server(tmp_path: Path, server: Server) -> None:
    url = server.url("/file")
    server.server_close()
    with pytest.raises(UnusableError, match=r"no connection$"):
        fetch(url, tmp_path / "file")


def test_nothing_comes_over_http(tmp_path: Path, server: Server, waits: list[float]) -> None:
    """Neither at once nor where the server sends us on to."""
    for url in ("http://example.org/t.csv", server.answer("/moved", (302, b"http://example.org/t.csv", 0))):
        with pytest.raises(UnusableError, match=r"only https is read$"):
            fetch(url, tmp_path / "file")
    assert files_of(tmp_path) == waits == []


# --- tables from addresses -----------------------------------------------------------------


def test_a_download_is_checked_stored_and_cached(tmp_path: Path, server: Server) -> None:
    folder = tmp_path / "new" / "folder"
    cls = mini(server.answer("/mini", whole(GOOD)))
    table = cls.load(folder)
    np.testing.assert_array_equal(table.x, expected_x())
    assert table.source == folder / "mini.zip"
    assert files_of(folder) == ["mini.npz", "mini.zip"]
    assert (folder / "mini.zip").read_bytes() == GOOD
    tables._load.cache_clear()
    assert cls.load(folder).source == folder / "mini.npz"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ((404, b"", 0), "HTTP status 404"),
        (broken_off(GOOD), "the answer broke off"),
        (whole(b"<html>moved</html>"), "it cannot be read (BadZipFile: File is not a zip file)"),
        (whole(zipped(csv(FRAME.iloc[1:]))), "39 rows instead of 40"),
    ],
)
def test_the_second_address_is_tried(
    tmp_path: Path, server: Server, bad: tuple[int, bytes, int], reason: str
) -> None:
    first, second = server.answer("/first", bad), server.answer("/second", (404, b"", 0))
    with pytest.raises(UserError) as info:
        mini(first, second).load(tmp_path)
    message = str(info.value)
    assert "\n" not in message
    assert f"{first}: {reason}" in message
    assert f"{second}: HTTP status 404" in message
    assert f"fetch {first} by hand and save it as {tmp_path / 'mini.zip'}" in message
    assert files_of(tmp_path) == []

    server.answer("/second", whole(GOOD))
    assert mini(first, second).load(tmp_path).data_check == "passed"
    assert files_of(tmp_path) == ["mini.npz", "mini.zip"]


def test_a_download_of_another_hash_is_refused(tmp_path: Path, server: Server) -> None:
    """Also with skip_data_check: the table may be as good as the published one, the file is another."""
    good = hashlib.sha256(csv()).hexdigest()
    other = csv().replace(b"\n", b"\r\n")
    first, second = server.answer("/first", whole(zipped(other))), server.answer("/second", (404, b"", 0))
    cls = mini(first, second, known_hash=f"sha256:{good}")
    for skip in (False, True):
        with pytest.raises(UserError) as info:
            cls.load(tmp_path, skip_data_check=skip)
        found = hashlib.sha256(other).hexdigest()
        assert f"{first}: its sha256 is {found} instead of {good}; {second}" in str(info.value)
        assert f"fetch {first} by hand and save it as {tmp_path / 'mini.zip'}" in str(info.value)
        assert "\n" not in str(info.value)
    assert files_of(tmp_path) == []
    server.answer("/second", whole(GOOD))
    assert cls.load(tmp_path).data_check == "passed"
    assert (tmp_path / "mini.zip").read_bytes() == GOOD


def test_a_file_that_lies_there_may_have_another_hash(tmp_path: Path) -> None:
    """Other line ends, or packed anew: the check of the table decides."""
    good = hashlib.sha256(csv()).hexdigest()
    put(tmp_path, "mini.zip", zipped(csv().replace(b"\n", b"\r\n")))
    cls = mini(known_hash=f"sha256:{good}")
    assert cls.load(tmp_path).data_check == "passed"


def test_processes_that_start_together_fetch_once(tmp_path: Path, server: Server) -> None:
    """Four threads stand for processes: locks and files are all that they share."""
    cls = mini(server.answer("/mini", whole(GOOD)))
    found: list[tables.LoadedTable] = []
    threads = [threading.Thread(target=lambda: found.append(cls.load(tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(found) == 4
    assert len(server.requests) == 1
    assert files_of(tmp_path) == ["mini.npz", "mini.zip"]


# --- download_all_datasets.py --------------------------------------------------------------


def sarcos_arff() -> bytes:
    """44,484 rows of 28 columns whose first torque has the mean of the real table."""
    header = [f"@attribute V{i} numeric" for i in range(28)]
    row = ",".join(["0.5"] * 21 + ["13.65384"] + ["1"] * 6)
    return "\n".join(["@relation sarcos", *header, "@data", *[row] * 44484, ""]).encode()


def test_one_failure_does_not_stop_the_others(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("sarcos", "diamonds", "pakinsons", "superconductors"):
        monkeypatch.setattr(DATASETS[name], "urls", (server.url(f"/{name}"),))
        monkeypatch.setattr(DATASETS[name], "packaged", ("", ""))
    server.answer("/sarcos", UNAVAILABLE, whole(sarcos_arff()))
    server.answer("/diamonds", broken_off(b"@relation diamonds"))
    assert download_all_datasets.main(["--data_folder", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    ready, last = out.splitlines()
    assert ready == "sarcos: 44,484 rows, 21 features, sarcos.arff"
    assert last.endswith("failed: 3")
    for name in ("diamonds", "pakinsons", "superconductors"):
        assert sum(line.startswith(f"{name}: ") for line in err.splitlines()) == 1
    assert files_of(tmp_path) == ["sarcos.arff", "sarcos.npz"]


#: The script with its addresses turned to our server.
TURNED = """
import sys
import download_all_datasets
from core.cli import run_script
from datasets import DATASETS
DATASETS["sarcos"].urls = (sys.argv[1],)
run_script(lambda: download_all_datasets.main(["--data_folder", "data", "--datasets", "sarcos"]))
"""


@pytest.mark.slow
def test_interrupt(tmp_path: Path, server: Server) -> None:
    hold = threading.Event()
    asked = threading.Event()

    class Slow(dict[str, list[tuple[int, bytes, int]]]):
        def get(self, *args: object) -> list[tuple[int, bytes, int]]:
            asked.set()
            hold.wait(30)
            return [(404, b"", 0)]

    server.answers = Slow()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", TURNED, server.url("/sarcos")],
        cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert asked.wait(60)
        process.send_signal(2)
        _, err = process.communicate(timeout=30)
    finally:
        hold.set()
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert files_of(tmp_path / "data") == []
