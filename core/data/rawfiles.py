"""Raw tables as they are published: CSV, ARFF or MATLAB; plain, gzipped or a member of a zip archive.

Everything is read in place, in memory: nothing is unpacked on disk (the largest file has 24 MB).
"""

import gzip
import hashlib
import io
import re
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from scipy.io import loadmat

__all__ = ["UnusableError", "one_line", "read_raw"]

_ATTRIBUTE = re.compile(r"""@attribute\s+('[^']*'|"[^"]*"|[^\s{]+)""", re.IGNORECASE)


class UnusableError(Exception):
    """A file cannot be used; the text says what was found and what was expected, on one line."""


def one_line(error: object, limit: int = 200) -> str:
    """The text of an error on one line of at most `limit` characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


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
        name, content = path.name.removesuffix(".gz"), path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
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
    return _read_csv(io.StringIO(content.decode("utf-8-sig")))


def _zip_member(content: bytes, member: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if PurePosixPath(name).name == member:
                return archive.read(name)
        found = ", ".join(archive.namelist()[:5]) or "nothing"
    raise UnusableError(f"expected {member} in the archive, found {one_line(found)}")


# Before 3.0 pandas reads most floats an ulp off unless it is told not to; since then it warns if told.
_EXACT: dict[str, Any] = {} if int(pd.__version__.split(".")[0]) >= 3 else {"float_precision": "round_trip"}


def _read_csv(text: io.StringIO, **options: Any) -> pd.DataFrame:
    # index_col=False: rows with one cell too many must not turn the first column into an index.
    frame: pd.DataFrame = pd.read_csv(
        text, low_memory=False, index_col=False, skipinitialspace=True, **_EXACT, **options
    )
    frame.columns = [str(column).strip() for column in frame.columns]
    return frame


def _read_arff(content: bytes) -> pd.DataFrame:
    """A dense ARFF file.

    Not by scipy's reader: it fails where quotes stand around some values only (`Fair, 'Very Good'`) or
    texts are declared as strings, and takes seconds for SARCOS.
    """
    text = content.decode("utf-8-sig")
    parts = re.split(r"^\s*@data\b.*$", text, maxsplit=1, flags=re.IGNORECASE | re.MULTILINE)
    if len(parts) != 2:
        raise UnusableError("cannot be read (expected an ARFF file, found no @DATA line)")
    header, data = parts
    attributes = [_ATTRIBUTE.match(line.strip()) for line in header.splitlines()]
    names = [found[1].strip("'\"") for found in attributes if found]
    # Writers quote values either way; pandas knows one quote a file.
    data = data.replace('"', "'")
    return _read_csv(io.StringIO(data), names=names, quotechar="'", comment="%", na_values=["?"])


def _read_mat(content: bytes, variable: str) -> pd.DataFrame:
    variables = loadmat(io.BytesIO(content))
    if variable not in variables:
        found = ", ".join(name for name in variables if not name.startswith("__")) or "none"
        raise UnusableError(f"expected a variable {variable}, found {one_line(found)}")
    return pd.DataFrame(np.asarray(variables[variable]))


def _with_names(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    if len(frame.columns) != len(columns):
        raise UnusableError(f"{len(frame.columns)} columns instead of {len(columns)}")
    # A file that has the very names may have them in another order.
    if set(frame.columns) != set(columns):
        frame.columns = list(columns)
    return frame
