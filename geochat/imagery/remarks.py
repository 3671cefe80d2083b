"""Remarks on how an image was opened and shown."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remark:
    """One fact about an image that its pixels do not show.

    Attributes:
        code: Its kind, for programs; docs/imagery.md lists them.
        text: One or two sentences, for people.
    """

    code: str
    text: str
