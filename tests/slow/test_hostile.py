"""Files as somebody might hand them to us, right ones that are mutated: taken, or refused in one line."""

import gzip
import io
import json
import random
import re
import tempfile
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import core
import sweep
from core import CORRECTED
from core.config import CONFIGS
from core.data import own, tables
from core.errors import UserError
from core.models.variations import load_config
from core.report.load import Folders
from core.report.store import add_runs, read_store
from core.runs import checkpoint
from core.runs.files import read_curves
from core.runs.logger import EnvironmentLogger
from core.runs.settings import read_meta
from core.sweep import plan
from tests import mini_table
from tests.mini_table import FRAME, Mini

#: What may stand where a number or a word stood.
_VALUES = (
    b"-1 0 1e999 -1e999 nan NaN null true 1e-999 99999999999999999999999 1"
    + b"0" * 400
    + b" 0x10 [] {} '' \"\""
    b" !!python/object/apply:os.system [touch,x] &a *a ~ 2001-99-99 \xff \0 ../../x =cmd() <script> 1:2:3"
).split(b" ")


def mutate(rng: random.Random, data: bytes) -> bytes:
    """One to four changes: bits, cuts, repeats, other values, nesting."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        if not data:
            return data
        i, j = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        kind = rng.randrange(9)
        if kind <= 1:
            k = rng.randrange(len(data))
            data = data[:k] + bytes([data[k] ^ 1 << rng.randrange(8)]) + data[k + 1 :]
        elif kind == 2:
            data = data[:i]
        elif kind == 3:
            data = data[:i] + data[j:]
        elif kind == 4:
            data = data[:j] + data[i : min(j, i + 5000)] * rng.choice((1, 1, 20)) + data[j:]
        elif kind == 5:
            data = data[:i] + rng.randbytes(rng.choice((1, 4, 100))) + data[i:]
        elif kind == 6:
            data = (
                data[:i]
                + rng.choice((b"[", b"{", b'{"a":', b"(", b"- ")) * rng.choice((1, 50, 3000))
                + data[i:]
            )
        else:
            found = list(re.finditer(rb"[\w.+-]+", data[:100_000]))
            if found:
                at = rng.choice(found)
                data = data[: at.start()] + rng.choice(_VALUES) + data[at.end() :]
    return data


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: of the file.
        make: its content.
        read: what reads it, given the folder it lies in.
        pack: what is made of mutated content.
    """

    name: str
    make: Callable[[], bytes]
    read: Callable[[Path], object]
    pack: Callable[[bytes], bytes] = bytes


@cache
def _runs() -> Path:
    """A finished run, and a checkpoint of another."""
    folder = Path(tempfile.mkdtemp()) / "runs"
    experiment().run([1], folder)
    logger = _logger(folder.parent / "begun")
    logger.reset()
    logger.log_path.mkdir()
    logger._write_checkpoint()
    add_runs(folder.parent / "store", Folders(folder).experiments)
    return folder


@cache
def experiment() -> core.Experiment:
    return core.Experiment("diabetes", "coreset", variation="gauss", query_size=2, budget=4)


def _logger(folder: Path) -> EnvironmentLogger:
    env = experiment().environment(1)
    return EnvironmentLogger(env, folder, resume=experiment().make_agent(1))


def _resume(folder: Path) -> None:
    """A run goes on from the checkpoint there; one that starts over does not begin."""
    logger = _logger(folder)
    saved = checkpoint.read(folder / checkpoint.FILE)
    if saved is not None and logger.agent is not None:
        logger._restore(saved)


def _of(*parts: str) -> Callable[[], bytes]:
    return lambda: next(_runs().parent.glob("/".join(parts))).read_bytes()


def _mini(folder: Path) -> None:
    tables._load.cache_clear()
    Mini.load(folder)


def _cache(folder: Path) -> None:
    Mini._from_cache(folder)


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=mini_table.expected_x(), y=FRAME["y"], features=np.array(Mini.feature_names()))
    return buffer.getvalue()


def _parquet() -> bytes:
    buffer = io.BytesIO()
    pd.concat([FRAME, FRAME], ignore_index=True).to_parquet(buffer)
    return buffer.getvalue()


def _own(name: str) -> Callable[[Path], object]:
    def read(folder: Path) -> None:
        own._table_class.cache_clear()
        own.find_dataset(str(folder / name), "y")

    return read


def _openml() -> bytes:
    features = [{"name": name, "data_type": "numeric", "is_ignore": "false"} for name in FRAME]
    return json.dumps({"description": {"default_target_attribute": "y"}, "features": features}).encode()


def _read_openml(folder: Path) -> None:
    (folder / "openml-1.arff").write_bytes(mini_table.arff(frame=pd.concat([FRAME] * 2)))
    own._table_class.cache_clear()
    own.find_dataset("openml:1", data_folder=folder)


def _sweep(folder: Path) -> None:
    plan.parse_ids(sweep.parse_arguments([str(folder / "sweep.yaml")]).run_ids)


def _read_store(folder: Path) -> None:
    for path in (_runs().parent / "store").glob("diabetes*"):
        if not (folder / path.name).exists():
            (folder / path.name).write_bytes(path.read_bytes())
    read_store(folder)


_STORE = "diabetes_gauss_published"
_RUN = ("runs_gauss", "Diabetes", "2", "*", "run_1")
KINDS = {
    "config": Kind(
        "c.yaml",
        (CONFIGS / "pakinsons.yaml").read_bytes,
        lambda folder: load_config("c", "nf", CORRECTED, folder),
    ),
    "sweep": Kind("sweep.yaml", (CONFIGS / "study_small.yaml").read_bytes, _sweep),
    "settings": Kind("meta.txt", _of(*_RUN, "meta.txt"), lambda folder: read_meta(folder / "meta.txt")),
    "checkpoint": Kind("checkpoint.pt", _of("begun", "checkpoint.pt"), _resume),
    "curve": Kind("crps.csv", _of(*_RUN, "crps.csv"), lambda folder: read_curves(folder / "crps.csv")),
    "lines": Kind(f"{_STORE}.jsonl", _of("store", f"{_STORE}.jsonl"), _read_store),
    "curves": Kind(
        f"{_STORE}.csv.gz",
        lambda: gzip.decompress(_of("store", f"{_STORE}.csv.gz")()),
        _read_store,
        lambda data: gzip.compress(data, mtime=0),
    ),
    "packed": Kind(f"{_STORE}.csv.gz", _of("store", f"{_STORE}.csv.gz"), _read_store),
    "cache": Kind("mini.npz", _npz, _cache),
    "raw zip": Kind("mini.zip", lambda: mini_table.zipped(mini_table.csv()), _mini),
    "own csv": Kind("t.csv", lambda: mini_table.csv(pd.concat([FRAME, FRAME])), _own("t.csv")),
    "own arff": Kind("t.arff", lambda: mini_table.arff(frame=pd.concat([FRAME] * 2)), _own("t.arff")),
    "own parquet": Kind("t.parquet", _parquet, _own("t.parquet")),
    "openml": Kind("openml-1.json", _openml, _read_openml),
}


def read(kind: Kind, folder: Path) -> str:
    """What becomes of the file there: `taken`, `refused`, or how it breaks the reader."""
    said = io.StringIO()
    there = sorted(folder.iterdir())
    with redirect_stderr(said):
        try:
            kind.read(folder)
            outcome = "taken"
        except SystemExit as ended:  # argparse has said its line
            outcome = "refused" if ended.code == 2 else f"exit {ended.code}"
        except UserError as error:
            long = "\n" in str(error) or len(str(error)) > 1500
            outcome = f"{len(str(error))} characters: {str(error)[:100]!r}" if long else "refused"
        except OSError as error:
            outcome = "refused" if error.filename else traceback.format_exc()
        except Exception:
            outcome = traceback.format_exc()
    mine = {
        "checkpoint.pt.damaged",
        "openml-1.arff",
        "mini.npz",
        f"{_STORE}.jsonl",
        f"{_STORE}.csv.gz",
    }
    if strange := {path.name for path in folder.iterdir()} - {path.name for path in there} - mine:
        outcome = f"made {strange}"
    if Path("x").exists():
        outcome = "executed something"
    return outcome


def case(name: str, number: int) -> str:
    """What becomes of a mutated file."""
    kind, rng = KINDS[name], random.Random(f"{name} {number}")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / kind.name).write_bytes(kind.pack(mutate(rng, kind.make())))
        return read(kind, Path(folder))


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_file_is_taken(kind: str, tmp_path: Path) -> None:
    (tmp_path / KINDS[kind].name).write_bytes(KINDS[kind].pack(KINDS[kind].make()))
    assert read(KINDS[kind], tmp_path) == "taken"


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files(kind: str) -> None:
    broke = {number: case(kind, number) for number in range(20)}
    assert {number: said for number, said in broke.items() if said not in ("taken", "refused")} == {}
