import json

import pytest

from geochat.dialects import GEOCHAT
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
