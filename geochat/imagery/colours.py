"""Conversion of stored bands to displayed ones: a palette, inks, or the bands themselves, with their labels."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geochat.imagery import jpeg2000
from geochat.imagery.gdal import QuietReader
from geochat.imagery.labels import Clues, Labels, read_labels
from geochat.imagery.pam import Pam, PamBand

_PICTURE = Labels(("red", "green", "blue"))
_INKS = ["cyan", "magenta", "yellow", "black"]


@dataclass(frozen=True)
class Colours:
    """Colour interpretation of a file's bands.

    Attributes:
        labels: Content of each selectable band.
        full_scale: The largest value of samples of 8 bits or fewer, None for any other kind.
        palette: RGBA (entries, 4) of a palette, whose indices are the first band.
        inks: The value of full ink where the first four bands are cyan, magenta, yellow and black.
        alpha: The number of the band stored that is transparency, None for none.
        is_colour: Whether bands 1, 2, 3 are those of a colour picture rather than a sensor's.
    """

    labels: Labels
    full_scale: int | None
    palette: NDArray[np.uint8] | None = None
    inks: float | None = None
    alpha: int | None = None
    is_colour: bool = False

    @property
    def is_expanded(self) -> bool:
        """Return whether the displayed bands are not among the stored ones."""
        return self.palette is not None or self.inks is not None

    def stored(self, bands: tuple[int, ...]) -> list[int]:
        """Return the bands to read for the bands to show."""
        if self.palette is not None:
            return [1]
        return list(bands) if self.inks is None else [1, 2, 3, 4]

    def shown(self, samples: NDArray[Any], bands: tuple[int, ...]) -> NDArray[Any]:
        """Convert `stored` bands to those to show, (bands, height, width); a palette appends a transparency band."""
        if self.palette is not None:
            colours: NDArray[np.uint8] = self.palette[np.clip(samples[0], 0, len(self.palette) - 1)]  # (H, W, 4)
            return colours[..., [*(band - 1 for band in bands), 3]].transpose(2, 0, 1)
        if self.inks is None:
            return samples
        light = 1 - np.clip(samples.astype(np.float32) / self.inks, 0, 1)
        mixed: NDArray[np.uint8] = np.rint(255 * light[[band - 1 for band in bands]] * light[3]).astype(np.uint8)
        return mixed


def read_colours(dataset: QuietReader, pam: Pam, header: jpeg2000.Header | None) -> Colours:
    """Read the colour interpretation of an open file's bands.

    Args:
        dataset: The file.
        pam: Contents of a side file.
        header: Header of a JPEG 2000 file.
    """
    interpretations = [colour.name for colour in dataset.colours]
    alpha = interpretations.index("alpha") + 1 if "alpha" in interpretations else None
    if header is not None and header.opacity is not None and header.opacity < dataset.count:
        alpha = header.opacity + 1
        interpretations[header.opacity] = "alpha"
    palette = _palette(dataset)
    if palette is not None and set(interpretations[1:]) <= {"alpha"}:
        return Colours(_PICTURE, 255, palette=palette, alpha=alpha)
    if _are_inks(interpretations, header):
        return Colours(_PICTURE, 255, inks=_full_ink(dataset, header), alpha=alpha)
    labels = _labels(dataset, interpretations, pam)
    picture = interpretations in (["red", "green", "blue"], ["red", "green", "blue", "alpha"])
    return Colours(
        labels,
        _full_scale(dataset),
        alpha=labels.names.index("alpha") + 1 if "alpha" in labels.names else None,
        is_colour=picture and labels.by == "colours" and dataset.dtypes[0] != "uint8",
    )


def with_infrared(labels: Labels) -> Labels:
    """Return the labels, with a "transparency" band that is near infrared relabelled."""
    return replace(labels, names=tuple("nir" if name == "alpha" else name for name in labels.names), by="content")


def _labels(dataset: QuietReader, interpretations: list[str], pam: Pam) -> Labels:
    clues = []
    for number, interpretation in enumerate(interpretations, 1):
        said = pam.bands.get(number, PamBand())
        clues.append(
            Clues(
                interpretation if said.interpretation in ("", "undefined") else said.interpretation,
                dataset.descriptions[number - 1] or said.description,
                _all_tags(dataset, number) | dict(said.tags),
            )
        )
    return read_labels(clues, _all_tags(dataset, 0) | dict(pam.tags))


def _all_tags(dataset: QuietReader, band: int) -> dict[str, str]:
    """Return the metadata of the domains that describe an image; of the file as a whole for band 0."""
    found: dict[str, str] = {}
    for domain in ("ENVI", "IMAGERY", None):
        tags: Mapping[str, str] = dataset.tags(band, ns=domain)
        found |= tags
    return found


def _are_inks(interpretations: list[str], header: jpeg2000.Header | None) -> bool:
    if interpretations[:4] == _INKS:
        return True
    return header is not None and header.colours == jpeg2000.CMYK and len(interpretations) >= 4


def _full_ink(dataset: QuietReader, header: jpeg2000.Header | None) -> float:
    if header is not None:
        return float(2 ** header.components[0].bits - 1)
    bits = dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
    if bits:
        return float(2 ** int(bits) - 1)
    dtype = np.dtype(dataset.dtypes[0])
    return float(np.iinfo(dtype).max) if dtype.kind in "ui" else 1.0


def _full_scale(dataset: QuietReader) -> int | None:
    if dataset.dtypes[0] != "uint8":
        return None
    bits = int(dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", 8))
    return int(2**bits - 1)


def _palette(dataset: QuietReader) -> NDArray[np.uint8] | None:
    """Return the RGBA (entries, 4) of the first band's colour table; None if there is none."""
    try:
        entries = dataset.colormap(1)
    except ValueError:  # how rasterio says that there is none
        return None
    table = np.zeros((max(entries) + 1, 4), np.uint8)
    for index, colour in entries.items():
        table[index] = colour
    return table
