"""Redaction hides secrets and their parts, and tells nobody who guesses whether the next character is right."""

from __future__ import annotations

import base64
import html
import json
import re
import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.redact import HEAD, HEADED, Redactor
from tests.cli.cli_support import make_space

TOKEN = "whsec_0123456789abcdefghijklmnopqrstuvwxyz"
"""A secret of one word; what is known of it is its head."""
START = TOKEN[:HEAD]
WORD = string.ascii_letters + string.digits + "_-.~%"
PHRASE = "correct horse battery staple, and so on and on"
SHORT = "canary-4b6e9a"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (TOKEN, "(secret)"),
        (f"so {TOKEN} and so on", "so (secret) and so on"),
        (f"https://hooks.example.com/{TOKEN}/in?x={TOKEN}&y=1", "https://hooks.example.com/(secret)/in?x=(secret)&y=1"),
        (f'"{TOKEN}"', '"(secret)"'),
        (f"{TOKEN}{TOKEN}", "(secret)"),
        (f"x{TOKEN}", "x(secret)"),
        # cut: by a list at 200 characters, by a message that quotes, by a screen
        (f"ends in {START}", "ends in (secret)"),
        (f"ends in {TOKEN[:-1]}", "ends in (secret)"),
        (f"so {TOKEN[:25]}… and so on", "so (secret)… and so on"),
        (f"so {TOKEN[:25]}... and so on", "so (secret) and so on"),
        # guesses: right or wrong behind the head, nothing shows which
        (f"{START}x", "(secret)"),
        (f"{START}{TOKEN[HEAD]}", "(secret)"),
        (f"{TOKEN}x", "(secret)"),
        (f"{START}x/{START}{TOKEN[HEAD]}x", "(secret)/(secret)"),
        # less than the head says nothing, and is no secret
        (TOKEN[: HEAD - 1], TOKEN[: HEAD - 1]),
        (f"{TOKEN[: HEAD - 1]} x", f"{TOKEN[: HEAD - 1]} x"),
    ],
)  # fmt: skip
def test_a_long_secret_is_hidden_with_the_word_that_begins_like_it(text, seen):
    assert Redactor([TOKEN])(text) == seen


@pytest.mark.parametrize(
    ("secret", "text", "seen"),
    [
        (SHORT, f"so {SHORT} and {SHORT}x", "so (secret) and (secret)x"),
        (SHORT, SHORT[:-1], SHORT[:-1]),
        ("1234", "1234 123 12345", "(secret) 123 (secret)5"),
        ("123", "123", "123"),
        (PHRASE, f"He said: {PHRASE[:20]}", "He said: (secret)"),
        (PHRASE, f"('{PHRASE[:30]}') is it", "('(secret)') is it"),
        (f"{TOKEN}\n{PHRASE}", f"a {TOKEN}\n  b {PHRASE[:25]}", "a (secret)\n  b (secret)"),
        ("https://hooks.example.com/services/T00/B00/xyz", "to https://hooks.example.com/services/T0", "to (secret)"),
        ("c2VjcmV0LXNlY3JldA==", "x=c2VjcmV0LXNlY3JldA==; y", "x=(secret); y"),
    ],
)
def test_other_secrets_are_hidden_as_they_are_made(secret, text, seen):
    """Intent: short ones as a whole; those with spaces, lines or marks of their own up to where a word of theirs may end."""
    assert Redactor([secret])(text) == seen


AWKWARD = "ab&cd<\"ef>'gh\\kl/%mnö?op"


@pytest.mark.parametrize("secret", [TOKEN, SHORT, AWKWARD, "p@ss/w0rd+and=more&x"])
@pytest.mark.parametrize(
    "written",
    [
        str, html.escape, repr, json.dumps, lambda s: json.dumps(s, ensure_ascii=False), quote, lambda s: quote(s, safe=""),
        lambda s: base64.b64encode(s.encode()).decode(), lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
        lambda s: re.sub("%..", lambda code: code[0].lower(), quote(s, safe="")), lambda s: quote(quote(s, safe=""), safe=""),
        lambda s: json.dumps(s).replace("/", "\\/"), lambda s: html.escape(s).replace("&#x27;", "&#39;"),
        lambda s: html.escape(s).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        lambda s: s.encode().hex(), lambda s: s.encode().hex().upper(),
        lambda s: re.sub(r"[!-/:-@\[-`{-~]", r"\\\g<0>", s), lambda s: re.sub("[_*`\\\\]", r"\\\g<0>", s),
    ],
)  # fmt: skip
def test_a_secret_is_known_in_every_way_it_is_written(secret, written):
    """Intent: what quotes, escapes or encodes a text before it is shown hides no secret from the redaction."""
    seen = Redactor([secret])(f"before {written(secret)} after")
    assert "(secret)" in seen and seen.startswith("before ") and seen.endswith(" after")
    for part in (secret[4:], written(secret)[4:-1]):
        assert part not in seen


@pytest.mark.parametrize("secret", [TOKEN, SHORT, AWKWARD, TOKEN + "1", TOKEN + "12"])
@pytest.mark.parametrize("user", ["", "u", "us", "use", "user:", "someone:"])
@pytest.mark.parametrize("behind", ["", "@", "@h", "@host"])
def test_a_secret_is_known_in_base64_wherever_it_stands(secret, user, behind):
    """Intent: `Authorization: Basic …` is the user's name, a colon and the secret."""
    coded = base64.b64encode(f"{user}{secret}{behind}".encode()).decode()
    seen = Redactor([secret])(f"before {coded} after")
    assert "(secret)" in seen
    assert coded[len(user) * 4 // 3 + 4 : len(coded) - len(behind) * 4 // 3 - 6] not in seen


@pytest.mark.parametrize("change", [str.lower, str.upper])
def test_a_long_secret_is_known_in_other_letters_and_a_short_one_hides_no_words(change):
    assert Redactor([TOKEN])(f"x {change(TOKEN)} y") == "x (secret) y"
    assert Redactor(["Test"])(f"x {change('Test')} y") == f"x {change('Test')} y"


@pytest.mark.parametrize("tail", ["/tail-of-it", "=tail-of-it", " tail-of-it", '"tail-of-it', "tail-of-it"])
def test_secrets_that_begin_alike_hide_each_other_s_ends(tail):
    """Intent: the mark at which one of them ends stands within the other: neither's end is shown."""
    head = "eyJhbGciOiJIUzI1NiJ9"
    for redact in (Redactor([head + tail]), Redactor([head + tail, f"{head}.other-words-of-its-own"])):
        for text in (head + tail, f"x {head}{tail}", f"{head}{tail[:8]}"):
            assert "tail" not in redact(text), text


def test_a_value_that_is_no_text_breaks_nothing():
    """Intent: the environment may hold bytes that are not UTF-8."""
    assert Redactor(["\udcff" * 20])("x" + "\udcff" * 20) == "x(secret)"


@pytest.mark.sweep
@given(
    tails=st.lists(st.text(WORD, min_size=16, max_size=16), min_size=2, max_size=2),
    head=st.text(WORD, min_size=16, max_size=16),
    behind=st.text(WORD + " /:\"'…=\n", max_size=40),
    matching=st.integers(0, 16),
    before=st.text(WORD + " /:", max_size=10),
)
def test_no_guess_tells_how_far_it_is_right(tails, head, behind, matching, before):
    """Intent: of two secrets with one head, nothing that is shown of any text tells which is ours, however far a guess
    goes along with one of them: else a secret is found character by character.
    """
    one, other = (Redactor([head + tail]) for tail in tails)
    for text in (f"{before}{head}{behind}", f"{before}{head}{tails[0][:matching]}{behind}"):
        if any(head[:n] in before + behind for n in (16,)):
            continue
        assert one(text) == other(text)


@pytest.mark.sweep
@given(secret=st.text(min_size=HEADED, max_size=80), cut=st.integers(HEAD, 80), around=st.text(" abc/…", max_size=10))
def test_no_part_that_is_longer_than_its_head_is_shown(secret, cut, around):
    """Intent: wherever a server cut it, what is left of a secret is hidden, whatever the secret is made of."""
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in secret):
        return  # known by its lines
    part = secret[: max(cut, len(secret) // 2)]
    seen = Redactor([secret])(f"{around}{part}")
    assert part not in seen.replace("(secret)", "") or part in around


@pytest.mark.sweep
def test_what_we_cut_ourselves_was_redacted_first(tmp_path):
    """Intent: a failure's message that is cut in the midst of a secret shows no half of it, in any format or file."""
    from tests.cli.cli_support import answering

    space = make_space(
        tmp_path / "w",
        "projects: {a: {brief: '${env.WEBHOOK_TOKEN}'}}\n",
        "workspace: acme\npolicy: {allowed_env: [WEBHOOK_TOKEN]}\n",
        EVERSINCE_API_KEY="sk-x",
        WEBHOOK_TOKEN=TOKEN,
    )
    for room in range(150, 560, 18):  # wherever it is cut, twice within the secret
        body = json.dumps({"error": {"code": "x", "message": "x" * room + " " + TOKEN + " y" * 200, "status": 400}})
        with answering(400, body) as server:
            summary = space.root / "summary.md"
            ran = space.run("--api-url", server.url, "plan", code=1, GITHUB_STEP_SUMMARY=str(summary))
        for text in (ran.out, ran.err, summary.read_text() if summary.exists() else ""):
            assert TOKEN[6:12] not in text
