"""Every benchmark reads the files it is published as, and asks in the published words."""

import json

import pytest

from geochat.dialects import GEOCHAT
from geochat.errors import DataError, SettingsError
from geochat.geometry import OrientedBox
from geochat_eval.benchmarks import BENCHMARKS
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


def test_every_benchmark_has_a_scorer_and_says_what_it_reads():
    for each in (BENCHMARKS[name] for name in BENCHMARKS):
        assert each.scorer in SCORERS
        assert each.files
        assert each.headline


@pytest.mark.parametrize("name", [each for each in BENCHMARKS if "synthetic" not in BENCHMARKS[each].files])
def test_what_a_benchmark_needs_is_asked_for(name, read_benchmark):
    with pytest.raises(SettingsError, match=r"--images|--questions"):
        read_benchmark(name, images=False)


def test_an_unknown_benchmark_is_an_error_that_names_the_others():
    with pytest.raises(SettingsError, match="no benchmark is called 'imagenet'; choose one of aid, "):
        BENCHMARKS["imagenet"]


def test_a_folder_of_classes_is_asked_with_all_of_them(read_benchmark, tmp_path, photograph):
    for name in ("airplane", "denseresidential"):
        photograph(tmp_path / name / f"{name}00.jpg")
    items, report = read_benchmark("ucmerced")
    assert [item.id for item, _ in items] == ["airplane/airplane00.jpg", "denseresidential/denseresidential00.jpg"]
    assert [item.truth for item, _ in items] == ["airplane", "dense residential"]
    assert items[0][1] == (
        "Classify the image within one of the given classes: airplane, dense residential. "
        "Answer with one word or short phrase."
    )
    assert report.used == 2


def test_scene_files_of_geochat_bench(read_benchmark):
    row = {
        "question_id": "beach/beach_1.jpg",
        "image": "beach/beach_1.jpg",
        "text": "Classify: beach, port.",
        "ground_truth": "Beach",
    }
    bare = {"question_id": "port/port_1.jpg", "image": "port/port_1.jpg", "text": "Classify: beach, port."}
    items, _ = read_benchmark("aid", [row, bare])
    assert [(item.truth, prompt) for item, prompt in items] == [
        ("Beach", "Classify: beach, port."),
        ("port", "Classify: beach, port."),
    ]


def test_rsvqa_as_published_by_geochat_with_truths_beside(read_benchmark, tmp_path):
    truth = tmp_path / "truth.jsonl"
    truth.write_text('{"question_id": 7, "ground_truth": "yes"}\n')
    items, _ = read_benchmark("rsvqa-lr", [LRBEN], truth=truth)
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


def test_rsvqa_triplets(read_benchmark, tmp_path, photograph):
    (tmp_path / "LR_split_test_answers.json").write_text(json.dumps(ANSWERS))
    photograph(tmp_path / "3.png")
    items, report = read_benchmark("rsvqa-lr", json.dumps(RSVQA), "LR_split_test_questions.json", strict=True)
    assert [(item.id, item.image, item.truth, item.fields["category"]) for item, _ in items] == [
        (0, "3.png", "yes", "comp"),
        (2, "3.png", "5", "count"),
    ]
    assert items[0][1] == "Are there more roads than lakes?\nAnswer the question using a single word or phrase."
    assert report.used == 2


@pytest.mark.parametrize("cut", [60, 200])
def test_damaged_json_is_an_error_that_says_so(read_benchmark, tmp_path, cut):
    (tmp_path / "LR_split_test_answers.json").write_text(json.dumps(ANSWERS))
    with pytest.raises(DataError, match=r"damaged JSON|ends before its JSON does"):
        read_benchmark("rsvqa-lr", json.dumps(RSVQA)[:cut], "LR_split_test_questions.json")


def test_referring_and_grounding_prompts(read_benchmark):
    items, _ = read_benchmark("referring", [REFERRING, {**REFERRING, "type": "grounding", "question": "Describe."}])
    assert [prompt for _, prompt in items] == [
        "[refer] Give me the location of <p> 2 large ships at the left </p>",
        "[grounding]Describe.",
    ]
    item = items[0][0]
    assert item.image == "P0003_0002.png"
    row = item.to_row("p")
    assert (row["image_id"], row["size_group"], row["type"]) == ("P0003_0002", "small", "ref")


def test_region_captioning_and_description_prompts(read_benchmark):
    box = "{<10><10><20><20>|<90>}"
    items, _ = read_benchmark("region-captioning", [{**REFERRING, "question": box, "ground_truth": "a small ship"}])
    assert items[0][1] == f"[identify] What is the object present at {box}"
    items, _ = read_benchmark(
        "grounding-description", [{"image_id": "a", "description": "<p>a ship</p> {<1><1><2><2>|<0>}"}]
    )
    assert items[0][1] == "[grounding] Describe the image in detail with the positions of the objects."
    assert items[0][0].truth.startswith("<p>a ship</p>")


def test_vrsbench_arrays(read_benchmark):
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
    assert read_benchmark("vrsbench-caption", json.dumps([caption, 3]), "c.json")[1].reasons == {"not a JSON object": 1}
    items, _ = read_benchmark("vrsbench-vqa", json.dumps([vqa]), "q.json")
    assert items[0][0].fields == {"type": "object color"}
    items, _ = read_benchmark("vrsbench-referring", json.dumps([refer], indent=1), "r.json")
    assert items[0][1] == "[refer] Give me the location of <p> the bus </p>"
    assert GEOCHAT.parse(items[0][0].truth).regions[0].box == OrientedBox(25, 40, 33, 60)


def test_caption_files(read_benchmark):
    images = [
        {"filename": "1.tif", "imgid": 0, "split": "train", "sentences": [{"raw": "No ."}]},
        {"filename": "2.tif", "imgid": 1, "split": "test", "sentences": [{"raw": "A road ."}, {"raw": "Roads ."}]},
        {"filename": "3.tif", "imgid": 2, "split": "test", "sentences": []},
    ]
    items, report = read_benchmark("rsicd", json.dumps({"images": images, "dataset": "rsicd"}), "dataset_rsicd.json")
    assert [(item.image, item.truth, prompt) for item, prompt in items] == [
        ("2.tif", ["A road .", "Roads ."], "Describe the image.")
    ]
    assert report.skipped == 1
