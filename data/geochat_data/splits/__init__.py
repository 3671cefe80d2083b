"""Lists of file names that fix what is trained on, validated with and left out.

`ucm_overlap`: UC Merced training photographs that show ground also seen in its test photographs.
`ucm_val`: UC Merced training photographs kept for validation, eight a class.
"""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from geochat.errors import SettingsError

NAMES = ("ucm_overlap", "ucm_val")
UNSEEN_SCENES = frozenset({"golf course", "mobile home park", "overpass", "chaparral", "freeway", "agricultural"})
"""Scene classes that contrastive training leaves out, so that there are some it has never seen."""
_HELD_BACK = ("ucm/test", "hit-uav", "evaluation-only")  # HIT-UAV is kept for showing fine-tuning


def read_names(name: str) -> frozenset[str]:
    """The file names of one list; what follows a `#` is a comment.

    Raises:
        SettingsError: There is no such list.
    """
    if name not in NAMES:
        raise SettingsError(f"no list is called {name!r}; choose one of {', '.join(NAMES)}")
    text = files(__package__).joinpath(f"{name}.txt").read_text(encoding="utf-8")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return frozenset(line for line in lines if line)


def held_back(imagery: Path) -> Iterator[Path]:
    """The images that the bundled model's training may not touch: test, validation, evaluation-only, HIT-UAV.

    Args:
        imagery: Holds `ucm/`, `hit-uav/` and `evaluation-only/`.
    """
    kept_for_validation = read_names("ucm_val")
    for path in sorted(imagery.rglob("*.jpg")):
        inside = path.relative_to(imagery).as_posix()
        if inside.startswith(_HELD_BACK) or (inside.startswith("ucm/") and path.name in kept_for_validation):
            yield path
