"""Tables of answers."""

import csv
import json

import pytest

from geochat.assistant.notices import Notice
from geochat.assistant.table import AnswerTable, Row
from geochat.errors import ExportError


def test_a_row_says_what_the_answer_says(chat_with, geotiff):
    answer = chat_with("two\n <p>planes</p> {<10><30><30><40>|<0>}").ask(geotiff, "How many?", task="vqa")
    row = Row.of("a.tif", answer.to_dict(), 3)
    assert (row.image, row.feature, row.question, row.task, row.regions) == ("a.tif", 3, "How many?", "vqa", 1)
    assert row.answer == "two planes"
    assert (row.choice, row.probability, row.score, row.error) == (None, None, None, None)


def test_a_choice_is_a_column(chat_with, geotiff):
    answer = chat_with("Harbors").ask(geotiff, "What?", choices=["harbor", "airport"])
    assert Row.of("a.tif", answer.to_dict()).choice == "harbor"


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@a", "\tx"])
def test_formulas_are_words(tmp_path, cell):
    with AnswerTable(tmp_path / "a.csv") as table:
        table.write(Row("a.tif", answer=cell, score=-0.5, notices=(Notice("a", "One."), Notice("b", "Two."))))
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["answer"] == f"'{cell}"
    assert (row["score"], row["notices"], row["choice"]) == ("-0.5", "One. Two.", "")


def test_rows_are_there_before_the_end_and_after_a_failure(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("before\n")
    table = AnswerTable(path)
    table.write(Row("a.tif"))
    assert json.loads(table.part.read_text())["image"] == "a.tif"
    table.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert path.read_text() == "before\n"
    assert table.part.is_file()
    with AnswerTable(path) as table:
        table.write(Row("b.tif"))
    assert json.loads(path.read_text())["image"] == "b.tif"
    assert not table.part.exists()


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(ExportError, match=r"'\.xlsx'"):
        AnswerTable(tmp_path / "a.xlsx")
    (tmp_path / "a.csv.part").mkdir()
    with pytest.raises(ExportError, match=r"a\.csv cannot be written"):
        AnswerTable(tmp_path / "a.csv")
