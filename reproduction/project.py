"""The project's folder, put on the path of every script that imports this."""

import sys
from pathlib import Path

__all__ = ["ROOT"]

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
