"""The training photographs, by source and licence terms.

Only `train` parts are read. The validation and test parts, and everything under `evaluation-only`, are compared with
them by perceptual hashes, and photographs that resemble one of these are skipped.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from shapely import Polygon as Shape
from shapely import box

from geochat.errors import DataError
from geochat.geometry import OrientedBox
from geochat_data.checking import hash_images
from geochat_data.duplicates import find_matches
from geochat_data.readers import Report, read_ucm
from geochat_data.readers.boxes import read_boxes
from geochat_data.readers.json_files import read_jsonl
from geochat_data.readers.source import DataSource
from geochat_data.records import LabelledImage, LabelledObject, Polygon, as_polygon
from geochat_data.splits import read_list
from geochat_mini.classes import absent
from geochat_mini.orientation import MEASURED, oriented

_LOG = logging.getLogger(__name__)
Terms = Literal["permissive", "all"]
Split = Literal["train", "val", "test"]
_VEHICLES = frozenset({"car", "van", "bus", "truck"})


@dataclass(frozen=True)
class Source:
    """One source of photographs.

    Attributes:
        folder: Its folder below the imagery.
        labels: Its file of labels.
        permissive: Whether its terms allow any use; else it is for research.
        terms: Its terms, for the model's card.
        labelled: Categories whose objects are all marked; None where that depends on the photograph.
        missing: Categories that are certainly in no photograph.
        upright: Whether its boxes of turned objects are upright ones, from which the object's own are derived.
    """

    folder: str
    labels: str
    permissive: bool
    terms: str
    labelled: frozenset[str] | None = frozenset()
    missing: frozenset[str] = frozenset()
    upright: bool = False

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.rpartition("/")[2]


_STREET = frozenset({"airplane", "ship", "storage tank", "tennis court", "baseball diamond", "ground track field"})
SOURCES: tuple[Source, ...] = (
    Source("ucm", "captions.jsonl", True, "UC Merced (USGS, public domain)", None),
    Source("more/ships-google-earth", "boxes.jsonl", True, "Ships in Google Earth (CC BY 4.0)", frozenset({"ship"}),
           frozenset({"airplane", "tennis court", "baseball diamond"}), True),
    Source("more/aerial-cars", "boxes.jsonl", True, "aerial cars (CC BY 3.0, CC BY-SA)", _VEHICLES, _STREET, True),
    Source("more/solar-roofs", "questions.jsonl", True, "USGS roofs (public domain)", None),
    Source("more/rsod", "boxes.jsonl", False, "RSOD (research use)", None, upright=True),
    Source("more/aid-rsicd", "captions.jsonl", False, "AID and RSICD (research use)"),
    Source("more/nwpu-resisc", "scenes.jsonl", False, "NWPU-RESISC45 (research use)"),
    Source("more/rsscn7", "scenes.jsonl", False, "RSSCN7 (research use)"),
    Source("more/pools-cannes", "boxes.jsonl", False, "swimming pools of Cannes (terms not stated)",
           frozenset({"swimming pool"}), frozenset({"airplane", "storage tank", "baseball diamond"})),
    Source("more/drone-vehicles", "boxes.jsonl", False, "drone vehicles of Madison (terms not stated)",
           frozenset({"vehicle"}), _STREET, True),
    Source("more/lakes-bhuvan", "boxes.jsonl", False, "lakes of Bhuvan (terms not stated)", frozenset({"lake"})),
    Source("more/solar-drone", "boxes.jsonl", False, "solar panels by drone (terms not stated)",
           frozenset({"solar panel"}), _STREET - {"tennis court"}),
)  # fmt: skip
UPRIGHT = frozenset(
    {"rsod", "ships-google-earth", "aerial-cars", "pools-cannes", "drone-vehicles", "lakes-bhuvan", "airbus-aircraft"}
)
"""Folders whose labels are, for the most part, upright boxes."""
_EVALUATION_ONLY = ("planes", "airbus-aircraft", "dota")
SCENE_SOURCES = ("ucm", "aid-rsicd", "nwpu-resisc", "rsscn7")
_RSOD: Mapping[str, str] = MappingProxyType(
    {"aircraft": "airplane", "oiltank": "storage tank", "overpass": "overpass", "playground": "ground track field"}
)


def chosen(terms: Terms) -> tuple[Source, ...]:
    """Return the sources whose terms permit the intended use of the weights."""
    return tuple(source for source in SOURCES if source.permissive or terms == "all")


def licence(terms: Terms) -> str:
    """Return the sentence on the weights' licence for the model's card and settings."""
    used = ", ".join(source.terms for source in chosen(terms))
    if terms == "permissive":
        return f"Apache-2.0; trained on {used} and own drawings; captions of UCM-captions (research use)"
    return f"research use: trained on images whose terms are for research or not stated ({used}), and own drawings"


def read_photographs(
    imagery: Path, terms: Terms, report: Report, split: Split = "train", *, turned: bool = True
) -> list[LabelledImage]:
    """Read the photographs of one split of all permitted sources.

    `val` is for validation only; `test` is read once, for weights that may be released.

    A record's name is its path below `imagery`. With `turned`, upright boxes are rotated along their objects.

    Raises:
        DataError: A source's labels cannot be read.
    """
    found = []
    for source, image in _all(imagery, terms, report, split):
        assert image.path is not None
        named = replace(image, name=image.path.relative_to(imagery).as_posix())
        found.append(clipped(oriented(named) if turned and source.upright else named))
    return found


def read_evaluation_only(imagery: Path, report: Report) -> Iterator[LabelledImage]:
    """Read the photographs of sources reserved for measurement, once, of weights that may be released.

    Raises:
        DataError: A source's labels cannot be read.
    """
    for name in _EVALUATION_ONLY:
        folder = imagery / "evaluation-only" / name
        for image in read_boxes(DataSource(folder / "boxes.jsonl", folder, report=report)):
            assert image.path is not None
            yield replace(image, name=image.path.relative_to(imagery).as_posix())


def _all(imagery: Path, terms: Terms, report: Report, split: Split) -> Iterator[tuple[Source, LabelledImage]]:
    for source in chosen(terms):
        folder = imagery / source.folder
        if not folder.is_dir():
            raise DataError(f"{folder} is missing; give the folder that holds {source.folder}, or other --sources")
        if source.name == "ucm":
            yield from ((source, image) for image in _ucm(folder, split, report))
        elif (folder / split).is_dir():
            images = _roofs if source.name == "solar-roofs" else _boxed
            yield from ((source, image) for image in images(source, folder, split, report))


def _ucm(folder: Path, split: Split, report: Report) -> Iterator[LabelledImage]:
    """Read UC Merced's train part without overlaps with its test part, or the part of it kept for validation."""
    if split == "test":
        yield from read_ucm(folder, "test", report=report)
        return
    validation = read_list("ucm_val")
    left_out = read_list("ucm_overlap") | (validation if split == "train" else frozenset())
    for image in read_ucm(folder, "train", leave_out=left_out, report=report):
        if split == "train" or (image.path is not None and image.path.name in validation):
            yield image


def _boxed(source: Source, folder: Path, split: Split, report: Report) -> Iterator[LabelledImage]:
    """Read a source of boxes, scenes or captions, with the absences that its labels and classes imply."""
    turned = _turned(folder / source.labels, report)
    for image in read_boxes(DataSource(folder / source.labels, folder, split, report=report, split_asked=True)):
        assert image.path is not None
        known = source.labelled
        if known is None:  # RSOD marks in each photograph the category that its file is named after
            known = frozenset({_RSOD[image.path.name.partition("_")[0]]})
        if image.scene:
            known = known | absent(image.scene, image.captions)
        objects = tuple(_with_own_box(thing, turned.get(image.path.name, ())) for thing in image.objects)
        yield replace(image, objects=objects, labelled=known | source.missing)


def _roofs(source: Source, folder: Path, split: Split, report: Report) -> Iterator[LabelledImage]:
    """Read roofs with and without solar panels; the positions of panels are unknown."""
    for _, row in read_jsonl(folder / source.labels, report):
        if row["split"] == split:
            known = frozenset({"solar panel"}) if row["answer"] == "no" else frozenset[str]()
            captions = () if known else ("There are solar panels on a roof.",)
            path = folder / row["image"]
            yield LabelledImage(path, 101, 101, captions=captions, split=split, labelled=known | _STREET)


def _turned(labels: Path, report: Report) -> dict[str, list[Polygon]]:
    """Read the oriented boxes that a source has in addition to its upright ones, by the photograph's name."""
    found: dict[str, list[Polygon]] = {}
    for _, row in read_jsonl(labels, report):
        boxes = [as_polygon(thing["oriented"]) for thing in row.get("objects", ()) if "oriented" in thing]
        if boxes:
            found.setdefault(Path(row["image"]).name, []).extend(boxes)
    return found


def _with_own_box(thing: LabelledObject, boxes: Sequence[Polygon]) -> LabelledObject:
    """Return the object with the oriented box of the same centre, if one fills its upright box."""
    x, y = thing.center
    side = max(abs(thing.polygon[2][0] - thing.polygon[0][0]), abs(thing.polygon[2][1] - thing.polygon[0][1]))
    for polygon in boxes:
        cx, cy = sum(p[0] for p in polygon) / 4, sum(p[1] for p in polygon) / 4
        if max(abs(cx - x), abs(cy - y)) < 0.1 * side and Shape(polygon).area < 1.1 * thing.area:
            return replace(thing, polygon=polygon, attributes=(MEASURED,))
    return thing


def clipped(image: LabelledImage) -> LabelledImage:
    """Fit the boxes of truncated objects to their visible part."""
    frame = box(0, 0, image.width, image.height)
    return replace(image, objects=tuple(_fitted(thing, frame) for thing in image.objects))


def _fitted(thing: LabelledObject, frame: Shape) -> LabelledObject:
    shape = Shape(thing.polygon)
    if not thing.truncated and frame.contains(shape):
        return thing
    return replace(thing, polygon=as_polygon(OrientedBox.from_polygon(shape.intersection(frame)).corners()))


def held_back(imagery: Path) -> Iterator[Path]:
    """Yield the images excluded from training: all test and validation parts, `evaluation-only`, and HIT-UAV."""
    validation = read_list("ucm_val")
    for path in sorted(imagery.rglob("*.jpg")):
        parts = path.relative_to(imagery).parts
        if parts[0] in {"evaluation-only", "hit-uav"} or {"test", "val"} & set(parts) or path.name in validation:
            yield path


def distinct(images: Sequence[LabelledImage], kept: Iterable[Path], report: Report) -> list[LabelledImage]:
    """Remove images that resemble one of `kept`, or an earlier one of another source."""
    paths = [image.path for image in images if image.path is not None]
    mine, hashes = hash_images(paths)
    theirs, others = hash_images(kept)
    copies: set[Path] = set()
    for match in find_matches(hashes, others):
        report.skip("photograph like one that is held back", f"{mine[match.first]} is like {theirs[match.second]}")
        copies.add(mine[match.first])
    for match in find_matches(hashes, hashes):
        first, second = mine[match.first], mine[match.second]
        if match.first < match.second and first.parent.parts[-3:] != second.parent.parts[-3:]:
            report.skip("photograph of two sources", f"{second} is like {first}")
            copies.add(second)
    return [image for image in images if image.path not in copies]


def folder_of(image: LabelledImage) -> str:
    """Return the name of the source of an image, from its folder."""
    first, *rest = (image.name or "").split("/")
    return rest[0] if first in {"more", "evaluation-only"} and rest else first


def source_of(image: LabelledImage) -> str | None:
    """Return the name of the scene source of an image; None for others and for generated images."""
    name = folder_of(image)
    return name if name in SCENE_SOURCES else None
