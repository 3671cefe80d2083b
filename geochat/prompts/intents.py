"""The kinds of question, their trained wordings, and words around a question that do not change it."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from geochat.prompts.tasks import Task


class Kind(StrEnum):
    """A kind of question that training had a wording for."""

    COUNT = "count"
    PRESENCE = "presence"
    COMPARISON = "comparison"
    POSITION = "position"
    COLOUR = "colour"
    REFER = "refer"
    SCENE = "scene"
    CAPTION = "caption"
    GROUNDING = "grounding"
    IDENTIFY = "identify"


VISUAL = frozenset({Kind.COUNT, Kind.PRESENCE, Kind.COMPARISON, Kind.POSITION, Kind.COLOUR})
"""Kinds asked as `Task.VQA`."""

WORDINGS: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.COUNT: "How many {many} are there in the image?",
        Kind.PRESENCE: "Is there {one} in the image?",
        Kind.COMPARISON: "Are there {word} {many} than {others} in the image?",
        Kind.POSITION: "Where is {phrase} in the image?",
        Kind.COLOUR: "What is the color of {phrase}?",
        Kind.REFER: "{phrase}",
    }
)
"""The trained wording of each kind of question about objects; on rendered scenes none did better than these."""

_SPOTS = ("top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right")
CHOICES: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {Kind.PRESENCE: ("yes", "no"), Kind.COMPARISON: ("yes", "no"), Kind.POSITION: _SPOTS}
)
"""The right answers there may be."""

SHORTHAND: Mapping[str, str] = MappingProxyType(
    {
        "r": "are", "u": "you", "pls": "please", "plz": "please", "teh": "the", "hte": "the", "hwo": "how",
        "hw": "how", "mny": "many", "numer": "number", "nr": "number", "whre": "where", "wat": "what", "wht": "what",
        "thier": "their", "thr": "there", "theres": "there is", "ther": "there", "im": "i m", "id": "i d",
        "dont": "do", "cant": "can", "descibe": "describe", "discribe": "describe", "pic": "picture",
    }
)  # fmt: skip
"""Chat spellings and slips of the hand, word by word."""

OPENINGS = (
    "please", "hi", "hello", "hey", "ok", "okay", "so", "well", "now", "kindly", "just", "geochat", "quickly",
    "can you please", "could you please", "would you please", "can you tell me", "could you tell me", "can you",
    "could you", "would you", "will you", "tell me", "let me know", "i want to know", "i would like to know",
    "i d like to know", "i need to know", "do you know", "i want you to", "i d like you to", "i want to", "i d like to",
    "help me", "go ahead and", "try to", "for me", "in a few words", "is it true that", "i wonder", "good morning",
)  # fmt: skip
FOLLOWING = ("and what about", "and how about", "what about", "how about", "what of", "and also", "and", "or", "but")
"""Openings of a question that continues the one before."""
ENDINGS = (
    "please", "thanks", "thank you", "here", "there", "right now", "at the moment", "exactly", "in total", "in all",
    "altogether", "at all", "for me", "anywhere", "somewhere", "down there", "over there", "in it", "in there",
    "are there", "is there", "are", "is", "does", "do you see", "can you see", "can we see", "can i see", "you see",
    "you can see", "that you see", "that you can see", "do you find", "can you find", "you find", "do you count",
    "can you count", "do we have", "are we looking at", "does image show", "does image have", "does image contain",
    "does it show", "image show", "image shows", "it shows", "can be seen", "be seen", "be found", "visible",
    "present", "shown", "seen", "found", "located", "depicted", "pictured", "in view", "are parked", "are docked",
    "are moored", "right", "now", "then", "too", "as well",
)  # fmt: skip

TASKS: Mapping[Kind, Task] = MappingProxyType({kind: Task.VQA if kind in VISUAL else Task(kind.value) for kind in Kind})
TOKENS: Mapping[Task, str] = MappingProxyType(
    {Task.IDENTIFY: "[identify]", Task.REFER: "[refer]", Task.GROUNDING: "[grounding]"}
)
"""The tokens people may type to say which task they mean."""
PUBLISHED: Mapping[Task, str] = MappingProxyType(
    {
        Task.CAPTION: "Describe the image.",
        Task.GROUNDING: "Describe the image in detail with the positions of the objects.",
        Task.IDENTIFY: "What is the object present at",
    }
)
"""The published question of each task that needs no words."""
