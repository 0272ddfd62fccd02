"""Every command of the README and of the site runs, or is parsed where it takes more than this."""

import re
from pathlib import Path

import pytest
from documents import PAGES, README, ROOT, blocks, commands, labelled
from jsonargparse import ArgumentParser
from runs import CONFIGS, NO_FIGURE, UNNAMED, fit, metrics

from lit_entropy.cli.commands import split_words
from lit_entropy.cli.main import EntropyCLI, main
from lit_entropy.cli.names import changes_of
from lit_entropy.sweep.file import read_file
from lit_entropy.tracking.run_name import run_name

#: What a command is given beside its own words, so that it takes a second.
FIT = [o for o in UNNAMED if o != NO_FIGURE and not o.startswith("--trainer.max_epochs")]
FIT.append("--data.task.validation_size=16")  # what the callbacks of the pages ask for
EVALUATE = [option for option in UNNAMED if not option.startswith("--checkpoint")]
SHRUNK = {
    "fit": [*FIT, "--trainer.max_epochs=1"],
    "validate": EVALUATE,
    "predict": EVALUATE,
    "pretrain": ["--steps", "2", "--batch_size", "4", "--progress", "false"],
}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds configs/ and the files that the pages show."""
    (tmp_path / "configs").symlink_to(CONFIGS)
    for block in blocks():
        if block.label.startswith("file "):
            (tmp_path / block.label.removeprefix("file ")).write_text(block.text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_two_commands() -> None:
    """They are what CI runs, but for the environment that CI makes itself."""
    (first,), (second,) = labelled("command 1"), labelled("command 2")
    ci = (ROOT / ".ci" / "run").read_text().replace("--quiet ", "")
    assert "lit-entropy fit --config configs/quickstart.yaml" in first
    assert "pip install -c constraints.txt -e ." in first
    for part in ("pip install -c constraints.txt -e '.[test]'", "python -m pytest -n 2"):
        assert part in second and part in ci


def test_every_command_that_is_marked_runs(checkout: Path) -> None:
    """In the order of the pages, at a small size."""
    lines = [words for block in blocks() if block.label == "run" for words in commands(block)]
    assert len(lines) >= 20
    fit(checkout / "runs", FIT[-1])  # the quickstart run that commands refer to
    for words in lines:
        small = SHRUNK.get(words[1], [])
        if words[1] == "fit":  # after the files of the line and before what it adds to them
            place = max(index for index, word in enumerate(words) if word == "--config") + 2
            words[place:place] = [NO_FIGURE, *name_of(words)]
        if words[1] == "fit" and "--ckpt_path" in words:  # an option of the line counts: 200
            words[words.index("200")] = "3"
            small = FIT
        main([*words[1:], *small])
    assert metrics(checkout / "runs")["step"].tolist() == [0, 1, 2, 3]
    assert metrics(checkout / "runs", "kl_cov-seed1")["step"].tolist() == [0, 1]
    for path in ("bases/my-base/model.safetensors", "my-figures/report.html", "more-logs"):
        assert (checkout / path).exists()


def name_of(words: list[str]) -> list[str]:
    """The option with the name that a command's run has without what makes it small."""
    changes = changes_of(words[2:], {})
    stem = Path(words[len(words) - words[::-1].index("--config")]).stem
    seed = int(words[words.index("--seed_everything") + 1]) if changes.seeded else 0
    name = run_name(f"{stem}-seed0", {}, changes.later, seed, changes.seeded)
    return [] if changes.explicit else [f"--run.name={name}"]


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> ArgumentParser:
    """The command line's parser, built once for many commands."""
    built: list[ArgumentParser] = []

    def stop(_: EntropyCLI, parser: ArgumentParser, args: object) -> None:
        built.append(parser)
        raise InterruptedError

    monkeypatch.setattr(EntropyCLI, "parse_arguments", stop)
    with pytest.raises(InterruptedError):
        main([])  # without a subcommand the parsers of all of them are filled
    return built[0]


def test_every_other_command_is_parsed(checkout: Path, parser: ArgumentParser) -> None:
    """Those that need weights, data, GPUs or an hour: their files, keys and values are right."""
    shown = [block for block in blocks() if block.label not in ("run", "command 1")]
    lines = [words for block in shown for words in commands(block)]
    assert len(lines) >= 10
    for words in lines:
        own, passed = split_words(words[1:])
        assert parser.parse_args(own).subcommand == words[1]
        if passed:
            assert parser.parse_args(["fit", *passed]).subcommand == "fit"


def test_the_sweep_of_a_file_is_a_grid(checkout: Path) -> None:
    found = read_file(checkout / "losses.yaml")
    assert found.over == {
        "model.loss": ["PPOClip", "configs/loss/kl_cov_tiny.yaml"]
    } and found.seeds == [0, 1, 2]


def test_rows_of_ones_own_are_trained_on(checkout: Path) -> None:
    """The whole recipe, shortened: two of ten rows held out, some responses right."""
    block = next(block for block in blocks() if " --data.task my_qa.yaml" in block.text)
    (words,) = commands(block)
    small = ["--trainer.max_epochs=1", "--trainer.callbacks=InitialValidation", "--run.wandb=off"]
    cli = main([*words[1:], *small, "--trainer.accelerator=cpu", f"--run.folder={checkout}"])
    assert len(cli.datamodule.validation_problems) == 2
    rows = metrics(checkout, Path(cli.trainer.log_dir).name)
    assert rows["step"].tolist() == [0, 1] and 0.2 < rows["rollout/accuracy"][1] < 1


def test_outputs_of_commands_are_not_offered_to_git() -> None:
    """What commands write where no folder is given, and where the pages say."""
    text = "".join(page.read_text() for page in PAGES)
    named = {path.split("/")[0] for path in re.findall(r"--output ([\w./-]+)", text)}
    lines = (ROOT / ".gitignore").read_text().splitlines()
    ignored = {line.strip("/") for line in lines if line.endswith("/")}
    assert {"figures", "reproduce", "sweeps", "runs", *named} - ignored == set()


def test_a_command_that_is_wrong_is_found(checkout: Path, parser: ArgumentParser) -> None:
    with pytest.raises(SystemExit) as end:
        parser.parse_args(["fit", "--config", "configs/quickstart.yaml", "--data.nonsense", "3"])
    assert end.value.code == 2


def test_the_flags_of_the_table_stand_in_pages() -> None:
    """Each entry of the README's table of what it can do is used by the page that it links."""
    rows = [line for line in README.read_text().splitlines() if "](docs/how-to/" in line]
    assert len(rows) == 16
    for row in rows:
        _, _, written, read, _ = (cell.strip() for cell in row.split("|"))
        page = ROOT / read.split("](")[1].split(")")[0].split("#")[0]
        if written.startswith("`"):
            text = page.read_text()
            missing = [word for word in written.strip("`").split() if word not in text]
            assert not missing, (page.name, missing)


def test_files_that_are_shown_are_used() -> None:
    """A file of a page is named by a command of that page."""
    for block in blocks():
        if block.label.startswith("file "):
            name = Path(block.label.removeprefix("file "))
            assert f" {name.stem}." in block.page.read_text(), block.page
    assert len(PAGES) >= 25
