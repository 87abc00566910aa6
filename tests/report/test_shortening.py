"""Long digests, tokens and signed URLs are shortened where people read, and two that differ never look the same."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model.desired import DesiredMessage
from reconciler.model.plan import Message, Update
from reconciler.model.plan_json import encode_plan
from reconciler.model.values import Secret
from reconciler.report.safe_text import clean, columns
from reconciler.report.shortening import fitting_widths, shortened_apart
from reconciler.report.style import Style
from reconciler.report.text import plan_text
from tests.cli.report_samples import PLAN, change

DIGEST = "a1f76d954944aa5baf6d59cbc33793432c6aed8cb308b595e15055a9e37185b7"
SIGNED = f"https://assets.example.com/logo-final.png?X-Amz-Expires=3600&X-Amz-Signature={DIGEST}"
STYLE = Style(color=False, width=400, columns=400)
TEXTS = st.lists(st.text("ab秋 …\x1b", max_size=30), min_size=1, max_size=6)


@given(texts=TEXTS, width=st.integers(8, 40))
def test_shortened_texts_fit_or_are_whole_and_stay_apart(texts, width):
    short = shortened_apart(texts, width)

    assert len({*short}) == len({*map(clean, texts)})
    assert all(columns(text) <= width for text in short) or short == list(map(clean, texts))


@pytest.mark.parametrize(
    ("texts", "short"),
    [
        (["autumn-collection-us", "winter"], ["autumn-coll…", "winter"]),
        (["autumn-collection-us", "autumn-collection-de"], ["autumn-c…-us", "autumn-c…-de"]),
        (["a" * 20 + "b" + "a" * 20, "a" * 41], ["a" * 20 + "b" + "a" * 20, "a" * 41]),
    ],
    ids=["at the end", "in the middle", "not at all"],
)
def test_what_tells_them_apart_is_kept(texts, short):
    assert shortened_apart(texts, 12) == short


def test_the_widest_columns_give_way():
    assert fitting_widths([10, 40, 60], 80) == [10, 35, 35]
    assert fitting_widths([10, 40, 60], 5) == [8, 8, 8]
    assert fitting_widths([10, 20], 80) == [10, 20]


def plan(*values, secret=None):
    """An update of one project for each value, and a message that names them."""
    steps = [
        Update(
            address=f"p{i}",
            reason="",
            body={"webhook_url": value},
            changes=(change("settings.webhook_url", None, value),),
        )
        for i, value in enumerate(values)
    ]
    body = {"message": "Use it.", "references": [{"url": value} for value in values], **(secret or {})}
    message = Message(address="z", reason="", message=DesiredMessage("1", body))
    return replace(PLAN, steps=(*steps, message), diagnostics=(), lifecycles={})


@pytest.mark.parametrize(
    ("value", "short"),
    [
        (SIGNED, f"https://assets.example.com/logo-final.png?X-Amz-Ex…{DIGEST[-6:]}"),
        (DIGEST, f"{DIGEST[:8]}…{DIGEST[-6:]}"),
        (f"upl_{DIGEST}", f"upl_{DIGEST[:4]}…{DIGEST[-6:]}"),
        ("https://example.com/a-very-long-path-of-words-that-people-read/logo.png", None),
        ("https://example.com/logo.png?v=2", None),
    ],
    ids=["signed URL", "digest", "token", "path", "short query"],
)
def test_what_nobody_reads_is_shortened_in_text_and_whole_elsewhere(value, short):
    made = plan(value)
    text = plan_text(made, style=STYLE)

    assert (short or value) in text and (short is None or value not in text)
    assert value in plan_text(made, style=STYLE, verbose=True)
    assert value in plan_text(made, style=Style(color=False))  # a file
    assert encode_plan(made)["steps"][0]["changes"][0]["after"] == value


@pytest.mark.parametrize(
    "other",
    [
        SIGNED.replace("3600", "9999"),
        SIGNED.replace("a1f7", "a1f8"),
        f"https://assets.example.com/logo-final.png?X-Amz-Ex…{DIGEST[-6:]}",
    ],
    ids=["in the middle", "in the signature", "one that looks shortened"],
)
def test_two_that_would_look_the_same_are_whole(other):
    text = plan_text(plan(SIGNED, other), style=STYLE)

    assert SIGNED in text and other in text


def test_a_change_shows_that_it_is_one():
    made = plan(SIGNED)
    step = replace(made.steps[0], changes=(change("settings.webhook_url", SIGNED.replace("Exp", "Exq"), SIGNED),))

    before, after = re.findall(
        r"https://\S+", plan_text(replace(made, steps=(step, *made.steps[1:])), style=STYLE).split("# z")[0]
    )

    assert before != after


def test_secrets_and_briefs_are_left_as_they_are():
    hook = Secret("https://hooks.example.com/a?token=${env.TOKEN}&and=much-more-of-it", "d" * 32)
    brief = f"Use {SIGNED} and {DIGEST}."

    text = plan_text(plan(brief, secret={"hook": hook}), style=STYLE)

    assert f"{hook.template}" in text and "sent literally" not in text
    assert SIGNED in text
