"""Reading files that anybody may have made: within bounds of size, and nothing in them is executed."""

import gzip
import io
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import yaml

__all__ = [
    "EXACT_FLOATS",
    "MOST_BYTES",
    "MOST_CELLS",
    "MOST_COLUMNS",
    "UnusableError",
    "bounded",
    "gunzip",
    "one_line",
    "parse_yaml",
    "read_bytes",
    "unpacked_size",
]

#: Of a file, packed and unpacked: 20 times the largest of the study's.
MOST_BYTES = 2**29
#: Of a table, and of the features made of it: 0.8 GB.
MOST_CELLS = 10**8
#: Of a table; the libraries that read it take time for each.
MOST_COLUMNS = 20_000
#: For pandas' `read_csv`: before 3.0 it reads most floats an ulp off unless it is told not to; since then it
#: warns if told.
EXACT_FLOATS: dict[str, Any] = (
    {} if int(version("pandas").split(".")[0]) >= 3 else {"float_precision": "round_trip"}
)
#: Of a YAML file: ours have 3 kB, and PyYAML takes seconds for more.
_MOST_YAML = 2**16


class UnusableError(Exception):
    """A file cannot be used; the text says what was found and what was expected, on one line."""


def one_line(error: object, limit: int = 200) -> str:
    """The text of an error on one line of at most `limit` characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file.

    Raises:
        ValueError: it is larger than `most`.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return bounded(file, most)


def bounded(file: IO[bytes] | gzip.GzipFile, most: int = MOST_BYTES) -> bytes:
    """What is left of a file, whose size may not be known beforehand.

    Raises:
        ValueError: that is more than `most`.
    """
    pieces, size = [], 0
    while piece := file.read(2**20):
        size += len(piece)
        if size > most:
            raise ValueError(f"it has more than {most:,} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def gunzip(content: bytes, most: int = MOST_BYTES) -> bytes:
    """`gzip.decompress`; a ValueError where that is more than `most` bytes."""
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        return bounded(file, most)


def unpacked_size(archive: Path) -> int:
    """Bytes of all members of a zip archive, as it says itself; an error of zipfile's if it is none."""
    with zipfile.ZipFile(archive) as opened:
        return sum(one.file_size for one in opened.infolist())


class _Loader(yaml.SafeLoader):
    """Plain values alone, each of them once: what an alias repeats may grow without bounds when printed."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read")
        return super().compose_node(parent, index)


def parse_yaml(content: bytes) -> Any:
    """What a YAML file says, in plain values.

    Raises:
        ValueError: it is no YAML in UTF-8, or is too large; the text is one line.
    """
    if len(content) > _MOST_YAML:
        raise ValueError(f"it has more than {_MOST_YAML:,} bytes")
    try:
        return yaml.load(content.decode("utf-8"), _Loader)
    # PyYAML raises nearly anything on values that do not fit their tags, and on deep nesting.
    except Exception as error:
        raise ValueError(one_line(error)) from error
