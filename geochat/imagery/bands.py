"""Selection of the bands shown as red, green and blue, and remarks on it.

If a file labels its bands (`labels`), the labels are used, and missing bands are refused. Otherwise the order comes
from the caller, by name from `ORDERS` as in "landsat8:swir"; the default is red, green, blue and near infrared, as in
NAIP and most drone mosaics, with a remark.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from geochat.errors import ImageError
from geochat.imagery.labels import Labels
from geochat.imagery.remarks import Remark

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

_STAND_INS = {"nir": "nir08", "blue": "coastal"}  # where the first is missing; the second only for display
_BY = {
    "names": "as the file names them",
    "wavelengths": "by their wavelengths",
    "colours": "as the file says",
    "content": "by what they hold",
}


@dataclass(frozen=True)
class Chosen:
    """The bands to show.

    Attributes:
        numbers: 1-based: three, or one for grey.
        remarks: Why these, where that is not plain.
    """

    numbers: tuple[int, ...]
    remarks: tuple[Remark, ...] = ()


def choose_bands(choice: BandChoice, labels: Labels, name: str) -> Chosen:
    """Choose the bands to show.

    Args:
        choice: "auto" (true colour by what the file says, else the first three, else the first alone as grey), a key of
            `COMPOSITES`, "<order>:<composite>" with a key of `ORDERS`, or one or three band numbers from 1.
        labels: Labels of the file's bands.
        name: Name of the image in messages.

    Raises:
        ImageError: The choice is unknown, or the file has no such band.
    """
    if choice == "auto":
        return _automatic(labels, name)
    if isinstance(choice, str):
        return _by_name(choice, labels, name)
    count = len(labels.names)
    numbers = (int(choice),) if isinstance(choice, int) else tuple(int(number) for number in choice)
    if len(numbers) not in (1, 3) or not all(1 <= number <= count for number in numbers):
        raise ImageError(
            f"{name}: bands {numbers} cannot be shown; the image has {count} bands, give one number for grey or"
            f" three for red, green, blue, from 1 to {count}"
        )
    return Chosen(numbers)


def wants_infrared(choice: BandChoice) -> bool:
    """Return whether a choice requests a display with near infrared rather than an order of bands."""
    return isinstance(choice, str) and "nir" in COMPOSITES.get(choice, ())


def _by_name(choice: str, labels: Labels, name: str) -> Chosen:
    order, _, composite = choice.rpartition(":")
    if composite not in COMPOSITES or (order and order not in ORDERS):
        raise ImageError(
            f"{name}: bands {choice!r} is unknown; choose 'auto', one of {', '.join(COMPOSITES)}, one of them after"
            f" an order ({', '.join(ORDERS)}) as in 'landsat8:nir', or band numbers as (4, 3, 2)"
        )
    wanted, count = COMPOSITES[composite], len(labels.names)
    if not order and set(labels.names) - {"", "alpha"}:
        numbers = _labelled(wanted, labels.names)
        if numbers is None:
            raise ImageError(
                f"{name}: {choice!r} needs {', '.join(wanted)}, and the image's bands are {_listed(labels.names)}; give"
                f" band numbers as (3, 2, 1), or name an order ({', '.join(ORDERS)}) as in 'rgbn:{composite}' if"
                " they are something else"
            )
        return Chosen(numbers, (_shown(numbers, labels),))
    assumed = "snrg" if composite == "swir" else "rgbn"
    stored = ORDERS[order or assumed]
    found = tuple(stored.index(colour) + 1 for colour in wanted if colour in stored)
    if len(found) < 3 or max(found) > count:
        raise ImageError(
            f"{name}: {choice!r} needs {', '.join(wanted)}, which {count} bands in the order"
            f" {', '.join(stored)} do not hold; name another order ({', '.join(ORDERS)}) or give band numbers"
        )
    if order or (composite == "rgb" and count == 3):
        return Chosen(found)
    return Chosen(found, (_assumed(found, stored[:count], count),))


def _automatic(labels: Labels, name: str) -> Chosen:
    true_colour, names = COMPOSITES["rgb"], labels.names
    if (numbers := _labelled(true_colour, names)) is not None:
        plain = numbers == (1, 2, 3) and labels.by == "colours" and {*names[3:]} <= {"", "alpha", "nir"}
        return Chosen(numbers, () if plain else (_shown(numbers, labels),))
    visible = [number for number, label in enumerate(names, 1) if label != "alpha"]
    if not visible:
        raise ImageError(f"{name} holds nothing but transparency; give an image with at least one band of data")
    numbers = tuple(visible[:3]) if len(visible) >= 3 else (visible[0],)
    if set(names) - {"", "alpha"} and len(visible) > 1:
        missing = ", ".join(colour for colour in true_colour if colour not in names)
        how = "red, green and blue, in false colours" if len(numbers) == 3 else "grey"
        text = f"The image's bands are {_listed(names)}, without {missing}: {_numbered(numbers)} shown as {how}."
        return Chosen(numbers, (Remark("bands", text),))
    if len(visible) == 2:
        return Chosen(numbers, (Remark("bands", "Of two bands without colours the first is shown, as grey."),))
    if len(visible) > 3:
        return Chosen(numbers, (_assumed(numbers, true_colour, len(names)),))
    return Chosen(numbers)


def _labelled(wanted: Sequence[str], names: Sequence[str]) -> tuple[int, ...] | None:
    """Return the numbers of the requested bands or their substitutes; None if one is missing."""
    found = [next((each for each in (colour, _STAND_INS.get(colour)) if each in names), None) for colour in wanted]
    return None if None in found else tuple(names.index(str(colour)) + 1 for colour in found)


def _shown(numbers: Sequence[int], labels: Labels) -> Remark:
    shown = ", ".join(labels.names[number - 1] for number in numbers)
    why = f"in the usual order of {labels.sensor}" if labels.by == "sensor" else _BY[labels.by]
    return Remark("bands", f"{_numbered(numbers)} shown as red, green and blue: they are {shown}, {why}.")


def _assumed(numbers: Sequence[int], order: Sequence[str], count: int) -> Remark:
    text = (
        f"The file does not say what its {count} bands are; they are taken for {', '.join(order)}, and"
        f" {_numbered(numbers, capital=False)} shown. If they are something else, name them (bands, as"
        " 'landsat8:rgb' or 4,3,2)."
    )
    return Remark("bands-assumed", text)


def _numbered(numbers: Sequence[int], *, capital: bool = True) -> str:
    word = "bands" if len(numbers) > 1 else "band"
    *first, last = map(str, numbers)
    listed = f"{', '.join(first)} and {last} are" if first else f"{last} is"
    return f"{word.capitalize() if capital else word} {listed}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(label or f"unnamed ({number})" for number, label in enumerate(names, 1))
