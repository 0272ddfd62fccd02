"""Templates, chat messages, and tokenizers that cannot show them."""

from __future__ import annotations

import pytest
from tiny_models import character_tokenizer
from tokenizers.processors import TemplateProcessing

from lit_entropy.tasks.prompts import PromptFormat, check_chat, encode_text, question_key

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
