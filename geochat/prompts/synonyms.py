"""Synonyms in the field: nouns, spellings, colours, sizes and places.

Nouns are singular, in lower case and in American spelling; the first of a row is the common name. The rows apply to
object categories and scene classes alike.
"""


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


NOUNS: tuple[tuple[str, ...], ...] = (
    ("airplane", "plane", "aircraft", "aeroplane", "jet", "airliner", "jetliner", "jet plane", "air plane"),
    ("ship", "boat", "vessel", "yacht", "sailboat", "sailing boat", "motorboat", "speedboat", "ferry", "watercraft"),
    ("storage tank", "tank", "oil tank", "fuel tank", "gas tank", "petroleum tank", "oil storage tank", "storagetank"),
    ("car", "automobile", "auto", "vehicle", "motor vehicle", "small vehicle", "sedan", "passenger car", "motorcar"),
    ("truck", "lorry", "large vehicle"),
    ("building", "house", "roof", "rooftop", "home", "structure"),
    ("tennis court", "tenniscourt"),
    ("baseball diamond", "baseball field", "ball field", "ballfield", "ballpark", "softball field", "softball diamond",
     "ball diamond"),
    ("basketball court", "basketball field"),
    ("solar panel", "panel", "solar module", "solar array", "photovoltaic", "photovoltaic panel", "photovoltaic module",
     "pv", "pv panel", "pv module", "pv array"),
    ("ground track field", "running track", "athletics track", "track field", "track and field", "athletic track",
     "running oval", "racetrack"),
    ("soccer ball field", "soccer field", "soccer pitch", "football field", "football pitch"),
    ("swimming pool", "pool", "swimmingpool"),
    ("roundabout", "traffic circle", "rotary"),
    ("windmill", "wind turbine"),
    ("person", "pedestrian", "human"),
    ("bicycle", "bike"),
    ("airport", "airfield", "aerodrome", "apron", "airport terminal"),
    ("runway", "airstrip", "landing strip", "airport runway"),
    ("harbor", "port", "marina", "dock", "seaport", "harbor area"),
    ("parking lot", "car park", "carpark", "parking area", "parking", "parking space"),
    ("freeway", "highway", "motorway", "expressway"),
    ("overpass", "flyover", "viaduct", "highway overpass", "road overpass", "elevated road", "interchange"),
    ("intersection", "crossroad", "junction", "road junction", "road intersection", "street intersection"),
    ("agricultural", "agriculture", "farmland", "farm", "cropland", "crop field", "farm field", "arable land"),
    ("forest", "wood", "woodland", "forested area"),
    ("beach", "seaside", "seashore", "sandy beach", "shore"),
    ("bridge", "bridge over water", "river bridge"),
    ("bare land", "bare soil", "barren land", "bare ground", "bareland", "wasteland"),
    ("chaparral", "shrubland", "scrubland", "scrub"),
    ("golf course", "golf", "golf ground"),
    ("mobile home park", "trailer park", "caravan park", "mobile home"),
    ("tank farm", "oil depot", "tank storage"),
    ("railway", "railroad"),
    ("railway station", "train station", "railroad station", "rail yard"),
    ("meadow", "grassland", "pasture", "grass field", "lawn"),
    ("sea", "ocean"),
    ("lake", "pond", "reservoir", "inland water"),
    ("river", "stream", "creek", "waterway"),
    ("wetland", "marsh", "swamp", "bog", "marshland"),
    ("island", "islet", "small island"),
    ("mountain", "mountain range", "mountainous terrain", "highland"),
    ("desert", "sandy desert", "arid land"),
    ("stadium", "arena", "sports stadium", "football stadium"),
    ("playground", "sports field", "sports ground"),
    ("park", "public park", "city park", "urban park"),
    ("square", "plaza", "public square", "city square", "town square"),
    ("school", "campus", "school campus", "schoolyard", "university"),
    ("church", "cathedral", "chapel", "church building"),
    ("commercial", "business district", "downtown", "shopping area", "shopping district"),
    ("industrial", "industry", "factory", "industrial plant", "industrial zone", "industrial estate"),
    ("resort", "holiday resort", "hotel resort", "vacation resort"),
    ("residential", "housing", "housing estate"),
    ("medium residential", "suburb", "suburban"),
    ("sparse residential", "scattered house"),
    ("dense residential", "densely built housing"),
    ("solar farm", "solar park", "photovoltaic plant"),
)  # fmt: skip

PLACES_OF: tuple[tuple[str, str], ...] = (
    ("airport", "airplane"),
    ("tank farm", "storage tank"),
    ("solar farm", "solar panel"),
)
"""Kinds of place that data sets name by what stands there: UC Merced calls an airport "airplane"."""

BROADER: dict[str, frozenset[str]] = {
    "vehicle": frozenset({"car", "truck", "bus", "van", "trailer", "tractor", "motorcycle"}),
    "watercraft": frozenset({"ship", "submarine"}),
}
"""Words that mean several kinds of object."""

IRREGULAR: dict[str, str] = {
    "person": "people", "man": "men", "woman": "women", "aircraft": "aircraft", "sheep": "sheep", "bus": "buses",
    "gas": "gases", "campus": "campuses", "series": "series", "leaf": "leaves",
}  # fmt: skip
"""Plurals that follow no rule, by their singular."""

SPELLINGS: dict[str, str] = {
    "harbour": "harbor", "colour": "color", "colours": "color", "colors": "color", "harbours": "harbors",
    "centre": "center", "grey": "gray", "aircrafts": "aircraft", "artefact": "artifact",
}  # fmt: skip
"""British and other spellings, word by word."""

COLOURS = word_set(
    "black gray white red orange yellow green blue purple brown pink silver beige dark light bright colored"
)
SIZES = word_set("big large huge giant small little tiny long short tall wide narrow")
PLACE_WORDS = word_set("left right top bottom upper lower center central middle corner side half")
EXTREMES = word_set(
    "leftmost rightmost topmost bottommost uppermost lowermost largest biggest smallest tiniest longest"
)
DETERMINERS = word_set(
    "a an the this that these those all every each any some both several many few my our its their whole entire"
)
NUMBERS = word_set("one two three four five six seven eight nine ten eleven twelve dozen single pair couple")
STATES = word_set(
    "first second third last parked docked moored visible same other individual moving stationary rectangular round"
)
AFTER_NOUN = word_set(
    "in on at near next beside by above below under behind between with without from to along around inside within "
    "over across off that which who is are was were and or located situated positioned lying standing closest parked "
    "docked moored visible surrounded facing adjacent of do does there"
)
"""Words that end a noun phrase's core: "the car | next to the building"."""
GROUPS = word_set("group row line pair number lot cluster set bunch couple dozen fleet")
"""Nouns that, with "of", count what follows: "a row of cars"."""
ANYTHING = word_set("object thing item something anything everything one target")
"""Nouns that name no kind."""
AREA = word_set("area zone region land scene district place site terrain")
"""Nouns that add nothing to a kind of place: "residential area"."""
DENSITIES = word_set("dense medium sparse high low density")
