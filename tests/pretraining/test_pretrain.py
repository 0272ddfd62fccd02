"""The pretraining recipe and the base models that ship with the package."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import lit_entropy
from lit_entropy.cli.main import main
from lit_entropy.errors import NonFiniteError
from lit_entropy.figures.ladder import WIDTHS
from lit_entropy.policy.loading import shipped_bases
from lit_entropy.pretraining import base
from lit_entropy.pretraining.base import ONLY, weights_hash
from lit_entropy.pretraining.command import pretrain
from lit_entropy.pretraining.options import AttemptMixture
from lit_entropy.pretraining.responses import Mixture, pretraining_texts
from lit_entropy.pretraining.strategies import StrategyPrior
from lit_entropy.tasks.base import Task
from lit_entropy.tasks.chain import ChainArithmetic
from lit_entropy.tasks.countdown import Countdown

ASSETS = Path(lit_entropy.__file__).parent / "assets"
NAMES = ["chain-xs", "chain-s", "chain-m", "chain-l"]
LADDER = [f"ladder-{width}" for width in WIDTHS]
COUNTDOWN = Countdown(max_numbers=4, validation_max_numbers=4)


def tiny(folder: Path, **changes: object) -> Path:
    arguments = {"size": "xs", "steps": 3, "batch_size": 8, "progress": False}
    if "task" not in changes:
        arguments |= {"max_length": 3}
    return pretrain(str(folder), **(arguments | changes))  # type: ignore[arg-type]


def test_the_seed_determines_the_weights(tmp_path: Path) -> None:
    first = tiny(tmp_path / "a")
    torch.rand(7)  # the global generator's state must not matter
    assert weights_hash(first) == weights_hash(tiny(tmp_path / "b"))
    assert weights_hash(first) != weights_hash(tiny(tmp_path / "c", seed=1))
    recipe = json.loads((first / "recipe.json").read_text())
    assert recipe["sha256"] == weights_hash(first)
    assert recipe["parameters"]["steps"] == 3 and recipe["parameters"]["size"] == "xs"
    assert "width" not in recipe["parameters"]


def test_a_width_stands_in_place_of_a_size(tmp_path: Path) -> None:
    record = json.loads((tiny(tmp_path / "a", width=32) / "recipe.json").read_text())
    assert record["parameters"]["width"] == 32 and "size" not in record["parameters"]
    assert weights_hash(tmp_path / "a") == weights_hash(tiny(tmp_path / "b", size="xs"))
    with pytest.raises(ValueError, match="width is 24"):
        tiny(tmp_path / "c", width=24)
    assert not (tmp_path / "c").exists()


def test_the_held_out_loss_is_that_of_texts_beyond_the_training_s(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "a")
    record = json.loads((folder / "recipe.json").read_text())
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    parts = record["parameters"]
    mixture = Mixture(**{item.name: parts[item.name] for item in fields(Mixture)})
    texts = pretraining_texts(torch.arange(2**40, 2**40 + 4096), 3, mixture, seed=0)
    total, count = 0.0, 0
    texts.sort(key=lambda pair: len(pair[0] + pair[1]))
    for start in range(0, 4096, 128):
        rows = [[*tokenizer.encode(p + r), tokenizer.eos_token_id] for p, r in texts[start:][:128]]
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], True)
        with torch.no_grad():
            logp = model(ids).logits.log_softmax(-1)[:, :-1].gather(2, ids[:, 1:, None])[..., 0]
        for row, (prompt, _), whole in zip(logp, texts[start:], rows, strict=False):
            own = row[len(prompt) - 1 : len(whole) - 1]
            total, count = total - float(own.sum()), count + len(own)
    # other texts, those of training say, differ by more
    assert record["held_out_loss"] == pytest.approx(total / count, rel=1e-5)


def countdown(folder: Path, **changes: object) -> Path:
    return tiny(folder, **({"task": "countdown"} | changes))


def test_a_countdown_base_and_its_recipe(tmp_path: Path) -> None:
    mixture = AttemptMixture(direct=0.2, miss=0.1)
    first = countdown(tmp_path / "a", attempts=mixture)
    # the command line gives the mixture's fields as a mapping
    again = countdown(tmp_path / "b", attempts={"direct": 0.2, "miss": 0.1})
    assert weights_hash(first) == weights_hash(again)
    assert weights_hash(first) != weights_hash(countdown(tmp_path / "c"))
    assert weights_hash(first) != weights_hash(countdown(tmp_path / "d", max_numbers=4))
    parameters = json.loads((first / "recipe.json").read_text())["parameters"]
    assert parameters["attempts"] == asdict(mixture) and parameters["task"] == "countdown"
    assert not {*ONLY["chain"], *ONLY["discovery"]} & set(parameters)


def test_a_chain_recipe_says_nothing_of_countdown(tmp_path: Path) -> None:
    parameters = json.loads((tiny(tmp_path / "a") / "recipe.json").read_text())["parameters"]
    shipped = json.loads((ASSETS / "chain-s" / "recipe.json").read_text())["parameters"]
    assert list(parameters) == list(shipped)


def test_countdown_from_the_command_line(tmp_path: Path) -> None:
    options = ["--size=xs", "--steps=3", "--batch_size=8", "--progress=false", "--max_numbers=4"]
    output = f"--output={tmp_path / 'a'}"
    main(["pretrain", "--task=countdown", output, *options, "--attempts.miss=0.25"])
    expected = countdown(tmp_path / "b", max_numbers=4, attempts=AttemptMixture(miss=0.25))
    assert weights_hash(tmp_path / "a") == weights_hash(expected)


def test_a_discovery_base_and_its_recipe(tmp_path: Path) -> None:
    prior = StrategyPrior(true=0.05, contexts=20)
    first = tiny(tmp_path / "a", task="discovery", strategies=prior)
    options = ["--size=xs", "--steps=3", "--batch_size=8", "--progress=false"]
    changes = ["--strategies.true=0.05", "--strategies.contexts=20"]
    main(["pretrain", "--task=discovery", f"--output={tmp_path / 'b'}", *options, *changes])
    assert weights_hash(first) == weights_hash(tmp_path / "b")
    assert weights_hash(first) != weights_hash(tiny(tmp_path / "c", task="discovery"))
    parameters = json.loads((first / "recipe.json").read_text())["parameters"]
    assert parameters["strategies"] == asdict(prior) and parameters["task"] == "discovery"
    assert not {*ONLY["chain"], *ONLY["countdown"]} & set(parameters)


def test_global_random_state_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    tiny(tmp_path / "a", steps=1)
    assert torch.equal(torch.rand(3), expected)


def test_weights_are_saved_in_the_type_asked_for(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "a", dtype="bfloat16")
    assert AutoModelForCausalLM.from_pretrained(folder).dtype == torch.bfloat16


def test_a_folder_with_files_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("keep me")
    with pytest.raises(ValueError, match="not empty"):
        tiny(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": "xxl"}, "size is 'xxl'"),
        ({"steps": 0}, "steps is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"max_length": 0}, "max_length is 0"),
        ({"max_length": 32}, "max_length is 32"),
        ({"learning_rate": 0.0}, r"learning_rate is 0\.0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"average": "row"}, "average is 'row': give one of .'token', 'batch'."),
        ({"error": 1.5}, r"error is 1\.5"),
        ({"guess": 0.7, "careful_short": 0.6}, r"guess is 0\.7"),
        ({"task": "countdown", "attempts": {"miss": 1.5}}, r"miss is 1\.5"),
        ({"task": "countdown", "min_numbers": 1}, "min_numbers is 1 and max_numbers 5"),
        ({"task": "countdown", "min_numbers": 6}, "min_numbers is 6 and max_numbers 5"),
        ({"task": "countdown", "max_numbers": 10}, "min_numbers is 3 and max_numbers 10"),
        # of another task
        ({"attempts": {"miss": 1.0}}, "it is of task countdown, not chain; leave it out"),
        (
            {"task": "countdown", "guess": 0.9},
            r"guess is 0\.9: it is of task chain, not countdown; take attempts\.guess",
        ),
        (
            {"task": "countdown", "skip_long": 0.9},
            r"skip_long is 0\.9: it is of task chain, not countdown; leave it out",
        ),
        ({"task": "discovery", "error": 0.9}, "of task chain, not discovery; leave it out"),
        ({"task": "discovery", "max_numbers": 4}, "max_numbers is 4: it is of task countdown"),
    ],
)
def test_bad_arguments_are_named(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(tmp_path / "a", **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_base_that_diverges_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match="not finite after 3 steps: nothing is written; lower"):
        tiny(tmp_path / "a", learning_rate=1e30)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(base, "_fit", None)  # is never called
    with pytest.raises(ValueError, match=r"output is .*file/a: .*Not a directory.*another folder"):
        tiny(tmp_path / "file" / "a")


@pytest.mark.parametrize("name", NAMES)
def test_shipped_weights_are_the_recipe_s(name: str) -> None:
    recipe = json.loads((ASSETS / name / "recipe.json").read_text())
    size = name.removeprefix("chain-")
    assert recipe["sha256"] == weights_hash(ASSETS / name)
    assert recipe["parameters"]["size"] == size
    assert "task" not in recipe["parameters"]


def test_the_countdown_base_is_its_recipe_s() -> None:
    recipe = json.loads((ASSETS / "countdown-128" / "recipe.json").read_text())
    assert recipe["sha256"] == weights_hash(ASSETS / "countdown-128")
    mixture = AttemptMixture(direct=0.25, guess=0.7, miss=0.6, give_up=0.2, error=0.02)
    expected = {"task": "countdown", "width": 128, "max_numbers": 4, "attempts": asdict(mixture)}
    assert expected.items() <= recipe["parameters"].items()


def test_shipped_bases_are_all_tested() -> None:
    others = ["countdown-128", "discovery-easy-s", "discovery-s"]
    assert shipped_bases() == sorted([*NAMES, *LADDER, *others])


def test_the_ladder_has_one_recipe_and_loses_less_with_every_width() -> None:
    records = [json.loads((ASSETS / name / "recipe.json").read_text()) for name in LADDER]
    recipes = [record["parameters"] for record in records]
    assert [recipe.pop("width") for recipe in recipes] == [*WIDTHS]
    for recipe in recipes:
        del recipe["final_loss"]
    assert recipes == [recipes[0]] * 6 and recipes[0]["average"] == "token"
    assert [record["sha256"] for record in records] == [weights_hash(ASSETS / n) for n in LADDER]
    losses = [record["held_out_loss"] for record in records]
    assert losses == sorted(losses, reverse=True)  # nats a response token


def test_four_named_sizes_have_one_recipe() -> None:
    recipes = [json.loads((ASSETS / n / "recipe.json").read_text())["parameters"] for n in NAMES]
    for recipe in recipes:
        for key in ("size", "dtype", "final_loss"):
            del recipe[key]
    assert recipes == [recipes[0]] * 4
    models = [AutoModelForCausalLM.from_pretrained(ASSETS / name) for name in NAMES]
    # Width h, two layers of 4 h^2 + 3 h (attention) + 7.5 h^2 (MLP) + 2 h (norms), 21 h + h.
    expected = [2 * (23 * h * h // 2 + 5 * h) + 22 * h for h in (32, 64, 128, 256)]
    assert [model.num_parameters() for model in models] == expected
    assert sum(p.stat().st_size for p in ASSETS.rglob("*") if p.is_file()) < 8e6


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("ladder-16", 0.1, 0.3),
        ("ladder-32", 0.28, 0.48),
        ("ladder-48", 0.4, 0.6),
        ("ladder-64", 0.42, 0.62),
        ("ladder-96", 0.48, 0.68),
        ("ladder-128", 0.51, 0.71),
        ("chain-xs", 0.1, 0.3),
        ("chain-s", 0.28, 0.44),
        ("chain-m", 0.28, 0.5),
        ("chain-l", 0.28, 0.6),
        ("countdown-128", 0.31, 0.51),
    ],
)
def test_sampled_accuracy_of_a_shipped_base_lies_in_its_band(
    name: str, low: float, high: float
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(ASSETS / name)
    model = AutoModelForCausalLM.from_pretrained(ASSETS / name, dtype=torch.float32)
    task = COUNTDOWN if name.startswith("countdown") else ChainArithmetic()
    problems = task.validation_problems()
    prompts = tokenizer([str(problem.prompt) for problem in problems], padding=True)
    torch.manual_seed(0)
    tokens = model.generate(
        torch.tensor(prompts["input_ids"]),
        attention_mask=torch.tensor(prompts["attention_mask"]),
        do_sample=True,
        top_k=0,
        max_new_tokens=80,
    )
    width = len(prompts["input_ids"][0])
    texts = tokenizer.batch_decode(tokens[:, width:], skip_special_tokens=True)
    rewards = [task.reward(*pair) for pair in zip(problems, texts, strict=True)]
    # 200 draws: sd at most 0.035; the bands are the long-run accuracy and more than two sd.
    assert low < sum(rewards) / len(rewards) < high


@pytest.mark.parametrize(
    ("name", "task"), [("chain-s", ChainArithmetic()), ("countdown-128", Countdown())]
)
def test_the_task_can_be_encoded_for_a_shipped_base(name: str, task: Task) -> None:
    tokenizer = AutoTokenizer.from_pretrained(ASSETS / name)
    for problem in task.validation_problems():
        assert tokenizer.decode(task.encode(problem, tokenizer)) == problem.prompt
