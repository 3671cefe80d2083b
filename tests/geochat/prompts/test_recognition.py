"""What people ask, in their words, is recognised and put into the words of training."""

import pytest

from geochat.prompts.intents import Kind
from geochat.prompts.tasks import Task

EVERY = "every kind of place"


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
        ("how many separate ships can you make out", "ships"),
        ("total ships?", "ships"),
        ("what is the plane count", "airplanes"),
        ("is there more than one baseball field?", "baseball diamonds"),
        ("are there at least three airplanes?", "airplanes"),
        ("are there two ships?", "ships"),
        ("is there exactly one car", "cars"),
        ("do you see 12 tanks", "storage tanks"),
        ("check if there are fewer than ten houses", "buildings"),
        ("is the number of ships greater than 10?", "ships"),
        ("are there any more than 3 ships?", "ships"),
        ("are there over 20 cars in the lot?", "cars"),
        ("are there 2 or more tanks", "storage tanks"),
        ("no more than three cars?", "cars"),
        ("can you see more than two planes?", "airplanes"),
        ("are there almost 30 houses here", "buildings"),
    ],
)
def test_counts(question, many, understood):
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
        ("do ships appear in this image", "a ship"),
        ("is there at least one boat?", "a ship"),
        ("any sign of vessels?", "a ship"),
        ("could there be a jet in here", "an airplane"),
        ("can cars be seen?", "a car"),
        ("check if there are vehicles", "a car"),
        ("Would I find ships here?", "a ship"),
        ("there's a tennis court, right?", "a tennis court"),
        ("is this an airplane?", "an airplane"),
    ],
)
def test_presence(question, one, understood):
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
        ("do ships outnumber cars", "more ships than cars"),
        ("is the number of boats smaller than that of cars?", "fewer ships than cars"),
        ("is there a greater number of ships than of cars", "more ships than cars"),
    ],
)
def test_comparisons(question, words, understood):
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
def test_referring_expressions(question, phrase, understood):
    found = understood(question)
    assert (found.task, found.words) == (Task.REFER, phrase)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("what's this place?", EVERY),
        ("what kind of area is this", EVERY),
        ("What type of land use is shown here?", EVERY),
        ("classify this image", EVERY),
        ("is this a beach?", EVERY),
        ("Is there a river?", EVERY),
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
def test_scenes(question, words, understood, vocabulary):
    found = understood(question)
    assert (found.task, found.words) == (Task.SCENE, ", ".join(vocabulary.scene_classes) if words is EVERY else words)


def test_classes_stay_as_they_were_offered(understood, vocabulary):
    found = understood("Airport, Harbour or forest?")
    assert found.choices == ("Airport", "Harbour", "forest")
    assert '"airplane" for "Airport"' in found.note
    both = understood("airplane, airport", task=Task.SCENE)
    assert both.words == "airplane, airport"  # two names of one class are not asked as the same
    assert understood("day, night", task=Task.SCENE).choices == ("day", "night")
    assert understood("what is this place?", task=Task.SCENE).choices == vocabulary.scene_classes


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
def test_the_whole_image(question, task, understood):
    found = understood(question)
    assert (found.task, found.words) == (task, "")


@pytest.mark.parametrize(
    "question",
    ["", "what is this?", "what's in the box", "Identify the object in this region", "is this a plane?", "describe it",
     "[identify]", "Tell me what lies within", "What am I looking at here:", "Name the object in this region:"],
)  # fmt: skip
def test_regions_are_identified(question, understood):
    found = understood(question, has_regions=True)
    assert (found.task, found.words) == (Task.IDENTIFY, "")


def test_regions_in_the_text_stay_there(understood):
    found = understood("what is this {<8><26><22><37>|<90>}")
    assert found.words == "What is the object present at {<8><26><22><37>|<90>}"
    assert understood("[identify] what's at {<8><26><22><37>}").words.endswith("{<8><26><22><37>}")


def test_follow_ups(understood, refused):
    asked = [
        ("how many planes?", "How many airplanes are there in the image?"),
        ("and ships?", "How many ships are there in the image?"),
        ("what about the tanks", "How many storage tanks are there in the image?"),
        ("where are they?", "all storage tanks"),
        ("and the largest one?", "the largest storage tank"),
        ("on the left", "the storage tank on the left"),
        ("count them", "How many storage tanks are there in the image?"),
        ("is there a car", "Is there a car in the image?"),
        ("are any of them airplanes?", "Is there an airplane in the image?"),
        ("is one of those a plane", "Is there an airplane in the image?"),
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
def test_a_task_that_was_chosen_holds(task, question, words, understood):
    found = understood(question, task=task)
    assert (found.task, found.words) == (task, words)


def test_the_published_suffix_names_the_task(understood):
    question = "Where is the largest ship in the image?\nAnswer the question using a single word or phrase."
    assert understood(question).words == "Where is the largest ship in the image?"


def test_the_note_says_how_a_question_was_understood(understood):
    assert understood("how many boats?").note == 'understood as "How many ships are there in the image?"'
    assert understood("box the boats").note == 'understood as a search for "all ships"'
    assert not understood("How many ships are there in the image?").note
    assert not understood("[refer] all ships").note
    assert not understood("Describe the image.").note
