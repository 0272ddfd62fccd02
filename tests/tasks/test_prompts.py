"""Templates, chat messages, and tokenizers that cannot show them."""

from __future__ import annotations

import warnings

import pytest
from tiny_models import character_tokenizer
from tokenizers.processors import TemplateProcessing
from whole_numbers import WholeNumbers

from lit_entropy.tasks import ChainArithmetic, Countdown, DatasetTask
from lit_entropy.tasks.base import Task
from lit_entropy.tasks.prompt_limit import setting, usable_problems
from lit_entropy.tasks.prompts import (
    PromptFormat,
    check_chat,
    check_date,
    encode_chat,
    encode_text,
    question_key,
)
from lit_entropy.types import Problem

USER = {"role": "user", "content": "What is {x}?"}
SYSTEM = {"role": "system", "content": "Be  brief.\n"}
CHATML = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content | trim }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
#: As CHATML, but only user and assistant speak.
NO_SYSTEM = (
    "{% for message in messages if message.role != 'system' %}{{ message.content }}{% endfor %}"
)
REFUSING = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{{ messages[0].content }}"
)


def test_text_becomes_a_message_of_the_user() -> None:
    shown = PromptFormat(r"{prompt} Use \boxed{}.", "Solve.").show("What is {x}?")
    assert shown == [
        {"role": "system", "content": "Solve."},
        {"role": "user", "content": r"What is {x}? Use \boxed{}."},
    ]


def test_the_template_takes_the_last_message_and_rows_keep_their_system_message() -> None:
    turns = [SYSTEM, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, USER]
    shown = PromptFormat("Q: {prompt}", "Solve.").show(turns)
    assert shown == [*turns[:-1], {"role": "user", "content": "Q: What is {x}?"}]
    assert turns[-1] == USER  # the row is left as it was


def test_plain_text_for_base_models() -> None:
    form = PromptFormat("Question: {prompt}\nAnswer:", chat=False)
    assert form.show("q") == "Question: q\nAnswer:"
    assert form.show([USER]) == "Question: What is {x}?\nAnswer:"
    with pytest.raises(ValueError, match=r"roles \['system', 'user'\] need chat=true"):
        form.show([SYSTEM, USER])
    other = form.with_template("{prompt}!")
    assert other.show("q") == "q!" and form.with_template(None) is form


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no place",), r"template='no place': it must contain \{prompt\}"),
        (("{prompt}", "s", False), "system_prompt='s' needs chat=true"),
        (("{prompt}", " "), "system_prompt=' ' is empty: use null"),
    ],
)
def test_bad_formats(arguments: tuple, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=message):
        PromptFormat(*arguments)


def test_what_makes_two_prompts_the_same_question() -> None:
    assert question_key("What  is\n{x}? ") == question_key([SYSTEM, USER]) == question_key([USER])
    assert question_key([USER, USER]) != question_key([USER])


def test_plain_text_starts_as_the_tokenizer_starts_texts() -> None:
    tokenizer = character_tokenizer("ab")
    assert encode_text("ab", tokenizer) == [3, 4]
    tokenizer.add_special_tokens({"bos_token": "<bos>"})
    assert encode_text("ab", tokenizer) == [3, 4]  # it has the token, but does not add it
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", bos), ("<eos>", eos)]
    )
    assert tokenizer.encode("ab") == [bos, 3, 4, eos]
    assert encode_text("ab", tokenizer) == [bos, 3, 4]  # the response ends the text, not the prompt
    assert encode_text("<bos>ab", tokenizer) == [bos, 3, 4]  # a template that wrote it itself


class Own(Task):
    """A task of three methods."""

    def train_problems(self) -> list[Problem]:
        return [Problem(0, "ab", "")]

    validation_problems = train_problems

    def reward(self, problem: Problem, response: str) -> float:
        return 0.0


@pytest.mark.parametrize(
    ("task", "text"),
    [
        (Own(), "ab"),
        (Countdown(validation_size=3), None),
        (ChainArithmetic(), None),
        (DatasetTask(WholeNumbers(), "train.jsonl"), "ab"),
    ],
)
def test_plain_prompts_of_every_task_start_alike(task: Task, text: str | None) -> None:
    problem = Problem(0, text, "") if text else task.train_problems()[0]
    prompt = str(problem.prompt)
    tokenizer = character_tokenizer("".join(sorted(set(prompt))))
    plain = task.encode(problem, tokenizer)
    assert len(plain) == len(prompt)
    tokenizer.add_special_tokens({"bos_token": "<bos>"})
    bos = tokenizer.bos_token_id
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", bos)]
    )
    assert task.encode(problem, tokenizer) == [bos, *plain]


DATED = "{{ strftime_now('%d %b %Y') }}" + CHATML
#: A date in the system message that the template writes where there is none (Mistral Small).
DATED_ALONE = (
    "{% if messages[0].role != 'system' %}{{ strftime_now('%Y-%m-%d') }}{% endif %}" + CHATML
)


def test_a_template_that_writes_todays_date_is_told_a_fixed_one() -> None:
    tokenizer = character_tokenizer("24Jul 06-")
    tokenizer.chat_template, tokenizer.name_or_path = DATED, "some/model"
    ids = encode_chat([USER], tokenizer)
    date = tokenizer.encode("26 Jul 2024", add_special_tokens=False)
    assert ids[: len(date)] == date
    assert Own().encode(Problem(0, [USER], ""), tokenizer) == ids
    assert ids != tokenizer.apply_chat_template([USER], add_generation_prompt=True)["input_ids"]
    with pytest.warns(UserWarning, match=r"'some/model': .* today's date .* told 26 Jul 2024"):
        check_date([USER], tokenizer)


@pytest.mark.parametrize("template", [None, CHATML, DATED_ALONE])
def test_no_notice_where_no_date_is_written(template: str | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_date([SYSTEM, USER], tokenizer_with(template))
        check_date("text", tokenizer_with(DATED))
    assert encode_chat([SYSTEM, USER], tokenizer_with(DATED_ALONE)) == encode_chat(
        [SYSTEM, USER], tokenizer_with(CHATML)
    )


def test_a_date_that_cannot_be_fixed_is_refused() -> None:
    template = "{% set form = '%Y' %}{{ strftime_now(form) }}" + CHATML
    with pytest.raises(ValueError, match=r"'some/model'.* no plain text.*chat_template"):
        check_date([USER], tokenizer_with(template))


def test_the_date_is_named_at_setup() -> None:
    problems = [Problem(0, [USER | {"content": "ab"}], "")]
    with pytest.warns(UserWarning, match="its chat template writes today's date"):
        usable_problems(Own(), problems, "training", tokenizer_with(DATED), setting(99), "refuse")


def tokenizer_with(template: str | None):  # type: ignore[no-untyped-def]
    tokenizer = character_tokenizer("ab")
    tokenizer.chat_template = template
    tokenizer.name_or_path = "some/model"
    return tokenizer


def test_chat_templates_that_fit() -> None:
    check_chat([SYSTEM, USER], tokenizer_with(CHATML))
    check_chat([USER], tokenizer_with(NO_SYSTEM))
    check_chat([USER], tokenizer_with(REFUSING))
    check_chat("text", tokenizer_with(None))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, r"'some/model' has no chat template.*data\.task\.chat=false"),
        (NO_SYSTEM, r"drops the system message 'Be brief\.'"),
        (REFUSING, r"refuses messages of roles \['system', 'user'\] \(no system role\)"),
        ("{{ messages[0].content }}", r"drops the user message 'What is \{x\}\?'"),
    ],
)
def test_chat_templates_that_do_not(template: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_chat([SYSTEM, USER], tokenizer_with(template))
