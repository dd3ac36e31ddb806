"""Files of tables as data frames: CSV, Parquet, ARFF or MATLAB; plain, gzipped or inside a zip archive.

Cells of CSV and ARFF files stay the texts that they are; `columns.py` says what a column means.
Everything is read in memory; nothing is unpacked on disk.
"""

import codecs
import csv
import gzip
import hashlib
import io
import re
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath

import pandas as pd

from ..files import UnusableError, one_line

#: What may stand between the fields of a CSV file.
_SEPARATORS = ",;\t|"
#: Characters in whose lines a separator is looked for.
_BEGINNING = 1_000_000
_ATTRIBUTE = re.compile(r"""^[ \t]*@attribute[ \t]+('[^']*'|"[^"]*"|[^\s{]+)(.*)$""", re.I | re.M)


@dataclass(frozen=True)
class RawFrame:
    """A table as it stands in its file.

    Attributes:
        frame: a row a record, numbered from 0, cells to the letter; names of columns are texts that differ.
        nominal: columns that the file itself calls categories, whatever their values look like.
        sha256: of the file, unpacked.
        target: the column to predict, if the metadata that came with the file name it.
        where: what messages call the table.
        style: how pandas' `to_csv` writes such a file: its separator and encoding.
    """

    frame: pd.DataFrame
    nominal: frozenset[str] = frozenset()
    sha256: str = ""
    target: str = ""
    where: str = ""
    style: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def names(self) -> list[str]:
        """Of the columns, in their order."""
        return [str(name) for name in self.frame.columns]

    def unusable(self, text: str) -> UnusableError:
        """An error that names the table."""
        return UnusableError(f"{self.where}: {text}" if self.where else text)


def read_frame(path: Path, where: str = "", *, member: str = "", known_hash: str = "") -> RawFrame:
    """Reads a table; its name tells the kind of file (no suffix: ARFF, as OpenML's downloads are called).

    Args:
        path: the file; `.gz` may follow any name.
        where: what messages call it, if not by its path.
        member: the file to read in a zip archive, in whatever folder of it.
        known_hash: `sha256:` or `md5:` and that of the file (the member), unpacked; empty takes any.

    Raises:
        UnusableError: there is no such file, or it is damaged, of another kind or hash, or has lines of
            different lengths, two columns of one name or no row.
    """
    where = where or str(path)
    if not path.is_file():
        raise UnusableError(f"{where}: there is no such file")
    try:
        name, content = path.name.removesuffix(".gz"), path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        if member and name.endswith(".zip"):
            name, content = member, _zip_member(content, member)
        kind, _, wanted = known_hash.partition(":")
        if wanted and (its := hashlib.new(kind, content).hexdigest()) != wanted:
            raise UnusableError(f"its {kind} is {its} instead of {wanted}")
        found = _parse(PurePosixPath(name).suffix.lower(), content)
        if found.frame.empty:
            raise UnusableError("it has no rows")
    except UnusableError as error:
        raise UnusableError(f"{where}: {error}") from error
    except ImportError as error:
        raise UnusableError(f"{where}: Parquet needs pyarrow: pip install -e '.[data]'") from error
    # The parsers of four libraries raise nearly anything on damaged bytes.
    except Exception as error:
        reason = f"it cannot be read ({type(error).__name__}: {one_line(error)})"
        raise UnusableError(f"{where}: {reason}") from error
    return replace(found, where=where, sha256=hashlib.sha256(content).hexdigest())


def _zip_member(content: bytes, member: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if PurePosixPath(name).name == member]
        if not names:
            found = ", ".join(archive.namelist()[:5]) or "nothing"
            raise UnusableError(f"expected {member} in the archive, found {one_line(found)}")
        return archive.read(names[0])


def _parse(suffix: str, content: bytes) -> RawFrame:
    if suffix in (".csv", ".tsv", ".txt", ".data"):
        return _parse_csv(*_text(content))
    if suffix in (".parquet", ".pq"):
        return _parse_parquet(content)
    if suffix in ("", ".arff"):
        return _parse_arff(_text(content)[0])
    if suffix == ".mat":
        return _parse_mat(content)
    raise UnusableError("a table's name ends in .csv, .tsv, .parquet or .arff, also with .gz behind")


def _text(content: bytes) -> tuple[str, str]:
    """As UTF-8, or UTF-16 where its first bytes say so, as spreadsheets' 'Unicode text'; and which it is."""
    encoding = "utf-8-sig" if content.startswith(codecs.BOM_UTF8) else "utf-8"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnusableError(f"line {line} is no UTF-8 text ({error.reason}); save it as UTF-8") from error
    if "\0" in text:
        raise UnusableError("it is no UTF-8 text (zero bytes); save it as UTF-8")
    return text, encoding


def _parse_csv(text: str, encoding: str) -> RawFrame:
    """Lines before the header that are blank, `sep=;` or comments (#) are skipped, and comments below it.

    So are separators behind the last field that has a name.
    """
    skipped, separators = 0, _SEPARATORS
    while found := re.match(r"[^\S\n]*\n|sep=([^\n])\s*?\n", text):
        separators, skipped, text = found[1] or separators, skipped + 1, text[found.end() :]
    separator = max(separators, key=lambda one: _fields(text, one))
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    width = _fields(text, separator)[1]
    rows: list[list[str]] = []
    for line in lines:
        if line in ([], [""]) or (line[0].startswith("#") and len(line) != width):
            continue
        while len(line) > (len(rows[0]) if rows else 1) and not line[-1]:
            line.pop()  # separators behind the last field
        if rows and len(line) != len(rows[0]):
            number = skipped + lines.line_num
            raise UnusableError(f"line {number} has {len(line)} fields instead of {len(rows[0])}")
        rows.append(line)
    names = _check_names([name.removeprefix("# ") for name in rows[0]] if rows else [])
    frame = pd.DataFrame(rows[1:], columns=names, dtype=object)
    return RawFrame(frame, style={"sep": separator, "encoding": encoding})


def _fields(text: str, separator: str) -> tuple[bool, int]:
    """Whether the first lines have as many fields as each other, more than one, and how many they have."""
    lines = csv.reader(io.StringIO(text[:_BEGINNING], newline=""), delimiter=separator, skipinitialspace=True)
    counts = [len(line) for line in islice(lines, 100) if line and not line[0].startswith("#")]
    usual = Counter(counts).most_common(1)[0][0] if counts else 0
    return usual > 1 and counts.count(usual) == len(counts), usual


def _parse_parquet(content: bytes) -> RawFrame:
    """Cells have the file's types, but dates and durations become the texts that they are in a CSV file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(io.BytesIO(content))
    _check_names(schema.names)
    for column in schema:
        if pa.types.is_nested(column.type):
            raise UnusableError(f"column {column.name!r} holds {one_line(column.type, 60)}; leave it out")
    frame = pd.read_parquet(io.BytesIO(content))
    named = [name for name in frame.index.names if name is not None]
    frame = frame.reset_index(named).reset_index(drop=True)
    frame.columns = pd.Index(_check_names([str(name) for name in frame.columns]))
    times = frame.select_dtypes(["datetime", "datetimetz", "timedelta"]).columns
    frame = frame.astype(dict.fromkeys(times, "string"))
    return RawFrame(frame, frozenset(map(str, frame.select_dtypes("category"))))


def _parse_arff(text: str) -> RawFrame:
    """Not by scipy, which fails where only some values are quoted, and on attributes declared as strings."""
    import arff

    header, *data = re.split(r"^[ \t]*@data\b", text, maxsplit=1, flags=re.I | re.M)
    if not data:
        raise UnusableError("it cannot be read (expected an ARFF file, found no @DATA line)")
    if re.match(r"\s*\{", data[0]):
        raise UnusableError("sparse ARFF files are not read; write it as CSV")
    kinds = [kind.strip() for _, kind in _ATTRIBUTE.findall(header)]
    # Any cell is a text: liac-arff knows no dates, and cuts 1.5 to 1 where an integer is declared.
    header = _ATTRIBUTE.sub(r"@attribute \1 string", header)
    header = re.sub(r"^[ \t]*@relation\b.*$", "@relation table", header, flags=re.I | re.M)
    table = arff.loads(f"{header}@data{data[0]}")
    names = _check_names([name for name, _ in table["attributes"]])
    frame = pd.DataFrame(table["data"], columns=names, dtype=object)
    nominal = [name for name, kind in zip(names, kinds, strict=True) if kind.startswith("{")]
    return RawFrame(frame, frozenset(nominal))


def _parse_mat(content: bytes) -> RawFrame:
    """Columns are called 0, 1, 2, ..."""
    from scipy.io import loadmat

    found = {name: value for name, value in loadmat(io.BytesIO(content)).items() if name[0] != "_"}
    if len(found) != 1:
        raise UnusableError(f"expected one matrix, found {one_line(', '.join(found) or 'none')}")
    frame = pd.DataFrame(*found.values())
    return RawFrame(frame.set_axis(frame.columns.astype(str), axis=1))


def _check_names(names: list[str]) -> list[str]:
    """Names without spaces around them; an UnusableError where none or two equal ones are there."""
    names = [name.strip() for name in names]
    if not names:
        raise UnusableError("it has no columns")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise UnusableError(f"{count} columns are called {name!r}; names must differ")
    return names
