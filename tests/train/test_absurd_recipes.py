"""Absurd numbers, names and files of recipes are one line that names them."""

import numpy as np
import pytest

from geochat.cli import main
from geochat.errors import SettingsError
from geochat_train.loop.trainer import training_order
from geochat_train.recipe import METHODS
from geochat_train.recipe_files import load_recipe
from geochat_train.tuning import tune

ABSURD = {
    **{"rank": 10**9, "alpha": 10**12, "batch_size": 10**9, "effective_batch": 10**12, "steps": 10**12, "keep": 10**9},
    **{"workers": 10**6, "seed": 2**64, "max_length": 10**12, "show": 10**9, "save_every": 10**30, "log_every": 10**30},
    **{"epochs": 1e300, "weight_decay": 1e300, "max_gradient_norm": 1e300, "learning_rate": 1e300, "warmup": 1e300},
}
NAN = ("learning_rate", "epochs", "warmup", "weight_decay", "max_gradient_norm", "dropout", "projector_rate")
NEGATIVE = ("steps", "rank", "batch_size", "workers", "seed", "keep", "save_every", "effective_batch", "max_length")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *ABSURD.items(),
        *((name, float("nan")) for name in NAN),
        *((name, -1) for name in NEGATIVE),
        *[("rank", "9" * 5000), ("learning_rate", "1e"), ("epochs", float("inf")), ("warmup", -0.1)],
    ],
)
def test_absurd_values_are_one_line(name, value, capsys):
    given = {"evaluate_every": 1, "validation": "x"} if name == "show" else {}
    with pytest.raises(SettingsError, match=name) as caught:
        load_recipe("lora", None, {**given, name: value})
    assert len(str(caught.value)) < 300
    text = repr(value) if not isinstance(value, str) else value
    argv = ["train", "lora", f"--{name.replace('_', '-')}={text}", "--data", "x", "--out", "y"]
    assert main([*argv, *(f"--{key.replace('_', '-')}={known}" for key, known in given.items())]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert name in error


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 60_000}, r"batch_size=60000 is more than there are rows \(32\)"),
        ({"steps": 10**8}, "rows, more than the 268,435,456 a run may take; lower epochs or steps"),
        ({"report_to": ("abacus",)}, "report_to='abacus' is no logger that transformers knows"),
    ],
)
def test_absurd_together_with_the_data(changes, message, recipe):
    with pytest.raises(SettingsError, match=message):
        tune(recipe(**changes))


@pytest.mark.parametrize(
    "content", ["rank: " + "9" * 5000, "[" * 5000, "rank: !!python/object:os.system x", "\x00", ""]
)
def test_recipes_of_any_content_are_an_error_of_ours(content, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(SettingsError):
        load_recipe("lora", path)


def test_names_no_file_can_have(capsys, tmp_path):
    for option in ("--data", "--config"):
        argv = ["train", "lora", "--data", "x", "--out", str(tmp_path / "out"), option, "x" * 5000]
        assert main(argv) == 1
        assert capsys.readouterr().err.count("\n") == 1


def test_a_long_order_of_few_rows_takes_no_time():
    assert len(training_order(np.ones(8, np.int32), 4, 100_000, 0)) == 400_000


def test_every_number_of_every_method_is_bounded():
    for kind in METHODS.values():
        for name in ("batch_size", "keep", "workers", "seed"):
            with pytest.raises(SettingsError, match=name):
                kind(**{name: 10**30})
