"""A box is followed from its label through data, evaluation and reports of a model that writes otherwise than GeoChat.

Its angles turn counter-clockwise in [0, 90) and it cuts a square from the middle. The image is twice as wide as high,
so whoever assumes the published angles or the padded square is far off; nothing is lost to rounding, because every
number comes out whole.
"""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageDraw
from shapely.geometry import shape

from geochat import GeoChat
from geochat.cli import main
from geochat.dialects import GEOCHAT
from geochat.engines import Chunk, Usage
from geochat.errors import SettingsError
from geochat.geometry import AngleConvention, Frame, OrientedBox
from geochat.models import ModelInfo, Settings, read_settings, write_settings
from geochat.models.reading import read_dialect
from geochat_data.inspection import contact_sheet
from geochat_data.samples import read_samples
from geochat_eval.benchmarks import Sources
from geochat_eval.reports import report
from geochat_eval.runs import Prediction, Run, RunSettings
from geochat_eval.scorers import ScorerSettings

SIZE = (400, 200)
SHIP = OrientedBox(140, 60, 220, 100, 60)  # pixels; in the model's numbers centre 40, 40, sides 20 and 40, angle 30
FIELD = OrientedBox(200, 120, 280, 160, 0)
HIDDEN = OrientedBox(20, 40, 60, 80, 30)  # left of the square the model sees


@pytest.fixture
def model(tmp_path):
    """A checkpoint's small files."""
    folder = tmp_path / "model"
    folder.mkdir()
    convention = AngleConvention("counterclockwise", "[0,90)")
    write_settings(Settings("other", convention=convention, fit="crop"), folder)
    (folder / "config.json").write_text('{"vision_config": {"image_size": 100}}')
    return folder


@pytest.fixture
def labels(tmp_path):
    """One image with its labels."""
    image = Image.new("RGB", SIZE)
    for box, colour in ((SHIP, "white"), (FIELD, "green"), (HIDDEN, "white")):
        ImageDraw.Draw(image).polygon(box.corners(), fill=colour)
    image.save(tmp_path / "1.png")
    names = ((SHIP, "ship"), (FIELD, "tennis court"), (HIDDEN, "airplane"))
    objects = [{"category": name, "polygon": box.corners()} for box, name in names]
    row = {"image": "1.png", "objects": objects, "labelled": sorted(name for _, name in names)}
    (tmp_path / "boxes.jsonl").write_text(json.dumps(row) + "\n")
    return tmp_path / "boxes.jsonl"


def in_pixels(box, dialect):
    return box.transform(Frame(SIZE, model=dialect.model_frame).model_to_view)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def build(labels, *options):
    out = labels.with_name("train.jsonl")
    kinds = ["--kinds", "refer,identify,grounding", "--dialogues", "0", "--questions", "40"]
    argv = ["data", "build", "boxes", labels, "--out", out, "--image-root", labels.parent, *kinds, *options]
    assert main(list(map(str, argv))) == 0
    return out


def test_data_are_written_and_read_in_the_models_dialect(model, labels, capsys):
    dialect, out = read_dialect(model), build(labels, "--for", model)
    regions, named = Counter(), Counter()
    for sample in read_samples(out):
        for message in sample.messages:
            for region in dialect.parse(message.text).regions:
                ious = [SHIP.iou(in_pixels(region.box, dialect)), FIELD.iou(in_pixels(region.box, dialect))]
                assert max(ious) == pytest.approx(1)
                regions[int(np.argmax(ious))] += 1
                assert in_pixels(GEOCHAT.parse(message.text).regions[0].box, GEOCHAT).iou(SHIP) < 0.5
        named.update(word for word in ("ship", "tennis", "airplane") if word in str(sample.messages))
    assert min(regions.values()) > 2
    assert named["airplane"] == 0  # the model cannot see it, so nothing is said of it

    there = ["--images", str(labels.parent), "--for", str(model)]
    assert main(["data", "check", str(out), *there]) == 0
    capsys.readouterr()
    assert main(["data", "stats", str(out), "--for", str(model), "--json"]) == 0
    angles = json.loads(capsys.readouterr().out)["angle"]
    assert set(angles) == {"0 to 15", "45 to 60"}  # clockwise: 60, and 0 where the model writes 0


def test_pictures_of_data_show_boxes_where_they_are(model, labels):
    out = build(labels, "--for", model)
    answers = [s for s in read_samples(out) if "<p>the ship</p>" in s.messages[1].text]
    picture = np.asarray(contact_sheet(answers[:1], labels.parent, read_dialect(model)).crop((2, 2, 318, 160)))
    green = (picture == (0, 255, 120)).all(-1)
    xs, ys = np.nonzero(green.T)
    scale = 316 / 400
    wanted = np.array(SHIP.corners()) * scale
    assert (xs.min(), xs.max()) == pytest.approx((wanted[:, 0].min(), wanted[:, 0].max()), abs=2)
    assert (ys.min(), ys.max()) == pytest.approx((wanted[:, 1].min(), wanted[:, 1].max()), abs=2)


class Perfect:
    """Writes true boxes in its own dialect."""

    name, sha256 = "perfect", None

    def __init__(self, dialect):
        self.dialect = dialect

    def predict(self, questions):
        to_model = ~Frame(SIZE, model=self.dialect.model_frame).model_to_view
        for asked in questions:
            phrase = asked.row["phrase"]
            box = next(box for word, box in (("ship", SHIP), ("court", FIELD), ("plane", HIDDEN)) if word in phrase)
            yield asked.number, Prediction(self.dialect.write(phrase, [box.transform(to_model)]))


def run(folder, labels, predictor, benchmark="refer"):
    work = Run(folder, RunSettings(benchmark, Sources(labels.parent, labels, dialect=predictor.dialect)))
    list(work.answer(predictor))
    return folder


def test_a_run_is_scored_and_shown_in_the_dialect_of_who_answered(model, labels, tmp_path, capsys):
    theirs = run(tmp_path / "theirs", labels, Perfect(read_dialect(model)))
    ours = run(tmp_path / "ours", labels, Perfect(GEOCHAT))
    made = report(theirs, ScorerSettings(0), beside={"geochat": ours})
    shown = made.examples["worst"]
    assert len(shown) == 3
    for example in shown:
        assert example.quality == pytest.approx(1)
        found, true = (
            [tuple(map(float, p.split(","))) for p in each[0].split()] for each in (example.found, example.true)
        )
        assert OrientedBox.from_polygon(found).iou(OrientedBox.from_polygon(true)) == pytest.approx(1, abs=0.01)
    assert made.figures["first_box@0.75"].percent == 100
    assert made.figures["clean_regions"].percent == 100
    assert made.beside["geochat"].report.used == 3
    rows = [lines(folder / "answers.jsonl") for folder in (theirs, ours)]
    assert [row["ground_truth"] for row in rows[0]] == [row["ground_truth"] for row in rows[1]]
    about = json.loads((theirs / "run.json").read_text())["dialect"]
    assert about == {
        "name": "geochat", "direction": "counterclockwise", "angle_range": "[0,90)", "fit": "crop", "image_size": 100
    }  # fmt: skip

    argv = [
        "eval",
        "score",
        str(theirs / "answers.jsonl"),
        "--as",
        "referring",
        "--json",
        "--images",
        str(labels.parent),
    ]
    assert main(argv) == 0  # in a run's folder, whose dialect is known
    assert json.loads(capsys.readouterr().out)["matched_boxes@0.75"] == 100
    argv = ["eval", "compare", str(theirs), str(ours), "--json", "--bootstrap", "0"]
    assert main(argv) == 0
    assert json.loads(capsys.readouterr().out)["questions"] == {"first_better": 0, "second_better": 0, "equal": 3}


def test_regions_are_asked_about_in_the_dialect_of_who_answers(model, labels, tmp_path):
    dialect = read_dialect(model)
    for benchmark, questions in (("identify", labels), ("region-captioning", tmp_path / "bench.jsonl")):
        region = GEOCHAT.write_box(SHIP.transform(~Frame(SIZE, model=GEOCHAT.model_frame).model_to_view))
        row = {"question_id": 1, "image_id": "1.png", "question": region, "ground_truth": "a ship"}
        (tmp_path / "bench.jsonl").write_text(json.dumps(row) + "\n")
        sources = Sources(labels.parent, questions, dialect=dialect, rendered=tmp_path / "made")
        work = Run(tmp_path / benchmark, RunSettings(benchmark, sources))
        prompts = [row["prompt"] for row in lines(work.folder.questions)]
        boxes = [in_pixels(dialect.parse(prompt).regions[0].box, dialect) for prompt in prompts]
        assert max(box.iou(SHIP) for box in boxes) > (0.999 if benchmark == "identify" else 0.9)  # whole percents


def test_somebodys_answers_are_scored_for_their_model(model, labels, tmp_path, capsys):
    samples = read_samples(build(labels, "--for", model))
    answer = next(s.messages[1].text for s in samples if "<p>the ship</p>" in s.messages[1].text)
    known = {"ground_truth": [SHIP.corners()], "width": SIZE[0], "height": SIZE[1]}
    rows = [{"answer": answer, **known}, {"answer": answer, **known, "ground_truth": answer}]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    argv = ["eval", "score", str(tmp_path / "answers.jsonl"), "--as", "referring", "--json", "--bootstrap", "0"]
    capsys.readouterr()
    assert main([*argv, "--for", str(model)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["matched_boxes@0.75"] == found["format_validity"]["clean_regions"]["percent"] == 100
    assert found["about"]["dialect"]["direction"] == "counterclockwise"
    assert main(argv) == 0
    assert json.loads(capsys.readouterr().out)["matched_boxes@0.25"] == 50  # read as GeoChat's, only the text agrees


def test_a_run_is_of_one_dialect(model, labels, tmp_path):
    run(tmp_path / "run", labels, Perfect(GEOCHAT))
    with pytest.raises(SettingsError, match="dialect"):
        run(tmp_path / "run", labels, Perfect(read_dialect(model)))
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    del about["dialect"]  # as runs were before it was written down
    (tmp_path / "run" / "run.json").write_text(json.dumps(about))
    assert report(tmp_path / "run", ScorerSettings(0)).figures["first_box@0.75"].percent == 100
    run(tmp_path / "run", labels, Perfect(GEOCHAT.fitted(size=504)))  # the size of a padded square changes nothing
    sources = Sources(labels.parent, labels, dialect=GEOCHAT)
    with pytest.raises(SettingsError, match="another"):
        list(Run(tmp_path / "other", RunSettings("refer", sources)).answer(Perfect(read_dialect(model))))


class Answering:
    """Says what it is told, as a checkpoint of these settings."""

    def __init__(self, settings, text):
        self.info, self.text, self.requests = ModelInfo(settings, 100, 10), text, []

    def stream(self, request):
        self.requests.append(request)
        yield Chunk(self.text, "stop", Usage(1, 1))

    def cancel(self, _request_id):
        """Has nothing to cancel."""


def test_asking_reading_and_exporting_agree(model, labels):
    dialect = read_dialect(model)
    to_model = ~Frame(SIZE, model=dialect.model_frame).model_to_view
    written = dialect.write("the ship", [SHIP.transform(to_model)])
    engine = Answering(read_settings(model), written)
    chat = GeoChat(engine)
    answer = chat.ask(labels.with_name("1.png"), "the ship", task="refer")
    assert answer.regions[0].geometry.iou(SHIP) == pytest.approx(1)
    (feature,) = answer.to_geojson()["features"]
    exported = shape(feature["geometry"])
    assert exported.intersection(SHIP.polygon()).area / exported.union(SHIP.polygon()).area == pytest.approx(
        1, abs=1e-3
    )

    again = chat.ask(labels.with_name("1.png"), "", task="identify", regions=answer.to_geojson())
    asked = dialect.parse(again.prompt).regions[0].box
    assert in_pixels(asked, dialect).iou(SHIP) == pytest.approx(1, abs=0.02)  # whole numbers of a hundred pixels
    drawn = np.asarray(answer.draw()) != np.asarray(answer.image.pil())
    ys, xs = np.nonzero(drawn.any(-1)[:, :240])
    left, _, _, bottom = SHIP.polygon().bounds
    assert (xs.min(), ys.max()) == pytest.approx((left, bottom), abs=6)


def test_two_ways_to_say_the_dialect_contradict(model, labels, capsys):
    argv = ["data", "check", str(labels), "--for", str(model), "--dialect", "llava"]
    assert main(argv) == 1
    assert "both say how boxes are written" in capsys.readouterr().err
