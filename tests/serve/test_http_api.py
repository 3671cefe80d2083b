"""The HTTP API over real HTTP: questions, their limits, and requests that are refused."""

import asyncio
import base64
import json

import httpx
import pytest
from serve_wire import MEBI, WAIT_S, Memory, run, send_chunks, wait_until

from geochat import GeoChat
from geochat_serve.answering import AnswerService
from geochat_serve.api import build_api
from geochat_serve.api.schema import AnswerBody
from geochat_serve.jobs import Jobs
from geochat_serve.queue import FairQueue

QUESTIONS = ("ask", "describe", "classify")
POSTS = (*QUESTIONS, "find")


@pytest.fixture(scope="module")
def api(server):
    with httpx.Client(base_url=f"{server.url}api/v1/", timeout=WAIT_S) as client:
        yield client


@pytest.fixture(scope="module")
def png(pictures):
    return (pictures / "wide.png").read_bytes()


def in_base64(content):
    return base64.b64encode(content).decode()


def problem_of(answer):
    """The problem details of an answer, which has the right form."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    values = answer.json()
    assert values["status"] == answer.status_code
    assert values["detail"]
    return values


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
    cancelled = len(engine.cancelled)
    leave(api, {"image": ("a.png", png)})
    wait_until(lambda: len(engine.cancelled) > cancelled)
    wait_until(lambda: server.answers.queue.computing == 0)
    wait_until(lambda: _no_claimed(server.storage))


def _no_claimed(storage):
    return not any(path.is_file() for path in (storage.uploads.parent / "claimed").rglob("*"))


BAD_FORMS = [
    ({"nonsense": "1"}, 422, "there is no field 'nonsense'"),
    ({"task": "guess"}, 422, "no task 'guess'"),
    ({"window": "1,2,3"}, 422, "window"),
    ({"window": "5000,5000,10,10"}, 422, "window"),
    ({"bands": "9"}, 422, "band"),
    ({"stretch": "wild"}, 422, "stretch"),
    ({"page": "7"}, 422, "page"),
    ({"regions": "[[1, 2, 3]]"}, 422, "a region must be four or five numbers"),
    ({"regions": "{"}, 422, "regions"),
    ({"regions": '{"type": "Point"}'}, 422, ""),
    ({"regions": "[" * 5000}, 422, "deep"),
    ({"temperature": "-1"}, 422, "temperature=-1"),
    ({"max_new_tokens": "1e9"}, 422, "max_new_tokens"),
    ({"question": "x" * 9000}, 422, "9,000 characters"),
    ({"question": "too long"}, 422, "too long for the model"),
    ({"choices": "one"}, 422, "choices"),
]


@pytest.mark.parametrize(("fields", "status", "words"), BAD_FORMS)
def test_bad_fields(api, png, fields, status, words):
    answer = api.post("ask", files={"image": ("a.png", png)}, data={"question": "?"} | fields)
    assert answer.status_code == status
    assert words in problem_of(answer)["detail"]


BAD_JSON = [
    (b"", 400, "not JSON"),
    (b"[]", 400, "not a JSON object"),
    (b"{}", 400, "the image is missing"),
    (b'{"image": 3}', 400, "the image is missing"),
    (b'{"image": ""}', 422, "empty"),
    (b'{"image": "/etc/passwd"}', 422, "no path or URL"),
    (b'{"image": "http://127.0.0.1/a.png"}', 422, "no path or URL"),
    (b'{"image": "../../etc/passwd"}', 422, "no path or URL"),
    (b'{"image": "\\ud800"}', 422, "not base64"),
    (b'{"image": "AAAA", "question": "\\ud800"}', 422, ""),
    (b'{"image": "AAAA"}', 422, "is not a"),
    (b'{"image": "AAAA", "window": [NaN, 0, 1, 1]}', 422, "window"),
    (b'{"image": "AAAA", "temperature": Infinity}', 422, "temperature"),
    (b'{"image": "AAAA", "regions": ' + b"[" * 100_000, 400, "nested too deeply"),
    (b"\xff\xfe{", 400, "not JSON"),
]


@pytest.mark.parametrize(("body", "status", "words"), BAD_JSON)
def test_bad_json(api, body, status, words):
    answer = api.post("ask", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert words in problem_of(answer)["detail"]


@pytest.mark.parametrize("name", POSTS)
def test_requests_without_an_image(api, png, name):
    assert problem_of(api.post(name, content=b"image=1"))["status"] == 415
    assert problem_of(api.post(name, data={"question": "?"}))["status"] == 415
    no_file = api.post(name, files={"picture": ("a.png", png)})
    assert "name it image" in problem_of(no_file)["detail"]
    two = api.post(name, files=[("image", ("a.png", png)), ("image", ("b.png", png))])
    assert "more than 1 file" in problem_of(two)["detail"]
    assert problem_of(api.post(name, files={"image": ("a.png", b"no image")}, data=_needed(name)))["status"] == 422


def _needed(name):
    return {"phrases": "it"} if name == "find" else {}


@pytest.mark.parametrize("name", POSTS)
def test_large_requests_are_refused_while_they_come(server, api, pictures, name):
    too_large = api.post(name, files={"image": ("huge.png", (pictures / "huge.png").read_bytes())})
    assert problem_of(too_large)["status"] == 413
    with Memory() as memory:
        status, _, answer = send_chunks(server.url, f"/api/v1/{name}", 100 * MEBI)
    assert status == 413
    assert b"problem+json" in answer
    status, _, _ = send_chunks(server.url, f"/api/v1/{name}", MEBI, kind="multipart/form-data; boundary=x")
    assert status == 411
    assert memory.growth < 48 * MEBI


def test_large_fields_are_refused(api, png):
    answer = api.post("ask", files={"image": ("a.png", png)}, data={"question": "x" * 2**19, "task": "chat"})
    assert "its fields exceed 512 KB" in problem_of(answer)["detail"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "..\\a.png", "/etc/passwd", "a\0b.png", "x" * 300, ""])
def test_a_file_s_name_is_never_a_path(api, png, name):
    answer = api.post("ask", files={"image": (name or "?", png)}, data={"question": "?"})
    shown = answer.raise_for_status().json()["image"]["path"]
    assert "/" not in shown
    assert "\\" not in shown
    assert len(shown) <= 100


def test_nothing_is_left_on_disk(server, api, png):
    for content, fields in ((png, {"question": "?"}), (b"no image", {}), (png, {"nonsense": "1"})):
        api.post("ask", files={"image": ("a.png", content)}, data=fields)
        api.post("ask", json={"image": in_base64(content), **fields})
    wait_until(lambda: _no_claimed(server.storage))


def test_the_model_s_own_errors_are_not_told(api, png):
    answer = api.post("ask", files={"image": ("a.png", png)}, data={"question": "explode"})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    problem_of(answer)


def test_unknown_routes_and_methods(api):
    assert problem_of(api.get("nowhere"))["status"] == 404
    assert problem_of(api.get("ask"))["status"] == 405
    assert problem_of(api.get("jobs/none"))["status"] == 404


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
    values = api.get("server").raise_for_status().json()
    assert values["model"] == "scripted"
    assert "geopackage" in values["formats"]
    assert values["max_upload_mb"] == 2


def test_a_full_queue_is_told(storage, engine, png):
    """More questions of one client than may wait: the others get 429 and a time to come back."""

    async def ask_at_once():
        answers = AnswerService(GeoChat(engine), FairQueue(1, 1))
        jobs = Jobs(answers, storage)
        app = build_api(answers, jobs, storage, max_upload_mb=2)
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1/") as client:
            body = {"image": in_base64(png), "question": "?"}
            return await asyncio.gather(*(client.post("ask", json=body) for _ in range(4))), jobs, answers

    results, jobs, answers = run(ask_at_once())
    jobs.close()
    answers.close()
    statuses = sorted(answer.status_code for answer in results)
    assert statuses[0] == 200
    assert statuses[-1] == 429
    refused = next(answer for answer in results if answer.status_code == 429)
    assert refused.headers["retry-after"]
    assert "waiting already" in problem_of(refused)["detail"]
