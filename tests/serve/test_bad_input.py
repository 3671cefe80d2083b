"""Bad input is answered with a sentence that says what is wrong, and leaves no traceback in the server's log."""

import json
import logging

import pytest
from serve_wire import api_client, call, file_reference, upload

from geochat.errors import RegionError
from geochat_serve.validation import read_boxes, read_places, read_window

HUGE = 10**400
NUMBERS = [1e308, -1e308, 1e400, HUGE, float("nan"), float("inf"), True, None, "7", [1], {"a": 1}]
WORDS = ["\ud800", "\0", "x" * 200_000, "<p>", "\u202e", "</s>", "<image>"]


def strange(number):
    """A box with one strange coordinate."""
    return [[10, 10, number, 60, 0]]


REGIONS = [
    *map(strange, NUMBERS),
    *(NUMBERS[:-1]),
    [[1, 2, 3]],
    [[1, 2, 3, 4, 5, 6]],
    [1, 2, 3, 4, 5],
    [[[1, 2, 3, 4, 5]]],
    "here",
    [[10, 10, 20, 20, 0]] * 500,
    {"type": "Polygon"},
]


@pytest.fixture
def quiet(caplog, capfd):
    """Nothing was logged as an exception, and nothing printed as a traceback."""
    caplog.set_level(logging.ERROR)
    yield
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    assert "Traceback" not in capfd.readouterr().err


@pytest.fixture(scope="module")
def client(server):
    with api_client(server) as client:
        yield client


@pytest.fixture
def image(client, pictures):
    return file_reference(upload(client, (pictures / "wide.png").read_bytes()))


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("regions", [regions for regions in REGIONS if regions not in (None, [])], ids=repr)
def test_regions_of_a_call(client, image, regions):
    status, answer = call(client, "ask", [image, "", "identify", regions])
    assert status in (200, 400, 422)
    if status == 200:
        assert "event: error" in answer
        assert "region" in answer.lower()
        assert "Error" not in answer.partition("data: ")[2].partition('"error": ')[2][:20]


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("words", WORDS, ids=lambda word: ascii(word[:8]))
@pytest.mark.parametrize("name", ["find", "classify"])
def test_words_of_a_call(client, image, words, name):
    status, answer = call(client, name, [image, words])
    assert status == 200
    assert "event: complete" in answer or "event: error" in answer
    assert "event: error\ndata: null" not in answer


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    "data", [[None, "it"], [{}, "it"], ["x", "it"], [[], []], [7, 7], [{"path": 7}, "it"]], ids=repr
)
def test_files_of_a_call(client, data):
    status, answer = call(client, "find", data)
    assert status != 200 or "event: error" in answer


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("element", "event"),
    [
        ("scene-viewer", "uploaded"),
        ("scene-viewer", "sample"),
        ("scene-viewer", "upload_failed"),
        ("conversation", "retry"),
        ("conversation", "edit"),
        ("conversation", "correct"),
        ("exports", "load_conversation"),
    ],
)
def test_what_a_page_never_sends(server, pages, element, event):
    page = pages(server, "strange")
    page.load()
    page.trigger("scene-viewer", "sample", {"file": "airport.tif"})
    odd = {
        "file": "\ud800",
        "text": "\ud800",
        "kind": [],
        "message": {},
        "exchange": 10**40,
        "upload": [],
        "window": "x",
    }
    for value in (None, [], "x", 7, {}, odd):
        _, notifications = page.trigger(element, event, value)
        assert "error on the server" not in " ".join(notifications)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_a_viewer_s_value_of_strange_numbers(server, pages, number):
    page = pages(server, "numbers")
    page.load()
    page.trigger("scene-viewer", "sample", {"file": "airport.tif"})
    session = max(server.sessions, key=lambda session: session.active_at)
    state = json.dumps({"scene": session.scene.id, "regions": strange(number), "window": [0, 0, number, 5]})
    _, notifications = page.trigger("ask", "click", data=["what?", "Auto", True, state])
    assert "error on the server" not in " ".join(notifications)


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_boxes_and_windows(opened, pictures, number):
    image = opened(pictures / "place.tif").scene.overview
    with pytest.raises(RegionError, match="four or five numbers"):
        read_boxes(strange(number))
    with pytest.raises(RegionError, match="window"):
        read_window([0, 0, number, 5], image)


@pytest.mark.parametrize(
    "text",
    [
        "px 1e308 1e308 1e308 1e308",
        f"px 0 0 {HUGE} 5",
        "nan nan nan nan",
        "1e308, 1e308, 1.7e308, 1.7e308",
        '{"type": "Polygon", "coordinates": [[[1e308, 0], [1e308, 1], [0, 1], [1e308, 0]]]}',
        f'{{"type": "Point", "coordinates": [{HUGE}, 0]}}',
        '{"type": "GeometryCollection", "geometries": [1, 2]}',
        '{"type": "Polygon", "coordinates": 7}',
        '{"type": "Feature", "geometry": []}',
        '{"type": ["Polygon"]}',
        '{"type": "FeatureCollection", "features": {"a": 1}}',
        "{" * 5000,
        '{"a":' * 5000 + "1" + "}" * 5000,
    ],
    ids=lambda text: text[:30],
)
@pytest.mark.parametrize("name", ["place.tif", "wide.png"])
def test_pasted_regions(opened, pictures, text, name):
    with pytest.raises(RegionError):
        read_places(text, opened(pictures / name).scene.overview)


def test_large_numbers_that_are_no_coordinates_are_no_matter(opened, pictures):
    image = opened(pictures / "wide.png").scene.overview
    value = {
        "type": "Feature",
        "id": HUGE,
        "properties": {"osm_id": 10**12},
        "geometry": {"type": "Polygon", "coordinates": [[[9, 9], [60, 9], [60, 60], [9, 9]]]},
    }
    with pytest.raises(RegionError, match="has no CRS"):  # and no complaint about its numbers
        read_places(json.dumps(value), image)
