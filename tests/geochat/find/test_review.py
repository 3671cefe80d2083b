"""A review shows objects and empty windows on one page, and its verdicts give precision, recall and a threshold."""

import base64
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from geochat.cli import main
from geochat.errors import DataError
from geochat.exports import read_vector_layer
from geochat.find.review import job_of, write_review
from geochat.find.verdicts import Verdicts, poisson, wilson
from geochat.imagery import Scene

CHROMIUM = Path("/usr/bin/chromium")
SHIPS = np.array(
    [[100 + 90 * i, 100 + 40 * j, 130 + 90 * i, 115 + 40 * j, 0] for i in range(5) for j in range(2)], float
)


@pytest.fixture
def found(write_scene, oracle, tmp_path):
    """A search that has been done: its scene, layer and job."""
    scene = Scene.open(write_scene(800, 600))
    chat = oracle({"</script><b>ship": SHIPS})
    finding = chat.find(scene, ["</script><b>ship"], window=200, overlap=40, job=tmp_path / "ships.gpkg.job")
    assert len(list(finding)) == len(SHIPS)
    return SimpleNamespace(scene=scene, layer=finding.save(tmp_path / "ships.gpkg"), job=tmp_path / "ships.gpkg.job")


def review_of(page):
    return json.loads(re.search(r'id="review">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)[1])


def judged(review, accept, missed=lambda item: 0):
    """The review with verdicts."""
    for item in review["items"]:
        if item["kind"] == "object":
            item["verdict"] = "accepted" if accept(item) else "rejected"
        else:
            item["missed"] = missed(item)
            item["verdict"] = "rejected" if item["missed"] else "accepted"
    return review


def test_the_page_holds_everything_itself(found, tmp_path):
    page = tmp_path / "page.html"
    objects, windows = write_review(page, found.layer, found.scene, job_of(found.layer), sample=6)
    assert (objects, windows) == (6, 6)
    text, review = page.read_text("utf-8"), review_of(page)
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:|//|file:)", text)
    assert "<b>" not in text
    assert text.count("</script>") == 2
    assert [item["kind"] for item in review["items"]] == ["object"] * 6 + ["empty"] * 6
    for item in review["items"]:
        kind, _, content = item["thumbnail"].partition(",")
        assert kind == "data:image/jpeg;base64"
        assert max(Image.open(io.BytesIO(base64.b64decode(content))).size) <= 384
    assert review["looked_at_area"] == 800 * 600


def test_empty_windows_hold_no_object(found, tmp_path):
    write_review(tmp_path / "page.html", found.layer, found.scene, found.job)
    windows = [item["window"] for item in review_of(tmp_path / "page.html")["items"] if item["kind"] == "empty"]
    assert len(windows) > 5
    for left, top, width, height in windows:
        outside = (
            (SHIPS[:, 2] < left) | (SHIPS[:, 0] > left + width) | (SHIPS[:, 3] < top) | (SHIPS[:, 1] > top + height)
        )
        assert outside.all()


def test_windows_that_failed_are_not_empty(write_scene, oracle, tmp_path):
    chat = oracle({"ship": SHIPS[:1]})
    chat.engine.failing = lambda window, phrase: window[1] > 200
    scene, job = Scene.open(write_scene(800, 600)), tmp_path / "job"
    finding = chat.find(scene, ["ship"], window=200, overlap=0, job=job)
    list(finding)
    layer = finding.save(tmp_path / "a.geojson")
    write_review(tmp_path / "page.html", layer, scene, job)
    review = review_of(tmp_path / "page.html")
    assert all(item["window"][1] <= 200 for item in review["items"] if item["kind"] == "empty")
    assert review["looked_at_area"] == 800 * 400


def test_one_seed_draws_one_sample(found, tmp_path):
    pages = [tmp_path / f"{number}.html" for number in range(3)]
    for page, seed in zip(pages, (1, 1, 2), strict=True):
        write_review(page, found.layer, found.scene, found.job, sample=4, seed=seed)
    drawn = [[item.get("number") for item in review_of(page)["items"]] for page in pages]
    assert drawn[0] == drawn[1] != drawn[2]


def test_figures(found, tmp_path):
    write_review(tmp_path / "page.html", found.layer, found.scene, found.job)
    review = review_of(tmp_path / "page.html")
    for place, item in enumerate(item for item in review["items"] if item["kind"] == "object"):
        item["score"] = place / 10
    windows = [item for item in review["items"] if item["kind"] == "empty"]
    saved = tmp_path / "verdicts.json"
    verdict = judged(review, lambda item: item["score"] >= 0.2, lambda item: 2 * (item is windows[1]))
    windows[0]["verdict"] = None
    saved.write_text(json.dumps(verdict))
    verdicts = Verdicts(saved, read_vector_layer(found.layer))
    figures = verdicts.figures()
    assert (figures.objects, figures.judged, figures.accepted) == (10, 10, 8)
    assert figures.precision == 0.8
    assert figures.precision_interval == wilson(8, 10)
    density = 2 / ((len(windows) - 1) * 200 * 200)
    assert figures.recall == pytest.approx(8 / (8 + density * 800 * 600))
    low, high = figures.recall_interval
    assert low < figures.recall < high
    assert verdicts.threshold(0.88).score == 0.1  # 8 of 9
    assert (verdicts.threshold(0.9).score, verdicts.threshold(0.9).precision) == (0.2, 1.0)
    assert verdicts.threshold(0.0).reviewed == 10


def test_intervals_are_those_of_the_literature():
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(50, 50) == pytest.approx((0.9287, 1.0), abs=1e-4)
    assert wilson(0, 50) == pytest.approx((0.0, 0.0713), abs=1e-4)
    assert poisson(0) == pytest.approx((0, 3.6889), abs=1e-4)
    assert poisson(10) == pytest.approx((4.7954, 18.3904), abs=1e-4)


def test_the_command(found, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("geochat.cli.process.quiet_libraries", lambda debug: None)
    page, saved = tmp_path / "page.html", tmp_path / "verdicts.json"
    words = ["review", str(found.layer)]
    assert main([*words, "--scene", str(found.scene.path), "--out", str(page)]) == 0
    assert "10 objects and" in capsys.readouterr().err
    saved.write_text(json.dumps(judged(review_of(page), lambda _: True)))
    assert main([*words, "--verdicts", str(saved), "--precision", "0.9"]) == 0
    said = capsys.readouterr().out
    assert "precision: 1.000 (95 %: 0.722 to 1.000, Wilson)" in said
    assert "recall: 1.000" in said
    assert "threshold: 0.9048\n  precision 1.000" in said
    assert main([*words, "--verdicts", str(saved), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recall"] == 1.0
    assert main(words) == 1
    assert "give --scene and --out" in capsys.readouterr().err
    found.job.rename(tmp_path / "elsewhere")
    assert main([*words, "--scene", str(found.scene.path), "--out", str(page)]) == 0
    assert "no empty windows" in capsys.readouterr().err


def test_wrong_files_are_refused(found, tmp_path):
    layer, saved = read_vector_layer(found.layer), tmp_path / "verdicts.json"
    with pytest.raises(DataError, match="not the folder of a search"):
        write_review(tmp_path / "page.html", layer, found.scene, tmp_path)
    for content in ("", "[]", "{}", '{"items": 3}'):
        saved.write_text(content)
        with pytest.raises(DataError, match="holds no verdicts"):
            Verdicts(saved, layer)
    write_review(tmp_path / "page.html", layer, found.scene, None)
    review = review_of(tmp_path / "page.html")
    saved.write_text(json.dumps(review))
    with pytest.raises(DataError, match="judges no object"):
        Verdicts(saved, layer)
    saved.write_text(json.dumps(judged(review, lambda _: True) | {"layer_digest": "0"}))
    with pytest.raises(DataError, match="another layer"):
        Verdicts(saved, layer)


def _judge(playwright, folder):
    """Judge by keys and clicks and save; returns the addresses asked for and the errors."""
    asked, errors = [], []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((folder / "page.html").as_uri())
        for key in ("a", "r", "a", "2", "ArrowRight", "a"):
            page.keyboard.press(key)
        page.locator("article").nth(5).get_by_role("button", name="Reject").click()
        assert page.locator("#progress").text_content() == "6 of 6 judged"
        with page.expect_download() as download:
            page.locator("#save").click()
        download.value.save_as(folder / "verdicts.json")
        assert page.locator("img").first.evaluate("image => image.naturalWidth") > 0
        browser.close()
    return asked, errors


@pytest.mark.slow
def test_keys_and_clicks_give_verdicts_that_are_saved(found, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install 'geochat[dev]')")
    if not CHROMIUM.is_file():
        pytest.skip("needs a browser: apt-get install chromium")
    write_review(tmp_path / "page.html", found.layer, found.scene, found.job, sample=3)
    with ThreadPoolExecutor(1) as thread:  # a browser of other tests may hold this one's event loop
        asked, errors = thread.submit(_judge, playwright, tmp_path).result()
    assert errors == []
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}
    items = json.loads((tmp_path / "verdicts.json").read_text())["items"]
    assert [item["verdict"] for item in items] == [*["accepted", "rejected"] * 2, "accepted", "rejected"]
    assert [item["missed"] for item in items[3:]] == [2, 0, 1]
    figures = Verdicts(tmp_path / "verdicts.json", read_vector_layer(found.layer)).figures()
    assert (figures.accepted, figures.judged, figures.missed, figures.windows) == (2, 3, 3, 3)
