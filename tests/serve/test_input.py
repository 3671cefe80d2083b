"""Whatever a client sends, the answer is a sentence that says what is wrong, and the server's log has no traceback."""

import json
import logging

import httpx
import pytest

from geochat.errors import RegionError
from geochat_serve.placing import read_boxes, read_places, read_window

HUGE = 10**400
NUMBERS = [1e308, -1e308, 1e400, HUGE, float("nan"), float("inf"), True, None, "7", [1], {"a": 1}]
WORDS = ["\ud800", "\0", "x" * 200_000, "<p>", "\u202e", "</s>", "<image>"]


def strange(number):
    """A box with one strange coordinate."""
    return [[10, 10, number, 60, 0]]


REGIONS = [
    *map(strange, NUMBERS),
    *(NUMBERS[:-1]),
    [[1, 2, 3, 4]],
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


def call(server, name, data):
    with httpx.Client(base_url=f"{server.url}gradio_api/", timeout=60) as client:
        content = json.dumps({"data": data})  # with NaN and Infinity, as Python has them
        started = client.post(f"call/{name}", content=content, headers={"content-type": "application/json"})
        if started.status_code != 200:
            return started.status_code, started.text
        return 200, client.get(f"call/{name}/{started.json()['event_id']}").text


def upload(server, pictures):
    with (pictures / "wide.png").open("rb") as file:
        (name,) = httpx.post(f"{server.url}gradio_api/upload", files={"files": ("wide.png", file)}).json()
    return {"path": name, "meta": {"_type": "gradio.FileData"}}


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("regions", [regions for regions in REGIONS if regions not in (None, [])], ids=repr)
def test_regions_of_a_call(server, pictures, regions):
    status, told = call(server, "ask", [upload(server, pictures), "", "identify", regions])
    assert status in (200, 400, 422)
    if status == 200:
        assert "event: error" in told
        assert "region" in told.lower()
        assert "Error" not in told.partition("data: ")[2].partition('"error": ')[2][:20]


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("words", WORDS, ids=lambda word: ascii(word[:8]))
@pytest.mark.parametrize("name", ["find", "classify"])
def test_words_of_a_call(server, pictures, words, name):
    status, told = call(server, name, [upload(server, pictures), words])
    assert status == 200
    assert "event: complete" in told or "event: error" in told
    assert "event: error\ndata: null" not in told


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    "data", [[None, "it"], [{}, "it"], ["x", "it"], [[], []], [7, 7], [{"path": 7}, "it"]], ids=repr
)
def test_files_of_a_call(server, data):
    status, told = call(server, "find", data)
    assert status != 200 or "event: error" in told


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("element", "event"),
    [
        ("scene-viewer", "opened"),
        ("scene-viewer", "sample"),
        ("scene-viewer", "refused"),
        ("scene-viewer", "detail"),
        ("conversation", "retry"),
        ("conversation", "edit"),
        ("conversation", "keep"),
        ("takeaway", "download_file"),
        ("takeaway", "load_file"),
    ],
)
def test_what_a_page_never_sends(server, pages, element, event):
    page = pages(server.url, "strange")
    page.enter()
    page.trigger("scene-viewer", "sample", {"file": "airport.tif"})
    odd = {"file": "\ud800", "text": "\ud800", "kind": [], "message": {}, "turn": 10**40, "upload": [], "window": "x"}
    for value in (None, [], "x", 7, {}, odd):
        _, warnings = page.trigger(element, event, value)
        assert "the server's" not in " ".join(warnings)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_a_viewer_s_value_of_strange_numbers(server, pages, number):
    page = pages(server.url, "numbers")
    page.enter()
    page.trigger("scene-viewer", "sample", {"file": "airport.tif"})
    session = max(server.sessions, key=lambda session: session.active_at)
    state = json.dumps({"scene": session.scene.id, "regions": strange(number), "window": [0, 0, number, 5]})
    _, warnings = page.trigger("ask", "click", data=["what?", "Auto", True, state])
    assert "the server's" not in " ".join(warnings)


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_boxes_and_windows(opened, pictures, number):
    image = opened(pictures / "place.tif").scene.image
    with pytest.raises(RegionError, match="five numbers"):
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
        read_places(text, opened(pictures / name).scene.image)


def test_large_numbers_that_are_no_coordinates_are_no_matter(opened, pictures):
    image = opened(pictures / "wide.png").scene.image
    value = {
        "type": "Feature",
        "id": HUGE,
        "properties": {"osm_id": 10**12},
        "geometry": {"type": "Polygon", "coordinates": [[[9, 9], [60, 9], [60, 60], [9, 9]]]},
    }
    with pytest.raises(RegionError, match="has no CRS"):  # and no complaint about its numbers
        read_places(json.dumps(value), image)
