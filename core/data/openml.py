"""Tables of OpenML (openml.org) by their ids, with the target and the types that their metadata say.

Not by scikit-learn's `fetch_openml`: this way downloads show a bar, end in one line and lie in the data folder,
where they can also be put by hand.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import UserError
from ..files import beside, make_folder, write_file
from ..safe_io import UnusableError, one_line, read_bytes
from .downloads import DownloadError, fetch, is_writable
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
        stem = f"openml-{cls.data_id}"
        cls.name, cls.files = f"openml:{cls.data_id}", (f"{stem}.arff", f"{stem}.parquet")
        cls.download, cls.verified = cls.files[0], cls.target_mean is not None

    @classmethod
    def _addresses(cls, folder: Path) -> list[str]:
        said = cls._metadata(folder)["description"]
        if str(said.get("format")).lower() != "arff":
            raise UserError(f"{cls.name}: its format is {said.get('format')}; only ARFF is read")
        return [str(said.get("url")).replace("http://www.openml", "https://www.openml")]

    @classmethod
    def _by_hand(cls, folder: Path) -> str:
        where = f"https://www.openml.org/d/{cls.data_id}"
        return f"fetch it from {where} by hand and save it as {folder / cls.download}"

    @classmethod
    def _check_download(cls, path: Path, skip_data_check: bool) -> None:
        wanted = cls._metadata(path.parent)["description"].get("md5_checksum")
        found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        if wanted and found != wanted:
            raise UnusableError(f"the table is damaged: its MD5 is {found}, not {wanted}")

    @classmethod
    def _raw(cls, path: Path, sha256: str) -> RawFrame:
        raw, said = super()._raw(path, sha256), cls._metadata(path.parent)
        unused, nominal = set(), set()
        for feature in said["features"]:
            if "true" in (str(feature.get(key)).lower() for key in ("is_ignore", "is_row_identifier")):
                unused.add(feature["name"])
            elif feature["data_type"] == "nominal":
                nominal.add(feature["name"])
        frame = raw.frame.drop(columns=[name for name in raw.names if name in unused])
        # Of several targets the first one is as good as another.
        target = str(said["description"].get("default_target_attribute") or "").split(",")[0].strip()
        return replace(raw, frame=frame, nominal=frozenset(nominal), target=target)

    @classmethod
    def _metadata(cls, folder: Path) -> dict[str, Any]:
        """What OpenML says of the table and its columns: `{"description": {...}, "features": [{...}, ...]}`."""
        path = folder / f"openml-{cls.data_id}.json"
        if not path.is_file():
            cls._fetch_metadata(path)
        try:
            found: dict[str, Any] = json.loads(read_bytes(path))
            if found["description"].keys() and all(
                one["name"] and one["data_type"] for one in found["features"]
            ):
                return found
            raise ValueError("empty")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(
                f"{path}: it holds no metadata of OpenML ({one_line(error)}); remove it"
            ) from error

    @classmethod
    def _fetch_metadata(cls, path: Path) -> None:
        if not is_writable(path.parent):
            raise UserError(f"{cls.name}: {path} is not there, and nothing can be written there")
        make_folder(path.parent)
        try:
            description = _fetch_json(f"{API}/data/{cls.data_id}", path)["data_set_description"]
            features = _fetch_json(f"{API}/data/features/{cls.data_id}", path)["data_features"]["feature"]
        except (DownloadError, ValueError, KeyError, TypeError) as error:
            hint = "is there such a data set, and a network?"
            raise UserError(f"{cls.name}: cannot be downloaded ({one_line(error)}); {hint}") from error
        text = json.dumps({"description": description, "features": features}, indent=1)
        write_file(path, lambda part: part.write_text(text, encoding="utf-8"))


def _fetch_json(url: str, target: Path) -> Any:
    with beside(target) as part:
        fetch(url, part)
        return json.loads(part.read_bytes())
