"""The scene classes of all sources, their common names, and the objects that each implies.

A source has its own class names ("port", "parking"), and its labels are correct only among its own classes: a
photograph that one source calls a church may be dense residential in another. So a class has alternative names for
questions, and classes that it does not exclude; neither the loss nor a list of choices contrasts such classes, unless
both are names of the image's own source.
"""

from collections.abc import Mapping
from types import MappingProxyType

SCENES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "airplane": ("parked airplanes", "parked aircraft", "aircraft", "planes", "apron"),
        "airport": ("airfield", "aerodrome", "airport terminal"),
        "bare land": ("bare soil", "barren land", "bare ground", "bareland"),
        "baseball diamond": ("baseball field", "ballpark", "softball field", "baseball"),
        "beach": ("seaside", "sandy beach", "seashore", "coast"),
        "bridge": ("bridge over water", "river bridge", "road bridge"),
        "buildings": ("building", "office buildings", "built-up area", "city blocks"),
        "center": ("civic center", "convention center", "exhibition hall", "centre"),
        "chaparral": ("shrubland", "scrubland", "scrub", "bushes"),
        "church": ("cathedral", "chapel", "church building"),
        "commercial": ("commercial area", "business district", "downtown", "shopping area", "commercial district"),
        "dense residential": ("high density residential", "densely built housing", "crowded houses"),
        "desert": ("sandy desert", "dunes", "desert land", "arid land"),
        "farmland": (
            "agricultural",
            "agriculture",
            "cropland",
            "field",
            "fields",
            "crop fields",
            "farm",
            "arable land",
        ),
        "forest": ("woodland", "woods", "trees", "forested area"),
        "freeway": ("highway", "motorway", "expressway"),
        "golf course": ("golf links", "golf", "golf ground"),
        "harbor": ("port", "marina", "harbour", "dock", "seaport"),
        "industrial": ("industry", "industrial area", "factory", "factories", "industrial zone", "industrial plant"),
        "intersection": ("crossroads", "road junction", "crossing", "street intersection"),
        "island": ("islet", "small island"),
        "lake": ("lakes", "inland water", "reservoir"),
        "meadow": ("grass", "grassland", "pasture", "grass field", "lawn"),
        "medium residential": ("medium density residential", "suburb", "suburban houses"),
        "mobile home park": ("trailer park", "caravan park", "mobile homes"),
        "mountain": ("mountains", "hills", "mountain range", "mountainous terrain", "highlands"),
        "overpass": ("viaduct", "flyover", "interchange", "elevated road"),
        "park": ("public park", "city park", "urban park"),
        "parking lot": ("parking", "car park", "parking area", "parking space"),
        "playground": ("sports field", "sports ground", "athletics track", "ground track field", "running track"),
        "pond": ("small lake", "ponds", "pool of water"),
        "railway station": ("train station", "rail yard", "railroad station", "station"),
        "residential": ("residential area", "housing", "neighborhood", "houses", "resident"),
        "resort": ("holiday resort", "hotel resort", "vacation resort"),
        "river": ("stream", "waterway", "river bend"),
        "runway": ("airstrip", "landing strip", "airport runway"),
        "school": ("campus", "school campus", "schoolyard", "university"),
        "sparse residential": ("low density residential", "scattered houses", "single house"),
        "square": ("plaza", "public square", "city square", "town square"),
        "stadium": ("arena", "sports stadium", "football stadium"),
        "storage tanks": ("tank farm", "oil tanks", "oil depot", "storage tank", "fuel tanks"),
        "tennis court": ("tennis courts", "tennis"),
        "wetland": ("marsh", "swamp", "bog", "wetlands"),
    }
)
"""Classes, sorted, by the name the model gives when nobody offers others, with further names for them."""

NAMES: tuple[str, ...] = tuple(SCENES)
UNSETTLED: Mapping[str, tuple[str, ...]] = MappingProxyType({"river or lake": ("river", "lake", "pond")})
"""Labels of a source that are one of several classes."""
OF_NAME: Mapping[str, str] = MappingProxyType(
    {name: scene for scene, names in SCENES.items() for name in (scene, *names)}
    | {"commercial area": "commercial", "industrial area": "industrial"}
)

_BUILT = ("buildings", "commercial", "center", "church", "school", "square", "industrial", "residential",
          "dense residential", "medium residential", "parking lot", "resort", "intersection")  # fmt: skip
_OPEN = ("bare land", "chaparral", "desert", "farmland", "forest", "meadow", "mountain")
_WATER = ("lake", "pond", "river", "wetland")
_HOUSES = ("residential", "dense residential", "medium residential", "sparse residential", "mobile home park")
_GROUPS: tuple[tuple[str, ...], ...] = (
    ("airport", "airplane", "runway"),
    (*_HOUSES, "resort"),
    _BUILT,
    ("bare land", "desert", "mountain", "chaparral"),
    ("bare land", "farmland", "meadow"),
    ("forest", "mountain", "chaparral", "park"),
    ("meadow", "park", "golf course"),
    _WATER,
    (*_WATER, "park", "island"),
    ("bridge", "river", "overpass", "freeway", "harbor"),
    ("freeway", "overpass", "intersection", "runway"),
    ("playground", "stadium", "school", "park", "baseball diamond", "tennis court"),
    ("beach", "island", "resort", "harbor"),
    ("storage tanks", "industrial", "harbor"),
    ("railway station", "industrial", "commercial", "buildings"),
    ("stadium", "center", "commercial"),
    ("park", "square", "resort", "golf course", "church"),
    ("sparse residential", "farmland", "forest", "meadow", "chaparral", "residential"),
    ("tennis court", "residential", "medium residential", "resort"),
    ("wetland", "farmland", "forest", "meadow", "beach"),
    ("river", "forest", "farmland", "mountain"),
    ("island", "mountain", "lake", "forest"),
    ("golf course", "pond", "lake"),
)


def _near(scene: str) -> frozenset[str]:
    return frozenset(other for group in _GROUPS if scene in group for other in group) - {scene}


NEAR: Mapping[str, frozenset[str]] = MappingProxyType({scene: _near(scene) for scene in SCENES})
"""Classes that an image of a class may show as well."""

SOURCE_SCENES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ucm": ("agricultural", "airplane", "baseball diamond", "beach", "buildings", "chaparral", "dense residential",
                "forest", "freeway", "golf course", "harbor", "intersection", "medium residential", "mobile home park",
                "overpass", "parking lot", "river", "runway", "sparse residential", "storage tanks", "tennis court"),
        "aid-rsicd": ("airport", "bare land", "baseball field", "beach", "bridge", "center", "church", "commercial",
                      "dense residential", "desert", "farmland", "forest", "industrial", "meadow", "medium residential",
                      "mountain", "park", "parking", "playground", "pond", "port", "railway station", "resort",
                      "river", "school", "sparse residential", "square", "stadium", "storage tanks", "viaduct"),
        "nwpu-resisc": ("airplane", "airport", "beach", "commercial area", "desert", "farmland", "forest",
                        "industrial area", "island", "lake", "mountain", "residential", "river", "wetland"),
        "rsscn7": ("field", "forest", "grass", "industry", "parking", "residential", "river or lake"),
    }
)  # fmt: skip
"""The classes of each source of scenes, under its own names."""


def classes_of(label: str) -> tuple[str, ...]:
    """Return the classes that a source's label may mean; none for an unknown name."""
    if label in UNSETTLED:
        return UNSETTLED[label]
    return (OF_NAME[label],) if label in OF_NAME else ()


def against(label: str, source: str | None) -> frozenset[str]:
    """Return the classes that an image with this label certainly does not belong to.

    Args:
        label: The label, under its source's name.
        source: The source, whose other classes are all excluded; None for an image of no source of scenes.
    """
    mine = frozenset(classes_of(label))
    near = frozenset().union(*(NEAR[scene] for scene in mine)) if mine else frozenset()
    own = {scene for other in SOURCE_SCENES.get(source or "", ()) for scene in classes_of(other)}
    return (frozenset(NAMES) - near | own) - mine


_PLACES = frozenset({"airplane", "storage tank", "tennis court", "baseball diamond", "ground track field", "ship",
                     "swimming pool", "overpass", "solar panel"})  # fmt: skip
ABSENT: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **dict.fromkeys(("bare land", "desert", "forest", "mountain", "chaparral"), _PLACES),
        **dict.fromkeys(("farmland", "meadow"), _PLACES - {"swimming pool", "solar panel"}),
        "beach": _PLACES - {"ship", "swimming pool"},
        **dict.fromkeys(("river", "lake", "wetland", "island"), _PLACES - {"ship", "swimming pool", "overpass"}),
        "pond": frozenset({"airplane", "storage tank", "ship", "baseball diamond", "solar panel"}),
        **dict.fromkeys(
            ("dense residential", "medium residential", "residential", "sparse residential", "church", "square"),
            frozenset({"airplane", "storage tank", "ship", "ground track field"}),
        ),
        **dict.fromkeys(("commercial", "center", "parking lot", "school"), frozenset({"airplane", "ship"})),
        **dict.fromkeys(("stadium", "playground", "park", "railway station"), frozenset({"airplane", "storage tank"})),
        **dict.fromkeys(("overpass", "bridge"), frozenset({"airplane", "tennis court", "baseball diamond"})),
        "industrial": frozenset({"airplane", "baseball diamond", "tennis court"}),
    }
)
"""Objects that are certainly not in an image of a class. Of other objects nothing is known from the class."""

MENTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "building": ("build", "house", "home", "villa", "roof", "factory", "plant", "village", "town", "hotel"),
        "car": ("car", "vehicle", "truck", "road", "street", "parking", "park", "highway"),
        "ship": ("boat", "ship", "harbor", "port", "yacht", "sail"),
        "swimming pool": ("pool",),
        "tennis court": ("tennis", "court", "basketball"),
        "ground track field": ("track", "playground", "field", "stadium"),
        "baseball diamond": ("baseball", "diamond"),
        "storage tank": ("tank", "storage"),
        "airplane": ("plane", "aircraft", "airport", "jet"),
        "overpass": ("overpass", "viaduct", "bridge", "cross"),
        "solar panel": ("solar", "panel"),
    }
)  # fmt: skip
"""Parts of words by which captions speak of an object: with one of them it is not certainly absent."""


def absent(label: str, captions: tuple[str, ...]) -> frozenset[str]:
    """Return the objects certainly absent from an image, by its class and captions."""
    classes = classes_of(label)
    if not classes:
        return frozenset()
    found = frozenset.intersection(*(ABSENT.get(scene, frozenset()) for scene in classes))
    if captions and set(classes) <= {"bare land", "desert", "forest", "meadow", "mountain", "farmland"}:
        found |= {"building", "car"}
    said = " ".join(captions).lower()
    return frozenset(name for name in found if not any(part in said for part in MENTIONS.get(name, ())))


_HOLDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "airplane": frozenset({"airplane"}),
        "storage tanks": frozenset({"storage tank"}),
        "parking lot": frozenset({"car"}),
        "harbor": frozenset({"ship"}),
        "tennis court": frozenset({"tennis court"}),
        "baseball diamond": frozenset({"baseball diamond"}),
        "overpass": frozenset({"overpass"}),
        **dict.fromkeys(
            (*_HOUSES, "buildings", "commercial", "industrial", "church", "school"), frozenset({"building"})
        ),
    }
)
_SAID: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "airplane": ("plane ", "planes", "aircraft"),
        "ship": ("boat", "ship ", "ships"),
        "swimming pool": ("swimming pool",),
        "tennis court": ("tennis court",),
        "ground track field": ("track",),
        "baseball diamond": ("baseball field", "baseball diamond"),
        "storage tank": ("tanks", "storage tank"),
        "car": (" cars",),
        "building": ("building", "house"),
        "overpass": ("viaduct", "overpass"),
        "solar panel": ("solar panel",),
    }
)
_AGREED = 0.4  # of the captions that must speak of an object


def present(label: str | None, captions: tuple[str, ...]) -> frozenset[str]:
    """Return the objects certainly in an image, by its class and by several captions."""
    classes = classes_of(label) if label else ()
    found = set(_HOLDS.get(classes[0], ())) if len(classes) == 1 else set()
    said = [f" {caption.lower()} " for caption in captions]
    for name, parts in _SAID.items():
        if said and sum(any(part in caption for part in parts) for caption in said) >= max(1, _AGREED * len(said)):
            found.add(name)
    return frozenset(found)
