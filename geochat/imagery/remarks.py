"""Remarks on how an image was opened and shown."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to know of an image, beside its pixels.

    Attributes:
        code: Its kind, for programs; docs/imagery.md lists them.
        text: One or two sentences, for people.
    """

    code: str
    text: str
