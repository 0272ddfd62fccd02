"""How prompts are shown: templates, chat messages, and what a tokenizer makes of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jinja2 import TemplateError
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from transformers import PreTrainedTokenizerBase

from lit_entropy.tasks.fields import Prompt

PLACE = "{prompt}"
#: A template's call for the date, and the day that it is told, to which Llama 3's falls back.
#: Prompts that change at midnight would make paired evaluations differ.
CLOCK = re.compile(r"""strftime_now\(\s*(['"])(.*?)\1\s*\)""")
TODAY = datetime(2024, 7, 26)


@dataclass(frozen=True)
class PromptFormat:
    """How a row's prompt becomes the problem's.

    Attributes:
        template: text of the last user message, or the whole text; ``{prompt}`` stands for the
            row's prompt.
        system_prompt: system message put before messages that have none; None adds nothing.
        chat: messages for the tokenizer's chat template (instruction-tuned models), or text as it
            stands (base models).

    Raises:
        ValueError: a template without ``{prompt}``, or a system prompt with ``chat`` off.
    """

    template: str = PLACE
    system_prompt: str | None = None
    chat: bool = True

    def __post_init__(self) -> None:
        if PLACE not in self.template:
            raise ValueError(f"template={self.template!r}: it must contain {PLACE}")
        if self.system_prompt is not None and not self.chat:
            raise ValueError(
                f"system_prompt={self.system_prompt!r} needs chat=true: put it into the template"
            )
        if self.system_prompt is not None and not self.system_prompt.strip():
            raise ValueError(f"system_prompt={self.system_prompt!r} is empty: use null for none")
        for name in ("template", "system_prompt"):
            text = getattr(self, name) or ""
            if re.search("[\ud800-\udfff]", text):
                raise ValueError(f"{name}={text!r:.80} holds half a surrogate pair: mend the text")

    def with_template(self, template: str | None) -> PromptFormat:
        """The same with another template; None changes nothing."""
        return self if template is None else replace(self, template=template)

    def show(self, prompt: Prompt) -> Prompt:
        """The problem's prompt.

        Raises:
            ValueError: messages other than a single one of the user, with ``chat`` off.
        """
        if not self.chat:
            return self.template.replace(PLACE, single_text(prompt))
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        text = self.template.replace(PLACE, messages[-1]["content"])
        messages = [*messages[:-1], messages[-1] | {"content": text}]
        if self.system_prompt is not None and messages[0]["role"] != "system":
            messages = [{"role": "system", "content": self.system_prompt}, *messages]
        return messages


def single_text(prompt: Prompt) -> str:
    """The text of a prompt that is text or one message of the user."""
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1:
        return prompt[0]["content"]
    roles = [message["role"] for message in prompt]
    raise ValueError(f"messages of roles {roles} need chat=true; plain text has none")


def question_key(prompt: Prompt) -> str:
    """What two prompts share if they ask the same: their words without the system message's."""
    if isinstance(prompt, str):
        return " ".join(prompt.split())
    texts = [message["content"] for message in prompt if message["role"] != "system"]
    return " ".join(" ".join(texts).split())


def encode_text(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Token ids of plain text, after the beginning-of-sequence token if the tokenizer adds one.

    Llama and Mistral base models were trained with it on every text; an end of sequence, which
    some tokenizers add as well, does not belong between prompt and response.
    """
    ids = list(tokenizer.encode(text, add_special_tokens=False))
    begin = tokenizer.bos_token_id
    added = tokenizer.encode("", add_special_tokens=True)
    adds = begin is not None and added[:1] == [begin] and ids[:1] != [begin]  # once is enough
    return [begin, *ids] if adds else ids


def encode_chat(messages: list[dict[str, str]], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Token ids of chat messages by the tokenizer's template, up to where the response starts.

    A template that asks for today's date is told :data:`TODAY`.
    """
    encoding = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, chat_template=_dated(tokenizer, TODAY)
    )
    assert not isinstance(encoding, str | list)  # neither text nor bare ids were asked for
    return list(encoding["input_ids"])


def _dated(tokenizer: PreTrainedTokenizerBase, day: datetime) -> str | None:
    """The chat template with the dates that it asks for written out; None without a clock."""
    if "strftime_now" not in str(tokenizer.chat_template):
        return None
    return CLOCK.sub(lambda call: repr(day.strftime(call[2])), tokenizer.get_chat_template())


def check_date(prompt: Prompt, tokenizer: PreTrainedTokenizerBase) -> None:
    """Warn of a chat template that writes today's date into messages, and name what it is told.

    Raises:
        ValueError: the template's date cannot be fixed, as its format is no plain text.
    """
    if isinstance(prompt, str) or (template := _dated(tokenizer, TODAY)) is None:
        return
    title = f"tokenizer {tokenizer.name_or_path!r}: its chat template writes today's date"
    if "strftime_now(" in template:
        raise ValueError(
            f"{title} in a format that is no plain text, so that prompts would change at midnight: "
            "write a date into chat_template in its tokenizer_config.json"
        )
    days = (_dated(tokenizer, day) for day in (TODAY, TODAY + timedelta(days=400)))
    one, other = (
        tokenizer.apply_chat_template(
            prompt, add_generation_prompt=True, tokenize=False, chat_template=day
        )
        for day in days
    )
    if one != other:
        rank_zero_warn(
            f"{title} into the prompts. It is told {TODAY:%d %b %Y} on every day, so that runs and "
            "evaluations of different days have the same prompts"
        )


def check_chat(prompt: Prompt, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse chat messages that a tokenizer's chat template cannot show.

    Args:
        prompt: a prompt of the set; text is left alone.
        tokenizer: the policy's.

    Raises:
        ValueError: no chat template, a template that refuses the roles or drops a message.
    """
    if isinstance(prompt, str):
        return
    name = f"tokenizer {tokenizer.name_or_path!r}"
    if tokenizer.chat_template is None:
        raise ValueError(
            f"{name} has no chat template, but the prompts are chat messages: take an "
            "instruction-tuned model.policy.model, or show prompts as text with "
            "data.task.chat=false"
        )
    roles = [message["role"] for message in prompt]
    try:
        text = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
    except (TemplateError, ValueError) as error:
        raise ValueError(
            f"{name}: its chat template refuses messages of roles {roles} ({error}); leave out "
            "data.task.system_prompt, or take another model"
        ) from error
    shown = " ".join(str(text).split())
    # models strip past reasoning from an assistant's turns; what system and user say must stand
    for message in prompt:
        content = " ".join(message["content"].split())
        if message["role"] != "assistant" and content not in shown:
            raise ValueError(
                f"{name}: its chat template drops the {message['role']} message {content!r:.80}; "
                "put its text into data.task.template and leave out data.task.system_prompt"
            )
