"""What is hidden of secrets, by name, by value and by form, and what is kept."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from lit_entropy.cli import start
from lit_entropy.cli.names import changes_of
from lit_entropy.cli.record import check_comparable
from lit_entropy.cli.refusals import refuse
from lit_entropy.shipped import configs_folder, shipped_names
from lit_entropy.tracking.redaction import (
    REDACTED,
    hidden_by_variables,
    is_secret_name,
    redact,
    redact_text,
    redact_words,
    require_shown,
)

#: Names under which secrets are found in the wild.
NAMES = [
    "GH_PAT", "DATABASE_URL", "PGPASSWORD", "SSHPASS", "ROOT_PWD", "MYSQL_PWD",
    "PASSPHRASE", "REGISTRY_AUTH", "SLACK_WEBHOOK", "WEBHOOK", "PRIVATEKEY", "OPENAIKEY",
    "TOKEN2", "pat", "HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN", "AZURE_STORAGE_CONNECTION_STRING",
    "GOOGLE_APPLICATION_CREDENTIALS_JSON", "OPENAI_API_KEY", "ANTHROPIC_API_KEY",
    "DOCKER_PASSWORD", "DOCKERPASS", "npm_token", "PYPI_TOKEN", "CI_JOB_TOKEN",
    "GITLAB_TOKEN", "SENTRY_DSN", "REDIS_URL", "MONGO_URI", "JWT", "SESSION_SECRET",
    "COOKIE", "authToken", "apiKey", "APIKEY", "access-key", "clientSecret", "userPassword",
    "passwd", "bearer", "BEARER_TOKEN", "SIGNATURE", "SAS", "otp", "PIN", "basic_auth",
    "http.proxy.auth", "VLLM_API_KEY", "COMET_API_KEY", "sshKey", "PRIVATE_KEY_PEM",
]  # fmt: skip
#: Names of settings that hold no secret.
KEPT = [
    "tokenizer", "tokenizer_path", "pass_k", "pass_curve", "sort_by_key", "keys",
    "pin_memory", "path", "patience", "patterns", "compass", "author", "monkey", "keyboard",
    "bypass", "passes", "spinning", "pinned", "optimizer", "patch", "mapping",
]  # fmt: skip
SECRETS = ["ab1", "hunter2", "s3cr3t-value", "xxxxxxxxxxxxxxxxxxxxxxxx", "p@ss w0rd", "ünï"]


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_is_hidden_by_its_name(name: str) -> None:
    assert is_secret_name(name)
    for secret in SECRETS:
        config = {name: secret, "a": [{name: [secret]}], f"x.{name}": {"inner": secret}}
        assert secret not in str(redact(config, {}))
        # and where an environment variable of that name was copied to
        copied = {"note": secret, "list": [f"before {secret} after"], "keep": "this"}
        clean = redact(copied, {name: secret})
        assert secret not in str(clean) and clean["keep"] == "this"
        assert secret not in redact_text(f"x={secret}: no such file", {name: secret})


@pytest.mark.parametrize("name", KEPT)
def test_a_setting_is_kept_by_its_name(name: str) -> None:
    assert not is_secret_name(name)
    assert redact({name: "value", "b": {name: ["value"]}}, {}) == {
        name: "value",
        "b": {name: ["value"]},
    }


def test_numbers_stay_but_those_of_passwords() -> None:
    config: dict[str, Any] = {"max_new_tokens": 16, "tokens_BT": [1, 2], "key": 3, "use_auth": True}
    assert redact(config, {}) == config
    for name in ("password", "PIN", "client_secret", "root_pwd"):
        assert redact({name: 12345678}, {}) == {name: REDACTED}
    assert redact({"token": None, "auth": ""}, {}) == {"token": None, "auth": ""}


def test_a_component_under_a_telling_name_keeps_its_settings() -> None:
    part = {"class_path": "my.Auth", "init_args": {"api_key": "k-123", "retries": 3}}
    clean = {"class_path": "my.Auth", "init_args": {"api_key": REDACTED, "retries": 3}}
    assert redact({"auth": part}, {}) == {"auth": clean}


UNLISTED = {"MYSTERY": "zq81-hidden", "GH": "abcd", "LICENSE": "a b c d e f g h"}
LISTED = {
    "HOME": "~/place", "DATA_DIR": "data/of/mine", "USER": "somebody", "PWD": "place/here",
    "CUDA_VISIBLE_DEVICES": "0,1,2,3", "MODEL": "Qwen/Qwen2.5-7B", "SLURM_JOB_NAME": "long-name",
    "RUN_NAME": "baseline-run", "MODE": "offline", "N": "12345", "WORD": "auto", "SEED": "1234567",
}  # fmt: skip


def test_variables_are_hidden_unless_their_name_is_listed(tmp_path: Path) -> None:
    config = {str(i): value for i, value in enumerate([*UNLISTED.values(), *LISTED.values()])}
    clean = redact(config, UNLISTED | LISTED)
    pairs = zip(UNLISTED | LISTED, clean.values(), strict=True)
    hidden = [name for name, shown in pairs if shown == REDACTED]
    assert hidden == list(UNLISTED)
    # within a text only from eight characters on, and an existing path is no secret
    assert redact({"a": "abcd-run"}, UNLISTED) == {"a": "abcd-run"}
    assert redact({"a": "x zq81-hidden y"}, UNLISTED) == {"a": REDACTED}
    assert redact({"a": f"{tmp_path}/x"}, {"SCRATCH": str(tmp_path)}) == {"a": f"{tmp_path}/x"}


FORMS = {
    "postgres://me:w0rd@host:5432/db": f"postgres://{REDACTED}@host:5432/db",
    "https://token@github.com/a/b.git": f"https://{REDACTED}@github.com/a/b.git",
    "Authorization: Bearer abc.def": f"Authorization: {REDACTED}",
    "curl -H 'X-Api-Key: k123'": f"curl -H 'X-Api-Key: {REDACTED}'",
    "Cookie: session=1a2b": f"Cookie: {REDACTED}",
    "bearer abcdef": REDACTED,
    "https://host/path?access_token=t1&page=2": f"https://host/path?access_token={REDACTED}&page=2",
    '{"password": "w0rd"}': f'{{"password": "{REDACTED}"}}',
    "sent ghp_0123456789abcdef": f"sent {REDACTED}",
    "AKIAIOSFODNN7EXAMPLE": REDACTED,
    "sk-ant-0123456789": REDACTED,
    "eyJhbGciOi.eyJzdWIi.sig": REDACTED,
    "https://hooks.slack.com/services/T0/B0/x": REDACTED,
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----": REDACTED,
    "model.max_new_tokens=many: expected": "model.max_new_tokens=many: expected",
    "max_new_tokens=16: use at most 8": "max_new_tokens=16: use at most 8",
    "tokenizer: char": "tokenizer: char",
    "KeyError: 'anything'": "KeyError: 'anything'",
    "forward, token_loss_BT: expected": "forward, token_loss_BT: expected",
    "generate, tokens_BT: expected": "generate, tokens_BT: expected",
    "https://host:8000/v1": "https://host:8000/v1",
    "mail me@host": "mail me@host",
}


@pytest.mark.parametrize("text", FORMS)
def test_a_secret_is_hidden_by_its_form(text: str) -> None:
    assert redact_text(text, {}) == FORMS[text]
    assert redact({"headers": [text]}, {}) == {"headers": [FORMS[text]]}


def test_every_shipped_configuration_is_kept() -> None:
    for name in shipped_names():
        config = yaml.safe_load((configs_folder() / f"{name}.yaml").read_text())
        if isinstance(config, dict):
            assert redact(config, {}) == config


def test_the_text_in_place_of_a_secret_is_no_value() -> None:
    task = {"class_path": "my.Task", "init_args": {"answer_key": "solution", "size": 3}}
    given = {"data": {"task": task}, "trainer": {"logger": [{"init_args": {"api_key": "k12"}}]}}
    require_shown(given)
    # a name says hidden of a change, which is no setting
    require_shown(
        {"run": {"changes": {"data.task.answer_key": REDACTED}, "notes": f"a {REDACTED}"}}
    )
    saved = redact(given, {})
    wanted = (
        rf"^data\.task\.answer_key is the text {REDACTED}, .* as --data\.task\.answer_key VALUE"
    )
    with pytest.raises(ValueError, match=wanted):
        require_shown(saved)
    with pytest.raises(ValueError, match=r"^trainer\.logger\.api_key is the text"):
        require_shown(saved | {"data": None})
    secret = "the value again, as --data.task.answer_key VALUE or in a file"
    assert redact_text(secret, {}) == secret  # which the command line does with its messages


def test_settings_that_a_variable_alone_hides_are_found() -> None:
    environment = {
        "TRAIN": "data/dapo.jsonl", "BASE": "bases/mine-a", "SERVER": "grpo", "TRAIN_PATH": "a/b.x",
        "MY_SECRET": "canary-9f", "HELD": "postgres://me:word123@host", "N": "12",
        "SESSION": "lit_entropy",
    }  # fmt: skip
    config = {
        "data": {"train": "data/dapo.jsonl", "validation": "a/b.x", "n": "12", "seed": 12},
        "model": {"model": ["x", "at bases/mine-a"], "label": "grpo", "token": "data/dapo.jsonl"},
        "class_path": "lit_entropy.losses.KLCov", "other": "canary-9f", "word": "grpo-2",
        "url": "postgres://me:word123@host",
    }  # fmt: skip
    found = {"data.train": "TRAIN", "model.model": "BASE", "model.label": "SERVER"}
    assert hidden_by_variables(config, environment) == found
    for name, variable in (("train", "TRAIN"), ("model", "BASE")):
        kept = {variable: environment[variable]}
        with pytest.raises(ValueError, match=rf"{name} has the value .* {variable}, which"):
            check_comparable(config, kept)
        check_comparable(config, {f"{variable}_PATH": environment[variable]})
        assert redact(config, {f"{variable}_PATH": environment[variable]})["data"] == config["data"]
    check_comparable({"run": {"notes": "data/dapo.jsonl"}}, environment)  # may change on a resume
    check_comparable({"model": {"url": "canary-9f"}}, environment)  # hidden, as it should be


@pytest.mark.parametrize("debug", [False, True])
def test_a_traceback_shows_no_secret_and_no_escape(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], debug: bool
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("401 for https://me:pw12345@host/x?api_key=k-12345 \x1b[31mred")

    monkeypatch.setattr(start, "start", fail)
    monkeypatch.setattr("sys.argv", ["lit-entropy", "fit", *(["--debug"] if debug else [])])
    with pytest.raises(SystemExit) as end:
        start.console()
    shown = capsys.readouterr().err
    assert end.value.code == 1 and shown.startswith("Traceback (most recent call last):\n")
    last = f"RuntimeError: 401 for https://{REDACTED}@host/x?api_key={REDACTED} \\x1b[31mred\n"
    assert shown.endswith(last) and "pw12345" not in shown


def test_commands_names_and_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_SECRET", "canary-9f")
    words = ["--model.engine.api_key", "k-1", "--a.token=k-2", "--n", "canary-9f", "--data.seed=1"]
    shown = ["--model.engine.api_key", REDACTED, f"--a.token={REDACTED}", "--n", REDACTED]
    assert redact_words(words) == [*shown, "--data.seed=1"]
    later = changes_of(words, {}).later
    assert later == {
        "model.engine.api_key": "hidden", "a.token": "hidden", "n": "hidden", "data.seed": "1",
    }  # fmt: skip
    with pytest.raises(SystemExit):
        refuse("data.task.train=canary-9f: no such file")
    assert capsys.readouterr().err == (
        f"lit-entropy: error: data.task.train={REDACTED}: no such file\n"
    )


@pytest.mark.parametrize("piece", ["a", "a=", "postgres", "eyJ-", "a ", "key=", "bearer "])
def test_a_long_text_takes_no_time_squared(piece: str) -> None:
    """30,000 letters took 20 s."""
    text = piece * (30_000 // len(piece))
    start = time.process_time()
    redact_text(text, {})
    redact({"a": text}, {})
    assert time.process_time() - start < 2.0
