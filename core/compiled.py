"""Compiles functions with numba, and keeps what it compiled for the next process."""

import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import config, njit


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """numba's `njit` with these options, without Python's lock and with a cache.

    The cache is next to the code or in the user's home. If neither is writable, as in a container, or that
    disk is full, it goes to a folder in TMPDIR; if that fails too, there is no cache. A note on stderr says
    which, once.
    """

    def compile_it(function: Callable[..., Any]) -> Any:
        try:
            made = njit(cache=True, nogil=True, **options)(function)
            if not config.DISABLE_JIT:  # type: ignore[attr-defined]
                _check_cache(made.stats.cache_path)
            return made
        except (RuntimeError, OSError):  # numba found no folder in which it can make a file; no room for one
            return njit(cache=_cache_in_tmp(), nogil=True, **options)(function)

    return compile_it


@cache
def _check_cache(folder: str | Path) -> None:
    """An OSError if there is no room in a cache, which numba would say in a run; removes empty files there.

    numba cannot read those, which a power cut leaves.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(2**20))
    for kept in Path(folder).glob("*.nb[ci]"):
        if not kept.stat().st_size:
            kept.unlink()


@cache
def _cache_in_tmp() -> bool:
    """Whether numba keeps what it compiles in a folder in TMPDIR from now on, in child processes too."""
    try:
        folder = Path(tempfile.gettempdir(), f"numba_cache_{os.getuid() if os.name != 'nt' else 'own'}")
        folder.mkdir(mode=0o700, exist_ok=True)
        # numba executes what it finds there, so the folder must be ours.
        kept = os.name == "nt" or folder.stat().st_uid == os.getuid()
        _check_cache(folder)
    except OSError:
        kept = False
    if kept:
        os.environ["NUMBA_CACHE_DIR"] = str(folder)
        config.reload_config()
    where = f"they are kept in {folder}" if kept else "every process compiles them again"
    print(f"note: compiled functions cannot be kept beside the code: {where}", file=sys.stderr)
    return kept
