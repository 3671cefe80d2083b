"""The dialects by name."""

from geochat.dialects.base import Dialect
from geochat.dialects.geochat import GEOCHAT
from geochat.errors import SettingsError

_DIALECTS: dict[str, Dialect] = {GEOCHAT.name: GEOCHAT}


def register(dialect: Dialect) -> Dialect:
    """Make a dialect known under its name, in the place of another of that name."""
    _DIALECTS[dialect.name] = dialect
    return dialect


def find_dialect(name: str) -> Dialect:
    """The dialect of that name.

    Raises:
        SettingsError: There is none.
    """
    if name not in _DIALECTS:
        raise SettingsError(f"no dialect is called {name!r}; choose one of {', '.join(names_of_dialects())}")
    return _DIALECTS[name]


def names_of_dialects() -> tuple[str, ...]:
    """Every name `find_dialect` knows, sorted."""
    return tuple(sorted(_DIALECTS))
