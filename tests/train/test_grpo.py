"""Reinforcement: rewards of known answers, groups, the objective, and runs that learn and resume."""

import json
import re

import pytest
import torch
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from geochat.checkpoints import load
from geochat.cli import main
from geochat.dialects import GEOCHAT
from geochat.engines import GenerationSettings, Request
from geochat.engines.prompt import Encoder
from geochat.errors import DataError, SettingsError
from geochat.prompts import Message
from geochat_data.encoding import Collator
from geochat_data.samples import Sample
from geochat_train.recipe_files import load_recipe
from geochat_train.reinforcement.objective import advantages_of, clipped_loss
from geochat_train.reinforcement.questions import QuestionCollator
from geochat_train.reinforcement.rewards import REWARDS, Attempt, grade
from geochat_train.reinforcement.run import reinforce
from geochat_train.reinforcement.trainer import GrpoTrainer
from geochat_train.tuning.estimate import estimate

ROWS = [
    ("[refer] the car", "<p>the car</p> {<10><20><30><40>|<45>}"),
    ("[refer] a ship", "There is no ship."),
    ("How many cars?", "3"),
    ("Describe the image.", "A road with cars beside a large building, and trees along the road."),
]


@pytest.fixture(scope="module")
def questions(material, tmp_path_factory):
    """Four kinds of question, one of which no reward applies to."""
    path = tmp_path_factory.mktemp("questions") / "train.jsonl"
    with path.open("w") as file:
        for number in range(8):
            question, truth = ROWS[number % 4]
            turns = [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": truth}]
            file.write(json.dumps({"id": str(number), "image": f"{number}.png", "conversations": turns}) + "\n")
    return path


@pytest.fixture
def grpo(recipe, questions, material):
    """`grpo(kl=0)`: a recipe for the tiny model on the questions."""
    usual = {"data": questions, "images": material, "rank": 4, "batch_size": 2, "group_size": 4, "max_new_tokens": 5}
    return lambda **given: recipe("grpo", **{**usual, **given})


@pytest.fixture
def number_reward():
    """A reward that a random model sometimes gets: its first three tokens are numbers."""

    @REWARDS.register("numbers")
    def numbers(attempt):
        return min(3, len(re.findall(r"<\d+>", attempt.answer.text))) / 3

    yield
    REWARDS.unregister("numbers")


SQUARE = "{<20><20><40><40>|<90>}"
BOXES = [
    (SQUARE, SQUARE, 1.0),
    (SQUARE, "{<20><20><40><30>|<90>}", 0.33333),  # turned about its own centre
    ("{<20><20><40><40>|<45>}", "{<20><20><40><40>|<90>}", 0.70711),  # regular octagon over the union
    ("{<20><20><40><40>|<30>}", "{<20><20><40><40>|<60>}", 0.73205),
    (SQUARE, "{<60><60><80><80>|<90>}", 0.0),
    (SQUARE, f"{SQUARE}{{<60><60><80><80>|<90>}}", 2 / 3),
    (f"{SQUARE}{{<60><60><80><80>|<90>}}", SQUARE, 2 / 3),
    (f"{SQUARE}{SQUARE}", SQUARE, 2 / 3),  # one box does not match two
    (SQUARE, "There is none.", 0.0),
    ("There is none.", "There is none.", 1.0),
    ("There is none.", "No car.", 1.0),
    ("There is none.", SQUARE, 0.0),
    ("There is none.", "{<20><20>", 0.0),  # unreadable is not "none"
    (SQUARE, "{<20><20>", 0.0),
    (SQUARE, "", 0.0),
    (SQUARE, "{<20><20><20><40>|<90>}", 0.0),  # no area
]


@pytest.mark.parametrize(("truth", "answer", "expected"), BOXES)
def test_boxes_are_rewarded_by_rotated_iou(truth, answer, expected):
    attempt = Attempt.of("[refer] the car", truth, answer, GEOCHAT)
    assert REWARDS["boxes"](attempt) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "question", "truth", "answer", "ended", "expected"),
    [
        ("exact", "How many?", "3", " 3. ", True, 1.0),
        ("exact", "How many?", "3", "13", True, 0.0),
        ("exact", "Which?", "dense residential", "Dense  residential", True, 1.0),
        ("exact", "Which?", "port", "port", False, 0.0),
        ("exact", "Which?", "port", f"port {SQUARE}", True, 0.0),
        ("exact", "Describe.", ROWS[3][1], ROWS[3][1], True, None),
        ("exact", "[refer] a car", "none", "none", True, None),
        ("caption", "Describe.", "A river with two bridges.", "A river with two bridges.", True, 1.0),
        ("caption", "Describe.", "A river with two bridges.", "A river and a bridge.", True, 0.6),
        ("caption", "Describe.", "A river with two bridges.", "A river with two bridges", False, 0.0),
        ("caption", "Which?", "dense residential", "dense residential", True, None),
        ("caption", "[refer] a car", SQUARE, SQUARE, True, None),
        ("boxes", "How many?", "3", "3", True, None),
        ("format", "[refer] a car", SQUARE, "{<1><2><3><4>|<45>}", True, 1.0),
        ("format", "[refer] a car", SQUARE, "{<1><2><3><4>|<45>}", False, 0.0),
        ("format", "[refer] a car", SQUARE, f"{SQUARE} {{<1><2>", True, 0.0),
        ("format", "[refer] a car", SQUARE, " ", True, 0.0),
        ("format", "How many?", "3", "3", True, None),
    ],
)
def test_other_rewards(name, question, truth, answer, ended, expected):
    assert REWARDS[name](Attempt.of(question, truth, answer, GEOCHAT, ended=ended)) == expected


def test_the_reward_is_the_weighted_mean_of_those_that_apply():
    attempt = Attempt.of("[refer] the car", SQUARE, "{<60><60><80><80>|<90>}", GEOCHAT)
    found = grade(attempt, {"boxes": 3, "exact": 5, "format": 1})
    assert found.parts == {"boxes": 0.0, "format": 1.0}
    assert found.total == 0.25
    assert grade(attempt, {"exact": 1}) is None


@settings(max_examples=20, deadline=None)
@drawn(
    st.lists(st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4), min_size=1, max_size=5),
    st.booleans(),
)
def test_advantages_of_a_group_sum_to_zero(rewards, scale):
    rewards = torch.tensor(rewards)
    found = advantages_of(rewards, scale=scale)
    assert torch.allclose(found.sum(1), torch.zeros(len(rewards)), atol=1e-3)
    assert (found.argmax(1) == rewards.argmax(1)).all() or rewards.std(1).min() < 1e-6
    if scale and rewards.std(1).min() > 0.05:
        assert torch.allclose(found.std(1), torch.ones(len(rewards)), atol=0.01)


def test_equal_rewards_teach_nothing():
    assert not advantages_of(torch.full((1, 4), 0.3), scale=True).abs().gt(1e-3).any()


def test_ratios_are_clipped_on_the_side_that_is_rewarded():
    logprobs = torch.tensor([0.4, 0.4, -0.4, -0.4], requires_grad=True)
    advantages = torch.tensor([1.0, -1.0, 1.0, -1.0])
    loss = clipped_loss(logprobs, torch.zeros(4), advantages, torch.full((4,), 0.25), clip=0.2)
    loss.total.backward()
    assert (logprobs.grad == 0).tolist() == [True, False, False, True]
    assert loss.clipped == 0.5
    near = clipped_loss(logprobs, logprobs.detach(), advantages, torch.ones(4), clip=0.2, reference=logprobs.detach())
    assert (near.total.item(), near.divergence, near.clipped) == (0.0, 0.0, 0.0)
    far = clipped_loss(
        logprobs, logprobs.detach(), advantages, torch.ones(4) / 4, clip=0.2, reference=torch.zeros(4), kl=2.0
    )
    assert far.total.item() == pytest.approx(2 * far.divergence)
    assert far.divergence > 0


def test_a_prompt_is_that_of_the_engine(base, material):
    checkpoint = load(base, device="cpu")
    collator = QuestionCollator(Collator(checkpoint.processor, material, 400))
    messages = (Message("user", "Which?"), Message("assistant", "port"), Message("user", "Sure?"))
    sample = Sample("1", None, (*messages, Message("assistant", "yes")))
    asked = Encoder(checkpoint, checkpoint.info).encode(Request(messages, generation=GenerationSettings(8)))
    assert tuple(collator.prompt(sample)) == asked.ids


def log_of(folder):
    return [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]


def test_the_reward_rises_through_the_command(base, questions, material, number_reward, tmp_path, capsys):
    argv = ["train", "grpo", "--model", str(base), "--data", str(questions), "--images", str(material), "--json"]
    argv += ["--out", str(tmp_path / "out"), "--steps", "24", "--workers", "0", "--batch-size", "2", "--log-every", "4"]
    argv += ["--rewards", "numbers", "--max-new-tokens", "3", "--learning-rate", "3e-2", "--train", "full", "--kl", "0"]
    assert main([*argv, "--precision", "float32", "--schedule", "constant"]) == 0
    captured = capsys.readouterr()
    rows = log_of(tmp_path / "out")
    assert rows[0]["reward"] < 0.4
    assert rows[-1]["reward"] > 0.6
    assert json.loads(captured.out)["reward"] == rows[-1]["reward"]
    assert ", reward 0." in captured.err
    answers = (tmp_path / "out/run/samples/answers-000024.jsonl").read_text().splitlines()
    assert len(answers) == 2 * 8
    assert {"question", "label", "answer", "reward", "rewards"} < set(json.loads(answers[0]))


@pytest.mark.parametrize(
    "changes",
    [{"dropout": 0.2, "effective_batch": 4}, {"train": "full", "rank": 64, "iterations": 2, "average": "constant"}],
)
def test_it_goes_on_to_the_same_losses(changes, grpo, tmp_path, monkeypatch, number_reward):
    given = {"rewards": ("numbers",), "steps": 4, "max_new_tokens": 3, "scale_rewards": False, **changes}
    whole = reinforce(grpo(out=tmp_path / "whole", **given))
    train = GrpoTrainer.training_step

    def stopped(self, *arguments, **options):
        if self.state.global_step == 3:
            raise KeyboardInterrupt
        return train(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(GrpoTrainer, "training_step", stopped)
        with pytest.raises(KeyboardInterrupt):
            reinforce(grpo(**given))
    resumed = reinforce(grpo(**given))
    one, other = log_of(whole.folder), log_of(resumed.folder)
    for name in ("loss", "reward", "kl"):
        found, expected = ([row[name] for row in log if name in row] for log in (other, one))
        assert found == pytest.approx(expected, abs=1e-6)
    assert abs(one[0]["kl"]) < 1e-6 < one[-1]["kl"]
    assert ("clipped" in one[0]) == ("iterations" in changes)


def test_validation_is_greedy_and_gradients_pass_in_bfloat16(grpo, questions, number_reward):
    told = []
    watched = {"validation": questions, "evaluate_every": 1, "show": 1, "precision": "bfloat16"}
    done = reinforce(grpo(steps=1, rewards=("numbers", "boxes"), **watched), tell=told.append)
    start, first, second = log_of(done.folder)
    assert start["step"] == 0
    assert 0 <= start["eval_reward"] <= 1
    assert first["grad_norm"] > 0  # which weights cast while sampling, without gradients, would prevent
    assert first["answer_tokens"] <= 5
    assert second["eval_reward"] == pytest.approx(1 - second["eval_loss"])
    assert done.validation_loss == second["eval_loss"]
    assert load(done.folder, device="cpu").settings.name == "out"


def test_the_estimate_counts_the_answers_of_a_group(grpo):
    few, many = (estimate(grpo(group_size=size, max_new_tokens=64)).memory_gb for size in (2, 8))
    assert few.activations < many.activations < 6 * few.activations
    assert few.weights == many.weights


def test_data_that_cannot_be_rewarded(grpo):
    with pytest.raises(DataError, match=r"no answer of the data can be rewarded by exact \(.*give rows whose answers"):
        reinforce(grpo(rewards=("exact",), max_new_tokens=510))


def test_answers_without_a_reward_are_counted(grpo):
    told = []
    reinforce(grpo(steps=1, kl=0), tell=told.append)
    assert told[0].startswith("6 rows")
    assert "answer that no reward applies to" in told[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"group_size": 1}, "group_size=1 leaves an answer nothing to be compared with; give 2"),
        ({"group_size": 0}, "group_size=0 is too small"),
        ({"temperature": 0}, "temperature=0.0 is not above 0"),
        ({"temperature": "nan"}, "temperature=nan is not above 0"),
        ({"clip": 2}, "clip=2.0 is not above 0 and at most 1"),
        ({"kl": -1}, "kl=-1.0 is not between 0 and 100"),
        ({"rewards": "boxes,looks"}, "rewards='looks' is no reward; use some of boxes, caption, exact, format"),
        ({"rewards": []}, "rewards is empty"),
        ({"reward_weights": "1,2"}, "reward_weights has 2 numbers for 3 rewards"),
        ({"rewards": "boxes", "reward_weights": "0"}, "are not all above 0"),
        ({"iterations": 3, "save_every": 100}, "save_every=100 is no multiple of iterations=3"),
        ({"attention": "flash_attention_2"}, "grpo needs a mask that flash_attention_2 does not take"),
        ({"train": "full", "rank": 8}, "rank=8 has no effect on train=full"),
        ({"train": "some"}, "train='some' is not one of lora, qlora, full"),
        ({"share_images": True}, "'share_images', a setting of lora"),
    ],
)
def test_bad_settings_are_named(given, message):
    with pytest.raises(SettingsError) as caught:
        load_recipe("grpo", None, given)
    assert message in str(caught.value)
