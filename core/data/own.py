"""The class of a dataset by what a user types: a registered name, a file, or a table of OpenML.

--dataset path/to/houses.csv --target price
--dataset openml:46934

The target and the column types of an OpenML table (openml.org) come from its metadata. We do not use
scikit-learn's `fetch_openml`: our downloads show a progress bar, fail with a one-line message, and are kept
in the data folder, where you can also put them by hand.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..dataset import DATASETS, TRAIN_SHARE, VALIDATION_SHARE, Dataset
from ..errors import UserError
from ..files import check_writable, one_line, read_bytes, temporary, write_file
from .tables import Table, fetch

if TYPE_CHECKING:
    from .frames import RawFrame

#: Where the metadata are asked for.
API = "https://www.openml.org/api/v1/json"


class OpenMLTable(Table):
    """A table of OpenML: `openml-<id>.json` and `openml-<id>.arff` (or `.parquet`) in the data folder.

    Without `n_rows` and `target_mean` it is unverified: nobody has compared it with the published table.
    """

    #: OpenML's id of the table.
    data_id: ClassVar[int]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.name, cls.download = f"openml:{cls.data_id}", f"openml-{cls.data_id}.arff"
        cls.files = (cls.download, f"openml-{cls.data_id}.parquet")
        cls.verified = cls.target_mean is not None

    @classmethod
    def _addresses(cls, folder: Path) -> tuple[list[str], str]:
        said, _ = cls._metadata(folder)
        if str(said.get("format")).lower() != "arff":
            raise UserError(f"{cls.name}: its format is {said.get('format')}; only ARFF is read")
        url = str(said.get("url")).replace("http://www.openml", "https://www.openml")
        return [url], f"md5:{said['md5_checksum']}" if said.get("md5_checksum") else ""

    @classmethod
    def _raw(cls, path: Path, where: str, known_hash: str) -> RawFrame:
        raw, (said, kinds) = super()._raw(path, where, known_hash), cls._metadata(path.parent)
        frame = raw.frame.drop(columns=[name for name in raw.names if kinds.get(name) == "unused"])
        nominal = frozenset(name for name, kind in kinds.items() if kind == "nominal")
        # Of several targets the first one is as good as another.
        target = str(said.get("default_target_attribute") or "").split(",")[0].strip()
        return replace(raw, frame=frame, nominal=nominal, target=target)

    @classmethod
    def _metadata(cls, folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
        """What OpenML says of the table, and the type of each column, or that it is unused."""
        path = folder / f"openml-{cls.data_id}.json"
        if not path.is_file():
            cls._fetch_metadata(path)
        try:
            found = json.loads(read_bytes(path))
            kinds = {one["name"]: one["data_type"] for one in found["features"]}
            for one in found["features"]:
                if "true" in (str(one.get(key)).lower() for key in ("is_ignore", "is_row_identifier")):
                    kinds[one["name"]] = "unused"
            return dict(found["description"]), kinds
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            said = f"it holds no metadata of OpenML ({one_line(error)})"
            raise UserError(f"{path}: {said}; remove it") from error

    @classmethod
    def _fetch_metadata(cls, path: Path) -> None:
        by_hand = f"put {path.name} and {cls.download} into {path.parent}: docs/OWN_DATA.md says how"
        try:
            check_writable(path.parent)
        except UserError as error:
            raise UserError(f"{cls.name}: {error}, or {by_hand}") from error
        path.parent.mkdir(parents=True, exist_ok=True)
        answers: dict[str, Any] = {}
        try:
            for what in ("data", "data/features"):
                with temporary(path) as part:
                    fetch(f"{API}/{what}/{cls.data_id}", part)
                    answers |= json.loads(part.read_bytes())
            features = answers["data_features"]["feature"]
            found = {"description": answers["data_set_description"], "features": features}
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{cls.name}: cannot be downloaded ({one_line(error)}); "
                f"is there such a data set, and a network? If not, {by_hand}"
            ) from error
        write_file(path, lambda part: part.write_text(json.dumps(found, indent=1), encoding="utf-8"))


def default_sizes(n: int) -> tuple[int, int]:
    """Seed set and budget for n rows: a sixth and a third of the train part, at most 200 and 800."""
    train = int(TRAIN_SHARE * n)
    train -= int(VALIDATION_SHARE * train)
    return min(200, train // 6), min(800, train // 3)


def is_own(name: str) -> bool:
    """Whether `name` is a path or an id of OpenML, not the name of a registered dataset."""
    return bool(set(name) & {"/", os.sep, ".", ":"})


def find_dataset(
    name: str,
    target: str | None = None,
    seed_set: int | None = None,
    data_folder: str | Path = "../datasets",
    decisions: Mapping[str, Sequence[str]] | None = None,
) -> type[Dataset]:
    """The class of a dataset: a registered one, or one made for a table, which is read.

    Args:
        name: a registered name, the path of a table (`.csv`, `.tsv`, `.parquet`, `.arff`, also `.gz`), or
            `openml:<id>`. The result folder of a table is the file's name without `.gz`, or `openml-<id>`.
        target: the column to predict, of a table; that of OpenML's metadata if None.
        seed_set: points labelled at the beginning, of a table; a sixth of the train part if None.
        data_folder: where tables of OpenML lie, or are downloaded to.
        decisions: of a table: columns by `numeric`, `category`, `ignore`, `keep`, the options of that name.

    Raises:
        UserError: there is no such dataset, or the table cannot be trained on.
    """
    if not is_own(name):
        found = DATASETS[name]
        if target is not None or seed_set is not None or any((decisions or {}).values()):
            own = "a target, a seed set and columns of its own"
            raise UserError(f"dataset '{name}' has {own}; these are for tables")
        return found
    decided = tuple((option, tuple(names)) for option, names in sorted((decisions or {}).items()) if names)
    said: dict[str, Any] = {"target": target or ""}
    if name.startswith("openml:"):
        data_id = name.removeprefix("openml:")
        if not re.fullmatch("[0-9]{1,18}", data_id):
            raise UserError(f"'{name}': a number is wanted behind openml:, as in openml:46934")
        said |= {"folder": f"openml-{int(data_id)}", "data_id": int(data_id)}
        return _table_class(OpenMLTable, Path(data_folder).resolve(), seed_set, decided, **said)
    try:
        stat = Path(name).stat()
    except OSError as error:
        raise UserError(f"{name}: there is no such file") from error
    path = Path(name).absolute()
    try:
        path.name.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{name}: its name is no text here: rename it, or set PYTHONUTF8=1") from error
    said |= {"folder": path.name.removesuffix(".gz"), "files": (path.name,)}
    # A file that has changed is read again.
    return _table_class(Table, path.parent, seed_set, decided, stat.st_mtime_ns, stat.st_size, **said)


@cache
def _table_class(
    base: type[Table], place: Path, seed_set: int | None, decided: tuple[Any, ...], *stamp: int, **said: Any
) -> type[Dataset]:
    """A class of a table in the folder `place`, which is read; `said` are attributes of the class."""
    cls: Any = type(said["folder"], (base,), said | {"__module__": __name__, "decisions": dict(decided)})
    cls.loaded = table = cls.load(place)
    usual, cls.budget = default_sizes(len(table.y))
    cls.seed_set = usual if seed_set is None else seed_set
    cls.more_settings = {"target": table.target, "decisions": cls.decisions, "sha256": table.sha256}
    cls.__doc__ = f"{len(table.y):,} rows, {table.x.shape[1]} features; target: {table.target}."
    return cls
