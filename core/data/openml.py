"""Tables of OpenML (openml.org) by their ids, with the target and the types that their metadata say.

Not by scikit-learn's `fetch_openml`: this way downloads show a bar, are tried again, end in one line and lie
in the data folder, where they can also be put by hand.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..files import beside, commit, read_bytes, write_file
from .downloads import DownloadError, fetch, is_writable, writing_alone
from .frames import RawFrame, read_frame
from .rawfiles import one_line

__all__ = ["API", "OpenMLFrame", "load_openml"]

#: Where the metadata are asked for.
API = "https://www.openml.org/api/v1/json"


@dataclass(frozen=True)
class OpenMLFrame:
    """A table of OpenML.

    Attributes:
        raw: without the columns that the metadata say to ignore.
        target: the column that the metadata name; empty if they name none.
        source: its file.
    """

    raw: RawFrame
    target: str
    source: Path


def load_openml(data_id: int, folder: Path) -> OpenMLFrame:
    """The files `openml-<id>.json` and `openml-<id>.arff` of a folder; downloaded if they are not there.

    Raises:
        UserError: they are neither there nor to be had, or cannot be used.
    """
    meta, table = folder / f"openml-{data_id}.json", folder / f"openml-{data_id}.arff"
    if not (meta.is_file() and table.is_file()):
        _download(data_id, meta, table)
    try:
        content = json.loads(read_bytes(meta))
        description, features = content["description"], content["features"]
        names = {kind: [one["name"] for one in features if _says(one, kind)] for kind in _KINDS}
        nominal = [one["name"] for one in features if one["data_type"] == "nominal"]
        target = str(description.get("default_target_attribute") or "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{meta}: it holds no metadata of OpenML ({one_line(error)}); remove it") from error
    raw = read_frame(table)
    unused = {*names["is_ignore"], *names["is_row_identifier"]}
    frame = raw.frame.drop(columns=[name for name in raw.frame if name in unused])
    if "," in target:  # several; the first one is as good as another
        target = target.split(",")[0].strip()
    raw = replace(raw, frame=frame, nominal=frozenset(nominal) & frozenset(frame))
    return OpenMLFrame(raw, target, table)


_KINDS = ("is_ignore", "is_row_identifier")


def _says(feature: Mapping[str, Any], kind: str) -> bool:
    return str(feature.get(kind)).lower() == "true"


def _download(data_id: int, meta: Path, table: Path) -> None:
    folder = meta.parent
    if not is_writable(folder):
        raise UserError(
            f"openml:{data_id}: {meta.name} and {table.name} are not both in {folder}, "
            "and nothing can be written there"
        )
    with writing_alone(meta):
        try:
            description = _json(f"{API}/data/{data_id}", meta)["data_set_description"]
            features = _json(f"{API}/data/features/{data_id}", meta)["data_features"]["feature"]
            if description["format"].lower() != "arff":
                raise UserError(f"openml:{data_id}: its format is {description['format']}; only ARFF is read")
            with beside(table) as part:
                fetch(description["url"].replace("http://www.openml", "https://www.openml"), part)
                _check_md5(data_id, part, description.get("md5_checksum"))
                commit({part: table})
        except DownloadError as error:
            raise UserError(
                f"openml:{data_id}: cannot be downloaded ({error}); is there such a data set, and a network?"
            ) from error
        except (KeyError, TypeError) as error:
            raise UserError(f"openml:{data_id}: the metadata do not say {one_line(error)}") from error
        text = json.dumps({"description": description, "features": features}, indent=1)
        write_file(meta, lambda path: path.write_text(text, encoding="utf-8"))


def _json(url: str, target: Path) -> Any:
    with beside(target) as part:
        fetch(url, part)
        try:
            return json.loads(part.read_bytes())
        except ValueError as error:
            raise DownloadError(f"{url} gives no JSON") from error


def _check_md5(data_id: int, path: Path, wanted: str | None) -> None:
    found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    if wanted and found != wanted:
        raise UserError(f"openml:{data_id}: the table is damaged: its MD5 is {found}, not {wanted}")
