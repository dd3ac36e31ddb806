"""Raw tables as they are published: CSV, ARFF or MATLAB; plain, gzipped or a member of a zip archive.

Everything is read in place, in memory: nothing is unpacked on disk (the largest file has 24 MB).
"""

import csv
import hashlib
import io
import math
import re
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from scipy.io import loadmat, whosmat

from ..files import (
    EXACT_FLOATS,
    MOST_CELLS,
    MOST_COLUMNS,
    UnusableError,
    bounded,
    gunzip,
    one_line,
    read_bytes,
)

__all__ = ["UnusableError", "arff_parts", "one_line", "read_arff_data", "read_csv", "read_raw"]

#: MATLAB's classes of matrices that can be a table.
_NUMBERS = {"double", "single", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}
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
    there = {name: (kind, shape) for name, shape, kind in whosmat(io.BytesIO(content))}
    if variable not in there:
        raise UnusableError(f"expected a variable {variable}, found {one_line(', '.join(there) or 'none')}")
    kind, shape = there[variable]
    # Nothing else is parsed: scipy crashes on some damaged cells and structures.
    if kind not in _NUMBERS or math.prod(shape) > MOST_CELLS:
        raise UnusableError(f"variable {variable} is a {kind} of shape {shape}, not a matrix of numbers")
    return pd.DataFrame(loadmat(io.BytesIO(content), variable_names=[variable])[variable])


def _with_names(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    if len(frame.columns) != len(columns):
        raise UnusableError(f"{len(frame.columns)} columns instead of {len(columns)}")
    # A file that has the very names may have them in another order.
    if set(frame.columns) != set(columns):
        frame.columns = list(columns)
    return frame
