"""Datasets that are tables: found or fetched, checked, cached.

Fetched by requests, not by pooch, which tries a 404 again and follows a redirect to plain http.

Shapes: n rows, d features.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np
import requests
from filelock import FileLock
from requests.adapters import HTTPAdapter
from tqdm import tqdm

from ..dataset import Dataset, train_and_test
from ..errors import UserError
from ..files import UnusableError, check_writable, commit, one_line, temporary, write_file

if TYPE_CHECKING:
    from .frames import RawFrame

#: How far, relatively, the mean of the target may be from the published table's.
MEAN_TOLERANCE = 1e-5
#: With fewer rows a fifth of them says nothing of a model.
LEAST_ROWS = 50

#: How often a download that failed is tried again, after 1, 2, 3 seconds.
RETRIES = 3
#: Seconds to wait for a connection, and for the next bytes.
TIMEOUT = (10, 30)
#: What the user reads of errors: their own texts are long and name requests' insides.
_REASONS = {
    requests.exceptions.ChunkedEncodingError: "the answer broke off",
    requests.Timeout: "no answer in time",
    requests.ConnectionError: "no connection",
    requests.exceptions.InvalidSchema: "only https is read",
}

#: One-hot columns and their categories.
Categories: TypeAlias = Mapping[str, Sequence[str] | Sequence[int]]


@dataclass(frozen=True)
class LoadedTable:
    """The arrays of a table, read-only: all runs of a process share them.

    Attributes:
        x, y: features [n, d] and target [n], float64, unscaled.
        source: the file they were read from.
        data_check: "passed", "not needed", or "skipped: " or "unverified: " and what the table is like.
        names: of the features.
        target: the column.
        sha256: of the file, unpacked; empty for a cache.
    """

    x: np.ndarray
    y: np.ndarray
    source: Path
    data_check: str
    names: Sequence[str] = ()
    target: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        self.x.setflags(write=False)
        self.y.setflags(write=False)


class Table(Dataset):
    """A dataset that is read from a table, which a subclass declares by its class attributes.

    The first of these is taken: the cache `<name>.npz` in the data folder; each of `files` there, also with
    `.gz`; the file of an installed package; the first of `urls` that gives it.

    With `columns`, as in `datasets/diamonds.py`, each cell must be a finite number or a known category.
    Features are the numeric columns in their order, then the one-hot ones. Rows and mean of the target must
    be as declared, or `skip_data_check` goes on with a warning. What has passed is cached.

    Without `columns` any table will do: its features are learned from the train part of all runs.

    Raises:
        UserError: there is no file and no download, or the table cannot be used or is not the published one.
    """

    #: Of the cache file, and in messages: the registered name. A file of one's own has none.
    name: ClassVar[str] = ""
    #: Raw files that may lie in the data folder: the names that say most first.
    files: ClassVar[tuple[str, ...]] = ()
    #: Addresses of the raw file, the first to be tried first; none: only the user has it.
    urls: ClassVar[tuple[str, ...]] = ()
    #: The name under which a download is stored; one of `files`.
    download: ClassVar[str] = ""
    #: A package and the file in it that is the table, too: for who has no network.
    packaged: ClassVar[tuple[str, str]] = ("", "")
    #: `sha256:` and the hash of the unpacked download (of an archive's member), if it is known. A file that
    #: you put there yourself may have another one, for example because its line endings differ.
    known_hash: ClassVar[str] = ""
    #: The file inside a zip archive, where there is one.
    member: ClassVar[str] = ""
    #: All columns of the raw table.
    columns: ClassVar[tuple[str, ...]] = ()
    target: ClassVar[str] = ""
    #: What the user decided about columns of a table of his own, by option.
    decisions: ClassVar[Mapping[str, Sequence[str]]] = {}
    #: Columns that are not used.
    dropped: ClassVar[tuple[str, ...]] = ()
    #: One-hot columns and their categories, in the order of the features.
    categories: ClassVar[Categories] = {}
    #: Rows of the whole table and the mean of its target, to know it by; None: nobody has looked yet.
    n_rows: ClassVar[int | None] = None
    target_mean: ClassVar[float | None] = None
    #: The table, where it was read to make its class: `find_dataset` does so.
    loaded: ClassVar[LoadedTable | None] = None

    def rows(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        table = self.load(self.data_folder, skip_data_check=self.skip_data_check)
        self.data_check = table.data_check
        return table.x, table.y

    @classmethod
    def load(cls, data_folder: str | Path, *, skip_data_check: bool = False) -> LoadedTable:
        """The table; it is read once a process and folder."""
        # A run with the check on must not get what a run without it has read.
        return cls.loaded or _load(cls, Path(data_folder).resolve(), skip_data_check)

    @classmethod
    def feature_names(cls) -> list[str]:
        if cls.loaded:
            return list(cls.loaded.names)
        used = cls._features().items()
        return [f"{name}={one}" if known else name for name, known in used for one in known or ("",)]

    @classmethod
    def _features(cls) -> Categories:
        """The columns that are used, those of numbers first; these have no categories."""
        others = {cls.target, *cls.dropped, *cls.categories}
        return {name: () for name in cls.columns if name not in others} | dict(cls.categories)

    @classmethod
    def _from_cache(cls, folder: Path) -> LoadedTable | None:
        path = folder / f"{cls.name}.npz"
        if not cls.columns or not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as arrays:
                x, y, names = arrays["x"], arrays["y"], arrays["features"].tolist()
            problem = cls._difference(y) or "other features" * (names != cls.feature_names())
        except Exception as error:  # np.load raises nearly anything on damaged bytes
            problem = one_line(error)
        if problem:
            said = f"{path} is damaged or from another version ({problem}); rebuilding it from the raw table"
            print(f"warning: {said}", file=sys.stderr)
            return None
        return LoadedTable(x, y, path, "passed", names, cls.target)

    @classmethod
    def _from_file(cls, folder: Path, skip_data_check: bool) -> LoadedTable | None:
        """The table of the first raw file that is there, in the folder or a package."""
        paths = [folder / name for file in cls.files for name in (file, f"{file}.gz")]
        package, packaged = cls.packaged
        spec = find_spec(package) if package else None  # does not import it
        if spec and spec.origin:
            paths.append(Path(spec.origin).parent / packaged)
        path = next(filter(Path.is_file, paths), None)
        try:
            return cls._read(path, skip_data_check) if path else None
        except UnusableError as error:
            if not (path and cls.urls):
                raise
            remove = "remove it and " if path.parent == folder else ""
            by_hand = f"{remove}fetch {cls.urls[0]} as {folder / cls.download}"
            raise UserError(f"{cls.name}: {error}; {by_hand}") from error

    @classmethod
    def _from_network(cls, folder: Path, skip_data_check: bool) -> LoadedTable:
        absent = f"{cls.name}: none of {', '.join(cls.files)} is in {folder}"
        target, (urls, known_hash) = folder / cls.download, cls._addresses(folder)
        if not urls:
            raise UserError(absent, "data_folder")
        by_hand = f"fetch {urls[0]} by hand and save it as {target}"
        try:
            check_writable(folder)
        except UserError as error:
            raise UserError(f"{absent}; {error}, or {by_hand}") from error
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{cls.download}.lock"):
            # Another process may have fetched it while this one waited.
            if table := cls._from_file(folder, skip_data_check):
                return table
            failures = []
            for url in urls:
                try:
                    with temporary(target) as part:
                        fetch(url, part)
                        table = cls._read(part, skip_data_check, url, known_hash)
                        commit({part: target})
                    return replace(table, source=target)
                except UnusableError as error:
                    failures.append(str(error))
        raise UserError(f"{cls.name}: cannot be downloaded ({'; '.join(failures)}); {by_hand}")

    @classmethod
    def _addresses(cls, folder: Path) -> tuple[Sequence[str], str]:
        """Where the raw file is to be had, and its hash if that is known."""
        return cls.urls, cls.known_hash

    @classmethod
    def _read(cls, path: Path, skip_data_check: bool, where: str = "", known_hash: str = "") -> LoadedTable:
        """A raw file as features and target; messages call it by its path if not by `where`.

        Raises:
            UnusableError: it cannot be trained on, has another hash, or differs and the check is on.
        """
        raw = cls._raw(path, where, known_hash)
        target = cls.target or raw.target
        if not target:
            columns = one_line(", ".join(raw.names))
            raise UserError(f"{cls.name or path}: which column is the target? It has {columns}", "target")
        x, y, names = cls._declared(raw) if cls.columns else cls._learned(raw, target)
        difference = cls._difference(y, len(raw.names))
        if difference and not skip_data_check:
            raise raw.unusable(f"{difference} (--skip_data_check 1 uses it anyway)")
        check = f"skipped: {difference}" if difference else "passed"
        if cls.target_mean is None:
            found = f"{len(y)} rows, target {target}, its mean {float(y.mean()):.8g}"
            check = f"unverified: {found}" if cls.name else "not needed"
        return LoadedTable(x, y, path, check, names, target, raw.sha256)

    @classmethod
    def _raw(cls, path: Path, where: str, known_hash: str) -> RawFrame:
        """The table as it stands in a file."""
        from .frames import read_frame

        return read_frame(path, where, member=cls.member, known_hash=known_hash)

    @classmethod
    def _difference(cls, y: np.ndarray, columns: int = 0) -> str:
        """How a table of this target [n] and so many columns (0: any) differs from the declared one."""
        differences = []
        if columns and cls.columns and columns != len(cls.columns):
            differences.append(f"{columns} columns instead of {len(cls.columns)}")
        if cls.n_rows is not None and len(y) != cls.n_rows:
            differences.append(f"{len(y)} rows instead of {cls.n_rows}")
        wanted = cls.target_mean
        if wanted is not None and abs(y.mean() - wanted) > MEAN_TOLERANCE * abs(wanted):
            differences.append(f"target mean {float(y.mean()):.8g} instead of {wanted:.8g}")
        return "; ".join(differences)

    @classmethod
    def _declared(cls, raw: RawFrame) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Features, target and names of the columns that are declared."""
        from .columns import declared

        # MATLAB names no columns, and some ARFF files have names of their own: they go by place.
        if len(raw.names) == len(cls.columns) and not set(raw.names) & set(cls.columns):
            raw = replace(raw, frame=raw.frame.set_axis(list(cls.columns), axis=1))
        if missing := [column for column in cls.columns if column not in raw.names]:
            names = one_line(", ".join(missing))
            raise raw.unusable(f"{len(missing)} of {len(cls.columns)} columns are missing: {names}")
        x = [declared(raw, name, categories) for name, categories in cls._features().items()]
        return np.hstack(x), declared(raw, cls.target)[:, 0], cls.feature_names()

    @classmethod
    def _learned(cls, raw: RawFrame, target: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Features, target and names; what each column became is said on stderr."""
        from .columns import read_target, sort_columns
        from .suspects import options

        y, note, _, why = read_target(raw, target, cls.decisions)
        if why:
            keep = options(target, "keep")
            raise raw.unusable(f"target {target!r}: {why}: leave such rows out, or {keep} keeps them")
        if len(y) < LEAST_ROWS:
            raise raw.unusable(f"{len(y)} rows are too few: at least {LEAST_ROWS} are needed")
        train, _ = train_and_test(len(y))
        columns = sort_columns([raw], target, train, cls.decisions)
        for line in columns.lines + [f"{target}: the target, {note}"] * bool(note):
            print(f"{cls.name or raw.where}: {line}", file=sys.stderr)
        names, x = columns.features()
        return x, y, names


@cache  # restarts make a dataset each
def _load(cls: type[Table], folder: Path, skip_data_check: bool) -> LoadedTable:
    try:
        if table := cls._from_cache(folder):
            return table
        table = cls._from_file(folder, skip_data_check) or cls._from_network(folder, skip_data_check)
        if table.data_check.startswith("skipped"):
            said = f"check {table.data_check}; results are not comparable"
            print(f"warning: {cls.name}: {table.source}: {said}", file=sys.stderr)
        elif cls.columns and table.source.parent == folder:
            x, y, names = table.x, table.y, np.array(table.names)
            with suppress(UserError):  # then it is read again next time
                check_writable(folder)
                write_file(folder / f"{cls.name}.npz", lambda part: np.savez(part, x=x, y=y, features=names))
        return table
    except OSError as error:
        raise UserError(f"{cls.name}: {folder} cannot be used: {one_line(error)}") from error


def fetch(url: str, part: Path) -> None:
    """Downloads `url` over https, again if that fails for a reason that may pass; a bar on a terminal.

    Args:
        part: the file to write, which is whole only if no error is raised.

    Raises:
        UnusableError: the address does not answer, refuses, or gives no whole file.
    """
    tqdm.write(f"downloading {url}", file=sys.stderr)  # above the bars that there are
    for attempt in range(RETRIES + 1):
        try:
            return _get(url, part)
        except requests.RequestException as error:
            status = 0 if error.response is None else error.response.status_code
            # These three client errors mean that the server is slow or busy; all others are final.
            final = isinstance(error, ValueError) or (400 <= status < 500 and status not in (408, 425, 429))
            if attempt == RETRIES or final:
                said = (text for kind, text in _REASONS.items() if isinstance(error, kind))
                reason = f"HTTP status {status}" if status else next(said, one_line(error))
                raise UnusableError(f"{url}: {reason}") from error
        sleep(attempt + 1)


def _get(url: str, part: Path) -> None:
    session = requests.Session()
    # The file must not be altered in transit: only https, after redirects too, or this machine.
    del session.adapters["http://"]
    for host in ("127.0.0.1:", "localhost:"):
        session.mount(f"http://{host}", HTTPAdapter())
    with session, session.get(url, stream=True, timeout=TIMEOUT) as answer:
        answer.raise_for_status()
        size = int(answer.headers.get("Content-Length", 0)) or None
        bar = tqdm(total=size, unit="B", unit_scale=True, leave=False, disable=None)
        with part.open("wb") as file, bar:
            for piece in answer.iter_content(1 << 16):
                bar.update(file.write(piece))
