"""Health, and counts in Prometheus' format."""

import re

import httpx
import pytest

from geochat import GeoChat
from geochat_serve import ServeSettings, serve
from geochat_serve.metrics import Metrics

LINE = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9.e+]+')


def values(text):
    """The samples of a page of metrics, by name and labels."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    for line in lines:
        assert LINE.fullmatch(line), line
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@pytest.fixture(scope="module")
def measured(engine):
    with serve(GeoChat(engine), ServeSettings(port=0, metrics=True)) as running:
        yield running


def test_health(server):
    answer = httpx.get(f"{server.url}healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")
    assert httpx.head(f"{server.url}healthz").status_code == 200


def test_metrics_are_asked_for(server):
    assert httpx.get(f"{server.url}metrics").status_code == 404


def test_what_happened_is_counted(measured, pictures):
    client_module = pytest.importorskip("gradio_client")
    before = values(httpx.get(f"{measured.url}metrics").text)
    client = client_module.Client(measured.url, verbose=False)
    image = client_module.handle_file(str(pictures / "wide.png"))
    client.predict(image, "it", api_name="/find")
    with pytest.raises(client_module.exceptions.AppError):
        client.predict(image, "", "identify", [[9000, 9000, 9900, 9900, 0]], api_name="/ask")
    answer = httpx.get(f"{measured.url}metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    after = values(answer.text)
    assert after['geochat_answers_total{source="api",outcome="done"}'] == 1
    assert after['geochat_answers_total{source="api",outcome="failed"}'] == 1
    assert after["geochat_errors_total"] == 1
    assert after["geochat_answer_seconds_count"] == 2
    assert after['geochat_answer_seconds_bucket{le="+Inf"}'] == 2
    answered = 'geochat_requests_total{method="GET",status="200"}'
    assert after[answered] > before.get(answered, 0)
    assert after["geochat_queue_length"] == after["geochat_computing"] == 0
    assert 50e6 < after["process_resident_memory_bytes"] < 50e9


def test_a_page_s_answers_are_counted_too(measured, pages):
    page = pages(measured.url)
    page.enter()
    page.trigger("scene-viewer", "sample", {"file": "airport.tif"})
    page.trigger("ask", "click", data=["where?", "Grounded description", False, ""])
    after = values(httpx.get(f"{measured.url}metrics").text)
    assert after['geochat_answers_total{source="page",outcome="done"}'] == 1
    assert after["geochat_sessions"] == 1


def test_the_histogram_adds_up():
    metrics = Metrics()
    for outcome in ("done", "stopped", "failed"):
        with metrics.answer("page") as end:
            end(outcome)
    found = values(metrics.text())
    buckets = [value for name, value in found.items() if "bucket" in name]
    assert buckets == sorted(buckets)
    assert buckets[-1] == found["geochat_answer_seconds_count"] == 3
    assert found["geochat_errors_total"] == 1


def test_methods_that_are_made_up_make_no_labels():
    metrics = Metrics()
    for number in range(100):
        metrics.count_request(f"X{number}", 405)
    assert values(metrics.text())['geochat_requests_total{method="other",status="405"}'] == 100
