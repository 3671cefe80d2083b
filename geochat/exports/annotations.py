"""Layers as label files in pixels, for annotation tools, training and evaluation: COCO, DOTA and YOLO-OBB.

    COCO      one JSON file. `segmentation` and `bbox` are of the part on the image; the box as found is `rotated_bbox`,
              [centre x, centre y, width, height, degrees clockwise on screen].
    DOTA      one text file: eight numbers, the category with hyphens for spaces, 0 for "not difficult". Corners may lie
              beyond the image, as in DOTA itself. (captain-whu.github.io/DOTA, "Introduction".)
    YOLO-OBB  a folder, labels/IMAGE.txt and data.yaml: the class and eight shares of the image's sides, moved to its
              border, since Ultralytics drops a whole image for one coordinate beyond it.

The category is the phrase. Polygons of other than four corners become the smallest rectangle around them in DOTA and
YOLO-OBB, which have no others. A feature without an area on the image is left out of COCO and YOLO-OBB, and counted.
"""

import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import shapely
import yaml

from geochat.errors import ExportError
from geochat.exports.files import draft_of
from geochat.exports.grounded import Point, ring_points
from geochat.exports.layer import Feature, Layer
from geochat.exports.tables import json_value
from geochat.geometry import OrientedBox, ground_sample_distance

_UNNAMED = "object"
_DIGITS = 3  # of a pixel
_SHARE_DIGITS = 9  # a thousandth of a pixel of a million


class Coco:
    """Streams annotations; image and categories follow them."""

    suffixes = (".coco.json",)
    holds_second_table = True

    def write(
        self, path: Path, layer: Layer, features: Iterable[Feature], not_looked_at: Iterable[Feature] | None
    ) -> Path:
        """As `Exporter.write`; windows not looked at are the member `not_looked_at` of `info`."""
        place, categories, outside = layer.require_place(path), _Numbers(1), 0
        with draft_of(path) as draft, draft.open("w", encoding="utf-8") as file:
            file.write('{"annotations": [')
            written = 0
            for feature in features:
                part = feature.place.clip(feature.polygon)
                if part is None:
                    outside += 1
                    continue
                written += 1
                row = _annotation(written, categories[feature.phrase or _UNNAMED], feature, part)
                file.write(("\n" if written == 1 else ",\n") + json.dumps(row, ensure_ascii=False))
            info = {"description": layer.name, **layer.provenance, "left_out": outside}
            if not_looked_at is not None:
                info["not_looked_at"] = [dict(window.properties) for window in not_looked_at]
            image = {"id": 1, "file_name": layer.image, "width": place.width, "height": place.height}
            rest = {
                "images": [image],
                "categories": [{"id": number, "name": name} for name, number in categories.items()],
                "info": {key: json_value(value) for key, value in info.items()},
            }
            file.write("\n],\n" + json.dumps(rest, ensure_ascii=False, indent=1)[2:] + "\n")
        return path


class Dota:
    """Streams one text file of labels."""

    suffixes = (".txt",)
    holds_second_table = False

    def write(
        self, path: Path, layer: Layer, features: Iterable[Feature], not_looked_at: Iterable[Feature] | None
    ) -> Path:
        """As `Exporter.write`."""
        place = layer.require_place(path)
        crs, affine = place.map_crs, place.image_to_map
        center = (place.width / 2, place.height / 2)
        gsd = None if crs is None or affine is None else ground_sample_distance(affine, crs, center)
        with draft_of(path) as draft, draft.open("w", encoding="utf-8") as file:
            file.write(f"imagesource:{layer.image}\ngsd:{'null' if gsd is None else f'{gsd:.6g}'}\n")
            for feature in features:
                numbers = " ".join(f"{value:.{_DIGITS}f}" for point in _four(feature.pixels) for value in point)
                category = "-".join((feature.phrase or _UNNAMED).split())
                file.write(f"{numbers} {category} 0\n")
        return path


class YoloObb:
    """Streams the labels of one image into a new folder."""

    suffixes = ()
    holds_second_table = False

    def write(
        self, path: Path, layer: Layer, features: Iterable[Feature], not_looked_at: Iterable[Feature] | None
    ) -> Path:
        """As `Exporter.write`; the folder must not exist."""
        place, classes, outside = layer.require_place(path), _Numbers(0), 0
        if path.exists():
            raise ExportError(f"{path} exists; YOLO-OBB is written to a new folder, name another")
        try:
            draft = Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=path.parent))
            try:
                (draft / "labels").mkdir()
                labels = draft / "labels" / f"{Path(layer.image).stem}.txt"
                with labels.open("w", encoding="utf-8") as file:
                    for feature in features:
                        outline = feature.outline
                        if not outline:
                            outside += 1
                            continue
                        shares = [
                            min(max(value / side, 0.0), 1.0)
                            for point in _four(outline)
                            for value, side in zip(point, (place.width, place.height), strict=True)
                        ]
                        number = classes[feature.phrase or _UNNAMED]
                        file.write(" ".join([str(number), *(f"{share:.{_SHARE_DIGITS}f}" for share in shares)]) + "\n")
                (draft / "data.yaml").write_text(_data_yaml(layer, classes, outside), encoding="utf-8")
                draft.chmod(0o755)
                draft.rename(path)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        except OSError as error:
            raise ExportError(f"{path} cannot be written: {error.strerror or error}; choose another place") from error
        return path


COCO = Coco()
DOTA = Dota()
YOLO_OBB = YoloObb()


class _Numbers(dict[str, int]):
    """Assigns numbers to names in order of appearance."""

    def __init__(self, first: int) -> None:
        self._first = first

    def __missing__(self, name: str) -> int:
        self[name] = self._first + len(self)
        return self[name]


def _annotation(number: int, category: int, feature: Feature, part: shapely.Polygon) -> dict[str, Any]:
    box, (left, top, right, bottom) = OrientedBox.from_polygon(feature.polygon), part.bounds
    attributes = {name: json_value(value) for name, value in feature.properties.items()}
    score = attributes.pop("score", None)
    return {
        "id": number,
        "image_id": 1,
        "category_id": category,
        "segmentation": [[round(value, _DIGITS) for point in ring_points(part) for value in point]],
        "bbox": [round(value, _DIGITS) for value in (left, top, right - left, bottom - top)],
        "area": round(part.area, _DIGITS),
        "iscrowd": 0,
        "rotated_bbox": [round(value, _DIGITS + 3) for value in (*box.center, box.width, box.height, box.angle)],
        **({} if score is None else {"score": score}),
        "attributes": attributes,
    }


def _four(corners: Sequence[Point]) -> Sequence[Point]:
    """Return four corners; of a polygon with other corners, those of the smallest rectangle around it."""
    return corners if len(corners) == 4 else OrientedBox.from_polygon(corners).corners()


def _data_yaml(layer: Layer, classes: _Numbers, outside: int) -> str:
    names = {number: name for name, number in classes.items()}
    document = {"path": ".", "train": "images", "val": "images", "names": names}
    told = f"# Labels of {layer.image}; put it into images/. Left out, without an area on it: {outside}.\n"
    provenance = "".join(f"# {key}: {json.dumps(json_value(value))}\n" for key, value in layer.provenance.items())
    return told + provenance + str(yaml.safe_dump(document, allow_unicode=True, sort_keys=False))
