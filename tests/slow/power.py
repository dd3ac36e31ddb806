"""A disk that loses what was not synchronised: what a process did, and what a power cut leaves of it.

After ALICE (Pillai et al., OSDI 2014) and CrashMonkey (Mohan et al., OSDI 2018): the operations are recorded
below our own functions, by Python's audit events; after every prefix of them the power may go.
"""

import os
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock


@dataclass
class Recorder:
    """The operations below a folder, in their order.

    Attributes:
        root: the folder.
        operations: `create path`, `sync path content`, `sync_folder path`, `rename path path`, `remove path`,
            `mkdir path`; paths relative to the root.
    """

    root: Path
    operations: list[tuple[Any, ...]] = field(default_factory=list)
    active: bool = False

    def note(self, kind: str, *paths: object, content: bytes | None = None) -> None:
        below = [os.path.relpath(os.fsdecode(path), self.root) for path in paths]  # type: ignore[arg-type]
        if not any(path.startswith("..") for path in below):
            self.operations.append((kind, *below) if content is None else (kind, *below, content))

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active or getattr(_own, "busy", False):
            return
        _own.busy = True  # what is done here is none of the process's
        if event == "open" and isinstance(arguments[0], str | bytes):
            if (arguments[2] or 0) & os.O_CREAT and not os.path.exists(arguments[0]):
                self.note("create", arguments[0])
        elif event == "os.rename":
            self.note("rename", *arguments[:2])
        elif event in ("os.remove", "os.mkdir"):
            self.note(event.removeprefix("os."), arguments[0])
        _own.busy = False

    def fsync(self, number: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{number}"))
        _own.busy = True
        if path.is_dir():
            self.note("sync_folder", path)
        else:
            self.note("sync", path, content=path.read_bytes())
        _own.busy = False


_recorders: list[Recorder] = []
_own = threading.local()


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    for recorder in _recorders:
        recorder.audit(event, arguments)


@contextmanager
def recording(root: Path) -> Iterator[Recorder]:
    """Records what this process does below `root`."""
    if not hasattr(sys, "_power_hook"):  # a hook cannot be taken away again
        sys.addaudithook(_audit)
        sys._power_hook = True  # type: ignore[attr-defined]
    recorder = Recorder(root.resolve())
    _recorders.append(recorder)
    recorder.active = True
    try:
        with mock.patch("os.fsync", recorder.fsync):
            yield recorder
    finally:
        recorder.active = False
        _recorders.remove(recorder)


class Disk:
    """What is on the disk, and what the process sees.

    A folder's names and a file's content reach the disk when they are synchronised; `left` says what a power
    cut leaves.

    Args:
        before: the files that were there, synchronised.
    """

    def __init__(self, before: dict[str, bytes]) -> None:
        self.content: dict[int, bytes] = dict(enumerate(before.values()))  # of a file by its number
        self.names: dict[str, int | None] = dict(zip(before, self.content, strict=True))  # None: a folder
        for name in before:
            for parent in Path(name).parents:
                self.names[str(parent)] = None
        self.durable = dict(self.names)
        self.pending: list[dict[str, int | str | None]] = []  # changes of names since: "gone" removes

    def apply(self, operation: tuple[Any, ...]) -> None:
        kind, path, *rest = operation
        if kind == "create":
            number = len(self.content)
            self.content[number] = b""
            self._change({path: number})
        elif kind == "mkdir" and path not in self.names:
            self._change({path: None})
        elif kind == "sync":
            self.content[self.names[path]] = rest[0]  # type: ignore[index]
        elif kind == "rename":
            self._change({rest[0]: self.names[path], path: "gone"})  # all of it or nothing
        elif kind == "remove" and path in self.names:
            self._change({path: "gone"})
        elif kind == "sync_folder":
            still = []
            for change in self.pending:
                if all(str(Path(name).parent) == path for name in change):
                    _set(self.durable, change)
                else:
                    still.append(change)
            self.pending = still

    def _change(self, change: dict[str, int | str | None]) -> None:
        _set(self.names, change)
        self.pending.append(change)

    def left(self, rng: random.Random | None = None, everything: bool = False) -> dict[str, bytes | None]:
        """Files, and folders (None), after a power cut.

        Of the changes of names that are not synchronised none is left, or some (`rng`), or all.
        """
        names = dict(self.durable)
        for change in self.pending:
            if everything or (rng is not None and rng.random() < 0.5):
                _set(names, change)
        found: dict[str, bytes | None] = {}
        for name, number in names.items():
            if all(str(parent) in names or str(parent) == "." for parent in Path(name).parents):
                found[name] = None if number is None else self.content[number]
        return found


def _set(names: dict[str, int | None], change: dict[str, int | str | None]) -> None:
    for name, value in change.items():
        if isinstance(value, str):
            names.pop(name, None)
        else:
            names[name] = value


def states(recorder: Recorder, before: dict[str, bytes], seeds: int = 2) -> list[dict[str, bytes | None]]:
    """What power cuts may leave, after every prefix of the operations; each once."""
    disk = Disk(before)
    found: dict[tuple[Any, ...], dict[str, bytes | None]] = {}
    for i in range(len(recorder.operations) + 1):
        if i:
            disk.apply(recorder.operations[i - 1])
        lefts = [disk.left(), disk.left(everything=True)]
        lefts += [disk.left(random.Random(1000 * i + seed)) for seed in range(seeds)]
        for left in lefts:
            # Names of parts are drawn; that any are there is the same for all.
            key = tuple(
                sorted((name, c) for name, c in left.items() if ".part-" not in name and c is not None)
            )
            found.setdefault(key, left)
    return list(found.values())


def lay_out(state: dict[str, bytes | None], folder: Path) -> None:
    """Makes the files of a state."""
    for name, content in sorted(state.items()):
        path = folder / name
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
