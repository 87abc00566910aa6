"""Plans as pages: what is in the document, before any browser."""

import base64
import hashlib
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.report.html import plan_html
from reconciler.report.page import el, link, web_url
from reconciler.report.step_html import long_value
from reconciler.report.worddiff import excerpt, word_diff
from tests.cli.report_samples import PLAN, STEPS
from tests.report.big_plan import HOSTILE, hostile, thousand, three_hundred
from tests.report.test_markdown import Outside


def test_the_page_needs_nothing_from_anywhere():
    """Intent: it can be mailed, kept as an artifact, opened offline; the browser enforces that."""
    page = plan_html(PLAN)
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page)
    assert "@import" not in page
    assert "url(" not in page
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#x27;", "'")
    assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'none'")
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


@pytest.mark.sweep
@settings(max_examples=60)
@given(st.text(st.characters() | st.sampled_from("<>&\"'/=\n\x1b\u202e"), max_size=40))
@example(HOSTILE)
@example('"><script>alert(1)</script>')
def test_foreign_text_makes_no_markup(evil):
    """Intent: the same elements and attributes whatever the text is."""
    seen, plain = Outside(plan_html(hostile(evil))), Outside(plan_html(hostile("x" * 9)))
    assert seen.tags - {"details", "summary"} <= plain.tags
    assert seen.attributes <= plain.attributes | {"class"}
    assert not seen.comments


def test_a_thousand_projects_make_one_page():
    """Intent: everything is there; first what ends projects and what is found, then the money."""
    page = plan_html(thousand("A brief.\n" * 8))
    assert page.count("<article ") == 1720
    order = (
        "Ends or replaces what is there (220)",
        "Errors and attention (301)",
        "Spends credits",
        "Cancelled or let go",
    )
    places = [page.index(heading) for heading in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://cdn.example.com/a.mp4?x=1", True),
        ("http://127.0.0.1:8080/media/a.png", True),
        ("http://localhost/a", True),
        ("http://[::1]:1/a", True),
        ("http://example.com/a.png", False),
        ("http://sandbox/media/a.png", False),
        ("javascript:alert(1)", False),
        ("java\nscript:alert(1)", False),
        ("data:text/html,x", False),
        ("https://user:pw@example.com/", False),
        ("https://exa mple.com/", False),
        ("https:///x", False),
        ("//example.com/x", False),
        ("https://[x", False),
        ("https://a:99999/", False),
        ("", False),
        (None, False),
    ],
)
def test_addresses_that_a_page_links_to(url, good):
    """Intent: nothing but https, or this machine, is a link."""
    assert (web_url(url) is not None) == good
    assert ("href" in link(url, "x")) == good


def test_elements_escape_what_is_not_an_element():
    """Intent: forgetting to escape is not possible."""
    assert el("p", "<b>", el("i", '"&'), title='a"b') == '<p title="a&quot;b">&lt;b&gt;<i>&quot;&amp;</i></p>'


@given(st.text(max_size=60), st.text(max_size=60))
@example("a b. c d.", "a x. c d.")
def test_a_word_diff_gives_both_texts(before, after):
    """Intent: nothing is lost in showing a change."""
    runs = word_diff(before, after)
    assert "".join(text for kind, text in runs if kind != "new") == before
    assert "".join(text for kind, text in runs if kind != "gone") == after


def test_word_diffs_read_like_this():
    """Intent: words, not letters; unchanged text far from a change is left out."""
    old = "One calm scene. " * 30 + "Slow music carries the boats. The end."
    new = old.replace("Slow music carries", "Fast drums carry")
    runs = word_diff(old, new)
    assert [(k, t) for k, t in runs if k != "same"] == [("gone", "Slow music carries"), ("new", "Fast drums carry")]
    assert excerpt(runs)[0][1].startswith(" … ")
    assert len("".join(text for _, text in excerpt(runs))) < 200


def test_a_replacement_says_once_what_else_can_be_done():
    """Intent: beside the first of them: it pays again, and how not to."""
    page = plan_html(replace(PLAN, steps=tuple(replace(STEPS[3], address=f"intro-{i}") for i in range(3))))
    told = page.partition('<ul class="urgent">')[2].partition("</ul>")[0]
    assert (
        page.count("This spends credits again.")
        == told.partition("intro-1")[0].count("This spends credits again.")
        == 1
    )
    assert "<code>lifecycle.on_immutable_change: ignore</code>" in told


def test_what_does_not_fit_in_the_list_of_what_ends_is_one_click_away():
    steps = tuple(replace(STEPS[8], address=f"old-{i:02}") for i in range(14))
    page = plan_html(replace(PLAN, steps=steps))
    assert page.count("<li><div>") == 8
    assert '<a href="#old-08">6 more below</a>' in page


@pytest.mark.parametrize(("balance", "alarming"), [(729, True), (730, False), (None, False)])
def test_a_balance_that_is_too_low_is_alarming(balance, alarming):
    page = plan_html(replace(PLAN, credit_balance=balance, credits_needed=730))
    assert ('class="alarm"><dt>Balance' in page) == alarming
    assert (f"<dt>Balance</dt><dd>{balance} credits" in page.replace("<dd>", "</dt><dd>")) == (balance is not None)


def test_the_digest_is_told_at_the_end():
    """Intent: who approves needs it, and who reads does not begin with it."""
    page = plan_html(PLAN, digest="ab" * 32)
    assert f"Digest: <code>{'ab' * 32}</code>" in page.partition("<footer")[2]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("A calm opening.", False),
        ("Über den Dächern von Wien", False),
        ("Teaser", True),
        ("https://example.com/a b", False),
        ("two  spaces", True),
        (" leading", True),
        ("ends ", True),
        ("", True),
        ('{"a": 1}', True),
    ],
)
def test_words_are_set_as_words_and_anything_else_as_code(value, code):
    """Intent: a brief reads like one; white space that a line of text would hide stays visible."""
    assert ("<code>" in long_value("brief", value)) == code


def test_values_of_every_kind_are_shown():
    """Intent: cleared, unknown, secret and listed values read right."""
    page = plan_html(PLAN)
    assert "<del>Clip</del> → null (cleared)" in page
    assert "not known → </span><code>kling-3.0</code>" in page
    assert "(another secret)" not in page
    assert "https://hooks.example.com/${env.TOKEN}" in page
    assert "hunter22" not in page
    same = replace(PLAN.steps[7].changes[3], before="x", after="x")
    assert "(another secret)" in plan_html(replace(PLAN, steps=(replace(PLAN.steps[7], changes=(same,)),)))


def test_a_matrix_whose_addresses_tell_what_differs_is_a_list_of_links():
    """Intent: no table of one column."""
    steps = [
        step for step in three_hundred(keys=3).steps if step.address.startswith("promo") and step.action == "create"
    ]
    page = plan_html(replace(PLAN, steps=tuple(steps)))
    assert "<table>" not in page
    assert page.count('<li id="promo[') == 6
    assert 'href="#promo%5Bm0%2C9%3A16%5D"' in page
