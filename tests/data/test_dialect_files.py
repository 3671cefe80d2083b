"""Training files for other models: built in their dialects, converted between them, laid out for their trainers."""

import json

import pytest
from PIL import Image

from geochat.cli import main
from geochat.dialects import find_dialect, names_of_dialects
from geochat.dialects.orders import Cells, Spot
from geochat.dialects.shapes import corners_of
from geochat.geometry import Frame, OrientedBox
from geochat_data.samples import read_samples

SIZE = (400, 200)
SHIP = OrientedBox(100, 60, 180, 100, 30)
PIER = OrientedBox(240, 120, 320, 180, 0)


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """A wide image with a turned ship and an upright pier."""
    folder = tmp_path_factory.mktemp("labels")
    Image.new("RGB", SIZE, (90, 110, 80)).save(folder / "1.png")
    objects = [{"category": name, "polygon": box.corners()} for name, box in (("ship", SHIP), ("pier", PIER))]
    row = {"image": "1.png", "objects": objects, "labelled": ["airplane", "pier", "ship"]}
    (folder / "boxes.jsonl").write_text(json.dumps(row) + "\n")
    return folder


def geochat(*words):
    assert main([str(word) for word in words]) == 0


def build(labels, out, *options, kinds="refer,identify,grounding"):
    chosen = ["--kinds", kinds, "--dialogues", 0, "--questions", 30]
    geochat("data", "build", "boxes", labels / "boxes.jsonl", "--image-root", labels, "--out", out, *chosen, *options)
    return out


def ious(text, dialect, size=SIZE):
    """The overlap of each region of a text with the ship or the pier, whichever is greater."""
    to_pixels = Frame(size, model=dialect.model_frame).model_to_view
    shapes = [[to_pixels @ corner for corner in corners_of(region.shape)] for region in dialect.parse(text).regions]
    boxes = [OrientedBox.from_polygon(corners) for corners in shapes]
    return [max(box.iou(SHIP), box.iou(PIER)) for box in boxes]


QUICK = {
    *("skysensegpt", "vrsbench-obb-v2", "lhrs", "falcon-quad", "rscovlm-obb", "rscovlm-quad-plain", "qwen2-vl"),
    *("qwen2.5-vl", "kosmos-2", "florence-2", "paligemma", "gemini", "molmo"),
}


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names_of_dialects()]
)
def test_data_are_built_in_every_dialect(labels, tmp_path, name):
    dialect, out = find_dialect(name), build(labels, tmp_path / "train.jsonl", "--dialect", name)
    found = [iou for sample in read_samples(out) for m in sample.messages for iou in ious(m.text, dialect)]
    assert len(found) > 10
    assert not [p for sample in read_samples(out) for m in sample.messages for p in dialect.parse(m.text).problems]
    least = 0.0 if isinstance(dialect.syntax.order, Spot) else 0.35 if isinstance(dialect.syntax.order, Cells) else 0.4
    assert min(found) >= least  # the upright rectangle around a turned ship overlaps it by half
    if dialect.syntax.order.takes(8) or (dialect.syntax.order.turned and dialect.model_frame.fit != "image"):
        assert min(found) > 0.8  # numbers that are stretched with the image have the rectangle around a parallelogram
    geochat("data", "check", out, "--images", labels, "--dialect", name)


def test_what_is_absent_has_the_dialects_words(labels, tmp_path):
    out = build(labels, tmp_path / "train.jsonl", "--dialect", "rscovlm-obb", kinds="refer")
    answers = {sample.messages[1].text for sample in read_samples(out)}
    assert "There are none." in answers
    questions = [sample.messages[0].text for sample in read_samples(out)]
    assert all("output the oriented bbox coordinates using JSON format" in question for question in questions)
    assert not any("<p>" in question for question in questions)


def test_a_list_of_all_objects_answers_a_grounding_question(labels, tmp_path):
    out = build(labels, tmp_path / "train.jsonl", "--dialect", "qwen3-vl-obb", kinds="grounding")
    (sample,) = read_samples(out)
    rows = json.loads(sample.messages[1].text.removeprefix("```json\n").removesuffix("\n```"))
    assert [row["label"] for row in rows] == ["pier", "ship"]
    assert rows[1]["oriented bbox"] == pytest.approx([350, 400, 225, 179, -90], abs=200)  # on the stretched image


@pytest.mark.parametrize("name", ["internvl", "qwen2.5-vl", "qwen3-vl-quad", "rscovlm-obb", "earthdial", "paligemma"])
def test_a_file_is_converted_through_pixels(labels, tmp_path, name, capsys):
    source, dialect = build(labels, tmp_path / "geochat.jsonl"), find_dialect(name)
    out, back = tmp_path / "theirs.json", tmp_path / "back.jsonl"
    geochat("data", "convert", source, "--from", "geochat", "--to", name, "--out", out, "--images", labels)
    assert f"in {name}" in capsys.readouterr().err
    first, second = list(read_samples(source)), list(read_samples(out))
    assert [sample.id for sample in first] == [sample.id for sample in second]
    count = 0
    for one, other in zip(first, second, strict=True):
        for before, after in zip(one.messages, other.messages, strict=True):
            regions = find_dialect("geochat").parse(before.text).regions
            assert len(dialect.parse(after.text).regions) == len(regions)
            count += len(regions)
            least = 0.75 if name in ("rscovlm-obb", "qwen3-vl-quad") else 0.35
            assert min(ious(after.text, dialect), default=1) > least
    assert count > 10
    geochat("data", "convert", out, "--from", name, "--to", "geochat", "--out", back, "--images", labels)
    assert len(list(read_samples(back))) == len(first)


def test_what_cannot_be_converted_is_kept_or_left_out(tmp_path, labels, capsys):
    def row(number, answer):
        turns = [{"from": "human", "value": "<image>\n[refer] Where is it?"}, {"from": "gpt", "value": answer}]
        return json.dumps({"id": number, "image": f"{number}.png", "conversations": turns}) + "\n"

    (tmp_path / "a.jsonl").write_text(row(1, "A {<1><2>} and {<10><40><20><50>}.") + row(9, "{<10><40><20><50>}"))
    out = tmp_path / "b.jsonl"
    words = ["data", "convert", tmp_path / "a.jsonl", "--from", "geochat", "--to"]
    geochat(*words, "internvl", "--out", out, "--images", labels)
    first, second = read_samples(out)
    assert first.messages[1].text == "A {<1><2>} and <box>[[100, 300, 200, 500]]</box>."
    assert second.messages[1].text == "<box>[[100, 400, 200, 500]]</box>"  # its image is not there
    told = capsys.readouterr().err
    for note in ("region left as it is", "image of unknown size, taken for a square one", "size is unknown"):
        assert note in told
    geochat(*words, "qwen2.5-vl", "--out", out, "--images", labels)
    assert [sample.id for sample in read_samples(out)] == ["1"]
    assert "sample that cannot be converted (the size of its image is unknown" in capsys.readouterr().err
    assert main([*map(str, words), "qwen2.5-vl", "--out", str(out), "--strict"]) == 1
    assert main([*map(str, words), "internvl", "--out", str(tmp_path / "a.jsonl")]) == 1
    assert main([*map(str, words), "klingon", "--out", str(out)]) == 1


def rows(labels, tmp_path, form, *options):
    out = build(labels, tmp_path / "train.jsonl", "--form", form, *options, kinds="refer,identify")
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_rows_of_ms_swift_hold_the_models_own_text(labels, tmp_path):
    made = rows(labels, tmp_path, "swift", "--dialect", "qwen3-vl-obb")
    for row in made:
        assert set(row) == {"messages", "images"}
        assert row["images"] == [str(labels / "1.png")]
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        assert row["messages"][0]["content"].startswith("<image>")
        assert "".join(message["content"] for message in row["messages"]).count("<image>") == 1
    assert any('"oriented bbox"' in row["messages"][1]["content"] for row in made)


def test_neutral_rows_of_ms_swift_hold_pixels(labels, tmp_path):
    made = rows(labels, tmp_path, "swift-objects")
    for row in made:
        text = "".join(message["content"] for message in row["messages"])
        assert text.count("<bbox>") == len(row["objects"]["bbox"])
        assert text.count("<ref-object>") == len(row["objects"]["ref"])
        assert "{<" not in text
        for x1, y1, x2, y2 in row["objects"]["bbox"]:
            upright = OrientedBox(x1, y1, x2, y2)
            assert max(upright.iou(SHIP), upright.iou(PIER)) > 0.35
    assert any(row["objects"]["ref"] for row in made)


def test_rows_of_llama_factory_come_with_their_description(labels, tmp_path):
    made = rows(labels, tmp_path, "llamafactory", "--dialect", "internvl")
    assert made[0]["messages"][0]["content"].startswith("<image>")
    (tmp_path / "dataset_info.json").write_text('{"other": {"file_name": "o.json"}}')
    rows(labels, tmp_path, "llamafactory", "--dialect", "internvl")
    described = json.loads((tmp_path / "dataset_info.json").read_text())
    assert described["other"] == {"file_name": "o.json"}
    assert described["train"]["columns"] == {"messages": "messages", "images": "images"}
    assert described["train"]["tags"]["user_tag"] == "user"
    (tmp_path / "dataset_info.json").write_text("{")
    words = ["data", "build", "boxes", labels / "boxes.jsonl", "--out", tmp_path / "train.jsonl"]
    assert main([*map(str, words), "--form", "llamafactory"]) == 1


def test_rows_of_trl_hold_parts(labels, tmp_path):
    for row in rows(labels, tmp_path, "trl", "--dialect", "rscovlm-obb"):
        *system, asked, answered = row["messages"]
        assert [part["type"] for part in asked["content"]] == ["image", "text"]
        assert [part["type"] for part in answered["content"]] == ["text"]
        if "oriented bbox coordinates" in asked["content"][1]["text"]:
            assert "oriented object detection" in system[0]["content"][0]["text"]
        assert row["images"] == [str(labels / "1.png")]
