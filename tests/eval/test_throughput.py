"""The script that measures the loop runs; what it measures is in docs/benchmarks.md."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "eval/bench/throughput.py"


def figures(*options):
    run = subprocess.run([sys.executable, SCRIPT, *options, "--json"], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


@pytest.mark.slow
def test_the_loop_answers_as_the_original_does_with_a_mask():
    found = figures("speed", "--shape", "tiny", "--questions", "12", "--images", "2", "--tokens", "4")
    assert found["unequal_answers"] == 0
    assert found["questions"] == 24


@pytest.mark.slow
def test_of_a_question_nothing_is_held_but_its_number_and_place():
    assert figures("memory")["bytes_a_question"] < 150  # a question and its answer are 600
