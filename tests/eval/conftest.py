import json

import numpy as np
import pytest
from PIL import Image

from geochat.dialects import GEOCHAT
from geochat_data.readers import Report
from geochat_eval.benchmarks import BENCHMARKS, Sources
from geochat_eval.score import score_file
from geochat_eval.scorers import ScorerSettings


@pytest.fixture
def write(tmp_path):
    """Writes lines, objects or text, to a file and gives its path."""

    def put(*rows):
        path = tmp_path / "answers.jsonl"
        lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    return put


@pytest.fixture
def score(write):
    """Scores rows and gives the JSON object; without METEOR, which starts slowly."""

    def run(task, *rows, format_name="geochat", replicates=0, images=None, strict=False, dialect=GEOCHAT):
        settings = ScorerSettings(replicates=replicates, images=images, meteor=False)
        return score_file(write(*rows), task, format_name, settings, dialect=dialect, strict=strict).to_dict()

    return run


@pytest.fixture(scope="session")
def write_images():
    """Writes four small images, 0.png to 3.png, to a new folder and gives it."""

    def write(folder):
        folder.mkdir()
        for number in range(4):
            Image.fromarray(np.full((8, 8, 3), 40 * number, np.uint8)).save(folder / f"{number}.png")
        return folder

    return write


@pytest.fixture
def images(tmp_path, write_images):
    """A folder of four small images, 0.png to 3.png."""
    return write_images(tmp_path / "images")


@pytest.fixture
def read_benchmark(tmp_path):
    """Reads a benchmark from rows or text written to a file; gives its items with their prompts, and the report."""

    def run(name, content=None, file="questions.jsonl", images=True, **changes):
        path = None
        if content is not None:
            path = tmp_path / file
            rows = "".join(f"{json.dumps(row)}\n" for row in content) if isinstance(content, list) else content
            path.write_text(rows, encoding="utf-8")
        report = Report(strict=changes.pop("strict", False))
        sources = Sources(
            tmp_path if images else None, path, rendered=tmp_path / "made", **{"dialect": GEOCHAT, **changes}
        )
        found = BENCHMARKS[name]
        return [(item, found.prompt(item, sources)) for item in found.read(sources, report)], report

    return run


@pytest.fixture
def photograph():
    """Writes an image of random pixels."""

    def write(path, seed=0, size=(32, 32)):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), np.uint8)
        Image.fromarray(pixels).save(path)

    return write
