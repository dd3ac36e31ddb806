"""A table of 40 rows that can be written as any kind of raw file, for the tests of core.data.tables."""

import gzip
import io
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.io import savemat

from core.data.tables import Categories, Table

N = 40
KINDS = ("plain", "very good", "ideal")
_rng = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "a": _rng.normal(size=N).round(6),
        "kind": [KINDS[i % 3] for i in range(N)],
        "y": np.arange(N) + 0.5,
        "code": [1 + i % 2 for i in range(N)],
        "unused": _rng.normal(size=N).round(6),
        "b": _rng.integers(0, 9, N),
    }
)


class Mini(Table):
    folder = "Mini"
    seed_set = 5
    budget = 10

    name = "mini"
    files = ("mini.csv", "mini.zip", "mini.arff", "bare")
    download = "mini.zip"
    urls = ("http://127.0.0.1:9/never",)
    member = "table.csv"
    columns = ("a", "kind", "y", "code", "unused", "b")
    target = "y"
    dropped = ("unused",)
    categories: ClassVar[Categories] = {"kind": KINDS, "code": (1, 2)}
    n_rows = N
    target_mean = 20.0


class MiniMat(Table):
    """The numeric columns alone, as a MATLAB matrix holds no texts."""

    folder = "MiniMat"
    seed_set = 5
    budget = 10

    name = "minimat"
    files = ("mini.mat",)
    download = "mini.mat"
    urls = ("http://127.0.0.1:9/never",)
    columns = ("a", "y", "unused", "b")
    target = "y"
    dropped = ("unused",)
    n_rows = N
    target_mean = 20.0


def expected_x() -> np.ndarray:
    """The features of FRAME, cell by cell: a, b, one-hot kind, one-hot code."""
    rows = []
    for row in FRAME.itertuples():
        kinds = [float(row.kind == kind) for kind in KINDS]
        rows.append([row.a, float(row.b), *kinds, float(row.code == 1), float(row.code == 2)])
    return np.array(rows)


def csv(frame: pd.DataFrame = FRAME) -> bytes:
    return frame.to_csv(index=False).encode()


def zipped(content: bytes, member: str = "folder/table.csv") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "another member")
        archive.writestr(member, content)
    return buffer.getvalue()


def arff(
    quote: str = "'", quote_all: bool = False, kind_type: str = "", frame: pd.DataFrame = FRAME
) -> bytes:
    """An ARFF file; texts are quoted where they hold a space, or all of them."""

    def text(value: object) -> str:
        quoted = isinstance(value, str) and (quote_all or " " in value)
        return f"{quote}{value}{quote}" if quoted else str(value)

    kinds = kind_type or "{" + ", ".join(map(text, KINDS)) + "}"
    types = {"kind": kinds, "code": "INTEGER"}
    header = [f"@ATTRIBUTE {name} {types.get(name, 'REAL')}" for name in frame.columns]
    rows = [",".join(map(text, row)) for row in frame.itertuples(index=False)]
    return "\n".join(["% a comment", "@RELATION mini", "", *header, "", "@DATA", *rows, ""]).encode()


def mat(frame: pd.DataFrame = FRAME, **others: list[int]) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, {"table": frame[list(MiniMat.columns)].to_numpy(float)} | others)
    return buffer.getvalue()


def put(folder: Path, name: str, content: bytes) -> Path:
    """Writes a file, gzipped if its name says so."""
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path
