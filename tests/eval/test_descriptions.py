from geochat.dialects import GEOCHAT
from geochat_eval.formats import read_any, read_brackets, read_markup

TRUTH = (
    "There is <p>1 small ship</p> {<10><10><30><30>|<90>} near "
    "<p>2 harbors</p> {<60><60><80><80>|<90>}<delim>{<60><10><80><30>|<90>}."
)


def test_boxes_words_and_both_together(score):
    answer = "There is <p>a ship</p> {<10><10><30><30>|<90>} near <p>2 trucks</p> {<60><60><80><80>|<90>}."
    found = score("grounded-description", {"answer": answer, "description": TRUTH})
    assert found["matched_boxes@0.5"] == 66.67
    assert found["matched_and_named@0.5"] == 33.33
    assert found["rouge_1"] == 66.67  # 5 shared of 7 and 8 words
    assert score("grounded-description", {"answer": TRUTH, "description": TRUTH})["matched_and_named@0.75"] == 100


def test_a_truth_of_boxes_alone_has_no_words(score):
    found = score(
        "grounded-description", {"answer": "", "description": TRUTH}, {"answer": "", "description": [[1, 2, 3, 4]]}
    )
    assert found["lines"]["reasons"]["its ground truth has no words"]["count"] == 1


def test_brackets_inside_prose():
    text = "In it, there are some buildings [[80, 0, 88, 12, 90], [88, 0, 100, 12, 90]]  close by, a road [[1,2,3,4]]."
    grounded = read_brackets(text, GEOCHAT)
    assert grounded.words == "In it, there are some buildings close by, a road."
    assert [box.angle for box in grounded.boxes] == [90, 90, 0]
    assert grounded.phrases == ("there are some buildings", "there are some buildings", "a road")


def test_brackets_after_a_reference():
    text = "there is  <ref>7 small bicycle </ref> <box>[[[61, 51, 65, 52, 2]][[51, 29, 53, 34, 2]]]</box> at center."
    grounded = read_brackets(text, GEOCHAT)
    assert grounded.words == "there is 7 small bicycle at center."
    assert grounded.phrases == ("7 small bicycle",) * 2


def test_markup_without_a_phrase():
    grounded = read_markup("It rains. A ship {<1><2><3><4>|<5>} and {<1><2><3><4>|<5>}", GEOCHAT)
    assert grounded.phrases == ("A ship", "A ship")


def test_either_is_read_where_both_may_be():
    assert len(read_any("{<1><2><3><4>|<5>}", GEOCHAT).boxes) == len(read_any("[1, 2, 3, 4, 5]", GEOCHAT).boxes) == 1
    assert read_any("no [box] {here}", GEOCHAT).boxes == ()
