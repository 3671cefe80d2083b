"""Training files are read and written without loss, and an index gives back what was put in."""

import json
import pickle
import random

import pytest

from geochat.errors import DataError
from geochat.prompts import Message
from geochat_data.index import SampleIndex, estimated_length, write_index
from geochat_data.readers import Report
from geochat_data.samples import Sample, check_messages, from_published, read_samples, to_published, write_samples


def sample(number, text="What is there?", image="a.png"):
    return Sample(f"s{number}", image, (Message("user", text), Message("assistant", f"Ä {number} 图\nline")))


def row(*turns, **more):
    return {"conversations": [{"from": role, "value": text} for role, text in turns]} | more


SAMPLES = [sample(n, "x" * (n % 7), "a.png" if n % 3 else None) for n in range(2500)]


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_a_file_gives_back_what_was_written(tmp_path, suffix):
    path, report = tmp_path / f"train{suffix}", Report()
    assert write_samples(path, iter(SAMPLES)) == 2500
    assert list(read_samples(path, report)) == SAMPLES
    assert (report.used, report.skipped) == (2500, 0)
    if suffix == ".json":
        assert json.loads(path.read_text())[1] == to_published(SAMPLES[1])


@pytest.mark.parametrize("indent", [None, 1])
def test_an_array_is_read_however_it_is_laid_out(tmp_path, indent):
    path = tmp_path / "train.json"
    path.write_text("\n " + json.dumps([to_published(s) for s in SAMPLES[:50]], indent=indent) + "\n")
    assert list(read_samples(path)) == SAMPLES[:50]


def test_rows_that_cannot_be_used_are_named(tmp_path):
    path, report = tmp_path / "train.json", Report()
    good = to_published(SAMPLES[1])
    path.write_text(json.dumps([good, {"id": 1}, 3, row(("human", "Q")), row(("human", ""), ("gpt", "")), good]))
    assert len(list(read_samples(path, report))) == 2
    assert report.skipped == 4
    assert any(place.endswith("row 3") for places in report.places.values() for place in places)
    with pytest.raises(DataError, match="row 1"):
        list(read_samples(path, Report(strict=True)))


@pytest.mark.parametrize("text", ["", "{}", "[", "[{}", '[{"a": 1}', "nonsense"])
def test_damaged_files_are_errors(tmp_path, text):
    path = tmp_path / "train.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"train\.json"):
        list(read_samples(path))


def test_bad_lines_are_counted(tmp_path):
    path, report = tmp_path / "train.jsonl", Report()
    path.write_text(
        "\n".join([json.dumps(to_published(SAMPLES[1])), "{oops", "", json.dumps(to_published(SAMPLES[2]))])
    )
    assert list(read_samples(path, report)) == SAMPLES[1:3]
    assert report.places["not JSON"] == [f"{path}:2"]


def test_other_endings_and_missing_files(tmp_path):
    with pytest.raises(DataError, match=r"\.jsonl"):
        write_samples(tmp_path / "train.csv", [])
    with pytest.raises(DataError, match="gone"):
        list(read_samples(tmp_path / "gone.json"))


def test_the_image_moves_to_the_front():
    read = from_published(row(("human", "Look:  <image>   what is it?"), ("gpt", " A pond. "), image="a.png"), 3)
    assert [m.text for m in read.messages] == ["Look:     what is it?", " A pond. "]
    assert (read.id, read.image) == ("3", "a.png")
    assert to_published(read)["conversations"][0]["value"] == "<image>\nLook:     what is it?"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (row(("human", "<image>\n<image>\nCompare"), ("gpt", "Same."), image="a.png"), "2 <image>"),
        (row(("human", "Q"), ("gpt", "A"), image="a.png"), "without its"),
        (row(("human", "<image>\nQ"), ("gpt", "A")), "without its"),
        (row(("human", "<image>\nQ"), ("gpt", "A"), image=["a.png"]), "several images"),
        (row(("human", "Q"), ("gpt", 5)), "not a string"),
        (row(("human", "Q"), ("human", "Q"), ("gpt", "A")), "alternate"),
        (row(("robot", "Q"), ("gpt", "A")), "robot"),
        (row(("gpt", "A")), "end with"),
        (row(("human", "Q"), ("gpt", "a </s> b")), "</s>"),
        (row(("human", "Q"), ("gpt", "He said ASSISTANT: hello")), "ASSISTANT:"),
        (row(("human", "Q"), ("gpt", " ")), "empty"),
        (row(), "end with"),
        ([], "conversations"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(bad, why):
    with pytest.raises(DataError, match=why):
        from_published(bad, 0)


def test_messages_are_checked_wherever_they_come_from():
    check_messages([Message("system", "Be brief."), Message("user", "Q"), Message("assistant", "A")])
    with pytest.raises(DataError, match="end with"):
        Sample("1", None, (Message("user", "Q"),))


def test_an_index_gives_back_any_sample(tmp_path):
    path, report = tmp_path / "train.arrow", Report()

    def length(item):
        if item.id == "s7":
            raise DataError("too long")
        return len(item.messages[0].text)

    assert write_index(path, iter(SAMPLES), length, report) == 2499
    assert report.places == {"sample that cannot be trained on": ["s7: too long"]}
    kept, index = [s for s in SAMPLES if s.id != "s7"], SampleIndex(path)
    assert len(index) == 2499
    order = random.Random(0).sample(range(2499), 300)
    assert [index[i] for i in order] == [kept[i] for i in order]
    assert index[-1] == kept[-1]
    assert index.lengths.tolist() == [length(s) for s in kept]
    again = pickle.loads(pickle.dumps(index))
    assert again[5] == kept[5]
    with pytest.raises(IndexError):
        index[2499]


def test_an_empty_index_and_no_index(tmp_path):
    assert write_index(tmp_path / "none.arrow", []) == 0
    assert len(SampleIndex(tmp_path / "none.arrow")) == 0
    assert SampleIndex(tmp_path / "none.arrow").lengths.tolist() == []
    (tmp_path / "other").write_text("text")
    with pytest.raises(DataError, match="geochat data index"):
        SampleIndex(tmp_path / "other")


def test_lengths_are_about_right():
    assert estimated_length(sample(1, image=None)) < 30
    assert estimated_length(sample(1)) - estimated_length(sample(1, image=None)) == 1296
