"""The datasets: a file in this folder that registers a class is found by itself (core/registry.py)."""

from core.dataset import DATASETS as DATASETS
