"""Kinds of question, their trained wordings, and patterns of users' wordings.

Patterns are matched against normalised words (see `phrases.normalise`). Words for the picture itself ("this aerial
photo") are replaced by "image" first; for questions about objects, "in image" and polite phrases are removed. `x` is
the object of the question, `y` the object it is compared with.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from geochat.prompts.synonyms import NUMBERS
from geochat.prompts.tasks import Task


class Kind(StrEnum):
    """A kind of question with a trained wording."""

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

NOTES: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.CAPTION: "understood as a request to describe the image",
        Kind.GROUNDING: "understood as a request to describe the image and box its objects",
        Kind.IDENTIFY: "understood as the question what is in the region",
    }
)
"""Notes on the interpretation as a question about the whole image or a region."""

SHORTHAND: Mapping[str, str] = MappingProxyType(
    {
        "r": "are", "u": "you", "pls": "please", "plz": "please", "teh": "the", "hte": "the", "hwo": "how",
        "hw": "how", "mny": "many", "numer": "number", "nr": "number", "whre": "where", "wat": "what",
        "wht": "what", "thier": "their", "thr": "there", "theres": "there is", "ther": "there", "im": "i m",
        "id": "i d", "dont": "do", "cant": "can", "waht": "what", "hwat": "what", "mnay": "many", "amny": "many",
        "aera": "area", "kinda": "kind of", "hm": "", "dis": "this", "evry": "every", "plase": "please",
        "em": "them", "tpye": "type", "descibe": "describe", "discribe": "describe", "pic": "picture",
    }
)  # fmt: skip
"""Chat spellings and slips of the hand, word by word."""

OPENINGS = (
    "please", "hi", "hello", "hey", "ok", "okay", "so", "well", "now", "kindly", "just", "geochat", "quickly",
    "can you please", "could you please", "would you please", "can you tell me", "could you tell me", "can you",
    "could you", "would you", "will you", "tell me", "let me know", "i want to know", "i would like to know",
    "i d like to know", "i need to know", "do you know", "i want you to", "i d like you to", "i want to", "i d like to",
    "help me", "go ahead and", "try to", "for me", "in a few words", "is it true that", "i wonder", "good morning",
    "say", "i need", "i want", "i would like", "i d like",
)  # fmt: skip
POLITE = ("please", "thanks", "thank you")
FOLLOWING = ("and what about", "and how about", "what about", "how about", "what of", "and also", "and", "or", "but")
"""Openings of a question that continues the one before."""
ENDINGS = (
    "please", "thanks", "thank you", "here", "there", "right now", "at the moment", "exactly", "in total", "in all",
    "altogether", "at all", "for me", "anywhere", "somewhere", "down there", "over there", "in it", "in there",
    "in here", "are there", "is there", "are", "is", "does",
    "do you see", "can you see", "can we see", "can i see", "you see",
    "you can see", "that you see", "that you can see", "do you find", "can you find", "you find", "do you count",
    "can you count", "do we have", "are we looking at", "does image show", "does image have", "does image contain",
    "does it show", "image show", "image shows", "it shows", "can be seen", "be seen", "be found", "visible",
    "present", "shown", "seen", "found", "located", "depicted", "pictured", "in view", "are parked", "are docked",
    "are moored", "right", "now", "then", "too", "as well", "total", "overall", "show up", "appear", "does this show",
    "can you make out", "do you make out", "can we make out", "have you found", "did you find", "did you see",
    "did you count", "have you counted", "have you seen", "are visible", "are present", "exist",
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


_Table = tuple[tuple[Kind, re.Pattern[str]], ...]
_OF_IMAGE = (
    r"(?:the|this|that|my|your|an?|given|above|following|entire|whole|current|aerial|satellite|drone|overhead|input"
    r"|remote|sensing|sensed)"
)
_IMAGE = (
    rf"(?:{_OF_IMAGE} )*(?:image|picture|photo|photograph|imagery|scene|view|snapshot|shot|tile)|(?:{_OF_IMAGE} )+frame"
)
THE_IMAGE = re.compile(rf"\b(?:{_IMAGE})\b")
IN_IMAGE = re.compile(r" ?\b(?:in|on|of|from|within|inside|across|over|for|to) image\b")
IS_THIS = re.compile(r"^(?:is|are) (?:this|it|that|these|image)(?: place| area| of)? (?P<article>an? |the )?(?P<x>.+)$")
ASKS_ANY = re.compile(
    r"\b(?:can|could|do|did|would) (?:you|we|i) (?:spot|find|detect|identify|notice|recogni[sz]e|see) any\b"
)
"""Asks whether there is something, though "find any ships" alone asks where."""
ABOUT_ME = re.compile(r"^(?:help|thanks|thank you|who are you|what (?:can|do) you (?:do|know)|how are you)?$")

_ARE = r"(?:is|are)"
_WE = r"(?:you|we|i|one)"
_LOOK = r"(?:see|spot|notice|recogni[sz]e|observe|make out|identify|detect|find|have)"
_MORE = r"(?P<word>more|fewer|less)"
_HIGHER = r"(?P<word>more|larger|greater|higher|bigger|fewer|less|smaller|lower)"
MORE = frozenset({"more", "larger", "greater", "higher", "bigger", "outnumber"})
"""Words of a comparison that ask whether there is more of the first."""
_BOX = r"(?:boxes|box|bounding box|bounding boxes|bbox|bboxes)"
_LOCATION = rf"(?:exact )?(?:locations?|positions?|coordinates|whereabouts|{_BOX})"
_FIND = (
    rf"(?:(?:(?:give|show|get) )?(?:me )?(?:the )?{_LOCATION} (?:of|for|around)"
    rf"|point (?:out|at|to)|(?:look|search) for|(?:draw|put)(?: a| the)? {_BOX} (?:around|on|over|for)"
    r"|find|locate|locali[sz]e|show|box|mark|highlight|detect|identify|outline|circle|spot|pinpoint|get|point)"
)
_EACH = r"(?:separate|individual|different|distinct|single)"
_SOME = r"(?:(?:at least|even) )"
_OF_THEM = r"(?:of (?:them|these|those|it) (?:an? )?)?"
_NUMBER = rf"(?:\d+|{'|'.join(sorted(NUMBERS - {'single', 'pair', 'couple'}))})"
_SEVERAL = rf"(?:\d\d+|[02-9]|{'|'.join(sorted(NUMBERS - {'one', 'single', 'pair', 'couple'}))})"
_LIMIT = (
    rf"(?:(?:any )?(?:(?:no )?(?:more|less|fewer) than|exactly|only|just|at most|up to|over|under|above|below) "
    rf"{_NUMBER}"
    rf"|(?:at least|almost|nearly) {_SEVERAL}|{_NUMBER} or (?:more|less|fewer))"
)
_AMOUNT = rf"(?:{_LIMIT}|(?:(?:about|around|roughly) )?{_SEVERAL})"
LIMIT = re.compile(rf"\b{_LIMIT}\b")
"""A limit of an amount, as in "at least three ships"; such questions are answered with the number."""
_COUNT = r"(?:number|count|amount|total|quantity)"
_THAT = rf"(?:(?:that|the {_COUNT}) of )"
_PART = r"(?:part|area|corner|side|region|section|quadrant|half|place)"


def _table(*rows: tuple[Kind, str]) -> _Table:
    return tuple((kind, re.compile(f"^(?:{pattern})$")) for kind, pattern in rows)


ABOUT_OBJECTS = _table(
    (Kind.COUNT, rf"(?:is |are )?(?:the )?{_COUNT} of (?P<x>.+?) {_HIGHER} than {_NUMBER}"),
    (Kind.COMPARISON, rf"(?:is |are )?(?:the )?{_COUNT} of (?P<x>.+?) {_HIGHER} than {_THAT}?(?P<y>.+)"),
    (Kind.COMPARISON, rf".{{0,20}}\b{_HIGHER} {_COUNT} of (?P<x>.+?) than (?:of )?(?P<y>.+)"),
    (Kind.COMPARISON, rf"{_ARE} (?:there )?(?P<x>.+?) {_MORE} (?:numerous|common|frequent) than (?P<y>.+)"),
    (Kind.COMPARISON, r"(?:(?:do|does|is it that) )?(?P<x>.+?) (?P<word>outnumber)s? (?P<y>.+)"),
    (Kind.COUNT, rf"(?:(?:see|spot|find|show) )?{_LIMIT} (?P<x>.+)"),
    (Kind.COMPARISON, rf"(?:.{{0,40}} )?{_MORE} (?P<x>.+?) (?:than|or) (?P<y>.+)"),
    (Kind.COMPARISON, rf"compared (?:with|to) (?P<y>.+?) are there {_MORE} (?P<x>.+)"),
    (Kind.COLOUR, r"(?:what|which) color (?:is|are|has|have|does|do) (?P<x>.+?)(?: have)?"),
    (Kind.COLOUR, rf"(?:(?:what|which) {_ARE} |name |say |give |give me )?the color of (?P<x>.+)"),
    (Kind.COLOUR, rf"(?P<x>.+?) {_ARE} of (?:what|which) color"),
    (Kind.COLOUR, r"how would you describe the color of (?P<x>.+)"),
    (Kind.REFER, r"how many (?P<x>.+?) (?:and )?where.*"),
    (Kind.REFER, rf"{_ARE} there (?P<x>.+?) (?:and )?where.*"),
    (Kind.COUNT, rf"(?:(?:see |check )?(?:if|whether) )?(?:{_ARE} there|there {_ARE}) {_AMOUNT} (?P<x>.+)"),
    (Kind.COUNT, rf"(?:(?:if|whether) {_WE} (?:can )?|(?:do|did|can|could) {_WE} ){_LOOK} {_AMOUNT} (?P<x>.+)"),
    (Kind.COUNT, rf"how (?:many|much)(?: {_EACH})?(?P<x>(?: .+)?)"),
    (Kind.COUNT, rf"(?:count|count up|estimate the number of|no of|num of|total)(?: {_EACH})? (?P<x>.+)"),
    (Kind.COUNT, rf"(?:what {_ARE} |(?:give|get|show|do)(?: me)? |find )?(?:the |a )?(?:\w+ )?{_COUNT} of (?P<x>.+)"),
    (Kind.COUNT, r"(?:what is the )?(?P<x>.+?) (?:counts?|how many)"),
    (Kind.COUNT, r"(?:what number of|tally(?: up)?(?: all)?|how (?:large|high) is the number of) (?P<x>.+)"),
    (Kind.REFER, r"(?:i am |i m |we are )?(?:looking|searching) for (?P<x>.+)"),
    (Kind.REFER, rf"where (?:can|do|could|should|would) {_WE} {_LOOK} (?P<x>.+)"),
    (Kind.POSITION, rf"(?:in |on )?(?:which|what) {_PART} (?:is|are|holds|contains|has|can) (?P<x>.+?)(?: in| on)?"),
    (Kind.POSITION, r"where can (?P<x>.+)"),
    (Kind.REFER, rf"(?:(?:show|tell) me |see )?(?:where|whereabouts)(?: exactly)? {_ARE}(?P<x>(?: .+)?)"),
    (Kind.REFER, r"(?:(?:show|tell) me |see |find out |find )?where (?P<x>.+?) (?:is|are|lie|lies)"),
    (Kind.REFER, r"where(?P<x>)"),
    (Kind.REFER, rf"what {_ARE} the {_LOCATION} of (?P<x>.+)"),
    (Kind.PRESENCE, r"(?:.{0,20} )?(?:any|a|no) (?:signs?|trace|traces|evidence|hint) of (?P<x>.+)"),
    (Kind.PRESENCE, rf"(?:(?:see |check )?(?:if|whether) |see )?{_ARE} there {_SOME}?(?P<x>.+)"),
    (Kind.PRESENCE, rf"(?:if|whether) {_WE} (?:can )?{_LOOK} (?P<x>.+)"),
    (Kind.PRESENCE, r"(?:can|could|might|may|would) there be (?P<x>.+)"),
    (Kind.PRESENCE, r"(?:can|could) (?P<x>.+?) be (?:seen|found|spotted|detected|identified|made out)"),
    (Kind.PRESENCE, rf"(?:have|has) {_WE} (?:found|seen|spotted|noticed|detected|got) (?P<x>.+)"),
    (Kind.PRESENCE, r"(?:do|does) (?P<x>.+?) (?:appear|exist|show up|occur)"),
    (Kind.PRESENCE, rf"(?:(?:see |check )?(?:if|whether) )?there {_ARE} (?P<x>.+)"),
    (Kind.PRESENCE, r"check for (?P<x>.+)"),
    (Kind.COUNT, r"(?P<x>.+?) (?:in )?total"),
    (Kind.REFER, rf"{_FIND}(?: me| us| out)?(?: where)?(?P<x>(?: .+)?)"),
    (Kind.PRESENCE, rf"(?:do|did|would|does|can|could) {_WE} {_LOOK} (?P<x>.+)"),
    (Kind.PRESENCE, r"(?:do|does) (?:image|it|this|we)(?: area| place)? (?:show|contain|have|include|hold) (?P<x>.+)"),
    (Kind.PRESENCE, rf"{_ARE} (?:at least one|any|some|one|an?) {_OF_THEM}(?P<x>.+)"),
    (Kind.PRESENCE, rf"{_ARE} (?P<x>.+?) (?:visible|present|shown|there|here)"),
    (Kind.PRESENCE, rf"(?:see |got |spot |find )?any {_OF_THEM}(?P<x>.+)"),
    (Kind.PRESENCE, r"see (?P<x>.+)"),
    (Kind.REFER, rf"what {_ARE} (?P<x>the (?:\w+most|largest|biggest|smallest) .+)"),
    (Kind.REFER, rf"which (?:one |ones )?{_ARE} (?P<x>.+)"),
    (Kind.REFER, rf"which (?P<x>.+?) {_ARE} (?:the )?(?P<rank>\w+)"),
)  # fmt: skip
"""Questions about objects; the first that fits holds."""

_WHERE = r"(?:position|location|coordinate|box|bounding|where|mark|point|locat|ground)"
_THIS = r"(?:it|this|image|what you see|everything|what is (?:(?:in|on) image|going on|happening|there))"
_DETAIL = r"(?: (?:briefly|shortly|in (?:detail|brief|short|one sentence|a sentence|words)|with details))*"
_OBJECTS = r"(?:objects?|things?|everything|items|targets)"
_ALL = r"(?: me)?(?: all| every| each)?(?: of)?(?: the)?"
_SEEN = r"(?:this|that|it|image|here|there|seen|shown|visible|depicted|(?:(?:shown|visible) )?(?:in|on) image|in it)"
_TELL = r"(?:(?:describe|explain|summari[sz]e) )?"
_SHORT = r"(?:short|brief|detailed|one sentence|concise|good)"
_PLACE = (
    r"(?:place|area|image|land|landscape|terrain|location|environment|region|land use|land cover|landuse|site|setting"
    r"|surroundings)"
)
_KIND = r"(?:kind|type|sort|class|category)"
_SCENE_REST = r"(?: (?:it|this|that|image|we|the|here|to|in|best|class|belong|have|show|shown|looking at))*"
ABOUT_IMAGE = _table(
    (Kind.GROUNDING, rf"(?:describe|summari[sz]e|explain|walk me)\b.{{0,60}} (?:with|and) .{{0,40}}\b{_WHERE}.*"),
    (Kind.GROUNDING, rf"(?:describe|caption) with .{{0,20}}\b{_WHERE}.*"),
    (Kind.GROUNDING, rf"(?:give|write).{{0,10}} (?:description|caption)\b.{{0,30}} (?:with|and) .{{0,40}}\b{_WHERE}.*"),
    (Kind.GROUNDING, rf"(?:what|which) (?:kinds of |sort of )?{_OBJECTS}(?: (?:are|is|can|do|does)\b.*)?"),
    (Kind.GROUNDING, r"what is (?:there|in image|on image|here) and where.*"),
    (Kind.GROUNDING, rf"where {_ARE}(?: all)?(?: the| these)? {_OBJECTS}"),
    (Kind.GROUNDING, rf"(?:list|name){_ALL} {_OBJECTS}(?: .{{0,60}})?"),
    (Kind.GROUNDING, rf"{_FIND}{_ALL} {_OBJECTS}(?: .{{0,60}})?"),
    (Kind.GROUNDING, r"object detection|grounded (?:description|caption)"),
    (Kind.CAPTION, rf"(?:describe|summari[sz]e|explain|caption|interpret)(?: {_THIS})?{_DETAIL}"),
    (Kind.CAPTION, rf"{_TELL}what (?:(?:do|can|did) )?{_WE} (?:can )?see(?: (?:here|there|in image|on image))?"),
    (Kind.CAPTION, r"what can be seen(?: .{0,20})?"),
    (Kind.CAPTION, rf"{_TELL}what {_ARE} {_SEEN}(?: (?:of|about|here|there))?"),
    (Kind.CAPTION, r"what (?:am i|are we|are you) (?:looking at|seeing)(?: here)?"),
    (Kind.CAPTION, rf"{_TELL}what (?:image|this|it) (?:is of|is about|shows|depicts|contains|is showing)"),
    (Kind.CAPTION, r"what image (?:is|looks like)"),
    (Kind.CAPTION, r"what (?:does|do) (?:it|this|that|image) look like(?: .{0,20})?"),
    (Kind.CAPTION, r"sum (?:up )?(?:it|this|image)(?: up)?(?: .{0,20})?"),
    (Kind.CAPTION, r"(?:walk|talk|brief|lead) (?:me|us) (?:through|on|about) .{0,20}"),
    (Kind.CAPTION, r"what (?:does|is) (?:image|it|this) (?:show|showing|contain|depict|about)"),
    (Kind.CAPTION, r"what is (?:going on|happening)(?: .{0,20})?"),
    (Kind.CAPTION, r"(?:something )?about image"),
    (Kind.CAPTION, rf"(?:(?:give|write|provide|generate|make|create|add) )?(?:me )?(?:an? |the )?(?:{_SHORT} )?"
                   rf"(?:caption|description|summary)"
                   rf"(?: (?:of|for) {_THIS})?"),
    (Kind.SCENE, rf"(?:what|which) {_KIND}(?: of)?(?: an?)?(?: {_PLACE})?(?: (?:this|that|it|image))?"
                 rf" (?:is|are|does|do|fits|describes|belongs){_SCENE_REST}"),
    (Kind.SCENE, rf"(?:(?:describe|give|name|show)(?: me)? )?(?:the )?{_KIND} of {_PLACE}"),
    (Kind.SCENE, rf"what (?:would|do|could|should) {_WE} call (?:it|this|that|image)(?: {_PLACE})?"),
    (Kind.SCENE, rf"(?:what|which) {_PLACE}(?: class| type| category)? (?:is|are|does|do){_SCENE_REST}"),
    (Kind.SCENE, rf"what is (?:the |this |that )?(?:{_KIND} of )?{_PLACE}(?: class| type| category)?"),
    (Kind.SCENE, r"(?:classify|categori[sz]e)(?: (?:it|this|image|place|area|the))*"),
    (Kind.SCENE, r"(?:the )?(?:image |place |area |land use |land cover )?(?:classification|class|category)"),
    (Kind.SCENE, r"(?:the )?(?:image|place|area|land use|land cover) (?:type|kind)"),
    (Kind.SCENE, r"(?:the )?(?:image|land use|land cover)"),
    (Kind.SCENE, rf"(?:name|identify|recogni[sz]e|guess|determine) (?:the )?(?:kind of |type of )?{_PLACE}(?: type)?"),
)  # fmt: skip
"""Questions about the whole image; the first that fits holds."""

_REGION = r"(?:box|region|area|rectangle|polygon|object|objects|thing|spot|place|marked|selected|drawn|outline)"
_AT = r"(?:this|that|it|here|there|at|in|inside|within|present|below|looking at)"
ABOUT_REGION = _table(
    (Kind.IDENTIFY, rf"(?:what|which|who)\b(?: .{{0,60}})? (?:{_AT}|{_REGION})"),
    (Kind.IDENTIFY, rf"(?:identify|name|classify|recogni[sz]e|describe|explain|what)(?: (?:the|{_AT}|{_REGION}))*"),
    (Kind.IDENTIFY, rf"what (?:does|do) (?:(?:the|this|that) )?{_REGION} (?:show|contain|hold|mark|have)"),
    (Kind.IDENTIFY, rf"(?:what|which)(?: .{{0,40}})? (?:this|that|it|{_REGION}) (?:is|shows|contains|holds|marks)"),
    (Kind.IDENTIFY, rf"{_ARE} (?:this|that|it|these) .+"),
)  # fmt: skip
"""Questions about a marked region."""
