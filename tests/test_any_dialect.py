"""Answers of any model are placed, drawn, exported and scored in its dialect, on an image that is not square."""

import json

import numpy as np
import pytest
from PIL import Image
from shapely.geometry import shape

from geochat import GeoChat
from geochat.cli import main
from geochat.dialects import find_dialect
from geochat.engines import Chunk, Usage
from geochat.exports import read_vector_layer
from geochat.geometry import Frame, OrientedBox
from geochat.models import ModelInfo, Settings

SIZE = (400, 200)
FIELD = OrientedBox(200, 120, 280, 160, 0)


@pytest.fixture
def picture(tmp_path):
    Image.new("RGB", SIZE, (90, 110, 80)).save(tmp_path / "1.png")
    return tmp_path / "1.png"


class Answering:
    """Says what it is told, as a checkpoint of these settings."""

    def __init__(self, settings, text):
        self.info, self.text, self.requests = ModelInfo(settings, 100, 10), text, []

    def stream(self, request):
        self.requests.append(request)
        yield Chunk(self.text, "stop", Usage(1, 1))

    def cancel(self, _request_id):
        """Has nothing to cancel."""


ASKED = [
    "qwen2.5-vl",
    "qwen3-vl",
    "rscovlm-obb",
    "falcon-quad",
    "paligemma",
    "kosmos-2",
    "llava",
    "skysensegpt",
    "zoomearth",
]


@pytest.mark.parametrize("name", ASKED)
def test_any_models_boxes_lie_where_they_are_on_a_wide_image(picture, name):
    """The field, as the model wrote it, in pixels and in GeoJSON, and asked about again."""
    settings = Settings("theirs", dialect=name)
    info = ModelInfo(settings, 336)
    to_model = ~Frame(SIZE, model=info.frame).model_to_view
    written = info.dialect.write("the field", [info.dialect.carried(FIELD, to_model)])
    chat = GeoChat(Answering(settings, written))
    answer = chat.ask(picture, "the field", task="refer")
    assert answer.problems == ()
    assert answer.regions[0].geometry.iou(FIELD) > (0.5 if name == "kosmos-2" else 0.93)
    assert answer.regions[0].phrase in ("the field", None)
    (feature,) = answer.to_geojson()["features"]
    assert feature["geometry"]["type"] == "Polygon"
    assert shape(feature["geometry"]).centroid.distance(FIELD.polygon().centroid) < 4
    again = chat.ask(picture, "", task="identify", regions=[(200, 120, 280, 160)])
    (asked,) = info.dialect.parse(again.prompt).regions
    assert asked.box.transform(Frame(SIZE, model=info.frame).model_to_view).iou(FIELD) > 0.5


def test_the_system_prompt_of_a_task_is_sent(picture):
    engine = Answering(Settings("theirs", dialect="rscovlm-obb"), "There are none.")
    chat = GeoChat(engine)
    answer = chat.ask(picture, "the ships", task="refer")
    assert (answer.regions, answer.problems, answer.plain_text) == ((), (), "There are none.")
    chat.ask(picture, "Is it night?", task="vqa")
    first, second = (request.messages for request in engine.requests)
    assert [message.role for message in first] == ["system", "user"]
    assert "oriented object detection" in first[0].text
    assert [message.role for message in second] == ["user"]


def test_points_are_drawn_and_exported_as_points(picture, tmp_path):
    settings = Settings("molmo", dialect="molmo")
    text = 'Two: <points x1="35.0" y1="40.0" x2="60.0" y2="70.0" alt="ships">ships</points>'
    answer = GeoChat(Answering(settings, text)).ask(picture, "ships", task="refer")
    assert [region.pixels for region in answer.regions] == [((140, 80),), ((240, 140),)]
    assert [region.box for region in answer.regions] == [None, None]
    features = answer.to_geojson()["features"]
    assert [each["geometry"] for each in features] == [
        {"type": "Point", "coordinates": [140, 80]},
        {"type": "Point", "coordinates": [240, 140]},
    ]
    drawn = np.asarray(answer.draw()) != np.asarray(answer.image.pil())
    assert drawn[80, 140].any()
    assert drawn[140, 240].any()
    answer.to_geopackage(tmp_path / "points.gpkg")
    kinds = {geometry.geom_type for geometry in read_vector_layer(tmp_path / "points.gpkg").geometries}
    assert kinds == {"Point"}
    assert answer.to_dict()["regions"][0]["pixels"] == [[140, 80]]


@pytest.mark.parametrize("name", ["qwen2.5-vl", "qwen3-vl", "internvl", "gemini", "rscovlm-quad", "deepseek-vl2"])
def test_anybodys_outputs_are_scored_by_the_name_of_the_dialect(tmp_path, capsys, name):
    dialect = find_dialect(name)
    known = {"ground_truth": [FIELD.corners()], "width": SIZE[0], "height": SIZE[1]}
    to_model = ~Frame(SIZE, model=dialect.model_frame).model_to_view
    answer = dialect.write("a field", [dialect.carried(FIELD, to_model)])
    rows = [{"answer": answer, **known}, {"answer": "There are none.", **known}]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    argv = ["eval", "score", str(tmp_path / "answers.jsonl"), "--as", "referring", "--json", "--bootstrap", "0"]
    assert main([*argv, "--dialect", name]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["matched_boxes@0.75"] == 50
    assert found["format_validity"]["clean_regions"]["percent"] == 100
    assert main([*argv, "--dialect", "klingon"]) == 1
    assert "no dialect is called 'klingon'" in capsys.readouterr().err
