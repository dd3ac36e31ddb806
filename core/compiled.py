"""Functions that numba compiles: all are made here, and what it compiled is kept for the next process."""

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

    The cache lies beside the code or in the user's home. Where neither can be written, as in a container, it
    lies in a folder in TMPDIR, else there is none; a note on stderr says so once.
    """

    def compile_it(function: Callable[..., Any]) -> Any:
        try:
            return njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:  # numba found no folder that can be written
            return njit(cache=_cache_in_tmp(), nogil=True, **options)(function)

    return compile_it


@cache
def _cache_in_tmp() -> bool:
    """Whether numba keeps what it compiles in a folder in TMPDIR from now on, in child processes too."""
    try:
        folder = Path(tempfile.gettempdir(), f"numba_cache_{os.getuid() if os.name != 'nt' else 'own'}")
        folder.mkdir(mode=0o700, exist_ok=True)
        # What lies there is executed: it must not be somebody else's.
        kept = os.name == "nt" or folder.stat().st_uid == os.getuid()
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        kept = False
    if kept:
        os.environ["NUMBA_CACHE_DIR"] = str(folder)
        config.reload_config()
    where = f"in {folder}" if kept else "nowhere, and every process compiles them anew"
    print(f"note: compiled functions cannot be kept beside the code: they are kept {where}", file=sys.stderr)
    return kept
