"""The datasets. Each file of this folder that registers a class is found by itself."""

from importlib import import_module
from pkgutil import iter_modules

from core.dataset import DATASETS

__all__ = ["DATASETS"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
