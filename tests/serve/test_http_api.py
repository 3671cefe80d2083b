"""The HTTP API over real HTTP: questions, streams, and the schema."""

import json

import httpx
import pytest
from serve_wire import WAIT_S, in_base64, wait_until

from geochat import GeoChat
from geochat_serve.api.schema import AnswerBody

POSTS = ("ask", "describe", "classify", "find")


def test_a_form_and_json_get_what_the_facade_answers(api, engine, pictures):
    path = pictures / "place.tif"
    local = GeoChat(engine).ask(path, "where?", task="grounding").to_dict()
    form = api.post(
        "ask", files={"image": (path.name, path.read_bytes())}, data={"question": "where?", "task": "grounding"}
    )
    as_json = api.post(
        "ask",
        json={"image": in_base64(path.read_bytes()), "question": "where?", "task": "grounding", "window": None},
    )
    for answer, name in ((form, "place.tif"), (as_json, "image")):
        values = answer.raise_for_status().json()
        AnswerBody.model_validate(values)
        expected = json.loads(json.dumps(local)) | {"seconds": values["seconds"]}
        expected["image"]["path"] = name
        assert values == expected
        assert values["regions"][0]["map"] is not None


def test_describe_and_classify(api, png):
    image = {"image": ("a.png", png)}
    assert api.post("describe", files=image).json()["task"] == "caption"
    values = api.post("classify", files=image, data={"classes": "harbor, airport"}).json()
    assert (values["task"], values["choice"]) == ("scene", "airport")
    assert [choice["text"] for choice in values["choices"]] == ["harbor", "airport"]
    repeated = api.post("classify", files=image, data={"classes": ["harbor", "airport"]}).json()
    assert repeated["choices"] == values["choices"]


def test_fields_of_a_form_are_text_or_json(api, png):
    fields = {
        "question": "[identify] 2+2?",
        "regions": "[[10, 10, 90, 90, 30]]",
        "window": "0,0,100,100",
        "stretch": '{"method": "limits", "limits": [[0, 200]]}',
        "geojson": "true",
        "stop": "x",
    }
    values = api.post("ask", files={"image": ("a.png", png)}, data=fields).raise_for_status().json()
    assert values["question"] == "[identify] 2+2?"
    assert values["image"]["window"] == [0, 0, 100, 100]
    assert values["image"]["stretch"]["limits"][0] == [0, 200]
    assert len(values["asked"]) == 1
    assert values["geojson"]["geochat"]["image"] == "a.png"


def test_geojson_regions_and_those_that_a_task_does_not_use(api, pictures):
    image = {"image": ("place.tif", (pictures / "place.tif").read_bytes())}
    ring = [[10, 10], [90, 10], [90, 80], [10, 80], [10, 10]]
    feature = {
        "type": "Feature",
        "properties": {"coordinates": "image pixels, y down"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    asked = api.post("ask", files=image, data={"task": "identify", "regions": json.dumps(feature)})
    assert asked.raise_for_status().json()["asked"][0]["outline"] is not None
    image = {"image": ("place.tif", (pictures / "place.tif").read_bytes())}
    unused = api.post("ask", files=image, data={"question": "it", "task": "refer", "regions": "[[1, 1, 9, 9]]"}).json()
    assert unused["notices"][0]["code"] == "region-not-used"


def test_an_answer_streams(api, png):
    headers = {"accept": "text/event-stream"}
    with api.stream("POST", "ask", files={"image": ("a.png", png)}, data={"question": "?"}, headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        text = stream.read().decode()
    events = [block.split("\n", 1) for block in text.strip().split("\n\n")]
    names = [name.removeprefix("event: ") for name, _ in events]
    assert names[0] in ("queue", "start")
    assert names[-1] == "answer"
    assert names.count("region") == 3
    answer = json.loads(events[-1][1].removeprefix("data: "))
    words = [json.loads(data.removeprefix("data: "))["text"] for name, data in events if name[7:] in ("text", "phrase")]
    assert "".join(words).split() == answer["plain_text"].split()


def leave_a_stream(api, image):
    """Close a stream after its first event."""
    headers = {"accept": "text/event-stream"}
    with api.stream("POST", "ask", files=image, data={"question": "slow"}, headers=headers) as stream:
        next(stream.iter_lines())


def give_up_waiting(api, image):
    """Close a request without a stream before it is answered."""
    with pytest.raises(httpx.TimeoutException):
        api.post("ask", files=image, data={"question": "slow"}, timeout=httpx.Timeout(WAIT_S, read=1))


@pytest.mark.parametrize("leave", [leave_a_stream, give_up_waiting])
def test_a_client_that_leaves_ends_its_computation(server, engine, api, png, leave):
    """The engine is told, and the slot and the file are given up."""
    cancelled, computing, before = len(engine.cancelled), server.answers.queue.computing, _claimed(server.storage)
    leave(api, {"image": ("a.png", png)})
    wait_until(lambda: len(engine.cancelled) > cancelled)
    wait_until(lambda: server.answers.queue.computing <= computing)
    wait_until(lambda: _claimed(server.storage) <= before)  # other tests' pages may hold files of their own


def _claimed(storage):
    return {path for path in (storage.uploads.parent / "claimed").rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["../../etc/passwd", "..\\a.png", "/etc/passwd", "a\0b.png", "x" * 300, ""])
def test_a_file_s_name_is_never_a_path(api, png, name):
    answer = api.post("ask", files={"image": (name or "?", png)}, data={"question": "?"})
    shown = answer.raise_for_status().json()["image"]["path"]
    assert "/" not in shown
    assert "\\" not in shown
    assert len(shown) <= 100


def test_nothing_is_left_on_disk(server, api, png):
    before = _claimed(server.storage)
    for content, fields in ((png, {"question": "?"}), (b"no image", {}), (png, {"nonsense": "1"})):
        api.post("ask", files={"image": ("a.png", content)}, data=fields)
        api.post("ask", json={"image": in_base64(content), **fields})
    wait_until(lambda: _claimed(server.storage) <= before)


def test_the_schema_describes_every_route_with_examples(api):
    schema = api.get("openapi.json").raise_for_status().json()
    assert {f"/api/v1/{name}" for name in (*POSTS, "server", "jobs/{job_id}")} <= set(schema["paths"])
    for name in POSTS:
        content = schema["paths"][f"/api/v1/{name}"]["post"]["requestBody"]["content"]
        assert set(content) == {"multipart/form-data", "application/json"}
        for body in content.values():
            assert "image" in body["schema"]["properties"]
            assert body["example"]["image"]
    known = set(schema["components"]["schemas"])
    referred = set(_references(schema))
    assert referred <= {f"#/components/schemas/{name}" for name in known}
    assert api.get("docs").status_code == 404


def _references(value):
    if isinstance(value, dict):
        yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def test_the_server_describes_itself(api, server):
    answer = api.get("server").raise_for_status()
    assert answer.headers["cache-control"] == "no-store"
    values = answer.json()
    assert values["model"] == "scripted"
    assert "geopackage" in values["formats"]
    assert values["max_upload_mb"] == 2
