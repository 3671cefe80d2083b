"""Words by which `keywords` recognises a question, grouped by what they tell about it."""

import re

from geochat.prompts.synonyms import word_set

NEUTRAL = word_set(
    "a an the this that these those it its they them their there here i we you me us my our your one ones someone "
    "is are was were be been being am do does did doing have has had having can could would will shall should may "
    "might must in on at of for from to with within inside across over through by as and or but so also too just "
    "only even then now if whether all every each any some both no not yes n y either neither please thanks thank "
    "hi hello hey ok okay well um hmm sir madam mate lol want wanted wants need needs needed tell give gimme got "
    "get let help try trying wonder wondering curious think guess say said ask asking question answer reply "
    "report check checking verify confirm make made sure look looking looks take image images screen whole entire "
    "overall exactly approximately roughly about actually really quickly currently right d m ll s ve re much very "
    "up out down around altogether total separate individual different distinct visible present shown seen "
    "located situated which what how ahead using based provided above below given following good kindly possible "
    "possibly able quick maybe perhaps bit little anything anywhere somewhere somehow he she his her him into "
    "know believe recognise recognize glad result according em everybody told honest simple simply single ill "
    "until lot lots bunch loads kind sort per chance appreciate advance dear anyone else lying placed captured "
    "pictured today still main contained detectable enough line exact integer digit digits provide private "
    "results correct true somebody folks"
)
"""Words without content of their own."""
STANDING = word_set(
    "parked docked moored anchored sitting standing floating waiting berthed stationed dotted scattered cross "
    "crossing fall falls line lining fill occupy stand sit stands occupied round cluster clustered group grouped "
    "row rows fleet offshore ashore onshore nearby sight pictured existing built installed mounted tied put sits "
    "lie lies place placed"
)
"""States in which objects of the kinds that models know are usually seen."""
COUNT = word_set(
    "many number numbers count counts counting counted tally quantity total amount enumerate sum headcount qty"
)
LOCATE = word_set(
    "where locate locates locating location locations locality position positions coordinates coordinate "
    "whereabouts mark marks marking marked show shows showing highlight highlighting hilite highlights box boxes "
    "boxed boxing bounding bbox bboxes bb outline outlines outlined circle encircle point pinpoint draw indicate "
    "localize localise localized localised annotate annotated annotation tag tagged label which frame framed "
    "rectangle rectangles polygon polygons detections grab side spots underline square squares put return "
    "visualise visualize segment select pixel pixels display displays marker markers pin pins highlighted "
    "highlite arrow arrows"
)
DRAW = word_set("draw put place")
"""Verbs that ask for marks, if a word of `SHAPES` says so."""
SHAPES = word_set(
    "box boxes boxed boxing bounding bbox bboxes bb outline outlines outlined circle rectangle rectangles polygon "
    "polygons square squares marker markers mark marks pin pins arrow arrows point label tag frame line lines around"
)
SEARCH = word_set(
    "find finding found detect detecting detected detection spot spotting spotted identify identifying search "
    "searching seek"
)
PRESENCE = word_set(
    "any there see seeing visible present presence contain contains containing contained include includes "
    "included have has got exist exists existing appear appears appearing show shows notice noticed evidence sign "
    "signs trace traces hint spotted seen find spot detect reveal reveals hold holds feature featured least"
)
MORE = word_set(
    "more outnumber outnumbers outnumbered exceed exceeds larger greater higher surpass win wins majority most bigger"
)
FEWER = word_set("fewer less smaller lower")
COMPARED = word_set(
    "than compare compared comparing comparison numerous common frequent versus vs between group numbers"
)
SORT = word_set(
    "kind type sort class category classify classification categorize categorise classified landuse landcover "
    "terrain environment landscape setting scenery surroundings function purpose nature label use used usage uses "
    "zoning zone biome landform dominates dominant dominating dominate predominant mostly mainly call called "
    "predict property assign habitat ecosystem character manner types kinds classes"
)
PLACE = word_set(
    "land cover place area areas site region location ground terrain belong belongs belonging fall falls fit fits "
    "best primarily primary scene view spot part territory neighborhood neighbourhood surface main fly flew "
    "flying drone took photographed dealing geographer planner expert photographer camera environment landscape "
    "parcel"
)
DESCRIBE = word_set(
    "describe describes describing description descriptions descriptive caption captions summarize summarise "
    "summary overview depict depicts depicted contents content happening explain interpret interpretation narrate "
    "recap paragraph alt rundown essay"
)
ABOUT = word_set(
    "sentence sentences words word brief briefly short long detail detailed details walk talk going write writing "
    "text alternative two three one few through language plain full complete thorough generate produce provide "
    "compose create sum story paint tell says say stands stand out noteworthy notable interesting important term "
    "general generally put into camera captured captures account attached legend linked tied plus every go thing "
    "first radio newspaper website name poster school listeners readers blog presentation report style gist "
    "suitable under english look down determine heading file"
)
"""Words of a request for a description besides those that tell it is one."""
SEE = word_set(
    "see seeing show shows showing shown look looking visible view viewing contain contains happening stands captured"
)
GROUNDED = word_set("annotate annotated annotation grounded localised localized detection detections")
THINGS = word_set(
    "objects object things thing item items everything anything features feature elements element stuff inventory "
    "list listing targets"
)
QUESTION = word_set("what which where who why when how whose whom")
OPEN = word_set("what anything everything whatever something")
UNANSWERABLE = word_set("who why when whose whom")

PREPOSITIONS = word_set(
    "in on at along around inside near by over across under within outside beside alongside off through"
)
NEAR = word_set("near beside next closest nearest close adjacent between behind front")
"""Words of a relation between objects, which the models only guess."""
TIMES = word_set(
    "year years month months week weeks day days night morning evening summer winter spring autumn fall season hour "
    "hours minute minutes past future history century war general theory danger trouble case english german"
)
"""Nouns after prepositions that make no place."""
PLACES = word_set(
    "runway tarmac apron terminal gate gates hangar hangars airport airfield airbase base water waters sea ocean "
    "river harbor port marina dock docks pier piers quay wharf channel bay coast shore shoreline offshore beach "
    "island canal lot road roads street streets highway motorway freeway bridge lane yard yards backyard "
    "backyards garden gardens garage driveway field fields farm farms village town city suburb district "
    "neighborhood neighbourhood block estate property facility facilities plant factory refinery depot club "
    "complex campus school university college hospital hotel resort park parks stadium desert forest mountain "
    "hill hills valley countryside industrial residential commercial sports junction intersection crossing "
    "crossroads interchange square camp zone zones center downtown outskirts mall shop stores warehouse "
    "warehouses station roof roofs rooftop rooftops community settlement compound premises grounds ground map "
    "tile area areas place site region scene part crop corner half lakes parking barn"
)
"""Places that objects are said to be in; a question about them is answered for the whole image, and says so."""

ALL = (
    NEUTRAL | STANDING | COUNT | LOCATE | SEARCH | PRESENCE | MORE | FEWER | COMPARED | SORT | PLACE | DESCRIBE | ABOUT
    | SEE | GROUNDED | THINGS | QUESTION | PREPOSITIONS | NEAR | TIMES | PLACES
)  # fmt: skip
CORRECTED = word_set(
    "count counting number where there image picture photo photograph describe description summarize summarise "
    "caption locate location locations position highlight bounding visible classify category anything everything "
    "objects detect present please landscape satellite aerial terrain which identify coordinates outline overview "
    "summary detail details total place class assign recognition contains every around more than general "
    "environment biggest largest smallest leftmost rightmost topmost include contain highway recognize recognise "
    "annotate"
)
"""Words besides the names of objects whose misspellings are corrected."""
REAL = word_set(
    "plans planet places planets planks plants plates planed panes horses housed hoses fiends tucks trucks tricks "
    "tacks tracts airline airlines ferried tracked tracker caution cautions locale locution position positron "
    "deject defect detest prevent preset presents presence identity outlive country county courting court courts "
    "three these those their wheel witch here were visibly landscaper terrapin summery passengers descries polls "
    "spools ponds lakes takes cakes shops chips boots goats coats bolts routes buses camera cameras built "
    "building buildings bonding boarding sounding pounding rounding numbed lumber detain details retail "
    "categories described describes located locates locating positions positioned outlined outlines identified"
)
"""Words that are one letter from such a word or a name, and are meant."""

PHRASES = re.compile(
    r"\b(?:(?:would|d) (?:like|love)(?: you)? to|(?:looks?|anything|something) like|ma[dk]e out|work(?:ed)? out"
    r"|point(?:ing)? out|make up|belong to"
    r"|or not|by any chance|kind of(?= (?:an? |oil|fuel))|is it possible(?: for you)? to"
    r"|keep track of|for running|like i m (?:five|5|a child)|passing over|go(?:es)? over"
    r"|to someone who can(?:not)?(?: t)? see (?:it|image))\b"
)
"""Phrases whose words would mislead one by one, and that are left out."""
