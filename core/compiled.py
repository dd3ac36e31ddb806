"""Functions that numba compiles, and keeps for the next process."""

import os
import pickle
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch
from numba import config, njit
from numba.core.caching import FunctionCache


class _Cache(FunctionCache):
    """numba's, but neither a full disk nor a file that a power cut has emptied ends a run."""

    def load_overload(self, *given: Any) -> Any:
        try:
            return super().load_overload(*given)
        except (EOFError, pickle.UnpicklingError):
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, *given: Any) -> None:
        with suppress(OSError):
            super().save_overload(*given)


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """numba's `njit` with these options, without Python's lock.

    Compiled code is kept next to its module, or in the user's home; if neither can be written, as in a
    container, in TMPDIR. `NUMBA_CACHE_DIR` names another folder.
    """

    def compile_it(function: Callable[..., Any]) -> Any:
        made = njit(nogil=True, **options)(function)
        try:
            made._cache = _Cache(function)
        except RuntimeError:  # numba found no folder in which it can make a file
            if _cache_in_tmp():
                made._cache = _Cache(function)
        return made

    return compile_it


def can_compile(*tensors: torch.Tensor) -> bool:
    """Whether the compiled functions take them: float32 on the CPU."""
    return all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors)


@cache
def _cache_in_tmp() -> bool:
    """Whether compiled code is kept in a folder in TMPDIR from now on, in child processes too."""
    user = os.getuid() if hasattr(os, "getuid") else 0  # Windows has none
    folder = Path(tempfile.gettempdir(), f"numba_cache_{user}")
    kept = False
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        kept = folder.stat().st_uid == user  # numba executes what it finds there
    if kept:
        os.environ["NUMBA_CACHE_DIR"] = str(folder)
        config.reload_config()
    where = f"they are kept in {folder}" if kept else "each process compiles them again"
    print(f"note: compiled functions cannot be kept beside the code: {where}", file=sys.stderr)
    return kept
