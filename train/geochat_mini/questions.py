"""The questions about one view: the offered classes and names, and absent objects.

Scene questions offer the names of the image's source, any other names, or unusual names; `classes` determines which
names may be offered together without both being correct. Objects are named by their category or a synonym; if the
labels exclude a category, the answer is that there is none.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from geochat.prompts import Message, Task
from geochat.prompts.phrases import plural, singular, with_article
from geochat_data.questions import QAPair, build_conversation
from geochat_data.questions.wordings import COUNT, GROUNDING, PRESENCE, REFER, SCENE, WordingPool, Wordings
from geochat_data.records import LabelledImage, LabelledObject
from geochat_mini.classes import SCENES, SOURCE_SCENES, against, classes_of
from geochat_mini.number_tokens import MINI
from geochat_mini.orientation import LOOSE
from geochat_mini.paraphrases import asked, paraphrases
from geochat_mini.sources import source_of

OBJECT_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "airplane": ("plane", "aircraft"),
        "ship": ("boat", "vessel"),
        "storage tank": ("tank", "oil tank"),
        "swimming pool": ("pool",),
        "ground track field": ("running track", "track field"),
        "baseball diamond": ("baseball field",),
        "car": ("vehicle", "automobile"),
        "vehicle": ("car", "car", "motor vehicle"),
        "building": ("house",),
        "solar panel": ("photovoltaic panel",),
        "overpass": ("viaduct",),
    }
)
_VEHICLES = frozenset({"car", "van", "bus", "truck"})
_REGIONS: Mapping[str, float] = MappingProxyType({"refer": 4.5, "identify": 0.6, "grounding": 1.0})
_WHOLE: Mapping[str, float] = MappingProxyType(
    {"caption": 4.0, "presence": 0.8, "count": 1.4, "comparison": 0.5, "position": 0.3, "colour": 0.3, "negative": 0.2}
)
_CROWDED = 8.0  # times more questions about regions where there are several categories, and looking is needed
_RICH = 0.25  # share of views asked about colours and relations too, which costs time to work out
_SYNONYMS = 0.15  # share of views whose objects are called by another name
_FREELY = 0.06  # share of questions asked in people's words
_PUBLISHED = 0.7  # share asked in the published wordings, to which the recognition of questions converts others
_KEPT_COUNTS: Mapping[str, float] = MappingProxyType({"0": 0.15, "1": 0.4})
"""Share kept of the most frequent counts: most views hold one object or none, and the model would say so of any."""
_SEVERAL = 2.0  # times more counts where a category has several objects
_ALL_OF_ONE = 0.25  # share of "the ship" that becomes "all ships", which a single object answers too
_NONE = "none of these"


def ask(
    view: LabelledImage, rng: random.Random, present: frozenset[str] = frozenset(), turns: int = 12
) -> list[tuple[Message, Message]]:
    """Build independent questions about a view, each with its answer; none if its labels support no question.

    Args:
        view: The view of the question.
        rng: Random generator.
        present: Objects that are known to be there though no box says where.
        turns: The most that are wanted.
    """
    pairs = draw_pairs(renamed(view, rng), rng, present)
    return [(Message("user", pair.question), Message("assistant", pair.answer)) for pair in pairs[:turns]]


def draw_pairs(view: LabelledImage, rng: random.Random, present: frozenset[str] = frozenset()) -> list[QAPair]:
    """Build pairs as `ask`, with their subjects, about a view whose objects keep their names."""
    found: list[QAPair] = []
    if view.scene:
        found += [pair for _ in range(rng.choice((1, 2, 2))) if (pair := scene(view, rng))]
    found += [pair for _ in range(rng.choice((1, 2))) if (pair := absent(view, rng))]
    if present and rng.random() < 0.6:
        found.append(_presence(rng.choice(sorted(present)), "yes", rng))
    if view.objects:
        found += _about(_exact(view), rng, _region_shares(view), 5 if view.scene else 7)
    found += _about(view, rng, _whole_shares(view), 4)
    rng.shuffle(found)
    return found


def scene(view: LabelledImage, rng: random.Random) -> QAPair | None:
    """Ask for the scene class among those of its source, among others under any names, or freely."""
    assert view.scene is not None
    mine = classes_of(view.scene)
    if len(mine) == 1 and rng.random() < 0.12:
        words = rng.choice(paraphrases()["scene"].trained)
        return QAPair(words, mine[0], Task.SCENE)
    source = source_of(view)
    own = SOURCE_SCENES.get(source or "", ())
    if own and rng.random() < 0.4:
        names = list(own)
        right = view.scene
        if rng.random() < 0.3:
            others = [name for name in names if name != right]
            names = [right, *rng.sample(others, rng.randint(1, len(others)))]
            rng.shuffle(names)
    elif len(mine) == 1:
        names, right = _vocabulary(view.scene, mine[0], source, rng)
    else:
        return None
    question = rng.choice((*SCENE.published, *SCENE.published, *SCENE.varied)).format(classes=", ".join(names))
    return QAPair(question, right, Task.SCENE, "scene")


def _vocabulary(label: str, mine: str, source: str | None, rng: random.Random) -> tuple[list[str], str]:
    """Draw a list of names, and the correct answer; rarely, none is correct and the list offers that answer."""
    own = {one for name in SOURCE_SCENES.get(source or "", ()) for one in classes_of(name)}
    others = sorted(against(label, None) | (own - {mine} if rng.random() < 0.5 else set()))
    many = min(len(others), round(2 ** rng.uniform(0.6, 4.6)))
    plain = rng.random() < 0.4  # under the usual names
    chosen = [name if plain else _name(name, rng) for name in rng.sample(others, many)]
    right = mine if plain else _name(mine, rng)
    if rng.random() < 0.04:
        chosen.append(_NONE)
        if rng.random() < 0.5:
            right = _NONE
    names = list(dict.fromkeys([*chosen, right]))
    rng.shuffle(names)
    return names, right


def _name(scene: str, rng: random.Random) -> str:
    """Return the class's name or another name for it."""
    return scene if rng.random() < 0.25 else rng.choice(SCENES[scene])


def absent(view: LabelledImage, rng: random.Random) -> QAPair | None:
    """Ask about an object that the labels exclude, or for a description of a view without known objects."""
    held = {thing.category for thing in (*view.objects, *view.ignore)}
    missing = sorted(view.labelled - held)
    if not missing:
        return None
    if not held and view.scene and len(missing) >= 6 and rng.random() < 0.4:
        (mine, *_) = classes_of(view.scene) or (view.scene,)
        question = MINI.compose(_worded(GROUNDING, rng), Task.GROUNDING)
        return QAPair(question, f"The image shows {a_scene(mine)}.", Task.GROUNDING)
    name = rng.choice(missing)
    kind = rng.choice(("refer", "refer", "refer", "presence", "presence", "count"))
    if kind == "refer":
        phrase = rng.choice((f"the {name}", f"all {plural(name)}", f"all {plural(name)}"))
        words = _worded(REFER, rng).format(phrase=phrase)
        question = MINI.compose(
            words.replace("Where is", "Where are") if phrase.startswith("all ") else words, Task.REFER
        )
        return QAPair(question, f"There is no {name} in the image.", Task.REFER, about=phrase)
    if kind == "presence":
        return _presence(name, "no", rng)
    question = MINI.compose(_worded(COUNT, rng).format(many=plural(name)), Task.VQA)
    return QAPair(question, "0", Task.VQA, kind)


def _presence(name: str, answer: str, rng: random.Random) -> QAPair:
    words = _worded(PRESENCE, rng).format(name=name, one=with_article(name), many=plural(name))
    pair = QAPair(MINI.compose(words, Task.VQA), answer, Task.VQA, "presence", name)
    return _freely(pair, rng) if rng.random() < _FREELY else pair


def a_scene(scene: str) -> str:
    """Return a scene class in a sentence: "a beach", "farmland"."""
    masses = {"bare land", "farmland", "chaparral", "buildings", "storage tanks", "parked airplanes"}
    return scene if scene in masses or scene.endswith("residential") else with_article(scene)


def _worded(wording: Wordings, rng: random.Random) -> str:
    return rng.choice(wording.pool(_pool(rng)))


def _pool(rng: random.Random) -> WordingPool:
    return "published" if rng.random() < _PUBLISHED else "varied"


def _about(view: LabelledImage, rng: random.Random, shares: dict[str, float], turns: int) -> list[QAPair]:
    """Build the builders' questions, some of them paraphrased."""
    pairs = build_conversation(
        view, rng, dialect=MINI, turns=turns, shares=shares, wording=_pool(rng), rich=rng.random() < _RICH
    )
    kept = [pair for pair in pairs if pair.kind != "count" or rng.random() < _KEPT_COUNTS.get(pair.answer, 1.0)]
    kept = [_all_of_one(pair, view.labelled) if rng.random() < _ALL_OF_ONE else pair for pair in kept]
    return [_freely(pair, rng) if rng.random() < _FREELY else pair for pair in kept]


def _all_of_one(pair: QAPair, categories: frozenset[str]) -> QAPair:
    """Return a question for "the ship", a category's only object, as one for "all ships"; another one as it is."""
    name = pair.about.removeprefix("the ")
    if pair.kind != "refer" or name not in categories:
        return pair
    every = f"all {plural(name)}"
    question = pair.question.replace("Where is", "Where are").replace(pair.about, every)
    return replace(pair, question=question, answer=pair.answer.replace(pair.about, every), about=every)


def _freely(pair: QAPair, rng: random.Random) -> QAPair:
    """Return the question as a paraphrase, if one asks for the same."""
    intent, name = pair.kind, pair.about
    if intent == "refer":
        intent = "refer all" if name.startswith("all ") else "refer"
        name = singular(name.removeprefix("all ")) if intent == "refer all" else name.removeprefix("the ")
    if intent not in paraphrases() or intent == "comparison":  # which of two is meant as the larger is not kept
        return pair
    words = asked(rng.choice(paraphrases()[intent].trained), name)
    if intent == "identify":
        token, region = pair.question.partition(" ")[0], pair.question[pair.question.index("{") :]
        words = f"{token} {words} {region}"
    return replace(pair, question=words)


def renamed(view: LabelledImage, rng: random.Random) -> LabelledImage:
    """Return the view, sometimes with its vehicles merged into one category or its objects renamed."""
    names: dict[str, str] = {}
    if view.labelled >= _VEHICLES and rng.random() < 0.4:
        names |= dict.fromkeys(_VEHICLES, "vehicle")
    if rng.random() < _SYNONYMS or ("vehicle" in view.labelled and rng.random() < 0.5):
        names |= {name: rng.choice(OBJECT_NAMES[name]) for name in view.labelled & OBJECT_NAMES.keys() - names.keys()}
    if not names:
        return view

    def called(things: Sequence[LabelledObject]) -> tuple[LabelledObject, ...]:
        return tuple(replace(thing, category=names.get(thing.category, thing.category)) for thing in things)

    labelled = frozenset(names.get(name, name) for name in view.labelled)
    return replace(view, objects=called(view.objects), ignore=called(view.ignore), labelled=labelled)


def _exact(view: LabelledImage) -> LabelledImage:
    """Return the view with loosely boxed objects marked as ignored."""
    loose = tuple(thing for thing in view.objects if LOOSE in thing.attributes)
    exact = tuple(thing for thing in view.objects if LOOSE not in thing.attributes)
    return replace(view, objects=exact, ignore=(*view.ignore, *loose)) if loose else view


def _region_shares(view: LabelledImage) -> dict[str, float]:
    crowded = len({thing.category for thing in view.objects}) > 1
    return {**_REGIONS, "identify": _REGIONS["identify"] * (_CROWDED if crowded else 1)}


def _whole_shares(view: LabelledImage) -> dict[str, float]:
    several = max(Counter(thing.category for thing in view.objects).values(), default=0) > 1
    count = _WHOLE["count"] * (_SEVERAL if several else 1)
    return {**_WHOLE, "count": count, "caption": _WHOLE["caption"] if view.captions else 0.0}


def spoken_names() -> list[str]:
    """Return all names of scenes and objects, for training the vocabulary."""
    scenes = [name for scene, names in SCENES.items() for name in (scene, *names)]
    return [*scenes, *(name for known, names in OBJECT_NAMES.items() for name in (known, *names)), _NONE]
