"""Benchmarks by name: what is asked of which images, and how the answers are scored.

Each is one declaration; docs/evaluation.md shows how to add one.
"""

from geochat_eval.benchmarks.base import Benchmark, Item, Sources
from geochat_eval.registry import BENCHMARKS

__all__ = ["BENCHMARKS", "Benchmark", "Item", "Sources"]
