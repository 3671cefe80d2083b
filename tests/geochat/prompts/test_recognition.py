import pytest
from hypothesis import given
from hypothesis import strategies as st

from geochat.prompts.intents import Kind
from geochat.prompts.recognition import recognise
from geochat.prompts.tasks import Task
from geochat.prompts.vocabulary import OutOfScope, Recognised, Vocabulary

CATEGORIES = (
    "airplane", "storage tank", "tennis court", "baseball diamond", "building", "car", "ship", "solar panel",
)  # fmt: skip
SCENES = (
    "agricultural", "airplane", "baseball diamond", "beach", "buildings", "chaparral", "dense residential", "forest",
    "freeway", "golf course", "harbor", "intersection", "medium residential", "mobile home park", "overpass",
    "parking lot", "river", "runway", "sparse residential", "storage tanks", "tennis court",
)  # fmt: skip
MINI = Vocabulary(CATEGORIES, SCENES, tuple(Task))
ALL_SCENES = ", ".join(SCENES)
ABLE = (
    "I find, count and compare airplanes, storage tanks, tennis courts, baseball diamonds, buildings, cars, ships and "
    "solar panels, name the kind of place, describe the image, and name the object in a marked region."
)


def understood(question: str, **options) -> Recognised:
    found = recognise(question, MINI, **options)
    assert isinstance(found, Recognised), found
    return found


def refused(question: str, **options) -> str:
    found = recognise(question, MINI, **options)
    assert isinstance(found, OutOfScope), found
    return found.answer


@pytest.mark.parametrize(
    ("question", "many"),
    [
        ("How many airplanes are in the image?", "airplanes"),
        ("How many airplanes are there in the image?", "airplanes"),
        ("how many planes r there", "airplanes"),
        ("HOW MANY AIRCRAFT???", "airplanes"),
        ("hwo many jets are parked here?", "airplanes"),
        ("count the cars", "cars"),
        ("Can you count the houses please?", "buildings"),
        ("number of ships?", "ships"),
        ("What's the total number of boats in this satellite photo?", "ships"),
        ("how many oil tanks can you see", "storage tanks"),
        ("Tell me how many cars you find.", "cars"),
        ("ship count", "ships"),
        ("hi, could you tell me how many pv modules there are", "solar panels"),
        ("is there more than one baseball field?", "baseball diamonds"),
    ],
)
def test_counts(question, many):
    found = understood(question)
    assert (found.task, found.words) == (Task.VQA, f"How many {many} are there in the image?")
    assert found.kind is Kind.COUNT


@pytest.mark.parametrize(
    ("question", "one"),
    [
        ("Is there a car?", "a car"),
        ("is there a car", "a car"),
        ("any ships?", "a ship"),
        ("ships?", "a ship"),
        ("do you see airplanes", "an airplane"),
        ("Are there any storage tanks here?", "a storage tank"),
        ("does this picture contain solar panels", "a solar panel"),
        ("Can you see a vessel?", "a ship"),
        ("Are houses visible in this image?", "a building"),
        ("Is an airplane present in the image?", "an airplane"),
        ("isn't there a plane?", "an airplane"),
        ("check if there are vehicles", "a car"),
        ("Would I find ships here?", "a ship"),
        ("there's a tennis court, right?", "a tennis court"),
        ("is this an airplane?", "an airplane"),
    ],
)
def test_presence(question, one):
    found = understood(question)
    assert (found.task, found.words) == (Task.VQA, f"Is there {one} in the image?")
    assert found.choices == ("yes", "no")


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("are there more cars than airplanes?", "more cars than airplanes"),
        ("Are there fewer ships than cars in the image?", "fewer ships than cars"),
        ("do you see less boats than automobiles", "fewer ships than cars"),
        ("more planes or tanks?", "more airplanes than storage tanks"),
        ("Compared with cars, are there more ships?", "more ships than cars"),
        ("Is it true that there are fewer ships than cars?", "fewer ships than cars"),
    ],
)
def test_comparisons(question, words):
    found = understood(question)
    assert (found.task, found.words) == (Task.VQA, f"Are there {words} in the image?")
    assert found.choices == ("yes", "no")


@pytest.mark.parametrize(
    ("question", "phrase"),
    [
        ("[refer] the airplane", "the airplane"),
        ("[refer] all airplanes", "all airplanes"),
        ("[Refer] leftmost aircraft", "the leftmost airplane"),
        ("[refer] Give me the location of <p> the airplane </p>", "the airplane"),
        ("find all airplanes", "all airplanes"),
        ("where's the plane?", "the airplane"),
        ("Where are the ships in the image?", "all ships"),
        ("show me the tanks", "all storage tanks"),
        ("show me where the ships are", "all ships"),
        ("locate the largest ship", "the largest ship"),
        ("which airplane is the biggest?", "the largest airplane"),
        ("which is the smallest building", "the smallest building"),
        ("box the cars", "all cars"),
        ("draw boxes around all the houses", "all buildings"),
        ("give me the bounding boxes of the two planes", "all airplanes"),
        ("highlight every solar module", "all solar panels"),
        ("I'm looking for the storage tank at the top left", "the storage tank at the top left"),
        ("find the plane in the upper right corner of the image", "the airplane at the top right"),
        ("the top left plane", "the airplane at the top left"),
        ("the ship in the middle", "the ship in the center"),
        ("tanks on the left side", "all storage tanks on the left"),
        ("find ships in the lower half", "all ships in the bottom half"),
        ("find the big ship", "the largest ship"),
        ("In which part of the image is the largest airplane?", "the largest airplane"),
        ("what are the coordinates of the ship", "the ship"),
        ("can you detect the cars?", "all cars"),
        ("How many airplanes are there and where are they?", "all airplanes"),
        ("all airplanes", "all airplanes"),
        ("Point out the tennis courts for me", "all tennis courts"),
    ],
)
def test_referring_expressions(question, phrase):
    found = understood(question)
    assert (found.task, found.words) == (Task.REFER, phrase)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("what's this place?", ALL_SCENES),
        ("what kind of area is this", ALL_SCENES),
        ("What type of land use is shown here?", ALL_SCENES),
        ("classify this image", ALL_SCENES),
        ("is this a beach?", ALL_SCENES),
        ("Is there a river?", ALL_SCENES),
        ("airport, harbor or forest?", "airplane, harbor, forest"),
        ("is this a harbor or an airport?", "harbor, airplane"),
        ("which of these: beach, river, forest", "beach, river, forest"),
        ("Classify this scene as one of: Beach, Farmland, Port", "beach, agricultural, harbor"),
        ("classify as highway, car park, or woodland", "freeway, parking lot, forest"),
        ("Is this beach, river, forest? Name the one that applies. Answer with one word or short phrase.",
         "beach, river, forest"),
        ("harbor, moon", "harbor, moon"),
    ],
)  # fmt: skip
def test_scenes(question, words):
    found = understood(question)
    assert (found.task, found.words) == (Task.SCENE, words)


def test_classes_stay_as_they_were_offered():
    found = understood("Airport, Harbour or forest?")
    assert found.choices == ("Airport", "Harbour", "forest")
    assert '"airplane" for "Airport"' in found.note
    both = understood("airplane, airport", task=Task.SCENE)
    assert both.words == "airplane, airport"  # two names of one class are not asked as the same
    assert understood("day, night", task=Task.SCENE).choices == ("day", "night")
    assert understood("what is this place?", task=Task.SCENE).choices == SCENES


@pytest.mark.parametrize(
    ("question", "task"),
    [
        ("describe", Task.CAPTION),
        ("Describe this picture in detail.", Task.CAPTION),
        ("what do you see?", Task.CAPTION),
        ("what is in this image?", Task.CAPTION),
        ("What's this?", Task.CAPTION),
        ("What am I looking at?", Task.CAPTION),
        ("caption this", Task.CAPTION),
        ("Give me a brief description of the scene", Task.CAPTION),
        ("In a few words, what is going on down there?", Task.CAPTION),
        ("describe with boxes", Task.GROUNDING),
        ("Describe the image with the positions of the objects.", Task.GROUNDING),
        ("what objects are there and where?", Task.GROUNDING),
        ("list all objects with their locations", Task.GROUNDING),
        ("find everything", Task.GROUNDING),
        ("[grounding] what's here", Task.GROUNDING),
        ("Walk me through the picture and point at each thing.", Task.GROUNDING),
    ],
)
def test_the_whole_image(question, task):
    found = understood(question)
    assert (found.task, found.words) == (task, "")


@pytest.mark.parametrize(
    "question",
    ["", "what is this?", "what's in the box", "Identify the object in this region", "is this a plane?", "describe it",
     "[identify]", "Tell me what lies within", "What am I looking at here:", "Name the object in this region:"],
)  # fmt: skip
def test_regions_are_identified(question):
    found = understood(question, has_regions=True)
    assert (found.task, found.words) == (Task.IDENTIFY, "")


def test_regions_in_the_text_stay_there():
    found = understood("what is this {<8><26><22><37>|<90>}")
    assert found.words == "What is the object present at {<8><26><22><37>|<90>}"
    assert understood("[identify] what's at {<8><26><22><37>}").words.endswith("{<8><26><22><37>}")


def test_nothing_but_identify_is_asked_of_a_region():
    assert refused("how many cars?", has_regions=True).startswith("With a marked region I only name the object in it")
    assert understood("[refer] the ship", has_regions=True).task is Task.REFER  # a task typed is a task chosen


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("how many submarines are there?", 'I do not know "submarines"'),
        ("[refer] a submarine", 'I do not know "submarine"'),
        ("where's the swimming pool?", 'I do not know "swimming pool"'),
        ("are there more cars than submarines?", 'I do not know "submarines"'),
        ("is this a submarine base?", 'I do not know "submarine base"'),
        ("find the second airplane", 'I do not know "second airplane"'),
        ("is it day or night?", 'I do not know "day" or "night"'),
        ("find the red cars", 'I cannot tell objects apart by color ("red")'),
        ("how many cars are red?", 'I cannot tell objects apart by color ("red")'),
        ("what colour is the largest car?", "I cannot tell colors"),
        ("find the ship next to the building", "I cannot tell how objects lie to one another"),
        ("how many cars and ships are there?", "I answer about one kind of object at a time"),
        ("find all planes, ships and cars", "I answer about one kind of object at a time"),
        ("are there as many cars as ships?", "I compare only"),
        ("count the airplanes on the left", "I count airplanes in the whole image, not some of them"),
        ("find the two largest ships", "I can find the largest ship of the whole image, but not restrict it further"),
        ("find the small ships", "I tell sizes apart only as"),
        ("find the river", 'I know "river" only as a kind of place'),
        ("how many parking lots", 'I know "parking lots" only as a kind of place'),
        ("where are they?", "It is not clear which kind of object is meant"),
        ("is it safe to land?", "I cannot answer that"),
        ("what is the capital of France?", "I cannot answer that"),
        ("write a poem about airplanes", "I cannot answer that"),
        ("describe the airplanes", "I cannot answer that"),
        ("why are there airplanes?", "I cannot answer that"),
        ("Where was this taken?", "I cannot answer that"),
        ("Wie viele Flugzeuge sind zu sehen?", "I cannot answer that"),
        ("¿Cuántos aviones hay?", "I understand English only"),
        ("有几架飞机", "I understand English only"),
    ],
)
def test_what_is_out_of_scope_is_answered_in_one_sentence(question, reason):
    answer = refused(question)
    assert answer.startswith(reason)
    assert answer.endswith(f": {ABLE}")
    assert answer.count(".") == 1


@pytest.mark.parametrize("question", ["hello", "Hi!", "who are you", "thanks", "what can you do?", "help"])
def test_talk_is_answered_with_what_can_be_asked(question):
    assert refused(question) == ABLE


def test_follow_ups():
    asked = [
        ("how many planes?", "How many airplanes are there in the image?"),
        ("and ships?", "How many ships are there in the image?"),
        ("what about the tanks", "How many storage tanks are there in the image?"),
        ("where are they?", "all storage tanks"),
        ("and the largest one?", "the largest storage tank"),
        ("on the left", "the storage tank on the left"),
        ("count them", "How many storage tanks are there in the image?"),
        ("is there a car", "Is there a car in the image?"),
        ("and buildings?", "Is there a building in the image?"),
        ("where?", "the building"),
    ]
    previous = None
    for question, words in asked:
        previous = understood(question, previous=previous)
        assert previous.words == words
    assert refused("and submarines?", previous=previous).startswith('I do not know "submarines"')
    assert understood("and ships?", previous=understood("describe")).words == "Is there a ship in the image?"


@pytest.mark.parametrize(
    ("task", "question", "words"),
    [
        (Task.VQA, "how many planes r there", "How many airplanes are there in the image?"),
        (Task.VQA, "where is the largest plane?", "Where is the largest airplane in the image?"),
        (Task.VQA, "what colour is the leftmost plane?", "What is the color of the leftmost airplane?"),
        (Task.VQA, "is it safe to land?", "is it safe to land?"),
        (Task.REFER, "planes", "all airplanes"),
        (Task.REFER, "how many planes are there", "all airplanes"),
        (Task.CAPTION, "how many planes?", ""),
        (Task.GROUNDING, "", ""),
        (Task.CHAT, "hello there", "hello there"),
        (Task.REFER, "", ""),
        (Task.REFER, "[grounding] describe", "[grounding] describe"),  # compose says that the two contradict
    ],
)
def test_a_task_that_was_chosen_holds(task, question, words):
    found = understood(question, task=task)
    assert (found.task, found.words) == (task, words)


def test_a_task_that_was_chosen_does_not_make_the_unknown_known():
    assert refused("how many submarines?", task=Task.VQA).startswith('I do not know "submarines"')


def test_the_published_suffix_names_the_task():
    question = "Where is the largest ship in the image?\nAnswer the question using a single word or phrase."
    assert understood(question).words == "Where is the largest ship in the image?"


def test_the_note_says_how_a_question_was_understood():
    assert understood("how many boats?").note == 'understood as "How many ships are there in the image?"'
    assert understood("box the boats").note == 'understood as a search for "all ships"'
    assert not understood("How many ships are there in the image?").note
    assert not understood("[refer] all ships").note
    assert not understood("Describe the image.").note


def test_other_vocabularies():
    few = Vocabulary(("small vehicle", "plane"), (), (Task.REFER, Task.VQA), colours=("red", "white"))
    assert recognise("how many cars", few).words == "How many small vehicles are there in the image?"
    assert recognise("find the red cars", few).words == "all red small vehicles"
    assert recognise("what color is the largest plane", few).choices == ("red", "white")
    able = "I find, count and compare small vehicles and planes."
    assert recognise("describe", few) == OutOfScope(f'I was not trained for the task "caption": {able}')
    assert recognise("what is this place?", few) == OutOfScope(f"I know no kinds of place: {able}")


def test_wordings_of_training_and_those_held_out_are_understood():
    from geochat_data.questions import wordings

    expected = {
        wordings.COUNT: Kind.COUNT,
        wordings.PRESENCE: Kind.PRESENCE,
        wordings.COMPARISON: Kind.COMPARISON,
        wordings.POSITION: Kind.REFER,
        wordings.REFER: Kind.REFER,
        wordings.SCENE: Kind.SCENE,
        wordings.CAPTION: Kind.CAPTION,
    }
    words = {
        "one": "a ship", "name": "ship", "many": "ships", "word": "fewer", "first": "ships", "second": "cars",
        "thing": "the largest ship", "phrase": "the ship", "classes": "beach, river, forest",
    }  # fmt: skip
    for table, kind in expected.items():
        for wording in (*table.pool("varied"), *table.held_out):
            assert understood(wording.format(**words)).kind is kind, wording
    for wording in (*wordings.GROUNDING.pool("varied"), *wordings.GROUNDING.held_out):
        assert understood(f"[grounding] {wording}").kind is Kind.GROUNDING
    for wording in (*wordings.IDENTIFY.pool("varied"), *wordings.IDENTIFY.held_out):
        assert understood(wording, has_regions=True).kind is Kind.IDENTIFY, wording


NOUNS = st.sampled_from([*CATEGORIES, *SCENES, "plane", "boats", "submarine", "red car", "it", ""])
PIECES = st.sampled_from(
    ["how many", "where is", "find", "the", "all", "largest", "is this", "a", "or", ",", "?", "more", "than", "and",
     "what", "[refer]", "<p>", "</p>", "{<1>}", ":", "class", "left", "in the image", "describe", "color", "of", "one",
     "at the top", "Answer with one word or short phrase."]
)  # fmt: skip
QUESTIONS = st.one_of(st.text(max_size=200), st.lists(st.one_of(NOUNS, PIECES), max_size=14).map(" ".join))


@given(QUESTIONS, st.booleans(), st.sampled_from([None, *Task]))
def test_any_text_is_read_and_what_is_understood_means_itself(question, has_regions, task):
    found = recognise(question, MINI, has_regions=has_regions, task=task)
    if isinstance(found, OutOfScope):
        assert found.answer.endswith(ABLE)
        assert "\n" not in found.answer
        return
    if found.kind is None or (found.task is Task.SCENE and len(found.choices) < 2):
        return
    words = found.words
    if found.task is Task.SCENE:
        words = f"Classify the image within one of the given classes: {words}. Answer with one word or short phrase."
    again = recognise(words, MINI, has_regions=has_regions, task=found.task)
    assert (again.task, again.words, again.kind) == (found.task, found.words, found.kind)


@given(QUESTIONS, QUESTIONS)
def test_any_follow_up_is_read(first, second):
    previous = recognise(first, MINI)
    recognise(second, MINI, previous=previous if isinstance(previous, Recognised) else None)
