"""The dialect a run's questions and answers are in, as its `run.json` says it.

Answers are read years after they were written, when the model is gone: what is needed to read them stands beside them.
Runs from before this was written down are in the published dialect.
"""

from collections.abc import Mapping
from typing import Any

from geochat.dialects import GEOCHAT, Dialect, find_dialect
from geochat.errors import DataError, SettingsError
from geochat.geometry import AngleConvention


def to_json(dialect: Dialect) -> dict[str, Any]:
    """What tells a checkpoint's dialect from others of its name."""
    return {
        "name": dialect.name,
        "direction": dialect.angles.direction,
        "angle_range": dialect.angles.angle_range,
        "fit": dialect.model_frame.fit,
        "image_size": dialect.model_frame.size,
    }


def from_json(value: Mapping[str, Any] | None) -> Dialect:
    """The dialect `to_json` described; the published one for None.

    Raises:
        DataError: It is no such description, or of a dialect that is not known here.
    """
    if value is None:
        return GEOCHAT
    try:
        angles = AngleConvention(value["direction"], value["angle_range"])
        return find_dialect(value["name"]).fitted(fit=value["fit"], size=value["image_size"], angles=angles)
    except (KeyError, TypeError, SettingsError) as error:
        raise DataError(f"run.json describes no dialect in {value!r} ({error}); check it") from error


def same(value: Mapping[str, Any] | None, dialect: Dialect) -> bool:
    """Whether a description is of this dialect; the size of a square that pads images changes nothing."""
    described, own = to_json(from_json(value)), to_json(dialect)
    if own["fit"] == described["fit"] == "pad":
        own["image_size"] = described["image_size"] = None
    return described == own
