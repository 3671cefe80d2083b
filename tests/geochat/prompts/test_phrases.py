import pytest
from hypothesis import given
from hypothesis import strategies as st

from geochat.prompts.phrases import (
    aliases_of,
    canonical,
    category_of,
    head_noun,
    match_choice,
    normalise,
    plural,
    same_thing,
    singular,
    with_article,
)
from geochat.prompts.synonyms import NOUNS

SCENES = (
    "agricultural",
    "airplane",
    "dense residential",
    "forest",
    "freeway",
    "harbor",
    "parking lot",
    "storage tanks",
)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("all airplanes", "2 planes"),
        ("the leftmost aircraft", "all airplanes"),
        ("the white tank", "a storage tank"),
        ("the ship at the top left", "the boat"),
        ("vehicles", "2 trucks"),
        ("the large vehicle on the right", "1 large vehicle"),
        ("small-vehicle", "small vehicles"),
        ("houses", "the building"),
        ("a row of parked cars", "three cars"),
        ("Harbour", "marinas"),
        ("the court", "all tennis courts"),
        ("car park", "the parking lot"),
        ("motorway", "highway"),
        ("farmland", "agricultural"),
        ("ships and cars", "2 cars"),
        ("the largest one", "the ship"),
        ("everything", "a storage tank"),
        ("the car next to the building", "the car"),
        ("passenger planes", "airplane"),
    ],
)
def test_the_same_thing(asked, named):
    assert same_thing(asked, named)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("a submarine", "the building"),
        ("the tennis court", "the basketball court"),
        ("cars", "the parking lot"),
        ("car park", "car"),
        ("trucks", "the car"),
        ("the car next to the building", "the building"),
        ("all ships", ""),
        ("all ships", "the object"),
        ("ships and cars", "2 airplanes"),
        ("boathouse", "boat"),
        ("helicopter", "airplane"),
    ],
)
def test_another_thing(asked, named):
    assert not same_thing(asked, named)


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("airplanes", "airplane"), ("storage tanks", "storage tank"), ("ferries", "ferry"), ("boxes", "box"),
        ("buses", "bus"), ("bus", "bus"), ("people", "person"), ("aircraft", "aircraft"), ("houses", "house"),
        ("overpasses", "overpass"), ("tennis", "tennis"), ("beaches", "beach"), ("churches", "church"), ("", ""),
    ],
)  # fmt: skip
def test_singular(many, one):
    assert singular(many) == one


@pytest.mark.parametrize("noun", [form for row in NOUNS for form in row])
def test_plural_and_singular_are_inverse(noun):
    assert singular(plural(noun)) == noun
    assert plural(plural(noun)) == plural(noun)


def test_with_article():
    assert (with_article("airplane"), with_article("car")) == ("an airplane", "a car")


@pytest.mark.parametrize(
    ("phrase", "noun"),
    [
        ("the two white storage tanks next to the building", "storage tank"),
        ("a row of parked cars", "car"),
        ("2 planes on the left", "plane"),
        ("medium residential", "medium residential"),
        ("the leftmost", ""),
        ("", ""),
    ],
)
def test_head_noun(phrase, noun):
    assert head_noun(phrase) == noun


@pytest.mark.parametrize(
    ("words", "category"),
    [("planes", "airplane"), ("two tanks", "tank"), ("the boats", "ship"), ("passenger planes", None),
     ("automobile", "small vehicle"), ("truck", "large vehicle"), ("submarine", None), ("", None), ("the", None)],
)  # fmt: skip
def test_category_of(words, category):
    assert category_of(words, ("airplane", "tank", "ship", "small vehicle", "large vehicle")) == category


def test_an_ambiguous_category_is_none():
    assert category_of("planes", ("airplane", "jet")) is None
    assert category_of("jets", ("airplane", "jet")) == "jet"


@pytest.mark.parametrize(
    ("answer", "choices", "choice"),
    [
        ("harbor", ("Airport", "Harbor"), "Harbor"),
        ("Harbour.", ("airport", "harbor"), "harbor"),
        ("airplane", ("airport", "harbor", "forest"), "airport"),
        ("storage tanks", ("tank farm", "farm"), "tank farm"),
        ("freeway", ("Highway", "Car park"), "Highway"),
        ("Yes, there is.", ("yes", "no"), "yes"),
        ("a car park", SCENES, "parking lot"),
        ("farmland", SCENES, "agricultural"),
        ("dense residential", ("residential area", "industrial area"), "residential area"),
        ("dense residential", ("sparse residential", "dense residential"), "dense residential"),
        ("residential", ("sparse residential", "dense residential"), None),
        ("port", ("harbor", "marina"), None),
        ("airplane", ("airport", "airfield"), None),
        ("beach", ("harbor", "forest"), None),
        ("", ("harbor", "forest"), None),
        ("yes and no", ("yes", "no"), None),
        ("harbor", (), None),
    ],
)
def test_match_choice(answer, choices, choice):
    assert match_choice(answer, choices) == choice


def test_normalise():
    assert normalise("What’s the Harbour's colour?!") == "what is the harbor color"
    assert normalise("small-vehicle_2") == "small vehicle 2"


def test_no_noun_has_two_names():
    forms = [form for row in NOUNS for form in row]
    assert len(forms) == len(set(forms))
    assert all(form == normalise(form) == singular(form) for form in forms)
    assert all(canonical(row[0]) == row[0] for row in NOUNS)


@given(st.text(), st.text())
def test_any_text_is_compared(asked, named):
    same_thing(asked, named)
    category_of(asked, (named, "ship"))
    assert match_choice(asked, (named,)) in {None, named}
    assert normalise(normalise(asked)) == normalise(asked)


@given(st.sampled_from([form for row in NOUNS for form in row]), st.sampled_from(["the", "all", "2", "the largest"]))
def test_a_phrase_means_itself(noun, before):
    assert same_thing(f"{before} {plural(noun)}", noun)
    assert same_thing(noun, f"{before} {plural(noun)} on the left")


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("harbor", ("harbor",)),
        ("port", ("harbor",)),
        ("car parks", ("parking lot",)),
        ("residential", ("dense residential", "sparse residential")),
        ("airport", ("airplane",)),
        ("moon", ()),
        ("", ()),
    ],
)
def test_an_offered_answer_stands_for_known_names(choice, names):
    known = ("airplane", "harbor", "parking lot", "dense residential", "sparse residential")
    assert aliases_of(choice, known) == names
