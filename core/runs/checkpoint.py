"""Checkpoints: what a run needs to go on after it was broken off, in one file."""

import hashlib
import io
import os
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from ..files import write_file
from ..reading import unpacked_size

__all__ = ["FILE", "Checkpoint", "read", "write"]

#: Name of the checkpoint in a run's folder.
FILE = "checkpoint.pt"

#: A run that is killed loses no more than this, and the round it was in.
SECONDS_BETWEEN_WRITES = 60.0


class Checkpoint:
    """The checkpoint of one run: kept in memory after each round, and written now and then.

    Args:
        path: the file.

    Attributes:
        content: what was kept last; None before.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content: dict[str, Any] | None = None
        self._written = time.monotonic()

    def keep(self, content: dict[str, Any]) -> None:
        """Keeps tensors and plain values; writes them if the file is old.

        Raises:
            UnpicklingError: there is something else among them.
        """
        if self.content is None:
            _check(content)
        self.content = content
        if time.monotonic() - self._written >= SECONDS_BETWEEN_WRITES:
            self.write()

    def write(self) -> None:
        """Writes what was kept last, if there is anything."""
        if self.content is not None:
            write(self.path, self.content)
            self._written = time.monotonic()

    def remove(self) -> None:
        """Removes the file."""
        self.path.unlink(missing_ok=True)


def _check(content: dict[str, Any]) -> None:
    """Raises an UnpicklingError unless `read` will be able to read this."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    buffer.seek(0)
    torch.load(buffer, map_location="cpu", weights_only=True)


def write(path: Path, content: dict[str, Any]) -> None:
    """Writes tensors and plain values: a SHA-256 digest, then what `torch.save` makes of them."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    payload = buffer.getvalue()
    write_file(path, lambda beside: beside.write_bytes(hashlib.sha256(payload).digest() + payload))


def _fits(content: Any, size: int) -> bool:
    """Whether no tensor is larger than the file, as a view of one number may be, and nothing is held twice.

    Lists that hold lists many times over would grow without bounds where they are copied.
    """
    seen: set[int] = set()
    left = [content]
    while left:
        one = left.pop()
        if isinstance(one, torch.Tensor) and one.numel() * one.element_size() > size:
            return False
        if isinstance(one, dict | list | tuple) and one:
            if id(one) in seen:
                return False
            seen.add(id(one))
            left += one.values() if isinstance(one, dict) else one
    return True


def read(path: Path, keys: Collection[str], later: Collection[str] = ()) -> dict[str, Any] | None:
    """A checkpoint that `write` wrote, with these keys, on the CPU; None if there is none.

    Args:
        later: keys that older checkpoints do not have.

    Nothing in the file is executed. A damaged one is reported, renamed to `checkpoint.pt.damaged`
    and counts as none.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, payload = data[:32], data[32:]
    reason = "its checksum is wrong"
    if hashlib.sha256(payload).digest() == digest:
        try:
            # What torch packs it does not press: a file that unpacks to more is none of ours.
            if unpacked_size(io.BytesIO(payload)) > len(payload):
                raise ValueError("it unpacks to more than it is")
            content = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
            if (
                isinstance(content, dict)
                and set(content) - set(later) == set(keys)
                and _fits(content, len(payload))
            ):
                return content
            reason = "it holds something else"
        # torch raises nearly anything on what it did not write, or will not execute.
        except Exception as error:
            reason = f"{type(error).__name__} while it was read"
    aside = path.with_name(path.name + ".damaged")
    os.replace(path, aside)
    print(f"{path} is damaged ({reason}): kept as {aside.name}, the run starts over", file=sys.stderr)
    return None
