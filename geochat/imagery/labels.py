"""Labels of bands, from all metadata of a file.

Sources in order of precedence: the band's name ("Red (B4)", "B04", "NIR"), its wavelength, the sensor named in the
metadata with a usual order of its bands, and last GDAL's colour interpretation, which is often a default: three unnamed
8-bit bands are called red, green, blue, and a fourth alpha, unless the writer of the file stated otherwise.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from geochat.imagery import sensors

_WORDS = {
    **{word: word for word in ("red", "green", "blue", "yellow", "coastal", "cirrus", "nir", "alpha", "thermal")},
    **{"r": "red", "g": "green", "b": "blue", "n": "nir", "a": "alpha"},
    **{"ir": "nir", "infrared": "nir", "nearinfrared": "nir", "nir1": "nir", "nir2": "nir09", "nnir": "nir08"},
    **{"nir08": "nir08", "nir09": "nir09", "nirnarrow": "nir08", "narrownir": "nir08", "watervapour": "nir09"},
    **{"swir": "swir1", "swir1": "swir1", "swir2": "swir2", "swir16": "swir1", "swir22": "swir2"},
    **{"rededge": "rededge1", "rededge1": "rededge1", "rededge2": "rededge2", "rededge3": "rededge3"},
    **{"greeni": "green1", "green1": "green1", "pan": "pan", "panchromatic": "pan", "tir": "thermal"},
    **{"tirs1": "thermal", "tirs2": "thermal2", "lwir": "thermal", "aerosol": "coastal", "transparency": "alpha"},
    **{"opacity": "alpha"},
}
_JOINED = (  # several words that are one
    (r"short ?wave ?infra ?red", "swir"),
    (r"near ?infra ?red", "nir"),
    (r"thermal infra ?red", "thermal"),
    (r"infra ?red", "infrared"),
    (r"(vegetation )?red ?edge", "rededge"),
    (r"coastal (blue|aerosol)", "coastal"),
    (r"ultra ?blue", "coastal"),
    (r"green i\b", "greeni"),
    (r"water ?vapou?r", "watervapour"),
    (r"narrow nir|nir narrow", "nirnarrow"),
    (r"\b(swir|rededge|nir|tirs) (\d{1,2})\b(?! ?(nm|nan|um|mic))", r"\1\2"),
)
_FILLERS = {
    *("band", "bands", "channel", "ch", "layer", "reflectance", "surface", "radiance", "toa", "boa", "sr", "dn"),
    *("top", "of", "atmosphere", "bottom", "light", "visible", "vis", "value", "values", "digital", "number", "mean"),
    *("sentinel", "s2", "s2a", "s2b", "l2a", "l1c", "landsat", "oli", "etm", "tm", "msi", "planetscope", "naip", "the"),
    *("central", "center", "centre", "wavelength", "resolution", "m"),
}
_NUMBER = re.compile(r"\b(?:sr|toa|boa|s2|oli)? ?(?:b|band) ?(0?)(\d{1,2})(a?)\b")
_WAVELENGTH = re.compile(r"(\d+(?:\.\d+)?) ?(nm|nanomet\w*|µm|um\b|micromet\w*|microns?)")
_MOST_NUMBERED = 13  # bands of a sensor whose numbers are known
_NAME_KEYS = ("common_name", "band_name", "bandname", "name", "long_name", "description", "band")
_WAVELENGTH_KEYS = ("central_wavelength_um", "central_wavelength", "center_wavelength", "wavelength", "wavelengths")


@dataclass(frozen=True)
class Clues:
    """A file's statements about one band.

    Attributes:
        interpretation: GDAL's name of its colour interpretation.
        description: Name in the file, "" without one.
        tags: Its metadata, of all domains.
    """

    interpretation: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Labels:
    """Labels of the bands of a file.

    Attributes:
        names: One per band, such as "red" or "alpha"; "" if unknown.
        by: Their source: "names", "wavelengths", "sensor" or "colours".
        sensor: Name of the sensor; "" if unknown.
    """

    names: tuple[str, ...]
    by: str = "colours"
    sensor: str = ""


def read_labels(bands: Sequence[Clues], tags: Mapping[str, str]) -> Labels:
    """Determine the labels of the bands.

    Args:
        bands: Statements of the file about each band.
        tags: Its metadata as a whole.
    """
    sensor = sensors.told_sensor(tags)
    title = sensors.TITLES.get(sensor, "")
    colours = [_by_colour(clues.interpretation) for clues in bands]
    wavelengths = _by_wavelength(bands, tags)
    named = _by_name(bands, sensor, by_number=not any(wavelengths) and len(bands) <= _MOST_NUMBERED)
    if any(named):
        return Labels(_filled(named, wavelengths, colours, bands), "names", title)
    if any(wavelengths):
        return Labels(_filled(wavelengths, colours=colours, bands=bands), "wavelengths", title)
    told = set(colours) - {"", "alpha"}
    count = len(bands) - (colours[-1:] == ["alpha"] and not _is_default(colours))
    usual = sensors.by_order(sensor, count)
    if usual is not None and (not told or _is_default(colours)) and not any(clues.description for clues in bands):
        return Labels((*usual, *colours[count:]), "sensor", title)
    return Labels(tuple(colours), "colours", title)


def label_of(text: str) -> str:
    """Return the label of a band from its name alone, "" for ambiguous names such as B4."""
    words = _normalised(text)
    rest = _NUMBER.sub(" ", _WAVELENGTH.sub(" ", words))
    tokens = [token for token in rest.split() if token not in _FILLERS and not re.fullmatch(r"\d+\w?|-", token)]
    found = {_WORDS.get(token, "?") for token in tokens}
    if len(tokens) > 1 and any(len(token) == 1 for token in tokens):  # "R G ratio" is no band
        return ""
    return found.pop() if len(found) == 1 and "?" not in found else ""


def _by_name(bands: Sequence[Clues], sensor: str, *, by_number: bool) -> list[str]:
    texts = [_texts(clues) for clues in bands]
    labels = [next((label for text in each if (label := label_of(text))), "") for each in texts]
    if not by_number:
        return labels
    numbers: list[str] = []
    padded = False
    for each in texts:
        found = next((match for text in each if (match := _numbered(text))), None)
        numbers.append("" if found is None else f"{found[2]}{found[3]}")
        padded = padded or (found is not None and found[1] == "0")
    if _is_count(numbers) and not (sensor or padded):
        numbers = [""] * len(bands)  # "Band 1", "Band 2", ...: GDAL and others number any file so
    shown = sensors.by_number([number for number in numbers if number], sensor, padded=padded)
    return [label or shown.get(number, "") for label, number in zip(labels, numbers, strict=True)]


def _is_count(numbers: Sequence[str]) -> bool:
    """Return whether bands are merely numbered from 1, in a file with too few bands for a sensor."""
    return list(numbers) == [str(number) for number in range(1, len(numbers) + 1)] and len(numbers) < 7


def _numbered(text: str) -> re.Match[str] | None:
    """Parse a name that consists of a band number and known words."""
    words = _normalised(text)
    match = _NUMBER.search(words)
    if match is None:
        return None
    rest = _WAVELENGTH.sub(" ", _NUMBER.sub(" ", words)).split()
    return match if all(token in _FILLERS or token.isdigit() for token in rest) else None


def _by_wavelength(bands: Sequence[Clues], tags: Mapping[str, str]) -> list[str]:
    lengths = [_wavelength(clues) for clues in bands]
    if not any(lengths):
        listed = next((value for key, value in tags.items() if key.lower() == "wavelength"), "")
        unit = next((value for key, value in tags.items() if key.lower() == "wavelength_units"), "")
        parts = re.findall(r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", listed)
        if len(parts) == len(bands):
            lengths = [_nanometres(float(part), unit) for part in parts]
    return sensors.by_wavelength(lengths)


def _wavelength(clues: Clues) -> float | None:
    """Parse a wavelength, in nanometres."""
    lowered = {key.lower(): value for key, value in clues.tags.items()}
    unit = lowered.get("wavelength_units", "") or lowered.get("wavelength_unit", "")
    for key in _WAVELENGTH_KEYS:
        with suppress(ValueError):
            if text := re.sub(r"[^0-9.eE+-]+$", "", lowered.get(key, "").strip()):
                return _nanometres(float(text), "um" if key.endswith("_um") else unit or lowered[key])
    match = next((found for text in _texts(clues) if (found := _WAVELENGTH.search(_normalised(text)))), None)
    return None if match is None else _nanometres(float(match[1]), match[2])


def _nanometres(length: float, unit: str) -> float:
    unit = unit.lower().strip()
    if unit.startswith(("nm", "nano")) or unit.endswith(("nm", "nanometers")):
        return length
    if unit.startswith(("um", "µm", "micro")) or unit.endswith(("um", "µm", "microns", "micrometers")) or length < 20:
        return length * 1000
    return length


def _filled(
    names: Sequence[str], wavelengths: Sequence[str] = (), colours: Sequence[str] = (), bands: Sequence[Clues] = ()
) -> tuple[str, ...]:
    """Return names, and other known facts for bands without one; an alpha band without a description is one."""
    filled = list(names)
    for number, name in enumerate(names):
        length = wavelengths[number] if wavelengths else ""
        if not name and length not in filled:
            filled[number] = length
        elif not name and colours[number] == "alpha" and not bands[number].description:
            filled[number] = "alpha"
    return tuple(filled)


def _by_colour(interpretation: str) -> str:
    known = {"swir": "swir1", "red_edge": "rededge1", "rededge": "rededge1", "tir": "thermal", "lwir": "thermal"}
    name = known.get(interpretation, interpretation)
    return name if name in {"red", "green", "blue", "yellow", "nir", "coastal", "pan", "alpha", *known.values()} else ""


def _is_default(colours: Sequence[str]) -> bool:
    """Return whether these are GDAL's defaults for bands without metadata."""
    return list(colours) in (["red", "green", "blue"], ["red", "green", "blue", "alpha"]) or not any(colours)


def _texts(clues: Clues) -> list[str]:
    lowered = {key.lower(): value for key, value in clues.tags.items()}
    return [text for text in (clues.description, *(lowered.get(key, "") for key in _NAME_KEYS)) if text]


def _normalised(text: str) -> str:
    words = re.sub(r"[^a-z0-9µ.]+|\.(?!\d)", " ", text.lower()).strip()
    for pattern, replacement in _JOINED:
        words = re.sub(pattern, replacement, words)
    return words
