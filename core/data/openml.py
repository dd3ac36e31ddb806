"""Tables of OpenML (openml.org) by their ids, with the target and the types that their metadata say.

Not by scikit-learn's `fetch_openml`: so downloads show a bar, fail in one line and lie in the data folder,
where they can also be put by hand.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import UserError
from ..files import beside, check_writable, one_line, read_bytes, write_file
from .downloads import fetch
from .tables import Table

if TYPE_CHECKING:
    from .frames import RawFrame

#: Where the metadata are asked for.
API = "https://www.openml.org/api/v1/json"


class OpenMLTable(Table):
    """A table of OpenML: `openml-<id>.json` and `openml-<id>.arff` (or `.parquet`) in the data folder.

    Without `n_rows` and `target_mean` nobody has held it against the published table: it is unverified.
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
            kinds = {
                one["name"]: "unused"
                if "true" in (str(one.get(key)).lower() for key in ("is_ignore", "is_row_identifier"))
                else one["data_type"]
                for one in found["features"]
            }
            return dict(found["description"]), kinds
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(
                f"{path}: it holds no metadata of OpenML ({one_line(error)}); remove it"
            ) from error

    @classmethod
    def _fetch_metadata(cls, path: Path) -> None:
        by_hand = f"put {path.name} and {cls.download} into {path.parent}: docs/OWN_DATA.md says how"
        try:
            check_writable(path.parent)
        except UserError as error:
            raise UserError(f"{cls.name}: {error}, or {by_hand}") from error
        path.parent.mkdir(parents=True, exist_ok=True)
        answers: list[Any] = []
        try:
            for what in ("data", "data/features"):
                with beside(path) as part:
                    fetch(f"{API}/{what}/{cls.data_id}", part)
                    answers.append(json.loads(part.read_bytes()))
            found = {
                "description": answers[0]["data_set_description"],
                "features": answers[1]["data_features"]["feature"],
            }
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{cls.name}: cannot be downloaded ({one_line(error)}); "
                f"is there such a data set, and a network? If not, {by_hand}"
            ) from error
        write_file(path, lambda part: part.write_text(json.dumps(found, indent=1), encoding="utf-8"))
