"""Files that somebody hands us: refused in one line, in bounded memory, and nothing in them is executed."""

import gzip
import io
import json
import resource
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.data import own, tables
from core.data.frames import read_raw
from core.errors import UserError
from core.files import UnusableError, parse_yaml
from tests.mini_table import FRAME, Mini, expected_x
from tests.slow import fuzz

CASES = 17 * len(fuzz.KINDS)  # 289
#: Zeros press to a thousandth of their size.
TOO_MUCH = 2**29 + 2**20


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_a_right_file_is_taken(kind: str, tmp_path: Path) -> None:
    (tmp_path / fuzz.KINDS[kind].name).write_bytes(fuzz.KINDS[kind].pack(fuzz.KINDS[kind].make()))
    assert fuzz.read(fuzz.KINDS[kind], tmp_path) == "taken"


@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_mutated_files(kind: str) -> None:
    broke = {number: fuzz.case(kind, number) for number in range(CASES // len(fuzz.KINDS))}
    assert {number: said for number, said in broke.items() if said not in ("taken", "refused")} == {}


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """A gzip file of half a megabyte that is more than half a gigabyte."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6) as file:
        for _ in range(TOO_MUCH // 2**20):
            file.write(bytes(2**20))
    return packed.getvalue()


def peak() -> int:
    """Most bytes that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 30_000,
        b"x: " + b"9" * 60_000,
        b"x: 2001-99-99",
        b"{[a]: 1}",
        b"!!python/object/apply:os.system ['touch executed']",
        b"\xff\xfe",
    ],
)
def test_yaml(text: bytes) -> None:
    with pytest.raises(ValueError) as told:
        parse_yaml(text)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) <= 200


def wide() -> bytes:
    """A CSV of a million columns."""
    return b",".join(b"c%d" % i for i in range(10**6)) + b"\n" + b",".join([b"1"] * 10**6) + b"\n"


@pytest.mark.parametrize("name", ["t.csv", "t.arff", "t.csv.gz", "deep.csv", "blank.arff"])
def test_own_tables(tmp_path: Path, name: str, bomb: bytes) -> None:
    content = {
        "t.csv": wide,
        "t.arff": lambda: b"@attribute a real\n" * 10 + b"@data\n" + wide(),
        "t.csv.gz": lambda: bomb,
        "deep.csv": lambda: b'a,y\n"' + b"x" * 10**6,
        "blank.arff": lambda: b"\n" * 10**6,  # an expression that looks ahead takes hours
    }[name]()
    (tmp_path / name).write_bytes(content)
    before = peak()
    with pytest.raises(UserError) as told:
        own.find_dataset(str(tmp_path / name), "y")
    assert "\n" not in str(told.value)
    assert peak() - before < 2**31


@pytest.mark.parametrize("name", ["t.csv", "t.zip", "t.csv.gz"])
def test_published_tables(tmp_path: Path, name: str, bomb: bytes) -> None:
    path, before = tmp_path / name, peak()
    if name == "t.csv":
        path.write_bytes(wide())
    elif name == "t.zip":
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("table.csv", "w") as file,
        ):
            for _ in range(TOO_MUCH // 2**20):
                file.write(bytes(2**20))
    else:
        path.write_bytes(bomb)
    with pytest.raises(
        UnusableError, match=r"more than 536,870,912 bytes|1,000,000 columns|larger than field limit"
    ):
        read_raw(path, member="table.csv")
    assert peak() - before < 2**31


@pytest.mark.parametrize("what", ["bomb", "objects", "shape", "wide"])
def test_caches(tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    FRAME.to_csv(tmp_path / "mini.csv", index=False)
    names, before = np.array(Mini.feature_names()), peak()
    x: Any = {"bomb": np.zeros(2**25), "objects": np.array([{}], object), "wide": np.zeros((40, 99))}.get(
        what
    )
    if what == "shape":
        np.savez(tmp_path / "mini.npz", x=expected_x(), y=FRAME["y"], features=names)
        data = (tmp_path / "mini.npz").read_bytes()
        huge = data.replace(b"(40, 7), }         ", b"(99999999999, 7), }")
        assert huge != data
        (tmp_path / "mini.npz").write_bytes(huge)
    else:
        np.savez_compressed(tmp_path / "mini.npz", x=x, y=FRAME["y"], features=names)
    tables._load.cache_clear()
    assert Mini.load(tmp_path).source == tmp_path / "mini.csv"
    assert "is damaged or of another version" in capsys.readouterr().err
    assert peak() - before < 2**30


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line | {"agent": ["a"]},
        lambda line: {name: value for name, value in line.items() if name != "agent"},  # a KeyError
        lambda line: line | {"settings": {}},
        lambda line: json.loads("[" * 900 + "]" * 900),
    ],
)
def test_stores(tmp_path: Path, change: Callable[[Any], Any]) -> None:
    kind = fuzz.KINDS["lines"]
    head, first, *rest = map(json.loads, kind.make().decode().splitlines())
    (tmp_path / kind.name).write_text("\n".join(map(json.dumps, [head, change(first), *rest])))
    assert fuzz.read(kind, tmp_path) == "refused"
    (tmp_path / kind.name).write_text("\n".join([json.dumps(head), "[" * 10**5]))
    assert fuzz.read(kind, tmp_path) == "refused"


def test_a_matlab_file_on_which_scipy_crashes() -> None:
    """One of 10,000 mutated files: a type that scipy looks up beyond its table."""
    assert fuzz.case("raw mat", 9967) == "refused"
