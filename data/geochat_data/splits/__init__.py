"""Lists of file names that fix what is trained on, validated with and left out.

`ucm_overlap`: UC Merced training photographs that show ground also seen in its test photographs.
`ucm_val`: UC Merced training photographs kept for validation, eight a class.
"""

from importlib.resources import files

from geochat.errors import SettingsError

NAMES = ("ucm_overlap", "ucm_val")


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
