"""A conversation whose lines come through a pipe."""

import io
import json

import pyogrio
import pytest
from PIL import Image

from geochat.cli import main
from geochat.errors import ContextLengthError

PLANE = "There is <p>1 plane</p> {<10><30><30><40>|<90>} here."


@pytest.fixture
def converse(monkeypatch, capsys, geotiff):
    """`converse("line", ..., options=[...])` gives exit status, standard output and standard error."""

    def say(*lines, options=()):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines).encode())))
        status = main(["chat", str(geotiff), *options])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return say


def test_each_line_is_a_question_and_answers_are_remembered(answering, converse):
    engine = answering("an airfield", PLANE)
    status, out, err = converse("What is this?", "", "  [grounding] Describe the image. ")
    assert (status, err) == (0, "")
    assert out == (
        "an airfield\n\nThere is 1 plane [1] here.\n\n"
        "regions, corners x,y in pixels of the image, and below in EPSG:26914:\n"
        "[1] 1 plane (200 x 100 m, 20,000 m²): 50.0,0.0  50.0,40.0  30.0,40.0  30.0,0.0\n"
        "    500250.0,5200000.0  500250.0,5199800.0  500150.0,5199800.0  500150.0,5200000.0\n\n"
    )
    texts = [message.text for message in engine.requests[1].messages]
    assert texts == ["What is this?", "an airfield", "[grounding] Describe the image."]


def test_json_is_one_line_an_answer(answering, converse):
    answering("an airfield", PLANE)
    _, out, _ = converse("What?", "Where?", options=["--json"])
    assert [json.loads(line)["plain_text"] for line in out.splitlines()] == ["an airfield", "There is 1 plane here."]


def test_regions_and_tasks_stay_until_changed(answering, converse, tmp_path):
    engine = answering(PLANE, *"abcdef")
    converse(
        "Where?",
        f"/save '{tmp_path / 'the plane.geojson'}'",
        f"/region '{tmp_path / 'the plane.geojson'}'",
        "What?",
        "/region 30,0,50,40 -5,0,30,30,45",
        "And now?",
        "/task vqa",
        "/region",
        "Is it old?",
        "/task auto",
        "Sure?",
    )
    assert engine.prompts[1:] == [
        "[identify] What? {<10><30><30><40>|<90>}",
        "[identify] And now? {<10><30><30><40>|<90>} {<-2><25><15><40>|<45>}",
        "Is it old?\nAnswer the question using a single word or phrase.",
        "Sure?",
    ]


def test_another_image_and_clear_start_anew(answering, converse, geotiff):
    engine = answering(*"abc")
    _, _, err = converse(
        "One?", "/region 0,0,9,9", f"/image {geotiff} --window 100,20,80,60 --bands 3,2,1", "Two?", "/clear", "Three?"
    )
    assert [len(request.messages) for request in engine.requests] == [1, 1, 1]
    assert [request.images[0].size for request in engine.requests] == [(200, 100), (80, 60), (80, 60)]
    assert engine.prompts == ["One?", "Two?", "Three?"]  # regions belonged to the first image
    assert "80 x 60 pixels from 100,20" in err


def test_a_conversation_is_saved_in_every_form(answering, converse, tmp_path):
    answering("a <b>bold</b> field", PLANE)
    names = ("a.json", "a.md", "a.geojson", "a.gpkg", "a.png", "a.jpg")
    status, _, err = converse("What?", "Where?", *(f"/save {tmp_path / name}" for name in names))
    assert status == 0
    assert [line.rpartition("wrote ")[2] for line in err.splitlines()] == [str(tmp_path / name) for name in names]
    whole = json.loads((tmp_path / "a.json").read_text())
    assert [(turn["question"], turn["text"]) for turn in whole["answers"]] == [
        ("What?", "a <b>bold</b> field"),
        ("Where?", PLANE),
    ]
    assert whole["answers"][1]["regions"][0]["map"] is not None
    assert whole["model"] == "scripted"
    text = (tmp_path / "a.md").read_text()
    assert text.index("`What?`") < text.index("a &lt;b&gt;bold&lt;/b&gt; field") < text.index("There is 1 plane [1]")
    assert "- [1] 1 plane (200 x 100 m, 20,000 m²): 50.0,0.0" in text
    assert len(json.loads((tmp_path / "a.geojson").read_text())["features"]) == 1
    assert len(pyogrio.raw.read(tmp_path / "a.gpkg")[2]) == 1
    for picture in ("a.png", "a.jpg"):
        with Image.open(tmp_path / picture) as opened:
            assert opened.size == (200, 100)


def test_history_and_help(answering, converse):
    answering(PLANE)
    _, out, _ = converse("/history", "Where?", "/history", "/help")
    assert out.startswith("nothing has been asked yet\n")
    assert "> Where?\nThere is 1 plane [1] here.\n[1] 1 plane (200 x 100 m, 20,000 m²): 50.0," in out
    for name in ("/region", "/task", "/save", "/image", "/history", "/clear", "/help", "/quit"):
        assert f"\n{name}" in out


def test_quit_leaves(answering, converse):
    engine = answering("a")
    assert converse("One?", "/quit", "Two?")[0] == 0
    assert engine.prompts == ["One?"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/fly", "no command '/fly'; /help"),
        ("/", "no command '/'"),
        ("/region 1,2", "'1,2' has 2 numbers"),
        ("/region a,b,c,d", "not numbers"),
        ("/region 900,900,950,950", "lies outside"),
        ("/region nan,0,1,1", "not finite"),
        ("/region gone.geojson", "gone.geojson cannot be read"),
        ("/region scene.tif", "'scene.tif' is not numbers separated by commas; or name a file (.geojson"),
        ("/task fly", "no task 'fly'; choose from auto,"),
        ("/task", "/task takes NAME, not nothing"),
        ("/history now", "/history takes nothing after it, not now"),
        ("/save a.png", "nothing to write to a.png yet"),
        ("/save a.bmp", "'.bmp'"),
        ("/save gone/a.png", "no folder gone"),
        ("/image gone.tif", "'gone.tif' does not exist"),
        ("/image ~nobody-here/a.tif", "does not exist"),
        ("/image", "/image takes FILE"),
        ("/image a.tif --window 1,2,3", "/image: argument --window: '1,2,3' has 3 numbers"),
        ("/image a.tif b.tif", "/image: unrecognized arguments: b.tif"),
        ("/save 'a.png", "No closing quotation"),
        ("[refer]", "the question is empty"),
    ],
)
def test_what_fails_is_one_line_and_the_conversation_goes_on(answering, converse, line, message):
    engine = answering("still here")
    status, out, err = converse(line, "Are you there?")
    assert status == 1
    assert out == "still here\n\n"
    assert message in err
    assert err.startswith("geochat: error: ")
    assert err.count("\n") == 1
    assert engine.prompts == ["Are you there?"]


def test_a_conversation_too_long_can_be_cleared(answering, converse):
    engine = answering("a", "b")
    stream = engine.stream

    def limited(request):
        if len(request.messages) > 1:
            raise ContextLengthError("too long by 7")
        return stream(request)

    engine.stream = limited
    status, out, err = converse("One?", "Two?", "/clear", "Three?")
    assert (status, out) == (1, "a\n\nb\n\n")
    assert err == "geochat: error: too long by 7; /clear forgets the conversation so far\n"


def test_an_unexpected_failure_does_not_end_it_either(answering, converse):
    answering("a")  # and then the script ends
    status, out, err = converse("One?", "Two?", "/history")
    assert status == 1
    assert out.count("a\n") == 2
    assert err.startswith("geochat: error: unexpected IndexError")


def test_an_image_that_cannot_be_opened_ends_it_before_it_begins(answering, capsys):
    answering()
    assert main(["chat", "gone.tif"]) == 1
    assert capsys.readouterr().err.startswith("geochat: error: 'gone.tif' does not exist")
