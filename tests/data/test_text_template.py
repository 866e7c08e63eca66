"""Texts with `{prompt}` through tokenizers of eleven kinds: the ids are the tokenizer's own."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from instruct_scaling.common.records import Message, Record, normalize
from instruct_scaling.data.chat_template import Conversation
from instruct_scaling.data.encoding import cut_prompt, encode_records, open_template
from instruct_scaling.data.serving import serving_template
from instruct_scaling.data.text_template import TextTemplate
from instruct_scaling.data.tokenizing import Continuations, start_tokens, token_ids, tokenize
from tests.data.text_families import BY_NAME, FAMILIES, make_tokenizer
from tests.tokenizers import smollm2_tokenizer

NAMES = [family.name for family in FAMILIES]
LINE = "### Instruction:\n{prompt}\n\n### Response:\n"
SPACE = "Human: {prompt}\n\nAssistant: "
ASK = (Message("user", "Say hello"), Message("assistant", "Hello! the answer"))
TALK = (*ASK, Message("user", "twice"), Message("assistant", "你好 the 42"))


def draft(tokenizer, template, messages):
    (one,) = TextTemplate(tokenizer, template).drafts([Conversation(None, tuple(messages))], "all")
    return one


def text_of(tokenizer, template, messages):
    """The whole conversation as one text."""
    parts = (
        template.replace("{prompt}", turn.content)
        if turn.role == "user"
        else turn.content + tokenizer.eos_token
        for turn in messages
    )
    return "".join(parts)


def own_ids(tokenizer, text, after=0):
    """What the tokenizer itself makes of a text, without what it sets after it."""
    ids = tokenizer(text)["input_ids"]
    return ids[: len(ids) - after]


@pytest.mark.parametrize("template", [LINE, SPACE])
@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_has_the_ids_of_the_tokenizer_itself(name, template):
    """Which a server's completions give too, with one start token where the family has one."""
    tokenizer, family = make_tokenizer(name), BY_NAME[name]
    found = TextTemplate(tokenizer, template).prompt(ASK[:1])
    text = template.replace("{prompt}", "Say hello")
    assert found == own_ids(tokenizer, text, len(family.after))
    assert tokenizer.convert_ids_to_tokens(start_tokens(tokenizer)) == list(family.before)
    assert found[: len(family.before)] == start_tokens(tokenizer)


@pytest.mark.parametrize("messages", [ASK, TALK], ids=["one turn", "two turns"])
@pytest.mark.parametrize("name", NAMES)
def test_a_whole_conversation_has_the_ids_of_the_tokenizer_itself(name, messages):
    tokenizer, family = make_tokenizer(name), BY_NAME[name]
    made = draft(tokenizer, LINE, messages)
    assert not made.in_pieces
    whole = own_ids(tokenizer, text_of(tokenizer, LINE, messages), len(family.after))
    assert made.ids == whole
    assert [made.ids[stop - 1] for _, stop in made.spans] == [tokenizer.eos_token_id] * len(
        made.spans
    )


@pytest.mark.parametrize("name", ["llama2", "mistral", "always", "prefix-space"])
def test_an_answer_gets_no_space_that_only_a_text_begins_with(name):
    """Tokenized apart, "Hello" would be "▁Hello", as no answer after a line break is written."""
    tokenizer = make_tokenizer(name)
    made = draft(tokenizer, LINE, ASK)
    start, stop = made.spans[0]
    answer = "".join(tokenizer.convert_ids_to_tokens(made.ids[start : stop - 1]))
    assert answer.replace("Ġ", "▁") == "Hello!▁the▁answer"
    apart = tokenizer(ASK[1].content, add_special_tokens=False)["input_ids"]
    assert made.ids[start : stop - 1] != apart


@pytest.mark.parametrize("name", ["bloom", "gpt2", "qwen", "llama3", "llama2", "mistral"])
def test_a_token_over_the_border_is_divided_there(name):
    """The space before an answer belongs to the prompt, which generation is given alone."""
    tokenizer = make_tokenizer(name)
    messages = (Message("user", "Say"), Message("assistant", "the cat"))
    made = draft(tokenizer, SPACE, messages)
    start, stop = made.spans[0]
    assert made.in_pieces
    assert made.ids[:start] == TextTemplate(tokenizer, SPACE).prompt(messages[:1])
    answer = "".join(tokenizer.convert_ids_to_tokens(made.ids[start : stop - 1]))
    assert answer.replace("Ġ", "▁") == "the▁cat"
    assert made.ids != own_ids(tokenizer, text_of(tokenizer, SPACE, messages))


TEXT = st.text(st.sampled_from("athe HELo!\n '\"(:12你好é"), min_size=1, max_size=20)
CONTENT = TEXT.map(normalize).filter(bool)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60)
@given(
    exchanges=st.lists(st.tuples(CONTENT, CONTENT), min_size=1, max_size=3),
    template=st.sampled_from([LINE, SPACE, "{prompt}", "Q:{prompt}A:", "{prompt}\n\n"]),
)
def test_generation_is_given_what_stands_before_each_answer(name, exchanges, template):
    tokenizer, family = make_tokenizer(name), BY_NAME[name]
    messages = [
        turn
        for ask, answer in exchanges
        for turn in (Message("user", ask), Message("assistant", answer))
    ]
    made = draft(tokenizer, template, messages)
    opened = TextTemplate(tokenizer, template)
    for number, (start, _) in enumerate(made.spans):
        assert opened.prompt(messages[: 2 * number + 1]) == made.ids[:start]
    whole = own_ids(tokenizer, text_of(tokenizer, template, messages), len(family.after))
    if not made.in_pieces:
        assert made.ids == whole
    ends = [end for start, stop in made.spans for end in range(start, stop)]
    assert len(ends) == len(set(ends))
    if "<unk>" not in tokenizer.convert_ids_to_tokens(made.ids):
        spelled = ["".join(tokenizer.convert_ids_to_tokens(ids)) for ids in (made.ids, whole)]
        assert spelled[0] == spelled[1]  # in pieces or not, no space is lost or put in


@pytest.mark.parametrize("name", NAMES)
def test_ids_without_offsets_are_those_of_the_call(name):
    tokenizer = make_tokenizer(name)
    texts = ["", "the cat ", f"a{tokenizer.eos_token}b", "你好\n\n the 1234"]
    assert token_ids(tokenizer, texts) == tokenize(tokenizer, texts)["input_ids"]
    assert token_ids(tokenizer, []) == []


def test_settings_of_an_earlier_call_do_not_cut_or_pad():
    tokenizer = make_tokenizer("llama3")
    before = token_ids(tokenizer, ["the cat sat on the mat", "a"])
    tokenizer.backend_tokenizer.enable_truncation(2)
    tokenizer.backend_tokenizer.enable_padding(length=9)
    assert token_ids(tokenizer, ["the cat sat on the mat", "a"]) == before


def test_a_start_token_that_the_template_writes_is_not_set_again():
    tokenizer = make_tokenizer("llama3")
    (start,) = start_tokens(tokenizer)
    made = draft(tokenizer, "<|begin|>" + LINE, TALK[:2])
    assert made.ids == draft(tokenizer, LINE, TALK[:2]).ids
    assert made.ids.count(start) == 1


def test_a_start_token_stays_when_a_prompt_is_cut():
    tokenizer = make_tokenizer("llama3")
    (start,) = start_tokens(tokenizer)
    record = Record.make("the cat sat on the mat " * 9, "the answer")
    whole = next(encode_records([record], tokenizer, LINE, 1000))
    (example,) = encode_records([record], tokenizer, LINE, 20)
    assert len(example.tokens) == 20
    assert example.prompt_cut
    assert example.tokens[0] == start
    assert example.tokens[1:].tolist() == whole.tokens[-19:].tolist()


@given(st.lists(st.integers(5, 9), max_size=9), st.integers(1, 9), st.sampled_from([[], [1]]))
def test_a_cut_prompt_keeps_its_start_and_its_end(rest, length, start):
    ids = start + rest
    found = cut_prompt(ids, length, start)
    assert len(found) == min(len(ids), length)
    assert found[: len(start)] == start[: len(found)]
    kept = len(found) - len(start)
    assert kept <= 0 or found[len(start) :] == rest[len(rest) - kept :]


def test_the_space_before_every_line_of_the_built_in_base_keeps_pieces_apart():
    """Its answers begin like its lines; a rule of its own would change every default study."""
    folder = Path(__file__).parents[2] / "workflow/instruct_scaling/models/base/shipped"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert Continuations(tokenizer, [tokenizer.eos_token_id]).anchor is None
    for answer in ("the cat", "42", "你好"):
        made = draft(tokenizer, SPACE, (Message("user", "Say"), Message("assistant", answer)))
        start, stop = made.spans[0]
        alone = tokenizer(answer, add_special_tokens=False)["input_ids"]
        assert made.ids[start : stop - 1] == alone
        assert made.in_pieces


def test_smollm2s_own_tokenizer_sets_no_start_token():
    tokenizer = smollm2_tokenizer()
    for template in (LINE, SPACE):
        opened = open_template(tokenizer, template)
        text = template.replace("{prompt}", "Say hello")
        assert opened.prompt(ASK[:1]) == own_ids(tokenizer, text)
    assert draft(tokenizer, LINE, TALK).ids == own_ids(tokenizer, text_of(tokenizer, LINE, TALK))


@pytest.mark.parametrize("template", [LINE, '«{prompt}»🙂 it\'s "{prompt}" \\n\n'])
@pytest.mark.parametrize("name", NAMES)
def test_a_served_chat_has_the_ids_of_training(name, template):
    tokenizer = make_tokenizer(name)
    text = serving_template(tokenizer, template)
    assert tokenizer.chat_template is None
    if name in ("mistral",):  # no space is put after a start token that a template has written
        assert text is None
        return
    served = copy.deepcopy(tokenizer)
    served.chat_template = text
    for messages in ((Message("system", "the cat"), *TALK), TALK):
        made = draft(tokenizer, template, messages)
        turns = [{"role": turn.role, "content": turn.content} for turn in messages]
        stock = {"tokenize": True, "return_dict": False}
        assert served.apply_chat_template(turns, **stock) == made.ids
        prompt = served.apply_chat_template(turns[:-1], add_generation_prompt=True, **stock)
        assert prompt == made.ids[: made.spans[-1][0]]


@pytest.mark.parametrize("name", ["gpt2", "llama3"])
def test_a_served_question_has_the_ids_of_training_where_answers_are_divided(name):
    tokenizer = copy.deepcopy(make_tokenizer(name))
    tokenizer.chat_template = serving_template(tokenizer, SPACE)
    turn = {"role": "user", "content": ASK[0].content}
    served = tokenizer.apply_chat_template([turn], tokenize=True, return_dict=False)
    made = draft(tokenizer, SPACE, (ASK[0], Message("assistant", "the cat")))
    assert made.in_pieces
    assert served == made.ids[: made.spans[0][0]]
