"""Registries: the extension points of the project, one `Registry` each.

A registry holds the project's own members, loaded lazily by name, those that a program registers, and those that
installed packages offer under its entry-point group. The command line lists all of them:

    [project.entry-points."geochat.readers"]
    mine = "my_package.readers:read_mine"
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from geochat.errors import SettingsError

T = TypeVar("T")


class Registry(Generic[T]):
    """The members of one extension point by name.

    Names are known without importing the members; a member is imported on first use.

    Args:
        kind: The word for one member, such as "reader"; used in messages.
        group: The entry-point group, such as "geochat.readers".
        builtin: The project's own members, each as "module:attribute".
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._builtin = dict(builtin)
        self._members: dict[str, T] = {}

    def register(self, name: str, member: T | None = None) -> Callable[[T], T]:
        """Add a member, replacing another with the same name; without `member`, a decorator."""
        if member is not None:
            self._members[name] = member

        def add(added: T) -> T:
            self._members[name] = added
            return added

        return add

    def unregister(self, name: str) -> None:
        """Remove a registered member; a built-in or offered member of that name is available again."""
        self._members.pop(name, None)

    def __getitem__(self, name: str) -> T:
        """Return the member of a name.

        Raises:
            SettingsError: There is none, or the installed package that offers it cannot be imported.
        """
        if name not in self._members:
            self._members[name] = self._load(name)
        return self._members[name]

    def __contains__(self, name: str) -> bool:
        return name in self._members or name in self._builtin or name in self._offered

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._members, *self._builtin, *self._offered}))

    def __len__(self) -> int:
        return len(list(iter(self)))

    @cached_property
    def _offered(self) -> dict[str, EntryPoint]:
        """Entry points of installed packages."""
        return {point.name: point for point in entry_points(group=self.group)}

    def _load(self, name: str) -> T:
        if name in self._builtin:
            module, attribute = self._builtin[name].split(":")
            return cast(T, getattr(import_module(module), attribute))
        if name not in self._offered:
            raise SettingsError(f"no {self.kind} is called {name!r}; choose one of {', '.join(self)}")
        point = self._offered[name]
        try:
            return cast(T, point.load())
        except Exception as error:  # an installed package may fail in any way
            raise SettingsError(
                f"the {self.kind} {name!r} cannot be loaded from {point.value} ({error}); repair or remove its package"
            ) from error
