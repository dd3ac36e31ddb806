"""Checkpoints: one file with what an interrupted run needs to resume."""

import hashlib
import io
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import torch

from ..files import one_line, write_file

FILE = "checkpoint.pt"
#: Raise it when the content of checkpoints changes; those of other versions are not read.
VERSION = 1
#: A killed run loses at most this, and its current round.
SECONDS_BETWEEN_WRITES = 60.0


def _dump(content: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save({"version": VERSION} | content, buffer)
    return buffer.getvalue()


def _load(payload: bytes) -> Any:
    return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)


def check(content: dict[str, Any]) -> None:
    """A TypeError if it holds more than tensors and plain values, which `read` would refuse."""
    try:
        _load(_dump(content))
    except pickle.UnpicklingError as error:
        raise TypeError("an agent's state_dict must return tensors and plain values alone") from error


def write(path: Path, content: dict[str, Any]) -> None:
    """Writes tensors and plain values: a SHA-256 digest, then the bytes of `torch.save`."""
    payload = _dump(content)
    write_file(path, lambda part: part.write_bytes(hashlib.sha256(payload).digest() + payload))


def read(path: Path) -> dict[str, Any] | None:
    """Reads what `write` wrote, to the CPU; None if there is no usable checkpoint.

    Nothing in the file is executed. A damaged checkpoint, or one of another version, is reported and renamed
    to `checkpoint.pt.damaged`.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, payload = data[:32], data[32:]
    try:
        if hashlib.sha256(payload).digest() != digest:
            raise ValueError("its checksum is wrong")
        content = _load(payload)
        if (version := content.get("version")) != VERSION:
            raise ValueError(f"its version is {version}, this code reads {VERSION}")
        return content
    except pickle.UnpicklingError:  # torch's, for an object that would be executed
        reason = "it holds more than tensors and plain values"
    except (ValueError, RuntimeError) as error:
        reason = one_line(error)
    aside = path.with_name(path.name + ".damaged")
    os.replace(path, aside)
    print(f"{path} cannot be used ({reason}): kept as {aside.name}, the run starts over", file=sys.stderr)
    return None
