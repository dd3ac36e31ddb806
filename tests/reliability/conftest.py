"""These tests kill, stop and fork processes as POSIX systems let them; on Windows there are none of them."""

import sys

collect_ignore_glob = ["*.py"] if sys.platform == "win32" else []
