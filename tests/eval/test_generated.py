"""Questions generated from labels: of boxes, of UC Merced, and of synthetic scenes."""

import json

import pytest
from PIL import Image


@pytest.fixture
def boxes(tmp_path, photograph):
    """A file of boxes: an image of two planes and a ship, and one of a plane."""

    def square(x, y, side=20):
        return [[x, y], [x + side, y], [x + side, y + side], [x, y + side]]

    rows = [
        {
            "image": "a.png",
            "objects": [
                {"category": "airplane", "polygon": square(10, 10)},
                {"category": "airplane", "polygon": square(150, 60)},
                {"category": "ship", "polygon": square(80, 20)},
            ],
        },
        {"image": "b.png", "objects": [{"category": "airplane", "polygon": square(-8, 30)}]},
    ]
    photograph(tmp_path / "a.png", 1, (200, 100))
    photograph(tmp_path / "b.png", 2, (100, 100))
    return rows


def test_refer_from_boxes_asks_for_each_object_and_for_all(read_benchmark, boxes):
    items, _ = read_benchmark("refer", boxes)
    asked = {(item.image, item.fields["phrase"]): item for item, _ in items}
    assert ("a.png", "all airplanes") in asked
    assert len(asked["a.png", "all airplanes"].truth) == 2
    ship = asked["a.png", "the ship"]
    assert ship.fields["only_one"]
    assert ship.fields["clip"] == [0, 25, 100, 75]  # a 2:1 image in the middle of its square
    assert ship.truth[0][:4] == pytest.approx([40, 35, 50, 45])  # not rounded


def test_held_out_wordings_ask_for_the_same(read_benchmark, boxes):
    published, _ = read_benchmark("refer", boxes)
    held_out, _ = read_benchmark("refer", boxes, wording="held out")
    assert [item.truth for item, _ in published] == [item.truth for item, _ in held_out]
    assert all("location" in prompt for _, prompt in published)
    assert not any("location" in prompt for _, prompt in held_out)


def test_absent_questions_come_in_pairs(read_benchmark, boxes):
    items, _ = read_benchmark("refer-absent", boxes)
    assert [(item.image, item.truth, item.fields["category"]) for item, _ in items] == [
        ("b.png", "yes", "airplane"),
        ("b.png", "no", "ship"),
    ]


def test_identify_asks_for_two_categories_of_one_image(read_benchmark, boxes):
    items, _ = read_benchmark("identify", boxes)
    assert {item.truth for item, _ in items} == {"airplane", "ship"}
    assert len({item.fields["pair"] for item, _ in items}) == 1
    assert all(prompt.startswith("[identify]") and "{<" in prompt for _, prompt in items)


def test_synthetic_scenes_are_drawn_once_and_the_same(read_benchmark, tmp_path):
    first, _ = read_benchmark("presence", images=False, scene_count=6)
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "made").glob("*.png")}
    again, _ = read_benchmark("presence", images=False, scene_count=6)
    assert [(item, prompt) for item, prompt in first] == [(item, prompt) for item, prompt in again]
    assert pictures
    assert {item.image for item, _ in first} == pictures.keys()


@pytest.mark.parametrize("name", ["comparison", "count", "describe", "identify"])
def test_questions_about_synthetic_scenes(read_benchmark, name):
    items, _ = read_benchmark(name, images=False, scene_count=8)
    assert items
    assert len({item.id for item, _ in items}) == len(items)


def write_ucm(root, count, photograph):
    rows, marked = [], []
    names = {"airplane": "airplane", "tenniscourt": "tennis court"}
    for scene, category in names.items():
        for number in range(count):
            name = f"test/{scene}/{scene}{number:02d}.jpg"
            photograph(root / name, number, (64, 64))
            rows.append({"image": name, "split": "test", "scene": scene, "captions": [f"A {category} ."] * 5})
            polygon = [[10, 10], [40, 10], [40, 40], [10, 40]]
            objects = [{"category": category, "polygon": polygon, "truncated": False}]
            marked.append({"image": name, "width": 64, "height": 64, "objects": objects, "ignore": []})
    for path, lines in (("captions.jsonl", rows), ("boxes.jsonl", marked)):
        (root / path).write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def test_uc_merced_in_mosaics_and_captions(read_benchmark, tmp_path, photograph):
    write_ucm(tmp_path, 3, photograph)
    items, _ = read_benchmark("identify")
    assert len(items) == 6
    with Image.open(tmp_path / "made" / items[0][0].image) as mosaic:
        assert mosaic.size == (128, 128)
    captions, _ = read_benchmark("ucm-captions")
    assert len(captions) == 6
    assert captions[0][0].fields["scene"] in ("airplane", "tennis court")
