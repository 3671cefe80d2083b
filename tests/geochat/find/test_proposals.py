"""Candidates of another detector are named, kept or rejected, and none is lost."""

import json

import numpy as np
import pytest
import shapely
from pyogrio.raw import write as write_vectors

from geochat.cli import main
from geochat.errors import ExportError, PromptError, RegionError, SettingsError
from geochat.exports import PIXELS, read_vector_layer
from geochat.find import Proposals
from geochat.geometry.geographic import WGS84, from_geographic, to_geographic
from geochat.imagery import Scene
from geochat.prompts import Task

SIZE = (900, 700)
UTM = "EPSG:32631"
SHIPS = np.array([[100, 100, 160, 130, 0], [600, 500, 660, 520, 30], [840, 20, 890, 60, 0]], float)
TANKS = np.array([[300, 300, 340, 340, 0]], float)
KNOWN = {"ship": SHIPS, "storage tank": TANKS}
AT = [(100, 100, 160, 130), (300, 300, 340, 340), (10, 600, 60, 650), (600, 495, 660, 525), (840, 20, 890, 60)]
VERDICTS = ["kept", "rejected", "rejected", "kept", "kept"]


@pytest.fixture
def scene(write_scene):
    return Scene.open(write_scene(*SIZE))


@pytest.fixture
def write_candidates(tmp_path):
    """Write boxes in pixels as a layer in a CRS, with attributes of a detector."""

    def write(scene, boxes=AT, crs=UTM, more=(), name="boxes.gpkg"):
        shapes = []
        for box in boxes:
            on_map = np.array([scene.image_to_map @ point for point in shapely.box(*box).exterior.coords])
            if crs == WGS84:
                on_map = to_geographic(on_map, UTM)
            elif crs != UTM:
                on_map = from_geographic(to_geographic(on_map, UTM), crs)
            shapes.append(shapely.Polygon(on_map))
        shapes += more
        columns = {
            "detector": np.array([f"yolo {number}" for number in range(len(shapes))], object),
            "score": np.linspace(0.1, 0.9, len(shapes)),
            "frame": np.arange(len(shapes)),
        }
        path = tmp_path / name
        geometries = shapely.to_wkb(np.array(shapes, object))
        kind = "Polygon" if not more else "Unknown"
        write_vectors(path, geometries, list(columns.values()), list(columns), geometry_type=kind, crs=crs)
        return path

    return write


@pytest.mark.parametrize("crs", [UTM, WGS84, "EPSG:3857"])
def test_candidates_in_any_crs_are_named_and_kept_or_rejected(scene, write_candidates, judge, tmp_path, crs):
    path = write_candidates(scene, crs=crs)
    proposals = Proposals(judge(KNOWN), scene, path, ["ships"])
    found = list(proposals)
    assert proposals.complete
    assert [each.number for each in found] == [1, 2, 3, 4, 5]
    assert [each.verdict for each in found] == VERDICTS
    assert [each.name for each in found] == ["a small ship", "a small storage tank", "grass", *["a small ship"] * 2]
    assert all(each.phrase == ("ships" if each.verdict == "kept" else None) for each in found)
    assert all(each.score == pytest.approx(np.exp(-0.1)) for each in found)
    before = read_vector_layer(path)
    after = read_vector_layer(proposals.save(tmp_path / "out.gpkg"))
    assert after.crs == before.crs
    assert shapely.equals(after.geometries, before.geometries).all()
    assert after.columns["detector"].tolist() == before.columns["detector"].tolist()
    assert after.columns["layer_score"].tolist() == before.columns["score"].tolist()
    assert after.columns["frame"].tolist() == before.columns["frame"].tolist()
    assert after.columns["verdict"].tolist() == VERDICTS
    assert after.columns["prompt"][0].startswith("[identify]")


def test_windows_lie_around_the_candidates(scene, write_candidates, judge):
    engine = judge(KNOWN)
    list(Proposals(engine, scene, write_candidates(scene, [*AT, (0, 0, 700, 650)]), ["ships"], window=200))
    windows = [window for window, _ in engine.asked]
    assert windows[0] == (30, 15, 200, 200)
    assert windows[4] == (SIZE[0] - 200, 0, 200, 200)
    assert windows[5] == (0, 0, *SIZE)


def test_pixels_without_a_map(coded, judge, tmp_path):
    features = [
        {"type": "Feature", "properties": {"id": number}, "geometry": shapely.geometry.mapping(shapely.box(*box))}
        for number, box in enumerate(AT)
    ]
    path = tmp_path / "boxes.geojson"
    mark = {"coordinates": PIXELS}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features, "geochat": mark}))
    proposals = Proposals(judge(KNOWN), Scene.open(coded(*SIZE)), path, ["ships", "storage tanks"])
    assert [each.phrase for each in proposals] == ["ships", "storage tanks", None, "ships", "ships"]
    rows = json.loads(proposals.save(tmp_path / "out.geojson").read_text())["features"]
    assert [row["properties"]["id"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["properties"]["phrase"] for row in rows] == ["ships", "storage tanks", None, "ships", "ships"]
    assert shapely.geometry.shape(rows[0]["geometry"]).equals(shapely.box(*AT[0]))


def test_presence_is_asked_in_a_window_of_the_candidate_alone(scene, write_candidates, judge):
    engine = judge(KNOWN, tasks=(Task.VQA,))
    proposals = Proposals(engine, scene, write_candidates(scene), ["ships", "storage tanks"])
    assert proposals.method == "presence"
    assert [each.phrase for each in proposals] == ["ships", "storage tanks", None, "ships", "ships"]
    assert engine.asked[0][0] == (85, 70, 90, 90)
    assert {text.split("\n")[0] for _, text in engine.asked if "ship" in text} == {"Is there a ship in the image?"}


def test_what_cannot_be_read_is_reported(scene, write_candidates, judge, tmp_path):
    engine = judge(KNOWN)
    engine.failing = lambda at, text: at[0] > 700
    far, point = shapely.box(0, 0, 10, 10), shapely.Point(500_050, 4_599_950)
    path = write_candidates(scene, [AT[0], AT[4]], more=[None, far, point])
    proposals = Proposals(engine, scene, path, ["ships"], window=100)
    found = list(proposals)
    assert [each.verdict for each in found] == ["kept", *["unread"] * 4]
    assert [each.reason.split(" at ")[0] for each in found[1:]] == [
        "failed: the model failed",
        "it has no geometry",
        "it lies outside what is asked about",
        "it is a Point; a region is a Polygon or MultiPolygon",
    ]
    after = read_vector_layer(proposals.save(tmp_path / "out.gpkg"))
    assert after.columns["verdict"].tolist() == [each.verdict for each in found]
    assert len(list(proposals.not_looked_at())) == 4


def test_a_low_score_rejects(scene, write_candidates, judge):
    found = list(Proposals(judge(KNOWN), scene, write_candidates(scene), ["ships"], min_score=0.95))
    assert [each.verdict for each in found] == ["rejected"] * 5
    assert found[0].reason == "its score is below 0.95"


def test_a_job_that_was_broken_off_goes_on(scene, write_candidates, judge, tmp_path):
    engine, path = judge(KNOWN), write_candidates(scene)
    begun = iter(Proposals(engine, scene, path, ["ships"], job=tmp_path / "job"))
    first = [next(begun), next(begun)]
    begun.close()
    again = Proposals(engine, scene, path, ["ships"], job=tmp_path / "job")
    assert [each.verdict for each in again.candidates()][2:] == ["unread"] * 3
    found = list(again)
    assert found[:2] == first
    assert [each.verdict for each in found] == VERDICTS
    assert len(engine.asked) <= 5 + 1  # one under way
    with pytest.raises(SettingsError, match="holds another job"):
        Proposals(engine, scene, write_candidates(scene, AT[:3]), ["ships"], job=tmp_path / "job")


def test_impossible_requests_are_refused(scene, write_candidates, judge, tmp_path):
    path = write_candidates(scene)
    with pytest.raises(PromptError, match="nothing to keep"):
        Proposals(judge(KNOWN), scene, path, [" "])
    with pytest.raises(PromptError, match="not trained to judge"):
        Proposals(judge(KNOWN, tasks=(Task.CAPTION,)), scene, path, ["ships"])
    with pytest.raises(RegionError, match="cannot be read"):
        Proposals(judge(KNOWN), scene, tmp_path / "none.gpkg", ["ships"])
    with pytest.raises(ExportError, match=r"\.gpkg"):
        Proposals(judge(KNOWN), scene, path, ["ships"]).save(tmp_path / "out.png")


def test_the_command(scene, write_candidates, judge, tmp_path, monkeypatch, capsys):
    from geochat.chat import GeoChat

    monkeypatch.setattr("geochat.cli.process.quiet_libraries", lambda debug: None)
    monkeypatch.setattr("geochat.cli.options.load_model", lambda _: GeoChat(judge(KNOWN)))
    path, out = write_candidates(scene), tmp_path / "out.gpkg"
    words = ["find", str(scene.path), "ships", "--proposals", str(path)]
    assert main([*words, "-o", str(out)]) == 0
    assert capsys.readouterr().out == "kept: 3\nrejected: 2\nunread: 0\n"
    assert read_vector_layer(out).columns["verdict"].tolist() == VERDICTS
    assert main([*words, "--json", "--job", str(tmp_path / "out.gpkg.job")]) == 0
    assert [json.loads(line)["verdict"] for line in capsys.readouterr().out.splitlines()] == VERDICTS
    assert main([*words, "--limit", "3"]) == 1
    assert "--limit is for a search" in capsys.readouterr().err
