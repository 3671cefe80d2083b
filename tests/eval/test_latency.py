"""The script that measures the engine runs; what it measures is in docs/benchmarks.md."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "eval/bench/latency.py"


@pytest.mark.slow
def test_it_measures_and_answers_agree():
    options = ["--shape", "tiny", "--questions", "3", "--tokens", "4", "--runs", "1", "--batches", "2", "--json"]
    run = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, check=True)
    figures = json.loads(run.stdout)
    assert figures["questions"]["unequal_answers"] == 0
    assert set(figures["questions"]["batch_s"]) == {"1", "2"}
    assert figures["first_token"]["second_question_s"] > 0
