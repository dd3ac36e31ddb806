"""Functions that numba compiles, and keeps for the next process."""

import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from numba import njit
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

    Compiled code is kept next to its module, or in the user's home; `NUMBA_CACHE_DIR` names another folder.
    """

    def compile_it(function: Callable[..., Any]) -> Any:
        made = njit(nogil=True, **options)(function)
        try:
            made._cache = _Cache(function)
        except RuntimeError:  # numba found no folder in which it can make a file
            _say_so()
        return made

    return compile_it


@cache
def _say_so() -> None:
    advice = "each process compiles them again, unless NUMBA_CACHE_DIR names a folder"
    print(f"note: compiled functions cannot be kept beside the code: {advice}", file=sys.stderr)
