"""DOTA text: a file an image, a line an object: eight numbers, the category, whether it is difficult.

Lines such as "imagesource:GoogleEarth" and "gsd:0.14" are the format's own head and are passed over.
"""

from collections.abc import Iterator
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


def read_dota(source: Source) -> Iterator[LabelledImage]:
    """The images of a DOTA folder, `images/` beside `labelTxt/`; those without a label file hold nothing.

    Raises:
        DataError: There is no folder of labels or of images.
    """
    folder = find_folder(source, *LABEL_FOLDERS)
    texts = {path.stem: path for path in sorted(folder.rglob("*.txt"))}
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
