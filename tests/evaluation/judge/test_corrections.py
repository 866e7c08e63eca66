"""Rewritings whose point is a small change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.scorers.content import content
from instruct_scaling.evaluation.judge.scorers.corrections import corrections_made, voice_kept

GIVEN = "She dont know were her keys is, she have looked everywere."
RIGHT = "She doesn't know where her keys are; she has looked everywhere."


def test_the_share_of_the_edits():
    assert corrections_made(GIVEN, RIGHT, RIGHT) == 1
    assert corrections_made(GIVEN, RIGHT, GIVEN) == 0
    half = "She doesn't know were her keys are, she have looked everywhere."
    assert 0.25 < corrections_made(GIVEN, RIGHT, half) < 0.75


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_reference_makes_every_edit(given_text, reference):
    assert corrections_made(given_text, reference, reference) == 1


def test_the_voice():
    asked = "Rewrite in the active voice: The window was broken by the twins."
    reference = ["The twins broke the window."]
    assert voice_kept(asked, reference, "The window had been broken by the twins.")
    assert not voice_kept(asked, reference, "The twins have broken the window.")
    assert not voice_kept("Make it formal: ...", reference, "Broken by the twins.")


@pytest.mark.parametrize(
    ("reference", "answer", "low", "high"),
    [
        # A negation lost, though the word that must occur does.
        ("Please do not bring umbrellas.", "Please bring umbrellas.", 0, 0.25),
        # Cut off, half left out, and a paraphrase as long as the reference.
        (
            "The bridge, built in 1893, was closed in spring after engineers found umbrellas.",
            "The bridge was built in 1893. Umbrellas.",
            0.25,
            0.74,
        ),
        (
            "The noodle shop has been open for thirty years and sells umbrellas at four.",
            "The noodle place, in business for 30 years, offers umbrellas at 4.",
            0.75,
            1,
        ),
        (
            "Old umbrellas are hidden in the box, and a story is behind every one of them.",
            "The box hides old umbrellas, and there is a story behind each one of the",
            0.25,
            0.74,
        ),
    ],
)
def test_words_that_must_occur_do_not_decide_alone(reference, answer, low, high):
    item = EvalItem.make("translation", "译成英语：……", reference=reference, language="en")
    score = content(item, Constraints(must_include=["umbrella"]), answer).score
    assert score is not None
    assert low <= score <= high


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("Everyone except Ann was in favor of the plan.", "Only Ann was in favor of the plan."),
        ("街角的药店除周日外一直营业到午夜。", "街角的药店只在周日营业到午夜。"),
        ("Could you please turn your music down?", "Could you please turn your music up?"),
    ],
)
def test_exceptions_and_particles_turned_around(reference, answer):
    item = EvalItem.make("translation", "Translate: ...", reference=reference)
    assert content(item, Constraints(), answer).score <= 0.25
    assert content(item, Constraints(), reference).score == 1
