"""The bundled scenes."""

import json

from geochat_serve.gallery import gallery, open_sample, samples


def test_every_bundled_scene_opens_and_has_its_thumbnail():
    assert [sample["file"] for sample in samples()] == ["airport.tif", "tanks.png", "tennis.png", "harbour.png"]
    for sample in samples():
        with open_sample(sample["file"]) as scene:
            assert min(scene.image.width, scene.image.height) >= 256
            assert scene.path.stat().st_size <= 400_000
    shown = json.loads(gallery())
    assert [each["title"] for each in shown] == [sample["title"].split(",")[0] for sample in samples()]
    assert all(each["thumbnail"].startswith("data:image/") for each in shown)
