"""Everything here is slow: it starts processes, kills them, hands them broken files, reads documents.

Processes are killed, stopped and forked as POSIX systems let them: on Windows there are none of these tests.
"""

import sys
from pathlib import Path

import pytest

collect_ignore_glob = ["*.py"] if sys.platform == "win32" else []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
