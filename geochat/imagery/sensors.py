"""Bands of known sensors, by name, order and wavelength.

Band names such as B2, B3, B4 have different meanings for different sensors. Sentinel-2 and Landsat 8 agree on the
visible ones. Where they differ, the combination of names or the file's metadata decides; otherwise the band stays
unnamed.
"""

import re
from collections.abc import Mapping, Sequence

_SENTINEL2 = {
    **{"1": "coastal", "2": "blue", "3": "green", "4": "red", "5": "rededge1", "6": "rededge2", "7": "rededge3"},
    **{"8": "nir", "8a": "nir08", "9": "nir09", "10": "cirrus", "11": "swir1", "12": "swir2"},
}
_LANDSAT8 = {
    **{"1": "coastal", "2": "blue", "3": "green", "4": "red", "5": "nir", "6": "swir1", "7": "swir2"},
    **{"8": "pan", "9": "cirrus", "10": "thermal", "11": "thermal2"},
}
_LANDSAT7 = {
    **{"1": "blue", "2": "green", "3": "red", "4": "nir", "5": "swir1", "6": "thermal", "7": "swir2", "8": "pan"},
}
_MODIS = {
    **{"1": "red", "2": "nir", "3": "blue", "4": "green", "5": "nir12", "6": "swir1", "7": "swir2"},
}
SENSORS = {"sentinel2": _SENTINEL2, "landsat8": _LANDSAT8, "landsat7": _LANDSAT7, "modis": _MODIS}
TITLES = {
    "sentinel2": "Sentinel-2",
    "landsat8": "Landsat 8 and 9",
    "landsat7": "Landsat 4 to 7",
    "modis": "MODIS",
    "planet": "PlanetScope",
    "rapideye": "RapidEye",
    "naip": "NAIP",
    "worldview": "WorldView",
}

_TOLD = {  # in metadata
    "sentinel2": r"sentinel[-_ ]?2|\bs2[abc]\b|\bs2[abc]_|msil[12][ac]",
    "landsat8": r"landsat[-_ ]?[89]\b|\bl[co]0[89]_|\boli(_tirs)?\b",
    "landsat7": r"landsat[-_ ]?[457]\b|\bl[et]0[457]_|\betm\b|\betm\+",
    "modis": r"\bmodis\b|\bm[oy]d09",
    "planet": r"planetscope|super ?dove|\bps2(\.sd)?\b|\bpsb(\.sd)?\b",
    "rapideye": r"rapideye",
    "naip": r"\bnaip\b",
    "worldview": r"worldview[-_ ]?[23]\b|\bwv0[23]\b",
}
_TOLD_BY = re.compile(
    r"satellite|spacecraft|platform|sensor|instrument|mission|constellation|product|dataset|collection"
    r"|imagedescription|documentname|title|scene_?id|source|description",
    re.IGNORECASE,
)

_TENS = ("blue", "green", "red", "nir")
_ORDERS: dict[str, dict[int, tuple[str, ...]]] = {  # what stacks without names hold, by how many bands there are
    "sentinel2": {
        4: _TENS,
        10: (
            *("blue", "green", "red", "rededge1", "rededge2", "rededge3"),
            *("nir", "nir08", "swir1", "swir2"),
        ),
        12: tuple(label for label in _SENTINEL2.values() if label != "cirrus"),
        13: tuple(_SENTINEL2.values()),
    },
    "landsat8": {7: tuple(_LANDSAT8.values())[:7], 11: tuple(_LANDSAT8.values())},
    "landsat7": {6: ("blue", "green", "red", "nir", "swir1", "swir2")},
    "modis": {7: tuple(_MODIS.values())},
    "planet": {
        4: _TENS,
        5: ("blue", "green", "red", "rededge1", "nir"),
        8: ("coastal", "blue", "green1", "green", "yellow", "red", "rededge1", "nir"),
    },
    "rapideye": {5: ("blue", "green", "red", "rededge1", "nir")},
    "naip": {4: ("red", "green", "blue", "nir")},
    "worldview": {4: _TENS, 8: ("coastal", "blue", "green", "yellow", "red", "rededge1", "nir", "nir09")},
}

_WAVELENGTHS = (  # label, from, to, and what is nearest to it in nanometres
    ("coastal", 400, 450, 443),
    ("blue", 450, 520, 485),
    ("green", 520, 590, 555),
    ("yellow", 590, 622, 605),
    ("red", 622, 690, 660),
    ("rededge1", 690, 725, 705),
    ("rededge2", 725, 765, 740),
    ("rededge3", 765, 800, 783),
    ("nir", 800, 900, 842),
    ("nir09", 900, 1000, 945),
    ("swir1", 1550, 1750, 1610),
    ("swir2", 2050, 2400, 2200),
    ("thermal", 8000, 13000, 10900),
)


def told_sensor(tags: Mapping[str, str]) -> str:
    """Return the sensor that a file's metadata name, "" for none or several."""
    text = " ".join(value for key, value in tags.items() if _TOLD_BY.search(key)).lower()
    found = [sensor for sensor, pattern in _TOLD.items() if re.search(pattern, text)]
    return found[0] if len(found) == 1 else ""


def by_order(sensor: str, count: int) -> tuple[str, ...] | None:
    """Return the labels of a sensor's unnamed bands, if this number of bands has a usual order."""
    return _ORDERS.get(sensor, {}).get(count)


def by_number(numbers: Sequence[str], sensor: str, *, padded: bool) -> dict[str, str]:
    """Return the labels of numbered bands.

    Args:
        numbers: Those that occur together, in lower case without leading zeros, such as "4" and "8a".
        sensor: The sensor that the file names, "" for none.
        padded: Whether they are written B02, as Sentinel-2's are.
    """
    if sensor in SENSORS:
        tables = [SENSORS[sensor]]
    elif padded or "8a" in numbers or "12" in numbers:
        tables = [_SENTINEL2]
    elif {"1", "5", "7"} <= set(numbers) and not {"6", "8", "9"} & set(numbers):
        tables = [_LANDSAT7]  # band 6 is thermal there, and coarser
    elif {"5", "6", "7"} <= set(numbers) and not {"8", "9", "11"} & set(numbers):
        tables = [_LANDSAT8]  # Sentinel-2's red edges come with its near infrared
    elif "8" in numbers:
        tables = [_SENTINEL2]  # the panchromatic band has other pixels
    else:
        tables = [_SENTINEL2, _LANDSAT8]
    shown = {number: {table.get(number, "") for table in tables} for number in numbers}
    return {number: labels.pop() if len(labels) == 1 else "" for number, labels in shown.items()}


def by_wavelength(wavelengths: Sequence[float | None]) -> list[str]:
    """Return the labels of bands by wavelength in nanometres; of several of one colour, the nearest to its centre."""
    labels = [""] * len(wavelengths)
    for label, shortest, longest, middle in _WAVELENGTHS:
        near = [
            (abs(length - middle), number)
            for number, length in enumerate(wavelengths)
            if length is not None and shortest <= length < longest
        ]
        if near:
            labels[min(near)[1]] = label
    return labels
