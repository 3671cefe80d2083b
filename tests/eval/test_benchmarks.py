"""Every benchmark reads the files it is published as, and asks in the published words."""

import json

import numpy as np
import pytest
from PIL import Image

from geochat.dialects import GEOCHAT
from geochat.errors import DataError, SettingsError
from geochat.geometry import OrientedBox
from geochat_data.readers import Report
from geochat_eval.benchmarks import BENCHMARKS, Sources
from geochat_eval.scorers import SCORERS

LRBEN = {
    "question_id": 7,
    "image": "0.tif",
    "text": "Is there a road? Answer the question using one word.",
    "category": "presence",
}
REFERRING = {
    "image_id": "P0003_0002",
    "question": "2 large ships at the left",
    "ground_truth": [[[10, 10], [20, 10], [20, 20], [10, 20]]],
    "question_id": "r1",
    "type": "ref",
    "dataset": "SOTA",
    "obj_ids": [1, 2],
    "size_group": "small",
}


@pytest.fixture
def read(tmp_path):
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


def photograph(path, seed=0, size=(32, 32)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), np.uint8)
    Image.fromarray(pixels).save(path)


def test_every_benchmark_has_a_scorer_and_says_what_it_reads():
    for each in (BENCHMARKS[name] for name in BENCHMARKS):
        assert each.scorer in SCORERS
        assert each.files
        assert each.headline


@pytest.mark.parametrize("name", [each for each in BENCHMARKS if "synthetic" not in BENCHMARKS[each].files])
def test_what_a_benchmark_needs_is_asked_for(name, read):
    with pytest.raises(SettingsError, match=r"--images|--questions"):
        read(name, images=False)


def test_an_unknown_benchmark_is_an_error_that_names_the_others():
    with pytest.raises(SettingsError, match="no benchmark is called 'imagenet'; choose one of aid, "):
        BENCHMARKS["imagenet"]


def test_a_folder_of_classes_is_asked_with_all_of_them(read, tmp_path):
    for name in ("airplane", "denseresidential"):
        photograph(tmp_path / name / f"{name}00.jpg")
    items, report = read("ucmerced")
    assert [item.id for item, _ in items] == ["airplane/airplane00.jpg", "denseresidential/denseresidential00.jpg"]
    assert [item.truth for item, _ in items] == ["airplane", "dense residential"]
    assert items[0][1] == (
        "Classify the image within one of the given classes: airplane, dense residential. "
        "Answer with one word or short phrase."
    )
    assert report.used == 2


def test_scene_files_of_geochat_bench(read):
    row = {
        "question_id": "beach/beach_1.jpg",
        "image": "beach/beach_1.jpg",
        "text": "Classify: beach, port.",
        "ground_truth": "Beach",
    }
    bare = {"question_id": "port/port_1.jpg", "image": "port/port_1.jpg", "text": "Classify: beach, port."}
    items, _ = read("aid", [row, bare])
    assert [(item.truth, prompt) for item, prompt in items] == [
        ("Beach", "Classify: beach, port."),
        ("port", "Classify: beach, port."),
    ]


def test_rsvqa_as_published_by_geochat_with_truths_beside(read, tmp_path):
    truth = tmp_path / "truth.jsonl"
    truth.write_text('{"question_id": 7, "ground_truth": "yes"}\n')
    items, _ = read("rsvqa-lr", [LRBEN], truth=truth)
    item, prompt = items[0]
    assert (item.truth, item.fields["category"]) == ("yes", "presence")
    assert prompt == "Is there a road? Answer the question using one word."


RSVQA = {
    "questions": [
        {
            "id": 0,
            "img_id": 3,
            "type": "comp",
            "question": "Are there more roads than lakes?",
            "answers_ids": [0],
            "active": True,
        },
        {"id": 1, "active": False},
        {"id": 2, "img_id": 3, "type": "count", "question": "How many?", "answers_ids": [2], "active": True},
    ]
}
ANSWERS = {
    "answers": [
        {"id": 0, "question_id": 0, "answer": "yes", "active": True},
        {"id": 1, "active": False},
        {"id": 2, "question_id": 2, "answer": "5", "active": True},
    ]
}


def test_rsvqa_triplets(read, tmp_path):
    (tmp_path / "LR_split_test_answers.json").write_text(json.dumps(ANSWERS))
    photograph(tmp_path / "3.png")
    items, report = read("rsvqa-lr", json.dumps(RSVQA), "LR_split_test_questions.json", strict=True)
    assert [(item.id, item.image, item.truth, item.fields["category"]) for item, _ in items] == [
        (0, "3.png", "yes", "comp"),
        (2, "3.png", "5", "count"),
    ]
    assert items[0][1] == "Are there more roads than lakes?\nAnswer the question using a single word or phrase."
    assert report.used == 2


@pytest.mark.parametrize("cut", [60, 200])
def test_damaged_json_is_an_error_that_says_so(read, tmp_path, cut):
    (tmp_path / "LR_split_test_answers.json").write_text(json.dumps(ANSWERS))
    with pytest.raises(DataError, match="damaged JSON"):
        read("rsvqa-lr", json.dumps(RSVQA)[:cut], "LR_split_test_questions.json")


def test_referring_and_grounding_prompts(read):
    items, _ = read("referring", [REFERRING, {**REFERRING, "type": "grounding", "question": "Describe."}])
    assert [prompt for _, prompt in items] == [
        "[refer] Give me the location of <p> 2 large ships at the left </p>",
        "[grounding]Describe.",
    ]
    item = items[0][0]
    assert item.image == "P0003_0002.png"
    row = item.to_row("p")
    assert (row["image_id"], row["size_group"], row["type"]) == ("P0003_0002", "small", "ref")


def test_region_captioning_and_description_prompts(read):
    box = "{<10><10><20><20>|<90>}"
    items, _ = read("region-captioning", [{**REFERRING, "question": box, "ground_truth": "a small ship"}])
    assert items[0][1] == f"[identify] What is the object present at {box}"
    items, _ = read("grounding-description", [{"image_id": "a", "description": "<p>a ship</p> {<1><1><2><2>|<0>}"}])
    assert items[0][1] == "[grounding] Describe the image in detail with the positions of the objects."
    assert items[0][0].truth.startswith("<p>a ship</p>")


def test_vrsbench_arrays(read):
    caption = {
        "image_id": "a.png",
        "ground_truth": "Buses.",
        "question": "Describe the image in detail",
        "question_id": 0,
        "type": "caption",
    }
    vqa = {
        "image_id": "a.png",
        "question": "What color?",
        "ground_truth": "Yellow",
        "question_id": 1,
        "type": "object color",
    }
    refer = {
        "image_id": "a.png",
        "question": "the bus",
        "ground_truth": "{<25><40><33><60>}",
        "question_id": 2,
        "type": "ref",
    }
    assert read("vrsbench-caption", json.dumps([caption, 3]), "c.json")[1].reasons == {"not a JSON object": 1}
    items, _ = read("vrsbench-vqa", json.dumps([vqa]), "q.json")
    assert items[0][0].fields == {"type": "object color"}
    items, _ = read("vrsbench-referring", json.dumps([refer], indent=1), "r.json")
    assert items[0][1] == "[refer] Give me the location of <p> the bus </p>"
    assert GEOCHAT.parse(items[0][0].truth).regions[0].box == OrientedBox(25, 40, 33, 60)


def test_caption_files(read):
    images = [
        {"filename": "1.tif", "imgid": 0, "split": "train", "sentences": [{"raw": "No ."}]},
        {"filename": "2.tif", "imgid": 1, "split": "test", "sentences": [{"raw": "A road ."}, {"raw": "Roads ."}]},
        {"filename": "3.tif", "imgid": 2, "split": "test", "sentences": []},
    ]
    items, report = read("rsicd", json.dumps({"images": images, "dataset": "rsicd"}), "dataset_rsicd.json")
    assert [(item.image, item.truth, prompt) for item, prompt in items] == [
        ("2.tif", ["A road .", "Roads ."], "Describe the image.")
    ]
    assert report.skipped == 1


@pytest.fixture
def boxes(tmp_path):
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


def test_refer_from_boxes_asks_for_each_object_and_for_all(read, boxes):
    items, _ = read("refer", boxes)
    asked = {(item.image, item.fields["phrase"]): item for item, _ in items}
    assert ("a.png", "all airplanes") in asked
    assert len(asked["a.png", "all airplanes"].truth) == 2
    ship = asked["a.png", "the ship"]
    assert ship.fields["only_one"]
    assert ship.fields["clip"] == [0, 25, 100, 75]  # a 2:1 image in the middle of its square
    assert ship.truth[0][:4] == pytest.approx([40, 35, 50, 45])  # not rounded


def test_held_out_wordings_ask_for_the_same(read, boxes):
    published, _ = read("refer", boxes)
    held_out, _ = read("refer", boxes, wording="held out")
    assert [item.truth for item, _ in published] == [item.truth for item, _ in held_out]
    assert all("location" in prompt for _, prompt in published)
    assert not any("location" in prompt for _, prompt in held_out)


def test_absent_questions_come_in_pairs(read, boxes):
    items, _ = read("refer-absent", boxes)
    assert [(item.image, item.truth, item.fields["category"]) for item, _ in items] == [
        ("b.png", "yes", "airplane"),
        ("b.png", "no", "ship"),
    ]


def test_identify_asks_for_two_categories_of_one_image(read, boxes):
    items, _ = read("identify", boxes)
    assert {item.truth for item, _ in items} == {"airplane", "ship"}
    assert len({item.fields["pair"] for item, _ in items}) == 1
    assert all(prompt.startswith("[identify]") and "{<" in prompt for _, prompt in items)


def test_synthetic_scenes_are_drawn_once_and_the_same(read, tmp_path):
    first, _ = read("presence", images=False, scenes=6)
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "made").glob("*.png")}
    again, _ = read("presence", images=False, scenes=6)
    assert [(item, prompt) for item, prompt in first] == [(item, prompt) for item, prompt in again]
    assert pictures
    assert {item.image for item, _ in first} == pictures.keys()


@pytest.mark.parametrize("name", ["comparison", "count", "describe", "identify"])
def test_questions_about_synthetic_scenes(read, name):
    items, _ = read(name, images=False, scenes=8)
    assert items
    assert len({item.id for item, _ in items}) == len(items)


def ucm(root, count):
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


def test_uc_merced_in_mosaics_and_captions(read, tmp_path):
    ucm(tmp_path, 3)
    items, _ = read("identify")
    assert len(items) == 6
    with Image.open(tmp_path / "made" / items[0][0].image) as mosaic:
        assert mosaic.size == (128, 128)
    captions, _ = read("ucm-captions")
    assert len(captions) == 6
    assert captions[0][0].fields["scene"] in ("airplane", "tennis court")
