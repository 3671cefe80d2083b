"""The pages of figures, written from runs."""

import base64
import importlib.util
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geochat.dialects import GEOCHAT
from geochat_eval.benchmarks import Sources
from geochat_eval.reports import report, write_report
from geochat_eval.reports.examples import Example, contact_sheet, matrix
from geochat_eval.runs import Prediction, Run, RunSettings
from geochat_eval.scorers import ScorerSettings

SCRIPT = Path(__file__).parents[2] / "eval" / "figures.py"
CARD = "# Model\n\n## Figures\nold\n\n| old |\n\n## Limits\nmany\n"


class Answers:
    name, sha256 = "stub", "f" * 64

    def predict(self, questions):
        for asked in questions:
            wrong = asked.row["question_id"].endswith("/0.png")
            yield asked.number, Prediction("forest" if wrong else asked.row["ground_truth"])


@pytest.fixture
def runs(tmp_path):
    """A finished run called scenes: of four images per class, one is taken for a forest."""
    for place, name in enumerate(("beach", "forest", "mobilehomepark")):
        for number in range(4):
            path = tmp_path / "imagery" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((20, 20, 3), 60 * place + number, np.uint8)).save(path)
    folder = tmp_path / "runs"
    list(
        Run(folder / "scenes", RunSettings("scenes", Sources(tmp_path / "imagery", dialect=GEOCHAT))).answer(Answers())
    )
    write_report(report(folder / "scenes", ScorerSettings(20, meteor=False)))
    return folder


@pytest.fixture
def figures(tmp_path, monkeypatch):
    """Runs the script on a folder of runs, into a folder of documents."""
    spec = importlib.util.spec_from_file_location("figures", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "figures", module)
    spec.loader.exec_module(module)
    docs, card = tmp_path / "docs", tmp_path / "card.md"
    docs.mkdir()
    (docs / "mini.md").write_text("# Mini\n\n## Figures\n\n## Scenes by class\n\n## Answers\nbelow\n")
    card.write_text(CARD)

    def run(folder):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(folder), "--docs", str(docs), "--card", str(card)])
        module.main()
        return (docs / "mini.md").read_text(), card.read_text()

    return run


def test_both_pages_are_written_and_written_again(runs, figures):
    page, card = figures(runs)
    row = "| scene through chat, 21 classes | 83.3 |"
    assert row in page
    assert row in card
    assert "old" not in card
    assert card.endswith("\n## Limits\nmany\n")
    assert page.endswith("\n## Answers\nbelow\n")
    assert "| mobile home park | 75 | 4 | forest (1) |" in page
    assert "| forest | 100 | 4 |  |" in page
    assert figures(runs) == (page, card)


def test_what_a_baseline_reaches_is_bold(runs, figures):
    """The blind run is the run itself: no figure is better than what stands beside it."""
    blind = runs / "scenes.blind"
    blind.mkdir()
    (blind / "report.json").write_bytes((runs / "scenes" / "report.json").read_bytes())
    _, card = figures(runs)
    assert "| scene through chat, 21 classes | **83.3** |" in card
    assert "without the image 83.3" in card


def test_a_folder_without_runs_and_a_card_without_the_heading(runs, figures, tmp_path):
    with pytest.raises(SystemExit, match=r"card\.sh"):
        figures(tmp_path)
    (tmp_path / "card.md").write_text("# Model\n")
    with pytest.raises(SystemExit, match="## Figures"):
        figures(runs)


def example(quality):
    content = io.BytesIO()
    Image.new("RGB", (40, 40)).save(content, "PNG")
    picture = f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
    square = "25,25 75,25 75,75 25,75"
    return Example(
        "1",
        quality,
        "[refer] the tank",
        "{<1><2><3><4>|<5>}",
        "",
        picture,
        (0, 0, 100, 100),
        (),
        (square,),
        (),
        GEOCHAT,
    )


def test_a_sheet_shows_every_answer_with_its_boxes():
    sheet = np.asarray(contact_sheet([example(0.0), example(1.0)] * 12)).astype(int)
    orange = (np.abs(sheet - (255, 140, 0)).sum(-1) < 30).sum()
    assert 24 * 4 * 90 < orange < 24 * 4 * 3 * 130
    bars = [(np.abs(sheet - colour).sum(-1) < 5).sum() for colour in ((40, 140, 70), (190, 50, 40))]
    assert bars[0] == bars[1] > 1000


def test_a_matrix_has_a_row_a_class_and_a_column_more_for_other_answers():
    counts = {"beach": {"beach": 3, "port": 1}, "port": {"port": 4}}
    plain, more = matrix(counts), matrix({**counts, "port": {"port": 3, "(no class)": 1}})
    assert more.width > plain.width
    greens = (np.abs(np.asarray(plain).astype(int) - (40, 140, 70)).sum(-1) < 5).sum()
    assert greens > 300  # the port's cell is full
