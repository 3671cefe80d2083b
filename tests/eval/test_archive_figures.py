"""Tables of an archive's figures, and the sections in which they stand on a page of benchmarks."""

import runpy
from pathlib import Path

import pytest

bench = runpy.run_path(str(Path(__file__).parents[2] / "eval/bench/archive_figures.py"))


def measure(*words):
    rate = {"local": 10.0, "ray": 8.0}.get(words[0], 60.0) * (2 if words[-1] == "2" else 1)
    return {"windows": 100, "windows_per_s": rate, "first_after_s": 1.5, "own_cpu_s": 2.0, "cpu_ms_a_window": 4.0}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "stub",
            ["| Ray, 2 workers | 16.00 | 1.5 s | 20.0 ms per window |", "2.00 times one", "+25.0 ms per window (+25"],
        ),
        ("driver", ["| 9 | 60.0 | 60 | 4.0 ms per window |", "| 64 | 60.0 |"]),
    ],
)
def test_tables(name, told):
    text = "\n".join(bench["FIGURES"][name][1](measure))
    assert all(each in text for each in told)


def test_a_section_is_replaced_or_added():
    page = "# P\n\n## A\nold\n\n## B\nlast\n"
    assert bench["replaced"](page, "A", "## A\nnew\n") == "# P\n\n## A\nnew\n\n## B\nlast\n"
    assert bench["replaced"](page, "B", "## B\nnew\n") == "# P\n\n## A\nold\n\n## B\nnew\n"
    added = bench["replaced"](page, "C", "## C\nnew\n")
    assert added == page + "\n## C\nnew\n"
    assert bench["replaced"](added, "C", "## C\nnew\n") == added
