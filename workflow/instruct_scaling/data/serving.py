"""A text with `{prompt}` as a chat template, so that a server gives a model the ids of training."""

from __future__ import annotations

import copy
from typing import Any

from instruct_scaling.common.records import Message
from instruct_scaling.data.text_template import TextTemplate

PROBES = (
    (Message("user", "a question"),),
    (Message("system", "Be brief."), Message("user", "one\ntwo")),
)


def serving_template(tokenizer: Any, template: str) -> str | None:
    """The chat template with which `apply_chat_template` gives the ids of `TextTemplate.prompt`.

    Earlier turns have them too, but for answers that training divides from their prompt. None where
    it cannot: a tokenizer that puts a space before a text alone puts none where the template has
    written the start token (Mistral). A server's completions, which take a text and set the start
    token, then give the same ids.

    Args:
        tokenizer: of transformers; it is not changed.
        template: a text with `{prompt}`.

    Raises:
        InputError: as `TextTemplate`.
    """
    opened = TextTemplate(tokenizer, template)
    start = "".join(tokenizer.convert_ids_to_tokens(opened.start))
    written = copy.deepcopy(tokenizer)
    written.chat_template = chat_text(start, template, tokenizer.eos_token)
    for messages in PROBES:
        turns = [{"role": turn.role, "content": turn.content} for turn in messages]
        served = written.apply_chat_template(
            turns, tokenize=True, return_dict=False, add_generation_prompt=True
        )
        if served != opened.prompt(messages):
            return None
    text: str = written.chat_template
    return text


def chat_text(start: str, template: str, end: str) -> str:
    """Jinja that writes the start token, then the template around each prompt (with the system
    message on the line before the first) and the end token after each answer."""
    prompt = " ~ ns.system ~ m['content'] ~ ".join(map(repr, template.split("{prompt}")))
    return (
        f"{{{{ {start!r} }}}}{{% set ns = namespace(system='') %}}{{% for m in messages %}}"
        "{% if m['role'] == 'system' %}{% set ns.system = m['content'] ~ '\\n' %}"
        f"{{% elif m['role'] == 'user' %}}{{{{ {prompt} }}}}{{% set ns.system = '' %}}"
        f"{{% else %}}{{{{ m['content'] ~ {end!r} }}}}{{% endif %}}{{% endfor %}}"
    )
