"""Adding the runs of a folder to the store: nothing that is stored changes, and unlike runs do not mix."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from ..errors import UserError
from ..files import remove_parts
from ..runs.files import META
from ..runs.settings import read_meta
from .comparing import OF_AN_AGENT
from .reader import EXPERIMENT, TASK, Folders, spans
from .store import Key, Stored, check_run, definition, differences, finish_parts, read_store, write_part

__all__ = ["Added", "add_runs", "unlike"]

#: Of a run's meta.txt: what the store has elsewhere, and what says nothing to others.
_LEFT_OUT = ("run_id", "data_folder")


class Added(NamedTuple):
    """What `add_runs` did.

    Attributes:
        added: run ids by experiment, as text.
        there: runs that were stored already.
        others: of them those with other values, as another machine gives; what is stored stays.
        problems: folder and problem of what was left out, as of `Results.problems`.
        unfinished: runs left out that are not finished.
    """

    added: dict[Key, str]
    there: int
    others: int
    problems: list[tuple[str, str]]
    unfinished: int


def unlike(one: Mapping[str, Any], other: Mapping[str, Any], may_differ: tuple[str, ...] = ()) -> str:
    """The first setting that differs, in words; nothing if none does."""
    for name, (a, b) in differences(one, other).items():
        if name not in may_differ:
            return f"{name} {a}, not {b}"
    return ""


def add_runs(store: Path, runs_folder: Path) -> Added:
    """Adds the finished runs of a folder and those beside it; what is there are left out, so it can go on.

    Raises:
        UserError: a run was made with other settings than the stored ones of its experiment, or than its task
            has in common, or lacks what the store holds of each run; nothing was written then.
    """
    found = Folders(runs_folder)
    unfinished = sum(status == "unfinished" for status, *_ in found.runs.values())
    if found.unlike:
        raise UserError(found.unlike[0], "store")
    if not found.curves:
        return Added({}, 0, 0, found.problems, unfinished)
    store.mkdir(parents=True, exist_ok=True)
    with FileLock(store / ".lock"):
        remove_parts(store)
        finish_parts(store)
        there = read_store(store) if any(store.glob("*.jsonl")) else {}
        added: dict[Key, list[int]] = {}
        others = 0
        for run, curves in found.curves.items():
            key: Key = run[:-1]
            folder, settings, notes = _read(found, run)
            try:
                check_run(curves, settings, notes, "the run")
            except (ValueError, TypeError) as error:  # settings may be of any type
                raise UserError(f"{folder} cannot be stored: {error}") from error
            experiment = there.setdefault(key, Stored(settings))
            if differing := unlike(settings, experiment.settings):
                raise UserError(f"{folder} was made with {differing} as in the store", "store")
            if run[-1] not in experiment.curves:
                experiment.settings = settings | experiment.settings
                experiment.curves[run[-1]], experiment.notes[run[-1]] = curves, notes
                added.setdefault(key, []).append(run[-1])
            else:
                others += not curves.equals(experiment.curves[run[-1]])
        for key in added:
            _check_task(key, there)
        for setting in {key[:3] for key in added}:
            write_part(store, setting, there)
    there_before = len(found.curves) - sum(map(len, added.values()))
    runs = {key: spans(ids) for key, ids in added.items()}
    return Added(runs, there_before, others, found.problems, unfinished)


def _read(found: Folders, run: tuple[Any, ...]) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """Folder of a run, settings of its experiment, and what was noted of it beside them."""
    folder, agreed = found.folders[run], found.settings[run[:-1]]
    meta = definition(read_meta(folder / META))
    settings = {name: value for name, value in meta.items() if name in agreed or name == "seed_set"}
    if differing := unlike(settings, agreed):
        raise UserError(f"{folder} was made with {differing} as its folder's settings say", "store")
    notes = {name: value for name, value in meta.items() if name not in (*settings, *_LEFT_OUT)}
    return folder, settings, notes | {"pit": found.pit[run].iloc[0].astype(int).tolist()}


def _check_task(key: Key, there: Mapping[Key, Stored]) -> None:
    """What is to be ranked must have been measured alike."""
    for other, stored in there.items():
        if other[: len(TASK)] == key[: len(TASK)] and (
            differing := unlike(there[key].settings, stored.settings, OF_AN_AGENT)
        ):
            name = ", ".join(f"{part}" for part in key)
            raise UserError(f"{name} has {differing} as {other[len(EXPERIMENT) - 1]} has there", "store")
