"""Chat templates of ten families: what is supervised, and that generation is given the same."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Message, Record, normalize
from instruct_scaling.data.chat_template import ChatTemplate, Conversation
from instruct_scaling.data.encoding import encode_records, end_token_ids, prompt_tokens
from tests.data.chat_families import BY_NAME, FAMILIES, TALK, make_tokenizer
from tests.tokenizers import smollm2_tokenizer

NAMES = [family.name for family in FAMILIES]
THOUGHT = Message("assistant", "<think>\nGreet.\n</think>\n\nHello!")


def draft(tokenizer, messages, supervise="all"):
    (one,) = ChatTemplate(tokenizer).drafts([Conversation("x", tuple(messages))], supervise)
    return one


def encoded(tokenizer, messages, length=10_000, **rest):
    (one,) = encode_records([Record.of_messages(messages)], tokenizer, "chat", length, **rest)
    return one


def stock_ids(tokenizer, messages, **rest):
    """The ids that transformers itself makes."""
    turns = [{"role": turn.role, "content": turn.content} for turn in messages]
    return tokenizer.apply_chat_template(turns, tokenize=True, return_dict=False, **rest)


def changed(name, template=None, **tokens):
    """A family's tokenizer with another template or other special tokens."""
    tokenizer = copy.deepcopy(make_tokenizer(name))
    if template is not None:
        tokenizer.chat_template = template
    for token, value in tokens.items():
        setattr(tokenizer, token, value)
    return tokenizer


def parts(tokenizer, example):
    """The text of each stretch, not supervised and supervised in turn."""
    bounds = [0, *(int(one) for span in example.spans for one in span), len(example.tokens)]
    texts = [tokenizer.decode(example.tokens[:stop]) for stop in bounds]
    found = [after[len(before) :] for before, after in pairwise(texts)]
    return tuple(found) if found[-1] else tuple(found[:-1])


@pytest.mark.parametrize("name", NAMES)
def test_the_answers_with_their_end_tokens_are_supervised_and_nothing_else(name):
    family, tokenizer = BY_NAME[name], make_tokenizer(name)
    example = encoded(tokenizer, family.talk)
    # What a mark takes of the white space after it is not decoded.
    spelled = (text.replace("|>\n", "|>") if family.rstrip else text for text in family.expected)
    assert parts(tokenizer, example) == tuple(spelled)
    assert example.tokens.tolist() == stock_ids(tokenizer, family.talk)
    assert not example.in_pieces
    assert tokenizer.convert_tokens_to_ids(family.end) in end_token_ids(tokenizer, "chat")
    for _, stop in example.spans:
        assert tokenizer.convert_ids_to_tokens(int(example.tokens[stop - 1])) == family.end


@pytest.mark.parametrize("name", NAMES)
def test_before_an_answer_stands_what_generation_and_serving_are_given(name):
    family, tokenizer = BY_NAME[name], make_tokenizer(name)
    example = encoded(tokenizer, family.talk)
    answers = [n for n, turn in enumerate(family.talk) if turn.role == "assistant"]
    for number, (start, _) in zip(answers, example.spans, strict=True):
        prompt = prompt_tokens(family.talk[:number], tokenizer, "chat")
        assert prompt == example.tokens[:start].tolist()
        served = stock_ids(tokenizer, family.talk[:number], add_generation_prompt=True)
        assert prompt == served


@pytest.mark.parametrize("name", NAMES)
def test_the_last_answer_alone(name):
    family, tokenizer = BY_NAME[name], make_tokenizer(name)
    both = encoded(tokenizer, family.talk)
    last = encoded(tokenizer, family.talk, supervise="last")
    assert last.tokens.tolist() == both.tokens.tolist()
    assert last.spans.tolist() == both.spans[1:].tolist()


TEXT = st.text(st.sampled_from("ab HELo!\n\t'<|>[]你好é🙂"), min_size=1, max_size=30).map(normalize)
CONTENT = TEXT.filter(bool)


@st.composite
def conversations(draw, system):
    turns = [Message("system", draw(CONTENT))] if system and draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 4))):
        turns += [Message("user", draw(CONTENT)), Message("assistant", draw(CONTENT))]
    return tuple(turns)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150)
@given(data=st.data())
def test_any_conversation_keeps_the_invariants(name, data):
    family, tokenizer = BY_NAME[name], make_tokenizer(name)
    messages = data.draw(conversations(family.stable_system))
    supervise = data.draw(st.sampled_from(["all", "last"]))
    made = draft(tokenizer, messages, supervise)
    answers = [n for n, turn in enumerate(messages) if turn.role == "assistant"]
    if supervise == "last":
        answers = answers[-1:]
    if not made.in_pieces:
        assert made.ids == stock_ids(tokenizer, messages)
    end = tokenizer.convert_tokens_to_ids(family.end)
    for number, (start, stop) in zip(answers, made.spans, strict=True):
        if number == answers[0] or not made.in_pieces:
            assert made.ids[:start] == prompt_tokens(messages[:number], tokenizer, "chat")
        assert made.ids[stop - 1] == end
        assert end not in made.ids[start : stop - 1]
        answer = tokenizer.decode(made.ids[start : stop - 1], skip_special_tokens=True)
        assert answer.strip() == messages[number].content


def test_one_turn_in_pieces_is_trained_as_it_is_generated():
    # The space belongs to the prompt, and would otherwise be part of the answer's first token.
    spaced = BY_NAME["falcon"].template.replace("%}Assistant:{%", "%}Assistant: {%")
    tokenizer = changed("falcon", spaced)
    messages = (Message("user", "Hi"), Message("assistant", "Hello!"))
    example = encoded(tokenizer, messages)
    assert example.in_pieces
    prompt = prompt_tokens(messages[:1], tokenizer, "chat")
    assert example.tokens[: len(prompt)].tolist() == prompt
    assert example.tokens.tolist() != stock_ids(tokenizer, messages)
    assert parts(tokenizer, example) == (
        "User: Hi\n\nAssistant: ", "Hello!<|endoftext|>", "\n\n",
    )  # fmt: skip


def test_a_piece_after_the_prompt_gets_no_space_of_its_own():
    template = BY_NAME["llama2"].template.replace("[/INST]{%", "[/INST]{{ ' ' }}{%")
    template = template.replace("%} {{ m.content }} ", "%}{{ m.content }} ")
    tokenizer = changed("llama2", template)
    example = encoded(tokenizer, TALK[1:3])
    assert example.in_pieces
    assert parts(tokenizer, example) == ("<s>[INST] Hi [/INST] ", "Hello! </s>")


def test_thinking_that_is_removed_later_allows_the_last_answer_alone():
    tokenizer = make_tokenizer("qwen3")
    messages = (*TALK[:2], THOUGHT, TALK[3], THOUGHT)
    with pytest.raises(InputError, match="writes message 3 in another way") as error:
        encoded(tokenizer, messages)
    assert "supervise: last" in error.value.fix
    assert Record.of_messages(messages).id in str(error.value)
    example = encoded(tokenizer, messages, supervise="last")
    assert "think" not in parts(tokenizer, example)[0]
    assert parts(tokenizer, example)[1:] == (f"{THOUGHT.content}<|im_end|>", "\n")


def test_a_system_message_that_moves_to_the_last_turn_is_a_rewritten_turn():
    tokenizer = make_tokenizer("mistral")
    with pytest.raises(InputError, match="writes message 3 in another way"):
        encoded(tokenizer, TALK)
    example = encoded(tokenizer, TALK, supervise="last")
    assert parts(tokenizer, example)[1] == " 你好\n你好</s>"


def test_a_generation_prompt_that_no_answer_begins_with_is_refused():
    template = BY_NAME["chatml"].template.replace("assistant\n{%", "assistant\n<think>\n{%")
    wanted = r"its generation prompt, which ends in '.*<think>\\n', before message 3"
    with pytest.raises(InputError, match=wanted):
        encoded(changed("chatml", template), TALK)


def test_an_end_token_after_the_whole_conversation_alone_ends_the_last_answer_only():
    template = BY_NAME["falcon"].template.replace("{{ eos_token }}", "")
    template += "{% if not add_generation_prompt %}{{ eos_token }}{% endif %}"
    tokenizer = changed("falcon", template)
    with pytest.raises(InputError, match=r"no end token .* after message 3"):
        encoded(tokenizer, TALK)
    last = encoded(tokenizer, TALK, supervise="last")
    assert parts(tokenizer, last)[1] == " 你好\n你好\n\n<|endoftext|>"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "has no chat template"),
        ({"rag": "{{ messages }}", "tool_use": "{{ messages }}"}, "has no chat template"),
        ("{% for m in messages %}{{ m.content }}{% endfor %}", "no end token after an answer"),
        ("{{ messages[0].content }}{{ eos_token }}", "no end token after an answer"),
        ("{{ strftime_now('%Y') }}", "writes the current date"),
        ("{{ raise_exception('roles must differ') }}", "conversation: roles must differ"),
    ],
)
def test_templates_that_cannot_be_used_are_refused_with_the_reason(template, message):
    tokenizer = changed("chatml")
    tokenizer.chat_template = template
    with pytest.raises(InputError, match=message) as error:
        encoded(tokenizer, TALK)
    assert error.value.fix


def test_the_record_that_a_template_refuses_is_named():
    template = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    tokenizer = changed("chatml", template + BY_NAME["chatml"].template)
    records = [Record.of_messages(TALK[1:]), Record.of_messages(TALK)]
    with pytest.raises(InputError, match=f"record {records[1].id}: .*no system"):
        list(encode_records(records, tokenizer, "chat", 100))


def test_text_that_looks_like_an_end_token_does_not_end_the_answer():
    tokenizer = make_tokenizer("chatml")
    messages = (TALK[1], Message("assistant", "Write <|im_end|> twice"))
    example = encoded(tokenizer, messages)
    assert parts(tokenizer, example)[1] == "Write <|im_end|> twice<|im_end|>"


def test_end_tokens_are_the_templates_and_the_tokenizers():
    tokenizer = make_tokenizer("llama3")
    wanted = tokenizer.convert_tokens_to_ids(["<|eot_id|>", "<|end_of_text|>"])
    assert end_token_ids(tokenizer, "chat") == wanted
    assert end_token_ids(tokenizer, "{prompt}") == wanted[1:]
    assert len(end_token_ids(make_tokenizer("qwen3"), "chat")) == 1
    without = changed("llama3", eos_token=None)
    assert end_token_ids(without, "chat") == wanted[:1]


@pytest.mark.parametrize("name", ["llama2", "chatml"])
def test_a_long_conversation_loses_its_oldest_exchanges_and_keeps_the_system_message(name):
    tokenizer = make_tokenizer(name)
    turns = [*TALK, *(turn for n in range(6) for turn in (Message("user", f"{n}"), TALK[2]))]
    whole = encoded(tokenizer, turns)
    lengths = {}
    for count in range(8):
        kept = [turns[0], *turns[1 + 2 * count :]]
        lengths[count] = int(encoded(tokenizer, kept).spans[-1, 1])
    for count, length in lengths.items():
        example = encoded(tokenizer, turns, length)
        assert (
            example.tokens.tolist()
            == stock_ids(tokenizer, [turns[0], *turns[1 + 2 * count :]])[:length]
        )
        assert example.prompt_cut == (count > 0)
        assert not example.answer_cut
    assert len(whole.spans) == 8
    short = encoded(tokenizer, turns, lengths[7] - 2)
    assert short.prompt_cut
    last = encoded(tokenizer, [turns[0], *turns[-2:]]).tokens.tolist()[: lengths[7]]
    starts = int(last[0] == tokenizer.bos_token_id)  # a start token stays
    assert short.tokens.tolist() == last[:starts] + last[starts + 2 :]


@pytest.mark.parametrize("name", ["llama2", "qwen3", "falcon"])
def test_a_record_is_encoded_alike_alone_and_among_others(name):
    tokenizer = make_tokenizer(name)
    turns = [*TALK, *TALK[1:], *TALK[1:3]]
    records = [Record.of_messages(turns[:stop]) for stop in range(3, len(turns) + 1, 2)] * 3
    for length in (20, 60, 1000):
        together = encode_records(records, tokenizer, "chat", length)
        for record, example in zip(records, together, strict=True):
            (alone,) = encode_records([record], tokenizer, "chat", length)
            assert alone.tokens.tolist() == example.tokens.tolist()
            assert alone.spans.tolist() == example.spans.tolist()
            assert alone.prompt_cut == example.prompt_cut


def test_the_template_that_smollm2_brings():
    tokenizer = smollm2_tokenizer()
    for messages, supervise in ((TALK, "all"), (TALK[1:], "all"), (TALK, "last")):
        example = encoded(tokenizer, messages, supervise=supervise)
        assert example.tokens.tolist() == stock_ids(tokenizer, messages)
        answers = [n for n, turn in enumerate(messages) if turn.role == "assistant"]
        answers = answers if supervise == "all" else answers[-1:]
        assert parts(tokenizer, example)[1::2] == tuple(
            f"{messages[number].content}<|im_end|>" for number in answers
        )
        for number, (start, _) in zip(answers, example.spans, strict=True):
            before = messages[:number]
            served = stock_ids(tokenizer, before, add_generation_prompt=True)
            assert prompt_tokens(before, tokenizer, "chat") == served
            assert served == example.tokens[:start].tolist()
