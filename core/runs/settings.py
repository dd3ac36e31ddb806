"""What the runs of an experiment have in common, and what is noted of each of them."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from ..errors import UserError
from ..files import make_folder, write_file
from ..safe_io import one_line, parse_yaml, read_bytes
from . import checkpoint
from .collecting import collect
from .layout import claimed, discard, id_of, is_finished, run_folders

__all__ = ["SINCE", "agree_on_settings", "check_settings", "plain", "read_meta", "write_meta"]

#: Settings that older runs do not have, and what these were made with.
SINCE: dict[str, Any] = {
    "protocol_version": 1,
    "agent_version": 1,
    "first_patience": None,
    "best_weights": False,
    "average": 0.0,
    "watched_rows": None,
    "check_every": 1,
}
#: Settings that nobody sets: what a difference in them means.
_DIGESTS = {
    "agent_code": "other code of the agent: digest",
    "dataset_code": "other code of the dataset: digest",
    "data": "other data: digest",
}


def agree_on_settings(
    experiment: Path, settings: Mapping[str, object], run_ids: Sequence[int], overwrite: bool
) -> None:
    """Sees to it that all runs of an experiment have the same settings: those in its `settings.txt`.

    They are written before the first run begins, and compared ever after, under a lock.

    Args:
        settings: as of `write_meta`, of the runs to come; only these names are compared.
        run_ids: the runs to come.
        overwrite: they are made anew. Those of other settings count as never begun from now on.

    Raises:
        UserError: a run that stays was made, or begun, with other settings.
    """
    wanted = plain(settings)
    make_folder(experiment)
    with FileLock(experiment / ".lock"):
        path = experiment / "settings.txt"
        agreed = {experiment: read_meta(path)} if path.exists() else {}
        made, as_wanted = {}, _text(settings).encode()
        for folder in run_folders(experiment):
            with suppress(FileNotFoundError):  # it is not finished, or no longer
                if not read_bytes(folder / "meta.txt").startswith(as_wanted):  # parsing is 100 times slower
                    made[folder] = read_meta(folder / "meta.txt")
        differing = [
            difference
            for folder, found in (made | agreed).items()
            if (difference := _difference(folder, found, wanted))
        ]
        if differing:
            runs = _begun(experiment) if overwrite else []
            if not overwrite or any(id_of(folder) not in run_ids for folder in runs):
                raise UserError(differing[0], "settings")
            with ExitStack() as claims:
                if not all([claims.enter_context(claimed(folder)) for folder in runs]):
                    raise UserError(f"{differing[0]}, and another process is at a run")
                for folder in runs:
                    discard(folder)
            collect(experiment)
        if differing or not agreed:
            write_meta(path, wanted)


def check_settings(
    experiment: Path, settings: Mapping[str, object], agreed: Mapping[str, Any] | None = None
) -> None:
    """Raises a UserError if others than these have been agreed on: `agreed`, or those in its file."""
    found = read_meta(experiment / "settings.txt") if agreed is None else agreed
    if difference := _difference(experiment, found, plain(settings)):
        raise UserError(difference, "settings")


def _difference(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The first setting that differs, in words; nothing if none does."""
    found = {**SINCE, **found}
    for name, value in wanted.items():
        if found.get(name) != value:
            said = one_line(found.get(name))
            return f"{folder} was made with {_DIGESTS.get(name, name)} {said}, not {value}"
    return ""


def _begun(experiment: Path) -> list[Path]:
    """The folders of all runs that are finished, can go on, or are at work."""
    begun = []
    for folder in run_folders(experiment):
        if is_finished(folder) or (folder / checkpoint.FILE).exists():
            begun.append(folder)
        else:
            with claimed(folder) as mine:
                if not mine:
                    begun.append(folder)
    return begun


def plain(settings: Mapping[str, object]) -> dict[str, Any]:
    """The settings as they are read again: numbers, texts, None, and lists and mappings of them."""
    return {name: _plain(value) for name, value in settings.items()}


def _plain(value: object) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    for kind in (bool, int, float):  # those of numpy are no YAML
        if isinstance(value, kind):
            return kind(value)
    return None if value is None else str(value)


def write_meta(path: Path, settings: Mapping[str, object]) -> None:
    """Writes `meta.txt` or `settings.txt`: YAML, a line `name: value` for each setting."""
    write_file(path, lambda beside: beside.write_text(_text(settings), encoding="utf-8"))


def _text(settings: Mapping[str, object]) -> str:
    return "".join(
        yaml.safe_dump(
            {name: value}, default_flow_style=None if isinstance(value, list) else False, width=10_000
        )
        for name, value in plain(settings).items()
    )


def read_meta(path: Path) -> dict[str, Any]:
    """The settings in a file that `write_meta` wrote.

    Raises:
        UserError: it is no YAML mapping.
        OSError: it cannot be read.
    """
    try:
        found = parse_yaml(read_bytes(path))
    except ValueError as error:
        raise UserError(f"{path} is damaged: {one_line(error)}") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} is damaged: it holds no 'name: value' lines")
    return found
