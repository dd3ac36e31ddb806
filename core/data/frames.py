"""Tables as people have them: CSV, Parquet or ARFF, plain or gzipped, checked for what parsers let pass.

`rawfiles.py` reads the published tables, whose columns are known beforehand.
"""

import csv
import hashlib
import io
import re
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..errors import UserError
from ..files import MOST_CELLS, MOST_COLUMNS, gunzip, read_bytes
from .rawfiles import UnusableError, arff_parts, one_line, read_arff_data, read_csv

__all__ = ["SUFFIXES", "RawFrame", "read_frame"]

#: The names' ends, before `.gz`.
_CSV, _PARQUET, _ARFF = (".csv", ".tsv", ".txt", ".data"), (".parquet", ".pq"), (".arff",)
SUFFIXES = (*_CSV, *_PARQUET, *_ARFF)
#: What may stand between the fields of a CSV file.
_SEPARATORS = ",;\t"


@dataclass(frozen=True)
class RawFrame:
    """A table as it stands in its file.

    Attributes:
        frame: a row a record; names of columns are texts without spaces around them, and differ.
        nominal: columns that the file itself calls categories, whatever their values look like.
        sha256: of the file, unpacked.
    """

    frame: pd.DataFrame
    nominal: frozenset[str]
    sha256: str

    @property
    def names(self) -> list[str]:
        """Of the columns, in their order."""
        return [str(name) for name in self.frame.columns]


def read_frame(path: Path) -> RawFrame:
    """Reads a table; the kind of file is told by its name.

    Raises:
        UserError: it cannot be read, has a ragged line, two columns of one name or no row, or is of
            another kind.
    """
    name = path.name.removesuffix(".gz")
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path}: a table's name ends in .csv, .tsv, .parquet or .arff, also with .gz behind")
    if not path.is_file():
        raise UserError(f"{path}: there is no such file")
    try:
        content = read_bytes(path)
        if path.suffix == ".gz":
            content = gunzip(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame, nominal = _parse(suffix, content)
        frame.columns = pd.Index([str(column).strip() for column in frame.columns])
        frame = frame.reset_index(drop=True)  # messages count the rows from the first
        if frame.empty:
            raise UnusableError("it has no rows")
    except UnusableError as error:
        raise UserError(f"{path}: {error}") from error
    # The parsers of three libraries raise nearly anything on damaged bytes.
    except Exception as error:
        raise UserError(f"{path}: it cannot be read ({type(error).__name__}: {one_line(error)})") from error
    return RawFrame(frame, frozenset(nominal), hashlib.sha256(content).hexdigest())


def _parse(suffix: str, content: bytes) -> tuple[pd.DataFrame, list[str]]:
    """The table, and its columns that are declared as categories."""
    if suffix in _PARQUET:
        try:
            return _parse_parquet(content)
        except ImportError as error:
            raise UnusableError("Parquet needs pyarrow: pip install '.[data]'") from error
    text = _text(content)
    if suffix in _ARFF:
        return _parse_arff(text)
    first = text.split("\n", 1)[0]
    separator = max(_SEPARATORS, key=first.count)
    names = next(csv.reader([first], delimiter=separator, skipinitialspace=True), [])
    _check_names([name.strip() for name in names])
    _check_lines(text, len(names), separator, '"')
    return read_csv(io.StringIO(text), sep=separator), []


def _parse_parquet(content: bytes) -> tuple[pd.DataFrame, list[str]]:
    """Dates and durations become the texts that they are in a CSV file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(content))
    of = file.metadata
    # A file that is small may say that it holds too much.
    if of.num_columns > MOST_COLUMNS or of.num_rows * max(1, of.num_columns) > MOST_CELLS:
        raise UnusableError(
            f"it has {of.num_rows:,} rows of {of.num_columns:,} columns; "
            f"at most {MOST_COLUMNS:,} columns, and {MOST_CELLS:,} cells, are read"
        )
    _check_names([name.strip() for name in file.schema_arrow.names])
    for field in file.schema_arrow:
        if pa.types.is_nested(field.type):
            raise UnusableError(f"column {field.name!r} holds {one_line(field.type, 60)}; leave it out")
    frame = pd.read_parquet(io.BytesIO(content))
    times = frame.select_dtypes(["datetime", "datetimetz", "timedelta"]).columns
    frame = frame.astype(dict.fromkeys(times, "string"))
    declared = [c for c in frame if isinstance(frame[c].dtype, pd.CategoricalDtype)]
    return frame, [str(c).strip() for c in declared]


def _parse_arff(text: str) -> tuple[pd.DataFrame, list[str]]:
    attributes, data = arff_parts(text)
    attributes = [(name.strip(), kind) for name, kind in attributes]
    if re.match(r"\s*\{", data):
        raise UnusableError("sparse ARFF files are not read; write it as CSV")
    _check_names([name for name, _ in attributes])
    _check_lines(re.sub(r"^%.*$", "", data, flags=re.MULTILINE), len(attributes), ",", "'")
    frame = read_arff_data([name for name, _ in attributes], data)
    return frame, [name for name, kind in attributes if kind.startswith("{")]


def _text(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnusableError(
            f"it is no UTF-8 text ({error.reason} at byte {error.start}); {_AS_UTF8}"
        ) from error
    if "\0" in text:
        raise UnusableError(f"it is no UTF-8 text (zero bytes); {_AS_UTF8}")
    return text


_AS_UTF8 = "save it as UTF-8"


def _check_names(names: list[str]) -> None:
    """Raises an UnusableError where two are the same (pandas would give one another name), or too many."""
    if len(names) > MOST_COLUMNS:
        raise UnusableError(f"it has {len(names):,} columns; at most {MOST_COLUMNS:,} are read")
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        raise UnusableError(f"{count} columns are called {name!r}; names must differ")


def _check_lines(text: str, fields: int, separator: str, quote: str) -> None:
    """Raises an UnusableError at the first line of another number of fields: pandas fills up short ones."""
    options = {"delimiter": separator, "quotechar": quote, "skipinitialspace": True}
    lines = csv.reader(io.StringIO(text, newline=""), **options)  # type: ignore[arg-type]
    for line in lines:
        if line not in ([], [""]) and len(line) != fields:
            raise UnusableError(f"line {lines.line_num} has {len(line)} fields instead of {fields}")
