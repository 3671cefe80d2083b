"""DOTA text: a file an image, a line an object: eight numbers, the category, whether it is difficult.

Lines such as "imagesource:GoogleEarth" and "gsd:0.14" are the format's own head and are passed over.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from geochat_data.readers.source import (
    Label,
    Source,
    category_name,
    find_folder,
    image_files,
    labelled_image,
    pairs,
)
from geochat_data.records import LabelledImage

LABEL_FOLDERS = ("labelTxt", "labelTxt-v1.5", "labelTxt-v1.0", "labelTxt-v2.0", "annfiles", "labels")
_UPRIGHT = re.compile(r"Task2|reclabel|hbb", re.IGNORECASE)  # DOTA's second set of labels, boxes that are not turned


def read_dota(source: Source) -> Iterator[LabelledImage]:
    """The images of a DOTA folder or of `<split>/` in it, `images/` beside `labelTxt/`.

    Raises:
        DataError: There is no folder of labels or of images.
    """
    if (source.path / source.split).is_dir():
        source = replace(source, path=source.path / source.split)
    folder = find_folder(source, *LABEL_FOLDERS)
    texts = {path.stem: path for path in sorted(folder.rglob("*.txt")) if not _UPRIGHT.search(path.as_posix())}
    labels = {stem: list(_read(path, source)) for stem, path in texts.items()}
    names = {category_name(label.category) for found in labels.values() for label in found}
    for stem, path in image_files(source.images or source.path / "images").items():
        found = labels.pop(Path(stem).name, None)
        if found is None:
            source.report.skip("image without a label file", str(path))
        else:
            yield from labelled_image(source, path, found, categories=names)
    for stem in labels:
        source.report.skip("label file without an image", str(texts[stem]))


def _read(path: Path, source: Source) -> Iterator[Label]:
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        words = line.split()
        if not words or ":" in words[0]:
            continue
        try:
            numbers = [float(word) for word in words[:8]]
            difficult = len(words) > 9 and int(words[9]) > 0
            yield Label(words[8], pairs(numbers), f"{path}:{number}", difficult)
        except (ValueError, IndexError):
            source.report.skip("malformed line", f"{path}:{number}")
