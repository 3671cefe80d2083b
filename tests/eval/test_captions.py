"""Caption figures equal the libraries' own."""

import json
import shutil

import pytest

from geochat.dialects import GEOCHAT
from geochat_eval.score import score_file
from geochat_eval.scorers import ScorerSettings, caption_metrics

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="coco-caption's tokenizer is a Java program")

ROWS = [
    {"answer": "There is a road beside the farmlands .", "ground_truth": ["A road by fields.", "Farmland, and a road"]},
    {
        "answer": "Many planes are parked (near a café).",
        "ground_truth": ["Planes at an airport.", "Some parked planes"],
    },
    {"answer": "", "ground_truth": ["A river"]},
    {"answer": "two\nboats   on “a” river", "ground_truth": ["It's a river with two boats"]},
]


def library(rows):
    """What pycocoevalcap gives, tokenizer included."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    tokenizer = PTBTokenizer()
    texts = tokenizer.tokenize({i: [{"caption": row["answer"]}] for i, row in enumerate(rows)})
    truths = tokenizer.tokenize({i: [{"caption": t} for t in row["ground_truth"]] for i, row in enumerate(rows)})
    return truths, texts


@needs_java
def test_bleu_rouge_and_cider_equal_the_library(shared, score):
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    with (shared / "reference/scorer/image_captioning_ucm.jsonl").open(encoding="utf-8") as lines:
        given = [json.loads(line) for line in lines]
    rows = [{"answer": r["answer"], "ground_truth": [r[f"caption{i}"] for i in range(5)]} for r in given]
    found = score("image-caption", *rows)
    assert score("image-caption", *given, format_name="earthdial")["bleu_4"] == found["bleu_4"]
    truths, texts = library(rows)
    expected = dict(zip(caption_metrics.COCO_RULES, Bleu(4).compute_score(truths, texts, verbose=0)[0], strict=False))
    expected["rouge_l_coco"] = Rouge().compute_score(truths, texts)[0]
    expected["cider"] = Cider().compute_score(truths, texts)[0]
    assert {rule: found[rule] for rule in expected} == pytest.approx(
        {rule: 100 * value for rule, value in expected.items()}, abs=0.0051
    )


@needs_java
@pytest.mark.slow
def test_meteor_equals_the_library(shared):
    path = shared / "reference/scorer/image_captioning_ucm.jsonl"
    found = score_file(path, "image-caption", "earthdial", ScorerSettings(replicates=0), dialect=GEOCHAT).to_dict()
    assert found["meteor"] == 25.45  # pycocoevalcap 1.2 with its own tokenizer: 0.25454699942281267
    assert "meteor" not in found["intervals"]


@needs_java
def test_tokens_are_lower_case_without_punctuation_and_keep_their_letters():
    captions = [caption_metrics.Caption(row["answer"], tuple(row["ground_truth"])) for row in ROWS]
    tokens = caption_metrics.tokenize(captions)
    assert tokens[1].text == "many planes are parked -lrb- near a café -rrb-"  # as coco-caption leaves them
    assert tokens[2].text == ""
    assert tokens[3].text == "two boats on a river"
    assert tokens[3].references == ("it 's a river with two boats",)


def test_rouge_takes_the_best_reference_and_stems(score):
    found = score("image-caption", {"answer": "parked planes", "ground_truth": ["a river", "plane parks"]})
    assert found["rouge_1"] == 100
    assert found["rouge_l"] == 50


def test_nltk_meteor_without_synonyms(score):
    from nltk.translate.meteor_score import single_meteor_score

    found = score("region-caption", {"answer": "2 Ships at the right", "ground_truth": "2 small ship"})
    expected = single_meteor_score(["2", "small", "ship"], ["2", "Ships", "at", "the", "right"], wordnet=_Empty())
    assert found["meteor_nltk_without_wordnet"] == pytest.approx(100 * expected, abs=0.0051)


def test_groups_are_scored_apart(score):
    rows = [{"answer": "a ship", "ground_truth": "a ship", "size_group": "small"}]
    found = score("region-caption", *rows, {"answer": "a car", "ground_truth": "trees", "size_group": "large"})
    assert (found["rouge_1"], found["rouge_1/small"], found["rouge_1/large"]) == (50, 100, 0)
    if "bleu_1" in found:
        assert (found["bleu_1/small"], found["n"]["bleu_1/small"]) == (100, 1)


def test_what_cannot_be_computed_is_said(score, monkeypatch):
    monkeypatch.setattr(caption_metrics, "missing_for_coco", lambda: "no Java here")
    monkeypatch.setattr(caption_metrics, "missing_wordnet", lambda: "no WordNet here")
    found = score("region-caption", {"answer": "a ship", "ground_truth": "a ship"})
    assert found["not_computed"]["cider"] == "no Java here"
    assert found["not_computed"]["meteor_nltk"] == "no WordNet here"
    assert "bleu_1" not in found
    assert found["rouge_1"] == 100
    assert "no Java here" in caption_metrics.summary()


def test_empty_captions_count_as_zero(score):
    found = score("image-caption", {"answer": "", "ground_truth": "a ship"}, {"answer": "...", "ground_truth": "."})
    assert found["rouge_1"] == 0
    assert found["meteor_nltk_without_wordnet"] == 0
    assert found.get("bleu_4", 0) == 0
    assert found.get("cider", 0) == 0


class _Empty:
    def synsets(self, _word):
        return []
