"""Health, and counts in Prometheus' format."""

import re
from collections import Counter

import httpx
from serve_wire import api_client, call, file_reference, upload

from geochat_serve import ServeSettings
from geochat_serve.metrics import Metrics
from geochat_serve.middleware import MetricsRoute, build_middleware
from geochat_serve.middleware.login import LoginMiddleware

LINE = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9.e+]+')


def values(text):
    """The samples of a page of metrics, by name and labels."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    for line in lines:
        assert LINE.fullmatch(line), line
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def measure(server):
    """The samples of the server."""
    answer = httpx.get(f"{server.url}metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return Counter(values(answer.text))


def test_health(server):
    answer = httpx.get(f"{server.url}healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")
    assert httpx.head(f"{server.url}healthz").status_code == 200


def test_metrics_are_off_by_default():
    options = dict.fromkeys(("storage", "authenticator", "hosts", "metrics"))
    default, on = (
        [step.cls for step in build_middleware(settings, None, **options)]
        for settings in (ServeSettings(), ServeSettings(metrics=True))
    )
    assert MetricsRoute not in default
    assert on.index(MetricsRoute) > on.index(LoginMiddleware)


def test_calls_are_counted(server, pictures):
    before = measure(server)
    with api_client(server) as client:
        image = file_reference(upload(client, (pictures / "wide.png").read_bytes()))
        assert "event: complete" in call(client, "find", [image, "it"])[1]
        assert "event: error" in call(client, "ask", [image, "", "identify", [[9000, 9000, 9900, 9900, 0]]])[1]
    after = measure(server)
    grown = after - before
    assert grown['geochat_answers_total{source="api",outcome="done"}'] == 1
    assert grown['geochat_answers_total{source="api",outcome="failed"}'] == 1
    assert grown["geochat_errors_total"] == 1
    assert grown["geochat_answer_seconds_count"] == 2
    assert grown['geochat_answer_seconds_bucket{le="+Inf"}'] == 2
    assert grown['geochat_requests_total{method="GET",status="200"}'] > 0
    assert after["geochat_queue_length"] == after["geochat_computing"] == 0
    assert 50e6 < after["process_resident_memory_bytes"] < 50e9


def test_answers_of_a_page_are_counted(server, pages):
    before = measure(server)
    page = pages(server, "counted")
    page.load()
    page.trigger("scene-viewer", "sample", {"file": "airport.tif"})
    page.trigger("ask", "click", data=["where?", "Grounded description", False, ""])
    grown = measure(server) - before
    assert grown['geochat_answers_total{source="page",outcome="done"}'] == 1
    assert grown["geochat_sessions"] == 1


def test_the_histogram_adds_up():
    metrics = Metrics()
    for outcome in ("done", "stopped", "failed"):
        with metrics.time_answer("page") as set_outcome:
            set_outcome(outcome)
    found = values(metrics.text())
    buckets = [value for name, value in found.items() if "bucket" in name]
    assert buckets == sorted(buckets)
    assert buckets[-1] == found["geochat_answer_seconds_count"] == 3
    assert found["geochat_errors_total"] == 1


def test_invented_methods_create_no_labels():
    metrics = Metrics()
    for number in range(100):
        metrics.count_request(f"X{number}", 405)
    assert values(metrics.text())['geochat_requests_total{method="other",status="405"}'] == 100
