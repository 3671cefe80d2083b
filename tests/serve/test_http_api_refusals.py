"""Requests that the HTTP API refuses, with problem details: bad fields, too much, and a server that is full or ends."""

import asyncio

import httpx
import pytest
from serve_wire import MEBI, Memory, in_base64, problem_of, run, send_chunks

from geochat import GeoChat
from geochat_serve.answering import AnswerService
from geochat_serve.api import build_api
from geochat_serve.jobs import Jobs
from geochat_serve.queue import FairQueue

POSTS = ("ask", "describe", "classify", "find")


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


@pytest.mark.parametrize(
    "name", ["ask", "find", *(pytest.param(name, marks=pytest.mark.slow) for name in ("describe", "classify"))]
)
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


def test_the_model_s_own_errors_are_not_told(api, png):
    answer = api.post("ask", files={"image": ("a.png", png)}, data={"question": "explode"})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    problem_of(answer)


def test_unknown_routes_and_methods(api):
    assert problem_of(api.get("nowhere"))["status"] == 404
    assert problem_of(api.get("ask"))["status"] == 405
    assert problem_of(api.get("jobs/none"))["status"] == 404


async def call_own(storage, engine, calls, *, slots=1, prepare=None):
    """The answers to calls of an API with one slot, made at once; `prepare(answers, jobs)` comes before them."""
    answers = AnswerService(GeoChat(engine), FairQueue(slots, 1))
    jobs = Jobs(answers, storage)
    app = build_api(answers, jobs, storage, max_upload_mb=2)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1), raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1/") as client:
            if prepare is not None:
                await asyncio.to_thread(prepare, answers, jobs)
            return await asyncio.gather(*(client.post(name, json=values) for name, values in calls))
    finally:
        await asyncio.to_thread(jobs.close)
        answers.close()


def test_a_full_queue_is_told(storage, engine, png):
    """More questions of one client than may wait: the others get 429 and a time to come back."""
    results = run(call_own(storage, engine, [("ask", {"image": in_base64(png), "question": "?"})] * 4))
    statuses = sorted(answer.status_code for answer in results)
    assert statuses[0] == 200
    assert statuses[-1] == 429
    refused = next(answer for answer in results if answer.status_code == 429)
    assert refused.headers["retry-after"]
    assert "waiting already" in problem_of(refused)["detail"]


def close(answers, jobs):
    jobs.close()
    answers.close()


def test_a_server_that_ends_says_so(storage, engine, png):
    image = {"image": in_base64(png)}
    calls = [("ask", {**image, "question": "?"}), ("find", {**image, "phrases": ["it"]})]
    for answer in run(call_own(storage, engine, calls, prepare=close)):
        values = problem_of(answer)
        assert (values["status"], values["error"]) == (503, "EngineError")
        assert "shutting down" in values["detail"]
        assert answer.headers["retry-after"]
    assert not any(path.is_file() for path in storage.uploads.parent.rglob("*"))


def test_an_error_that_nobody_foresaw_is_problem_details(storage, engine, png, monkeypatch):
    monkeypatch.setattr(storage, "store", lambda *_: 1 / 0)
    (answer,) = run(call_own(storage, engine, [("ask", {"image": in_base64(png)})]))
    assert problem_of(answer)["status"] == 500
    assert "division" not in answer.text


@pytest.mark.parametrize("name", ["window", "limit", "page"])
def test_numbers_beyond_all_bounds_are_refused_or_taken(api, png, name):
    for digits in (10, 30, 400):
        answer = api.post("find", json={"image": in_base64(png), "phrases": ["it"], name: 10**digits})
        if answer.status_code == 202:
            api.delete(f"jobs/{answer.json()['id']}")
        else:
            assert problem_of(answer)["status"] == 422
