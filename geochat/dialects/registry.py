"""Dialects by name: built-in, registered by a program, or offered by installed packages."""

from geochat.dialects.base import Dialect
from geochat.registry import Registry

DIALECTS: Registry[Dialect] = Registry(
    "dialect",
    "geochat.dialects",
    {
        "geochat": "geochat.dialects.geochat:GEOCHAT",
        "skysensegpt": "geochat.dialects.remote_sensing:SKYSENSEGPT",
        "vrsbench": "geochat.dialects.remote_sensing:VRSBENCH",
        "vrsbench-obb-v1": "geochat.dialects.remote_sensing:VRSBENCH_OBB_V1",
        "vrsbench-obb-v2": "geochat.dialects.remote_sensing:VRSBENCH_OBB_V2",
        "earthdial": "geochat.dialects.remote_sensing:EARTHDIAL",
        "teochat": "geochat.dialects.remote_sensing:TEOCHAT",
        "vhm": "geochat.dialects.remote_sensing:VHM",
        "tinyrs": "geochat.dialects.remote_sensing:TINYRS",
        "lhrs": "geochat.dialects.remote_sensing:LHRS",
        "lhrs-bot": "geochat.dialects.remote_sensing:LHRS_BOT",
        "asking-like-socrates": "geochat.dialects.remote_sensing:SOCRATES",
        "zoomearth": "geochat.dialects.remote_sensing:ZOOMEARTH",
        "rscovlm-hbb": "geochat.dialects.rscovlm:HBB",
        "rscovlm-obb": "geochat.dialects.rscovlm:OBB",
        "rscovlm-quad": "geochat.dialects.rscovlm:QUAD",
        "rscovlm-hbb-plain": "geochat.dialects.rscovlm:HBB_LINES",
        "rscovlm-obb-plain": "geochat.dialects.rscovlm:OBB_LINES",
        "rscovlm-quad-plain": "geochat.dialects.rscovlm:QUAD_LINES",
        "falcon": "geochat.dialects.florence:FALCON",
        "falcon-quad": "geochat.dialects.florence:FALCON_QUAD",
        "florence-2": "geochat.dialects.florence:FLORENCE",
        "florence-2-quad": "geochat.dialects.florence:FLORENCE_QUAD",
        "qwen-vl": "geochat.dialects.qwen:QWEN_VL",
        "qwen2-vl": "geochat.dialects.qwen:QWEN2_VL",
        "qwen2.5-vl": "geochat.dialects.qwen:QWEN25_VL",
        "qwen3-vl": "geochat.dialects.qwen:QWEN3_VL",
        "qwen3-vl-obb": "geochat.dialects.qwen:QWEN3_VL_OBB",
        "qwen3-vl-quad": "geochat.dialects.qwen:QWEN3_VL_QUAD",
        "rex-omni": "geochat.dialects.qwen:REX_OMNI",
        "internvl": "geochat.dialects.general:INTERNVL",
        "cogvlm": "geochat.dialects.general:COGVLM",
        "kosmos-2": "geochat.dialects.general:KOSMOS2",
        "paligemma": "geochat.dialects.general:PALIGEMMA",
        "gemini": "geochat.dialects.general:GEMINI",
        "molmo": "geochat.dialects.general:MOLMO",
        "molmo-tenths": "geochat.dialects.general:MOLMO_TENTHS",
        "deepseek-vl2": "geochat.dialects.general:DEEPSEEK_VL2",
        "glm": "geochat.dialects.general:GLM",
        "llava": "geochat.dialects.general:LLAVA",
    },
)


def register(dialect: Dialect) -> Dialect:
    """Register a dialect under its name, replacing another of that name."""
    DIALECTS.register(dialect.name, dialect)
    return dialect


def find_dialect(name: str) -> Dialect:
    """Return the dialect of a name.

    Raises:
        SettingsError: There is none.
    """
    return DIALECTS[name]


def names_of_dialects() -> tuple[str, ...]:
    """Return every name that `find_dialect` knows, sorted."""
    return tuple(DIALECTS)
