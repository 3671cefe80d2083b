"""Which bands become red, green and blue.

A file that says what its bands are (colour interpretation, or band descriptions such as "nir") is believed. One that
does not is taken in the order its name or the caller gives: NIR-last for "rgb" and "nir", as NAIP and most drone
mosaics are stored, and any of `ORDERS` by name, as in "landsat8:swir".
"""

from collections.abc import Sequence

from geochat.errors import ImageError

BandChoice = str | int | Sequence[int]

# Three-band displays, each named by what it is used for.
COMPOSITES = {
    "rgb": ("red", "green", "blue"),  # true colour
    "nir": ("nir", "red", "green"),  # colour infrared: plants red
    "swir": ("swir1", "nir", "red"),  # short-wave infrared: bare and burnt ground red, plants green
}

# What files that do not label their bands hold, first band first.
ORDERS = {
    "rgbn": ("red", "green", "blue", "nir"),
    "bgrn": ("blue", "green", "red", "nir"),  # Planet, Maxar, Sentinel-2 10 m stacks
    "snrg": ("swir1", "nir", "red", "green"),  # Landsat composites made for vegetation
    "landsat7": ("blue", "green", "red", "nir", "swir1", "swir2"),
    "landsat8": ("coastal", "blue", "green", "red", "nir", "swir1", "swir2"),
    "sentinel2": (  # B1 to B12 without B10, as level 2A
        *("coastal", "blue", "green", "red", "rededge1", "rededge2"),
        *("rededge3", "nir", "nir08", "nir09", "swir1", "swir2"),
    ),
}

_DESCRIPTIONS = {
    "r": "red",
    "g": "green",
    "b": "blue",
    "near infrared": "nir",
    "near-infrared": "nir",
    "swir": "swir1",
    "swir 1": "swir1",
    "swir16": "swir1",
    "swir 2": "swir2",
    "swir22": "swir2",
}


def read_label(interpretation: str, description: str | None) -> str:
    """What a band shows: "red", "nir", "alpha", ...; "" when neither colour interpretation nor description tells."""
    words = (description or "").strip().lower()
    described = _DESCRIPTIONS.get(words, words)
    known = {name for names in ORDERS.values() for name in names}
    if described in known:
        return described
    named = "swir1" if interpretation == "swir" else interpretation
    return named if named in known or named == "alpha" else ""


def choose_bands(choice: BandChoice, labels: Sequence[str], name: str) -> tuple[int, ...]:
    """The bands to show, 1-based: three, or one for grey.

    Args:
        choice: "auto" (labelled true colour, else the first three, else the first alone as grey), a key of
            `COMPOSITES`, "<order>:<composite>" with a key of `ORDERS`, or one or three band numbers from 1.
        labels: One per band of the file, from `read_label`.
        name: What messages call the image.

    Raises:
        ImageError: The choice is unknown, or the file has no such band.
    """
    if isinstance(choice, str):
        return _by_name(choice, labels, name)
    numbers = (int(choice),) if isinstance(choice, int) else tuple(int(number) for number in choice)
    if len(numbers) not in (1, 3) or not all(1 <= number <= len(labels) for number in numbers):
        raise ImageError(
            f"{name}: bands {numbers} cannot be shown; the image has {len(labels)} bands, give one number for grey or"
            f" three for red, green, blue, from 1 to {len(labels)}"
        )
    return numbers


def _by_name(choice: str, labels: Sequence[str], name: str) -> tuple[int, ...]:
    if choice == "auto":
        return _automatic(labels, name)
    order, _, composite = choice.rpartition(":")
    if composite not in COMPOSITES or (order and order not in ORDERS):
        raise ImageError(
            f"{name}: bands {choice!r} is unknown; choose 'auto', one of {', '.join(COMPOSITES)}, one of them after"
            f" an order ({', '.join(ORDERS)}) as in 'landsat8:nir', or band numbers as (4, 3, 2)"
        )
    wanted = COMPOSITES[composite]
    if not order and set(wanted) <= set(labels):
        return tuple(labels.index(colour) + 1 for colour in wanted)
    stored = ORDERS[order] if order else _assumed_order(composite)
    numbers = tuple(stored.index(colour) + 1 for colour in wanted if colour in stored)
    if len(numbers) < 3 or max(numbers) > len(labels):
        raise ImageError(
            f"{name}: {choice!r} needs {', '.join(wanted)}, which {len(labels)} bands in the order"
            f" {', '.join(stored)} do not hold; name another order ({', '.join(ORDERS)}) or give band numbers"
        )
    return numbers


def _assumed_order(composite: str) -> tuple[str, ...]:
    return ORDERS["snrg" if composite == "swir" else "rgbn"]


def _automatic(labels: Sequence[str], name: str) -> tuple[int, ...]:
    true_colour = COMPOSITES["rgb"]
    if set(true_colour) <= set(labels):
        return tuple(labels.index(colour) + 1 for colour in true_colour)
    visible = [number for number, label in enumerate(labels, 1) if label != "alpha"]
    if not visible:
        raise ImageError(f"{name} holds nothing but transparency; give an image with at least one band of data")
    return tuple(visible[:3]) if len(visible) >= 3 else (visible[0],)
