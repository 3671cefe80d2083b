"""From labels to a file and back: what is built passes the check, and the check finds what is wrong."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageFilter

from geochat.cli import build_parser
from geochat.dialects import GEOCHAT
from geochat.errors import DataError, SettingsError
from geochat.geometry import AngleConvention, OrientedBox
from geochat.prompts import Message
from geochat_data.building import BuildSettings, build_samples
from geochat_data.checking import check_leakage, check_samples, hash_images, image_paths
from geochat_data.duplicates import find_matches
from geochat_data.inspection import statistics
from geochat_data.questions import wordings
from geochat_data.readers import DataSource, Report, read
from geochat_data.readers.boxes import write_boxes
from geochat_data.records import LabelledImage, LabelledObject
from geochat_data.samples import Sample, read_samples, write_samples
from geochat_data.synthetic import render_scene


@pytest.fixture(scope="module")
def scenes():
    return [render_scene(seed, 128) for seed in range(18)]


def built(scenes, folder, **settings):
    return list(build_samples(scenes, folder / "images", BuildSettings(GEOCHAT, **settings)))


def test_what_is_built_passes_the_check(scenes, tmp_path):
    samples = built(scenes, tmp_path)
    assert built(scenes, tmp_path) == samples, "the same seed gives the same samples"
    assert built(scenes, tmp_path, seed=1) != samples
    write_samples(tmp_path / "train.json", samples)
    report, files = check_samples(tmp_path / "train.json", tmp_path / "images", GEOCHAT)
    assert str(report) == f"{len(samples)} used, 0 skipped"
    assert len(files) > 14


def test_packed_samples_hold_an_images_questions(scenes, tmp_path):
    packed = built(scenes, tmp_path, packed=True, dialogues=0)
    assert len(packed) == len({sample.image for sample in packed})
    assert max(len(sample.messages) // 2 for sample in packed) in range(6, 11)
    single = built(scenes, tmp_path, dialogues=0)
    assert {len(sample.messages) for sample in single} == {2}
    assert any(len(sample.messages) > 4 for sample in built(scenes, tmp_path, dialogues=1))


def test_held_out_wordings_do_not_meet_those_of_training(scenes, tmp_path):
    def captions(wording):
        samples = built(scenes, tmp_path, wording=wording)
        return {m.text for s in samples for m in s.messages if m.text in every}

    pools = wordings.CAPTION
    every = {*pools.published, *pools.varied, *pools.held_out}
    assert captions("varied") <= {*pools.published, *pools.varied}
    assert captions("held out") <= set(pools.held_out)
    assert captions("held out")


def test_objects_too_small_to_be_written_are_not_asked_about(tmp_path):
    tiny = LabelledObject("car", ((10, 10), (11, 10), (11, 12), (10, 12)))
    image = LabelledImage(
        None, 1000, 1000, (tiny,), labelled=frozenset({"car"}), pixels=np.zeros((1000, 1000, 3), np.uint8)
    )
    assert built([image], tmp_path) == []


def test_absence_is_asked_about_in_measure(tmp_path):
    blank = LabelledImage(
        None, 64, 64, scene="forest", captions=("Trees.",), labelled=frozenset({"car", "ship"}),
        pixels=np.zeros((64, 64, 3), np.uint8),
    )  # fmt: skip
    answers = Counter("no" in s.messages[-1].text.split() for s in built([blank] * 200, tmp_path))
    assert answers[True] < 0.2 * answers[False] + 20


def test_files_elsewhere_and_bad_settings(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "images").mkdir()
    image = LabelledImage(tmp_path / "a.png", 9, 9, scene="river")
    with pytest.raises(DataError, match="--image-root"):
        built([image], tmp_path)
    for bad in ({"questions": (3, 2)}, {"questions": (0, 2)}, {"dialogues": 2.0}):
        with pytest.raises(SettingsError):
            BuildSettings(GEOCHAT, **bad)


BAD = [
    ("region without area", "<p>car</p> {<10><10><10><40>|<90>}"),
    ("region outside the image", "<p>car</p> {<140><10><160><40>|<90>}"),
    ("unreadable region", "<p>car</p> {<10><10><20>|<90>}"),
]


@pytest.mark.parametrize(("finding", "answer"), BAD)
def test_bad_regions_are_found(tmp_path, finding, answer):
    good = "<p>car</p> {<-10><90><30><140>|<45>}"
    rows = [
        {"id": n, "conversations": [{"from": "human", "value": f"[refer] {n}"}, {"from": "gpt", "value": text}]}
        for n, text in enumerate((good, answer))
    ]
    (tmp_path / "f.json").write_text(json.dumps(rows))
    report, _ = check_samples(tmp_path / "f.json", None, GEOCHAT)
    (found,) = report.reasons
    assert found.startswith(finding)
    assert report.places[found] == [f"{tmp_path / 'f.json'}: sample 1"]


def test_repeats_and_missing_images_are_found(tmp_path):
    def row(name, answer, image="a.png"):
        turns = [{"from": "human", "value": "<image>\nHow many?"}, {"from": "gpt", "value": answer}]
        return {"id": name, "image": image, "conversations": turns}

    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    rows = [row(1, "3"), row(2, "3"), row(3, "4"), row(3, "5", "gone.png"), row(4, "5", "broken.png")]
    (tmp_path / "f.json").write_text(json.dumps(rows))
    report, _ = check_samples(tmp_path / "f.json", tmp_path, GEOCHAT)
    assert report.reasons == {
        "sample repeated": 1,
        "question repeated with another answer": 1,
        "id used before": 1,
        "image missing or unreadable": 2,
    }


def test_a_copy_is_found_however_it_was_turned_and_saved(tmp_path, scenes):
    for number, scene in enumerate(scenes[:12]):
        (tmp_path / "train").mkdir(exist_ok=True)
        scene.open().save(tmp_path / "train" / f"{number}.png")
    (tmp_path / "test").mkdir()
    copy = scenes[3].open().resize((90, 90)).transpose(Image.Transpose.ROTATE_90).filter(ImageFilter.GaussianBlur(0.5))
    copy.save(tmp_path / "test" / "copy.jpg", quality=50)
    scenes[15].open().save(tmp_path / "test" / "other.png")
    (tmp_path / "test" / "notes.txt").write_text("no image")
    report = Report()
    check_leakage(image_paths(tmp_path / "train"), image_paths(tmp_path / "test"), report)
    (place,) = report.places["image that the other split holds too"]
    assert "3.png is like" in place
    assert "copy.jpg" in place
    with pytest.raises(DataError, match="--against-images"):
        image_paths(tmp_path / "test" / "notes.txt")


def test_real_photographs_are_told_apart(shared):
    paths, hashes = hash_images(sorted((shared / "imagery" / "ucm" / "test").rglob("*.jpg")))
    assert [m for m in find_matches(hashes, hashes) if m.first != m.second] == []
    assert len(paths) == 420


def test_statistics_count_everything(scenes, tmp_path):
    samples = built(scenes, tmp_path)
    charts = statistics(samples, GEOCHAT)
    turns = sum(len(sample.messages) // 2 for sample in samples)
    assert charts["samples"]["with image"] == len(samples)
    assert sum(charts["task"].values()) == sum(charts["boxes"].values()) == turns
    boxes = sum(len(GEOCHAT.parse(m.text).regions) for s in samples for m in s.messages if m.role == "assistant")
    assert sum(charts["angle"].values()) == sum(charts["box area"].values()) == boxes
    assert statistics([], GEOCHAT)["task"] == {}


def geochat_data(*argv):
    args = build_parser().parse_args(["data", *map(str, argv)])
    return args.run(args)


def test_the_commands_on_a_dota_folder(tmp_path, scenes, capsys):
    (tmp_path / "dota" / "images").mkdir(parents=True)
    (tmp_path / "dota" / "labelTxt").mkdir()
    for number, scene in enumerate(scenes[:8]):
        scene.open().save(tmp_path / "dota" / "images" / f"{number}.png")
        lines = [
            " ".join([*(f"{v:.1f}" for corner in item.polygon for v in corner), item.category.replace(" ", "-"), "0"])
            for item in scene.objects
        ]
        (tmp_path / "dota" / "labelTxt" / f"{number}.txt").write_text("\n".join([*lines, *["oops"] * (number == 7)]))
    out, report = tmp_path / "train.json", tmp_path / "report.json"
    build = ("build", "dota", tmp_path / "dota", "--out", out, "--questions", "4", "--packed", "--report", report)
    assert geochat_data(*build) == 0
    told = capsys.readouterr().err
    assert "8 used, 1 skipped: 1 malformed line" in told
    assert "labels unused: 1, images with a category unknown: 1" in told
    account = json.loads(report.read_text())
    assert account["reasons"]["malformed line"]["count"] == account["unused_labels"] == 1
    assert account["unknown"] == {"images": 1, "categories": {"any category": 1}}
    before = out.read_bytes()
    with pytest.raises(DataError, match="malformed line"):
        geochat_data(*build, "--strict")
    assert out.read_bytes() == before, "a build that fails leaves the last file as it was"
    assert not list(tmp_path.glob("*.part"))
    geochat_data(*build)
    assert len(list(read_samples(out))) >= 6
    images = tmp_path / "dota"
    assert geochat_data("check", out, "--images", images) == 0
    assert geochat_data("check", out, "--images", images, "--against", images / "images", "--json") == 1
    tiled = ("build", "dota", tmp_path / "dota", "--out", tmp_path / "tiles.jsonl", "--tile", 64)
    assert geochat_data(*tiled) == 0
    assert geochat_data("check", tmp_path / "tiles.jsonl", "--images", tmp_path / "tiles_images") == 0
    sheet, plots, index = tmp_path / "sheet.png", tmp_path / "plots.png", tmp_path / "train.arrow"
    assert geochat_data("show", out, "--images", images, "--out", sheet, "--count", 3, "--seed", 1) == 0
    with pytest.raises(DataError, match="none of the images"):
        geochat_data("show", out, "--images", tmp_path / "elsewhere", "--out", sheet)
    assert geochat_data("stats", out, "--plots", plots) == 0
    assert geochat_data("index", out) == 0
    assert index.is_file()
    with Image.open(sheet) as first, Image.open(plots) as second:
        assert min(*first.size, *second.size) > 300
    capsys.readouterr()
    assert geochat_data("stats", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["samples"]["with image"] >= 6


def test_what_is_rare_is_shown_more_often(tmp_path, scenes, capsys):
    ((rare, _),) = Counter(sorted(item.category for scene in scenes for item in scene.objects)).most_common()[-1:]
    holding = [scene for scene in scenes if rare in {item.category for item in scene.objects}]
    assert 0 < len(holding) < len(scenes)
    write_boxes(tmp_path / "labelled", scenes)
    out = tmp_path / "more.jsonl"
    build = ("build", "boxes", tmp_path / "labelled", "--out", out, "--holding", f" {rare}", "--views", 3, "--seed", 5)
    assert geochat_data(*build) == 0
    images = tmp_path / "more_images"
    assert str(images) in capsys.readouterr().err
    views = list(images.glob("*_v5.[123]-*.png"))  # one in which nothing can be asked about is not written
    assert len(holding) < len(views) <= 3 * len(holding)
    assert len(list(images.iterdir())) - len(views) == len(holding)
    assert geochat_data("check", out, "--images", images) == 0
    with pytest.raises(SystemExit):
        geochat_data(*build[:-4], "--views", 0)


def test_scenes_are_written_with_their_labels(tmp_path, capsys):
    assert geochat_data("scenes", tmp_path, "--count", 4, "--size", 96, "--seed", 20) == 0
    assert "4 scenes" in capsys.readouterr().out
    for record, seed in zip(read("boxes", DataSource(tmp_path)), range(20, 24), strict=True):
        scene = render_scene(seed, 96)
        assert np.array_equal(np.asarray(record.open()), scene.pixels)
        assert [i.category for i in record.objects] == [i.category for i in scene.objects]
        assert (record.scene, record.labelled) == (scene.scene, scene.labelled)
    with pytest.raises(DataError, match="choose another"):
        geochat_data("scenes", tmp_path / "boxes.jsonl", "--count", 1)


@pytest.mark.parametrize(
    "wrong", [("scenes", "d", "--seed", "-1"), ("show", "f", "--count", "0"), ("build", "dota", "d", "--tile", "x")]
)
def test_wrong_numbers_are_wrong_usage(wrong, capsys):
    with pytest.raises(SystemExit):
        geochat_data(*wrong)
    assert "no whole number" in capsys.readouterr().err


def test_a_folder_of_classes_asks_for_its_own(tmp_path, scenes):
    for number, scene in enumerate(scenes[:6]):
        folder = tmp_path / "set" / ("Solar_Farm" if number % 2 else "quarry")
        folder.mkdir(parents=True, exist_ok=True)
        scene.open().save(folder / f"{number}.png")
    assert geochat_data("build", "folders", tmp_path / "set", "--out", tmp_path / "f.jsonl") == 0
    samples = list(read_samples(tmp_path / "f.jsonl"))
    assert {s.messages[1].text for s in samples} == {"solar farm", "quarry"}
    assert all("solar farm" in s.messages[0].text and "quarry" in s.messages[0].text for s in samples)


def test_real_dota_patches_make_good_samples(shared, tmp_path):
    source = DataSource(shared / "imagery" / "evaluation-only" / "dota", split="test")
    samples = list(build_samples(read("boxes", source), source.path, BuildSettings(GEOCHAT)))
    write_samples(tmp_path / "f.jsonl", samples)
    assert len(samples) > 50
    assert check_samples(tmp_path / "f.jsonl", source.path, GEOCHAT)[0].skipped == 0


def test_what_a_cropping_model_cannot_see_is_not_asked_about(tmp_path):
    def thing(category, x):
        return LabelledObject(category, ((x, 40), (x + 20, 40), (x + 20, 60), (x, 60)))

    objects = (thing("ship", 90), thing("car", 2), thing("airplane", 45), thing("storage tank", 36))
    known = frozenset(item.category for item in objects)
    record = LabelledImage(None, 200, 100, objects, labelled=known, pixels=np.zeros((100, 200, 3), np.uint8))
    how = {"questions": (60, 60), "dialogues": 0.0, "shares": {"refer": 1, "count": 1, "presence": 1, "identify": 1}}
    for dialect, hidden in ((GEOCHAT, ()), (GEOCHAT.fitted(fit="crop", size=50), ("car", "storage tank"))):
        samples = build_samples([record] * 9, tmp_path, BuildSettings(dialect, **how))
        text = " ".join(message.text for sample in samples for message in sample.messages)
        for item in objects:
            assert (item.category in text) == (item.category not in hidden), item.category


def test_angles_are_counted_alike_in_every_dialect():
    box, charts = OrientedBox(10, 20, 40, 30, 50), []
    for angles in (
        AngleConvention(),
        AngleConvention("counterclockwise", "[0,90)"),
        AngleConvention(angle_range="[-45,45)"),
    ):
        dialect = GEOCHAT.fitted(angles=angles)
        messages = (Message("user", "[refer] Where?"), Message("assistant", dialect.write("a ship", [box])))
        charts.append(statistics([Sample("1", None, messages)], dialect))
    assert charts[0] == charts[1] == charts[2]
    assert charts[0]["angle"] == {"45 to 60": 1}
