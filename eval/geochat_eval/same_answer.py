"""When two short answers say the same: the rule `accuracy` of scenes, questions and regions.

1. Both are without the spaces, quotes, brackets, asterisks and marks `. , ; : ! ?` at their ends: "Yes." and "yes!".
2. Numbers are compared as numbers, with or without commas between thousands: "3.0" is 3, "1,000" is 1000, and "1.5" is
   not 15. Numbers in words stay words, and so does a number with anything beside it ("3 cars").
3. Anything else is compared in lower case without spaces and without full stops that no digit follows.
"""

import re
from decimal import Decimal

_ENDS = " \t\r\n\"'`*()[]“”‘’"
_MARKS = ".,;:!?…"
_NUMBER = re.compile(
    r"[-+]?(?:(?:[0-9]{1,3}(?:,[0-9]{3}){1,5}|[0-9]{1,20})(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][-+]?[0-9]{1,3})?"
)
_FULL_STOP = re.compile(r"\.(?![0-9])")


def answer_key(text: str) -> str:
    """What is equal for answers that say the same; empty for one that says nothing."""
    bare = text.strip(_ENDS).rstrip(_ENDS + _MARKS)
    if _NUMBER.fullmatch(bare):
        return _number(bare)
    bare = bare.lstrip(_ENDS + _MARKS)
    return "".join(_FULL_STOP.sub("", bare.lower()).split())


def same_answer(first: str, second: str) -> bool:
    """Whether two answers say the same."""
    return answer_key(first) == answer_key(second)


def _number(text: str) -> str:
    value = Decimal(text.replace(",", ""))
    return format(value.normalize(), "f") if value else "0"
