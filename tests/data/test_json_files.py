"""JSON of any size: item by item, with the numbers that JSON does not have, and damage that is named."""

import importlib.util
import json

import pytest

from geochat.errors import DataError
from geochat_data.readers import DataSource, Report, read
from geochat_data.readers.json_files import is_json_array, read_json, read_json_items
from geochat_data.samples import read_samples


@pytest.fixture(params=["streamed", "whole"])
def decoder(request, monkeypatch):
    """Both ways to decode: with ijson, and whole without it."""
    if request.param == "whole":
        monkeypatch.setattr("geochat_data.readers.json_files.find_spec", lambda _name: None)
    return request.param


@pytest.mark.usefixtures("decoder")
def test_numbers_are_floats_and_integers(folder):
    path = folder.text("f.json", '{"a": [1, 2.5, 1e3, -0.0, "x", null, true, [1.0]], "b": {"a": [7]}}')
    found = list(read_json_items(path, "a.item"))
    assert found == [1, 2.5, 1000.0, 0.0, "x", None, True, [1.0]]
    assert [type(value) for value in found[:4]] == [int, float, float, float]
    assert list(read_json_items(path, "b.a.item")) == [7]


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("content", ["{}", "[]", '{"a": null}', '{"a": {"b": 1}}', "3"])
def test_an_array_that_is_not_there_has_no_items(folder, content):
    assert list(read_json_items(folder.text("f.json", content), "a.item")) == []


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "123456789012345678901234567890"])
def test_numbers_that_json_does_not_have_are_decoded_once_each(folder, number):
    path = folder.text("f.json", f'[{", ".join(map(str, range(5000)))}, {number}, "last"]')
    found = list(read_json_items(path))
    assert found[:5000] == list(range(5000))
    assert (repr(found[5000]), found[5001]) == (repr(json.loads(number)), "last")


@pytest.mark.usefixtures("decoder")
def test_a_byte_order_mark_and_wide_text_are_read(folder):
    for encoding in ("utf-8-sig", "utf-16"):
        (folder / "f.json").write_text('["a", "b\u00e9"]', encoding=encoding)
        assert list(read_json_items(folder / "f.json")) == ["a", "b\u00e9"]


@pytest.mark.parametrize("content", ["[1, 2", '[1, {"a": ', '["x', "[1 2]", "[1] x", "[" * 3000])
def test_damage_is_an_error_that_names_the_file(folder, decoder, content):
    with pytest.raises(DataError, match=r"f\.json (is damaged JSON|ends before its JSON does)"):
        list(read_json_items(folder.text("f.json", content)))
    with pytest.raises(DataError, match=r"f\.json is damaged JSON"):
        read_json(folder / "f.json")
    with pytest.raises(DataError, match="cannot read"):
        list(read_json_items(folder / "gone.json"))


def test_an_array_is_told_by_its_first_character(folder):
    assert is_json_array(folder.text("a.json", "\ufeff \n[1]"))
    assert not is_json_array(folder.text("b.json", '{"a": [1]}'))
    with pytest.raises(DataError, match="cannot read"):
        is_json_array(folder / "gone.json")


def test_what_was_decoded_before_the_damage_is_kept(folder):
    rows = [{"id": n, "conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]} for n in "ab"]
    samples = read_samples(folder.text("f.json", json.dumps(rows)[:-1] + ', {"id": '))
    assert [next(samples).id, next(samples).id] == ["a", "b"]
    with pytest.raises(DataError, match="ends before"):
        next(samples)


def test_an_annotation_with_nan_is_a_reported_skip(folder):
    folder.picture("a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]},
            {"image_id": 1, "category_id": 2, "bbox": [10, float("nan"), 20, 20]},
            {"image_id": 1, "category_id": 2, "bbox": [10, 10, float("inf"), 20]},
        ],
        "categories": [{"id": 1, "name": "ship"}, {"id": 2, "name": "car"}],
    }
    report = Report()
    (image,) = read("coco", DataSource(folder.text("labels.json", json.dumps(content)), report=report))
    assert [item.category for item in image.objects] == ["ship"]
    assert image.labelled == {"ship"}
    assert report.reasons == {"box with a missing or infinite number": 2}


def test_ijson_is_what_streams():
    assert importlib.util.find_spec("ijson"), "a test environment has every extra"
