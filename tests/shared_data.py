"""The folder of real data files beside the repository; tests that need it skip where it is absent."""

from pathlib import Path

import pytest

SHARED_DATA = (Path(__file__).resolve().parents[2] / "shared" / "datasets").resolve()


def shared_file(name: str) -> Path:
    """The real file of that name; skips the test, with the reason, where there is none."""
    path = SHARED_DATA / name
    if not path.is_file():
        pytest.skip(f"needs the real data file {path}")
    return path
