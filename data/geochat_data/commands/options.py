"""Argument types shared by the actions."""

import argparse


def extent(text: str) -> tuple[int, int]:
    """Parse a range: `6-10`, or `8` for exactly eight."""
    low, _, high = text.partition("-")
    try:
        return int(low), int(high or low)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a range; write 6-10") from None


def positive(text: str) -> int:
    """Parse a whole number from 1 up."""
    return _whole(text, 1)


def number(text: str) -> int:
    """Parse a whole number from 0 up."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} up")
    return value


def shares(text: str) -> dict[str, float]:
    """Parse relative frequencies by name: `identify=3,count=1`; a name alone has the frequency 1."""
    found = {}
    for item in names(text):
        name, _, share = item.partition("=")
        try:
            found[name] = float(share or 1)
        except ValueError:
            found[name] = 0.0
        if not found[name] > 0:
            raise argparse.ArgumentTypeError(f"{item!r} is not a kind with its share; write identify=3,count=1")
    return found


def names(text: str) -> tuple[str, ...]:
    """Parse names separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
