"""Benchmarks by name: their images, their questions, and the scorers of the answers.

Each is one declaration; docs/evaluation.md shows how to add one.
"""

from geochat_eval.benchmarks.base import Benchmark, Item, Sources
from geochat_eval.registry import BENCHMARKS

__all__ = ["BENCHMARKS", "Benchmark", "Item", "Sources"]
