"""Raw tables as they are published: CSV, ARFF or MATLAB; plain, gzipped or a member of a zip archive.

Everything is read in place, in memory: nothing is unpacked on disk (the largest file has 24 MB).
"""

import csv
import hashlib
import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from scipy.io import loadmat

from ..reading import (
    EXACT_FLOATS,
    MOST_BYTES,
    MOST_COLUMNS,
    UnusableError,
    bounded,
    gunzip,
    one_line,
    read_bytes,
)

__all__ = ["UnusableError", "arff_parts", "one_line", "read_arff_data", "read_csv", "read_raw"]

_ATTRIBUTE = re.compile(r"""@attribute\s+('[^']*'|"[^"]*"|[^\s{]+)""", re.IGNORECASE)


def read_raw(
    path: Path, columns: Sequence[str], *, member: str = "", variable: str = "", sha256: str | None = None
) -> pd.DataFrame:
    """Reads a raw table; the kind of file is told by its name (no suffix: ARFF, as OpenML names it).

    Args:
        path: the file; `.gz` may follow any name.
        columns: the expected columns. CSV files are known by their own header. ARFF files may
            name columns otherwise and MATLAB files name none: there the count must agree, and the
            columns get these names, in this order.
        member: the file inside a zip archive, found by its last name in whatever folder.
        variable: the matrix inside a MATLAB file.
        sha256: of the file as it is unpacked (of the member of an archive); None takes any.

    Returns:
        The table as it stands in the file: nothing about its values is checked.

    Raises:
        UnusableError: the file is damaged, of another kind, or has another number of columns, or
            another hash.
    """
    try:
        name, content = path.name.removesuffix(".gz"), read_bytes(path)
        if path.suffix == ".gz":
            content = gunzip(content)
        if name.endswith(".zip"):
            name, content = member, _zip_member(content, member)
        if sha256 and (found := hashlib.sha256(content).hexdigest()) != sha256:
            raise UnusableError(f"SHA-256 {found} instead of {sha256}")
        with warnings.catch_warnings():
            # What pandas only warns of (rows longer than the header) is a damaged file here.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return _parse(name, content, columns, variable)
    except UnusableError:
        raise
    # The parsers of four libraries raise nearly anything on damaged bytes.
    except Exception as error:
        raise UnusableError(f"cannot be read ({type(error).__name__}: {one_line(error)})") from error


def _parse(name: str, content: bytes, columns: Sequence[str], variable: str) -> pd.DataFrame:
    suffix = PurePosixPath(name).suffix
    if suffix == ".mat":
        return _with_names(_read_mat(content, variable), columns)
    if suffix in ("", ".arff"):
        return _with_names(_read_arff(content), columns)
    return read_csv(io.StringIO(content.decode("utf-8-sig")))


def _zip_member(content: bytes, member: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if PurePosixPath(name).name == member:
                with archive.open(name) as file:
                    return bounded(file)
        found = ", ".join(archive.namelist()[:5]) or "nothing"
    raise UnusableError(f"expected {member} in the archive, found {one_line(found)}")


def read_csv(text: io.StringIO, **options: Any) -> pd.DataFrame:
    """A CSV text as a table; every option of pandas' function may be given."""
    names = options.get("names") or next(csv.reader([text.readline()], delimiter=options.get("sep", ",")), [])
    text.seek(0)
    if len(names) > MOST_COLUMNS:
        raise UnusableError(f"it has {len(names):,} columns; at most {MOST_COLUMNS:,} are read")
    # index_col=False: rows with one cell too many must not turn the first column into an index.
    frame: pd.DataFrame = pd.read_csv(
        text, low_memory=False, index_col=False, skipinitialspace=True, **EXACT_FLOATS, **options
    )
    frame.columns = [str(column).strip() for column in frame.columns]
    return frame


def _read_arff(content: bytes) -> pd.DataFrame:
    attributes, data = arff_parts(content.decode("utf-8-sig"))
    return read_arff_data([name for name, _ in attributes], data)


def arff_parts(text: str) -> tuple[list[tuple[str, str]], str]:
    """Names and types of the attributes of an ARFF file, and what comes behind its @DATA line.

    Raises:
        UnusableError: it has no such line.
    """
    parts = re.split(r"^[ \t]*@data\b.*$", text, maxsplit=1, flags=re.IGNORECASE | re.MULTILINE)
    if len(parts) != 2:
        raise UnusableError("cannot be read (expected an ARFF file, found no @DATA line)")
    header, data = parts
    lines = [line.strip() for line in header.splitlines()]
    attributes = [(found, line[found.end() :].strip()) for line in lines if (found := _ATTRIBUTE.match(line))]
    # Writers quote values either way; pandas knows one quote a file.
    return [(found[1].strip("'\""), kind) for found, kind in attributes], data.replace('"', "'")


def read_arff_data(names: Sequence[str], data: str) -> pd.DataFrame:
    """A dense ARFF file, from its parts.

    Not by scipy's reader: it fails where quotes stand around some values only (`Fair, 'Very Good'`) or
    texts are declared as strings, and takes seconds for SARCOS.
    """
    return read_csv(io.StringIO(data), names=names, quotechar="'", comment="%", na_values=["?"])


def _read_mat(content: bytes, variable: str) -> pd.DataFrame:
    _check_mat(content)
    variables = loadmat(io.BytesIO(content))
    if variable not in variables:
        found = ", ".join(name for name in variables if not name.startswith("__")) or "none"
        raise UnusableError(f"expected a variable {variable}, found {one_line(found)}")
    return pd.DataFrame(np.asarray(variables[variable]))


def _check_mat(content: bytes) -> None:
    """Raises a ValueError where the packed variables of a MATLAB file (version 5) are too large."""
    order: Any = "big" if content[126:128] == b"MI" else "little"
    at, size = 128, 0
    while at + 8 <= len(content):
        kind, length = (int.from_bytes(content[at + i : at + i + 4], order) for i in (0, 4))
        if kind == 15:  # miCOMPRESSED
            packed = zlib.decompressobj()
            element = packed.decompress(content[at + 8 : at + 8 + length], MOST_BYTES + 1)
            size += len(element)
            if size > MOST_BYTES:
                raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
        else:
            element = content[at : at + 8 + length]
        # scipy crashes on some damaged ones of cells, structures, objects and sparse matrices.
        if content[124:128] in (b"\0\1IM", b"\1\0MI") and not _holds_numbers(element, order):
            raise ValueError("it holds something else than matrices of numbers")
        at += 8 + length


def _holds_numbers(element: bytes, order: Any) -> bool:
    """Whether an element of a MATLAB file is a dense matrix of numbers, or a text."""
    kind, flags = (int.from_bytes(element[i : i + 4], order) for i in (0, 16))
    if kind != 14 or flags & 0xFF not in (4, *range(6, 16)):
        return False
    at = 8
    while at + 8 <= len(element):  # scipy looks its parts' types up unseen
        part, length = (int.from_bytes(element[at + i : at + i + 4], order) for i in (0, 4))
        if part & 0xFFFF not in (*range(1, 8), 9, 12, 13, 16, 17, 18):
            return False
        at += 8 if part >> 16 else 8 + (length + 7) // 8 * 8
    return True


def _with_names(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    if len(frame.columns) != len(columns):
        raise UnusableError(f"{len(frame.columns)} columns instead of {len(columns)}")
    # A file that has the very names may have them in another order.
    if set(frame.columns) != set(columns):
        frame.columns = list(columns)
    return frame
