"""Searches over the HTTP API: started, followed, fetched and cancelled by their owner alone. Over real HTTP."""

import json
import sqlite3

import httpx
import pytest
from serve_wire import WAIT_S, from_address, wait_until


@pytest.fixture
def start(api, pictures):
    """`start(...)` starts a search: its values. All are deleted in the end."""
    started = []

    def begin(phrases="it", client=api, **fields):
        image = {"image": ("place.tif", (pictures / "place.tif").read_bytes())}
        answer = client.post("find", files=image, data={"phrases": phrases, "window": "200", **fields})
        assert answer.status_code == 202, answer.text
        job = answer.json()
        assert answer.headers["location"] == job["url"]
        started.append((client, job["id"]))
        return job

    yield begin
    for client, job_id in started:
        while client.get(f"jobs/{job_id}").status_code == 200:
            client.delete(f"jobs/{job_id}")  # cancels, then deletes


def events_of(api, job):
    text = api.get(f"jobs/{job['id']}/events").raise_for_status().text
    blocks = [block.split("\n", 1) for block in text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def test_a_search_is_followed_and_fetched_in_every_format(api, start, tmp_path):
    job = start()
    name, last = events_of(api, job)[-1]
    assert (name, last["state"]) == ("done", "done")
    assert last["windows"]["done"] == last["windows"]["total"] > 1
    assert api.get(f"jobs/{job['id']}").json() == last
    found = api.get(f"jobs/{job['id']}/objects").json()
    assert len(found) == last["found"] > 0
    layer = api.get(f"jobs/{job['id']}/result").raise_for_status()
    assert layer.headers["content-type"] == "application/geo+json"
    assert len(layer.json()["features"]) == len(found)
    (tmp_path / "a.gpkg").write_bytes(api.get(f"jobs/{job['id']}/result", params={"format": "geopackage"}).content)
    with sqlite3.connect(tmp_path / "a.gpkg") as database:
        assert database.execute("select count(*) from objects").fetchone() == (len(found),)
    database.close()
    for name in ("coco", "dota", "overlay"):
        assert api.get(f"jobs/{job['id']}/result", params={"format": name}).status_code == 200, name
    unknown = api.get(f"jobs/{job['id']}/result", params={"format": "../../etc"})
    assert unknown.status_code == 422
    assert "geopackage" in unknown.json()["detail"]


def test_an_area_and_a_limit_narrow_it(api, start):
    ring = [[0, 0], [120, 0], [120, 120], [0, 120], [0, 0]]
    area = {"type": "Polygon", "coordinates": [ring]}
    marked = {"type": "Feature", "geometry": area, "properties": {"coordinates": "image pixels, y down"}}
    few = events_of(api, start(area=json.dumps(marked)))[-1][1]
    everything = events_of(api, start())[-1][1]
    assert few["windows"]["total"] < everything["windows"]["total"]


BAD = [
    ({"phrases": ""}, "nothing to find"),
    ({"window": "3"}, "window"),
    ({"overlap": "-1"}, "overlap"),
    ({"scales": "1,2,3,4,5"}, "scales"),
    ({"min_score": "2"}, "min_score"),
    ({"area": "[]"}, "area"),
    ({"area": '{"type": "Nonsense"}'}, "area"),
    ({"area": '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}'}, "area"),
    ({"area": '{"type": "Polygon", "coordinates": [[[1e300, 0]]]}'}, "coordinate"),
    ({"job": "/tmp"}, "no field 'job'"),
]


@pytest.mark.parametrize(("fields", "words"), BAD)
def test_impossible_searches(api, pictures, fields, words):
    image = {"image": ("place.tif", (pictures / "place.tif").read_bytes())}
    answer = api.post("find", files=image, data={"phrases": "it"} | fields)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_a_search_is_cancelled_and_resumed(api, start):
    job = start("slow")
    cancelled = api.delete(f"jobs/{job['id']}").raise_for_status().json()
    assert cancelled["id"] == job["id"]
    wait_until(lambda: api.get(f"jobs/{job['id']}").json()["state"] == "cancelled")
    assert events_of(api, job)[-1][0] == "cancelled"
    assert api.get(f"jobs/{job['id']}/result").status_code == 200  # what there is of it
    resumed = api.post(f"jobs/{job['id']}/resume").raise_for_status().json()
    assert resumed["run"] == 2
    api.delete(f"jobs/{job['id']}")
    wait_until(lambda: api.get(f"jobs/{job['id']}").json()["state"] == "cancelled")
    api.delete(f"jobs/{job['id']}").raise_for_status()
    assert api.get(f"jobs/{job['id']}").status_code == 404


def test_another_client_s_job_is_not_there(server, start):
    job = start()
    with httpx.Client(base_url=f"{server.url}api/v1/", transport=from_address("127.0.0.78"), timeout=WAIT_S) as other:
        for method, path in (
            *(("GET", f"jobs/{job['id']}{part}") for part in ("", "/events", "/result", "/objects")),
            ("POST", f"jobs/{job['id']}/resume"),
            ("DELETE", f"jobs/{job['id']}"),
        ):
            answer = other.request(method, path)
            assert answer.status_code == 404, path
            assert answer.json()["detail"]


def test_unfinished_searches_of_a_client_are_limited(api, start, pictures):
    for _ in range(4):
        start("slow")
    image = {"image": ("place.tif", (pictures / "place.tif").read_bytes())}
    answer = api.post("find", files=image, data={"phrases": "slow", "window": "200"})
    assert answer.status_code == 429
    assert "not finished" in answer.json()["detail"]
