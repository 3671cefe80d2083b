"""Benchmarks by name. Each is one declaration; docs/evaluation.md shows how to add one."""

from geochat.errors import SettingsError
from geochat_eval.benchmarks.base import Benchmark, Item, Sources
from geochat_eval.benchmarks.captions import CAPTIONS
from geochat_eval.benchmarks.made import MADE
from geochat_eval.benchmarks.regions import REGIONS
from geochat_eval.benchmarks.scenes import SCENES
from geochat_eval.benchmarks.vqa import VQA

BENCHMARKS: dict[str, Benchmark] = {each.name: each for each in (*SCENES, *VQA, *REGIONS, *CAPTIONS, *MADE)}
"""The benchmarks by the name the command line knows them under."""

__all__ = ["BENCHMARKS", "Benchmark", "Item", "Sources", "benchmark"]


def benchmark(name: str) -> Benchmark:
    """The benchmark of that name.

    Raises:
        SettingsError: There is none.
    """
    if name not in BENCHMARKS:
        raise SettingsError(f"no benchmark is called {name!r}; `geochat eval list` names them")
    return BENCHMARKS[name]
