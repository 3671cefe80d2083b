"""How answers read at a terminal."""

import math

import pytest
from affine import Affine

from geochat.cli import main
from geochat.cli.text import crs_name, map_digits, percent
from geochat.engines import ChoiceScore, Chunk, Usage
from geochat.models import Capabilities, Settings

SCORES = {"airport": 0.706, "harbor": 0.29, "forest": 0.004}


def scored(request):
    """What an engine that scores choices gives."""
    choices = tuple(ChoiceScore(text, math.log(SCORES[text]), SCORES[text]) for text in request.choices)
    yield Chunk("airport", "stop", Usage(7, 1), choices=choices)


def test_choices_are_printed_with_their_probabilities(chat_with, monkeypatch, geotiff, capsys):
    chat = chat_with(capabilities=Capabilities(choices=True))
    chat.engine.stream = scored
    monkeypatch.setattr("geochat.cli.options.load_model", lambda _args: chat)
    assert main(["ask", str(geotiff), "What is this?", "--choices", "harbor, airport,forest"]) == 0
    assert capsys.readouterr().out.splitlines() == ["airport", "airport 71 %, harbor 29 %, forest under 1 %"]


def test_a_choice_that_was_matched_is_named(answering, geotiff, capsys):
    answering("It is an airport.", "Airports", "a dog")
    for words, line in (("It is an airport.", ""), ("Airports", "choice: airport\n")):
        assert main(["ask", str(geotiff), "What?", "--choices", "airport,harbor"]) == 0
        assert capsys.readouterr().out.startswith(f"{words}\n{line}")
    assert main(["ask", str(geotiff), "What?", "--choices", "airport,harbor"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "a dog\n"
    assert captured.err == "geochat: note: The model answered 'a dog', which is none of those offered.\n"


def test_choices_may_stand_in_a_file(answering, geotiff, tmp_path, capsys):
    answering("harbor")
    (tmp_path / "classes.txt").write_text("airport\nharbor, old\nharbor\n")
    assert main(["ask", str(geotiff), "What?", "--choices", str(tmp_path / "classes.txt"), "--json"]) == 0
    assert '"harbor, old"' in capsys.readouterr().out


def test_two_boxes_of_one_object_have_one_number(answering, geotiff, capsys):
    answering("<p>planes</p> {<10><30><30><40>|<0>}<delim>{<10><30><30><41>|<0>}<delim>{<60><30><80><40>|<0>}")
    assert main(["ask", str(geotiff), "Where?"]) == 0
    captured = capsys.readouterr()
    first, second = (line for line in captured.out.splitlines() if line.startswith("["))
    assert captured.out.startswith("planes [1][1][2]\n")
    assert (first[:3], second[:3]) == ("[1]", "[2]")
    assert "One box is left out" in captured.err


def test_what_was_not_asked_for_says_so(answering, geotiff, capsys):
    answering("<p>building</p> {<10><30><30><40>|<0>}")
    assert main(["ask", str(geotiff), "submarine", "--task", "refer"]) == 0
    captured = capsys.readouterr()
    assert "\n[1] building (200 x 100 m, 20,000 m²; not what was asked for): 20.0,10.0  " in captured.out
    assert '"submarine" was asked for' in captured.err


def test_what_is_known_before_is_printed_before(chat_with, monkeypatch, geotiff, capsys):
    chat = chat_with("", settings=Settings(name="scripted", ground_resolution=(0.1, 0.5)))
    monkeypatch.setattr("geochat.cli.options.load_model", lambda _args: chat)
    assert main(["ask", str(geotiff), "What?"]) == 0
    first, second = capsys.readouterr().err.splitlines()
    assert "it was trained on 10 cm to 50 cm" in first
    assert "nothing to say" in second


def test_verbatim_reaches_the_model(chat_with, monkeypatch, geotiff, capsys):
    settings = Settings(name="scripted", trained_wordings=True, categories=("airplane",))
    for options, same in (([], False), (["--verbatim"], True)):
        chat = chat_with("3", settings=settings)
        monkeypatch.setattr("geochat.cli.options.load_model", lambda _args, chat=chat: chat)
        assert main(["ask", str(geotiff), "How many planes are there?", *options]) == 0
        assert (chat.engine.prompts == ["How many planes are there?"]) is same
        assert ("note" in capsys.readouterr().err) is not same


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.706, "71 %"), (0.0, "0 %"), (0.004, "under 1 %"), (0.999, "over 99 %"), (1.0, "100 %"), (0.5, "50 %")],
)
def test_percent(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("pixel", "crs", "digits"),
    [
        (5, "EPSG:26914", 1),
        (0.3, "EPSG:26914", 2),
        (30, "EPSG:26914", 0),
        (1e-4, "EPSG:4326", 6),
        (1e-9, "EPSG:4326", 7),
    ],
)
def test_digits_tell_tenths_of_a_pixel_apart(pixel, crs, digits):
    assert map_digits(Affine(pixel, 0, 0, 0, -pixel, 0), crs) == digits


def test_a_crs_without_a_code_is_called_by_its_name():
    assert crs_name("EPSG:4326") == "EPSG:4326"
    assert crs_name('PROJCS["My own",GEOGCS["WGS 84"]]') == "My own"
