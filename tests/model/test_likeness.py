"""Telling a server's form of a text from a text of somebody else."""

import html
import itertools
import quopri
import random
import time
import unicodedata
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.likeness import beginning, begins, classify, reader_form, reads_alike, renders

CURLY = str.maketrans({"'": "’", '"': "”", "-": "–"})


def narrow(text, charset, left="?"):
    return "".join(c if c.encode(charset, "ignore") else left for c in text)


def without_emoji(text, left=""):
    return "".join(left if ord(c) > 0xFFFF else c for c in text)


FORMS = {
    "escaped": html.escape,
    "escaped, quotes left": lambda t: html.escape(t, quote=False),
    "escaped twice": lambda t: html.escape(html.escape(t)),
    "numeric entities": lambda t: "".join(f"&#{ord(c)};" if c in "&<>\"'" or ord(c) > 126 else c for c in t),
    "hexadecimal entities": lambda t: "".join(f"&#x{ord(c):X};" if ord(c) > 126 else c for c in t),
    "controls dropped": lambda t: "".join(c for c in t if unicodedata.category(c) != "Cc" or c in "\n\t"),
    "controls as blanks": lambda t: "".join(" " if unicodedata.category(c) == "Cc" else c for c in t),
    "curly": lambda t: t.translate(CURLY),
    "emoji as ?": lambda t: without_emoji(t, "?"),
    "emoji as ??": lambda t: without_emoji(t, "??"),
    "emoji as U+FFFD": lambda t: without_emoji(t, "\ufffd"),
    "emoji as a box": lambda t: without_emoji(t, "□"),
    "emoji dropped": without_emoji,
    "latin-1, the rest as ?": lambda t: narrow(t, "latin-1"),
    "ASCII, the rest as ?": lambda t: narrow(t, "ascii"),
    "ASCII, the rest dropped": lambda t: narrow(t, "ascii", ""),
    "UTF-8 read as latin-1": lambda t: t.encode().decode("latin-1"),
    "CRLF": lambda t: t.replace("\n", "\r\n"),
    "NFC": lambda t: unicodedata.normalize("NFC", t),
    "NFD": lambda t: unicodedata.normalize("NFD", t),
    "NFKC": lambda t: unicodedata.normalize("NFKC", t),
    "NFKD": lambda t: unicodedata.normalize("NFKD", t),
    "joiners": lambda t: t.replace(" ", " \u200d"),
    "a byte order mark": lambda t: "\ufeff" + t,
    "no-break blanks": lambda t: t.replace(" ", "\u00a0"),
    "trimmed": str.strip,
    "folded": lambda t: " ".join(t.split()),
    "a final newline": lambda t: t + "\n",
    "markdown escaped": lambda t: "".join("\\" + c if c in r"\`*_{}[]()#+-.!" else c for c in t),
    "newlines as \\n": lambda t: t.replace("\n", "\\n"),
    "in a paragraph": lambda t: f"<p>{html.escape(t)}</p>",
    "in paragraphs": lambda t: "".join(f"<p>{html.escape(line)}</p>" for line in t.split("\n")),
    "with <br>": lambda t: t.replace("\n", "<br />"),
    "lower case": str.lower,
    "upper case": lambda t: "".join(c.upper() if len(c.upper()) == 1 else c for c in t),
    "accents dropped": lambda t: "".join(c for c in unicodedata.normalize("NFD", t) if not unicodedata.combining(c)),
    "linkified": lambda t: t.replace("https://x.test/a", '<a href="https://x.test/a">https://x.test/a</a>'),
    "linked in markdown": lambda t: t.replace("https://x.test/a", "[https://x.test/a](https://x.test/a)"),
    "references appended": lambda t: t + "\n\n[1 reference: https://x.test/logo.png (image)]",
    "references named": lambda t: t + "\n\nReferences:\n- https://x.test/logo.png\n- upl_abc123",
    "references prepended": lambda t: "Attached: logo.png (image)\n\n" + t,
    "said by whom": lambda t: f"Sent through the API: {t}",
    "quoted": lambda t: f"“{t}”",
}
CODES = {
    "percent": urllib.parse.quote,
    "percent, all else left": lambda t: "".join(urllib.parse.quote(c) if ord(c) > 126 else c for c in t),
    "percent, + as a blank": urllib.parse.quote_plus,
    "%u": lambda t: "".join(f"%u{ord(c):04X}" if 126 < ord(c) < 0x10000 else c for c in t),
    "\\u{}": lambda t: "".join(f"\\u{{{ord(c):x}}}" if ord(c) > 126 else c for c in t),
    "quoted-printable": lambda t: quopri.encodestring(t.encode()).decode(),
    "Python": ascii,
    "Python, bytes": lambda t: repr(t.encode()),
    "UTF-8 read as cp1251": lambda t: t.encode().decode("cp1251", "replace"),
    "UTF-8 read as koi8-r": lambda t: t.encode().decode("koi8-r"),
    "UTF-8 read as Mac Roman": lambda t: t.encode().decode("mac-roman"),
    "two letters for umlauts": lambda t: t.translate(str.maketrans({"ü": "ue", "Ü": "Ue", "ö": "oe", "ß": "ss"})),
}
GAPS = {
    "cut in the middle": lambda t: t[: len(t) // 2 - 4] + " … " + t[len(t) // 2 + 4 :],
    "cut in the middle, [...]": lambda t: t[: len(t) // 2 - 4] + "[...]" + t[len(t) // 2 + 4 :],
    "only the end": lambda t: t[-len(t) * 2 // 3 :],
    "only the end, …": lambda t: "…" + t[-len(t) * 2 // 3 :],
    "words hidden": lambda t: t.replace("music", "*****").replace("logo", "[NAME]").replace("Make", "M***"),
    "addresses hidden": lambda t: t.replace("https://x.test/a", "[link]"),
    "addresses shortened": lambda t: t.replace("https://x.test/a", "https://s.test/9Xk2"),
    "followed by more than it is": lambda t: t + " Follow the brand rules." * 20,
    "after more than it is": lambda t: "Follow the brand rules. " * 20 + t,
}
CUTS = {
    "cut at 200": lambda t: t[:200],
    "cut at 60": lambda t: t[:60],
    "cut with …": lambda t: t if len(t) <= 80 else t[:79] + "…",
    "cut with ...": lambda t: t if len(t) <= 100 else t[:97] + "...",
    "cut with [...]": lambda t: t if len(t) <= 100 else t[:97] + " [...]",
    "cut by bytes": lambda t: t.encode()[:120].decode(errors="ignore"),
    "cut by UTF-16 units": lambda t: t.encode("utf-16-le")[:201].decode("utf-16-le", "replace"),
    "cut escapes": lambda t: html.escape(t)[:123],
}
KNOWN = FORMS | CODES | GAPS | CUTS

TEXTS = [
    "Make A & B < C, then fade the music out.",
    'It\'s "loud" - make\x07 it softer, please; 50% is enough!',
    "Add the logo 🎉 at the end 👩‍🚀, and a voice-over.",
    "Überarbeite die Schlussszene: größer, wärmer, mit Café-Musik.",
    "Use https://x.test/a for the *second* scene\nand `keep` the first_one\n\n1. shorter\n2. warmer",
    "First scene a bit slower, second scene a bit faster. " * 6 + "That is all for now.",
    "Сделай музыку тише и добавь женский голос за кадром, пожалуйста.",
    "音楽をもっと静かにして、女性のナレーションを追加してください。",
]


@pytest.mark.parametrize("form", KNOWN)
def test_what_a_server_makes_of_a_text_is_that_text_or_may_be(form):
    for text in TEXTS:
        assert classify(text, KNOWN[form](text)) != "different", text


@pytest.mark.parametrize(
    "form",
    [
        *(f for f in FORMS if not f.startswith(("ASCII", "latin-1"))),
        "cut at 200",
        "cut with …",
    ],
)
def test_the_common_forms_of_a_text_are_told_without_asking(form):
    for text in TEXTS[:6]:
        assert classify(text, KNOWN[form](text)) == "same", text


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("Make A & B < C", "Make A &amp; B &lt; C"),
        ("a\x07b", "ab"),
        ('Say "it\'s on"', "Say “it’s on”"),
        ("More 🎉", "More ?"),
        ("More 🎉", "More \ufffd"),
        ("x" * 301, "x" * 200),
        ("Make it softer.", "Make it softer.\n\nReferences: logo.png"),
        ("yes", "Yes!"),
        ("Yes.", "yes"),
        ("ok", "OK\u200b"),
        ("go", "<p>go</p>"),
        ("für", "fu\u0308r"),
        ("R&D", "R&amp;D"),
        ("R&D 50%", "R%26D%2050%25"),
        ("Für Ærø", "Fur AEro"),
        ("Łódź", "Lodz"),
        ("größer", "groesser"),
    ],
)
def test_short_texts_and_those_that_were_reported(sent, seen):
    assert classify(sent, seen) == "same"


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("ok", "no"),
        ("yes", "no"),
        ("go", "stop"),
        ("Make it softer", "Make it louder"),
        ("Make the music softer.", "Make the music louder."),
        ("Scene 2 shorter", "Scene 3 shorter"),
        ("please", "something else"),
        ("No", "Now add a voice-over and a logo, then show me the result"),
        ("👍", "👎"),
        ("Add a logo", "Add"),
        ("Add a logo", "a logo"),
        ("Add a logo and make it softer", "softer"),
        ("Add a logo", "..."),
        ("Add a logo", "https://x.test/logo.png"),
        ("Add a logo to scene 2", "Add … to scene 3"),
        ("Shorter", "Add the logo, make scene two shorter and the last one longer, and change the music."),
        ("Сделай тише музыку в сцене 2", "Добавь логотип в сцене 2"),
        ("音楽を静かに", "ロゴを追加"),
    ],
)
def test_other_words_are_another_text(sent, seen):
    assert classify(sent, seen) == "different"


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("Volume +5", "Volume -5"),
        ("ok", "ok\nand add the logo"),
        ("Make the music of the last scene softer, and add a voice.", "Make the music of the last scene softer."),
        ("Сделай тише", "?????? ????"),
        ("👍", "?"),
        ("Make it softer", ""),
        ("Make it softer", "\u200b ??"),
        ("👍", ":thumbsup:"),
    ],
)
def test_what_only_a_person_can_tell_is_left_to_one(sent, seen):
    assert classify(sent, seen) == "near"


@pytest.mark.sweep
def test_compositions_of_what_servers_do_are_never_another_text():
    chooser = random.Random(7)
    forms = [form for form in FORMS if form != "UTF-8 read as latin-1"]  # what is damaged once is not damaged again
    pairs = list(itertools.product(forms, FORMS | CUTS))
    for text in TEXTS:
        for names in [*pairs, *(chooser.sample(forms, 3) for _ in range(300))]:
            seen = text
            for name in names:
                seen = KNOWN[name](seen)
            assert classify(text, seen) != "different", (names, text, seen)


WORDS = [
    "make",
    "the",
    "music",
    "softer",
    "louder",
    "scene",
    "shorter",
    "add",
    "voice",
    "logo",
    "end",
    "camera",
    "slower",
    "faster",
    "warm",
    "color",
    "light",
    "close",
    "wide",
    "shot",
    "product",
    "hand",
    "table",
    "morning",
    "city",
    "street",
    "dog",
    "child",
    "smile",
    "cut",
    "fade",
    "title",
    "red",
    "blue",
    "keep",
    "remove",
    "whole",
    "second",
]


@given(st.lists(st.sampled_from(WORDS), min_size=5, max_size=40), st.randoms(use_true_random=False))
def test_a_text_of_any_words_is_known_again(words, chooser):
    text = " ".join(words).capitalize() + "."
    seen = text
    for name in chooser.sample(list(FORMS), 3):
        seen = FORMS[name](seen)
    assert classify(text, seen) != "different"


@given(st.text(max_size=300))
def test_any_text_is_itself_however_it_is_escaped_and_normalized(text):
    assert classify(text, text) == "same"
    for name in ("escaped", "NFC", "NFD", "CRLF", "a byte order mark", "no-break blanks"):
        assert classify(text, FORMS[name](text)) != "different", name


@given(st.text(max_size=400), st.text(max_size=400))
def test_any_two_texts_can_be_compared(one, other):
    assert classify(one, other) in ("same", "near", "different")
    begins(one, other, 200)
    renders(one, other, 30)
    beginning(one)
    assert reader_form(reader_form(one)) == reader_form(one)


SENTENCES = [
    "Make the music softer and let the voice start two seconds later.",
    "The second scene is too dark; please give it morning light.",
    "Replace the dog in the last shot with a child on a bicycle.",
    "Use our new logo at the end and keep it on screen for three seconds.",
    "Cut the opening by half, we lose people there.",
    "I would like to see the product from above as well.",
    "Please translate the captions into French.",
    "The colors are great, but the pace is a bit slow for social media.",
    "Remove the text overlay from scene four.",
    "Could the camera move toward the table instead of away from it?",
    "Render a square version too.",
    "Go back to the music of the first draft.",
    "Warmer light in the kitchen, and steam over the coffee.",
    "Show the price only once, at the very end.",
]


def test_independent_sentences_are_different():
    for one, other in itertools.permutations(SENTENCES, 2):
        assert classify(one, other) == "different", (one, other)
        for form in ("escaped", "curly", "in a paragraph", "lower case"):
            assert classify(one, FORMS[form](other)) == "different", (one, other, form)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "unit", ["a ", "ab", "<", "<!--", "[", "&amp;", ":a", "\\", "é", "word ", "\n", " ", "…", "a:\n("]
)
def test_long_texts_cost_no_more_than_they_are_long(unit):
    sent, seen = (unit * 10_000)[:10_000], (unit * 10_000)[:9_000] + "z"
    begun = time.process_time()
    classify(sent, seen)
    begins(sent, seen, 200)
    assert time.process_time() - begun < 2


# ── beginnings ──

BRIEF = "Fifteen seconds, upbeat 🎉 and “warm”: a café at dawn, größer, with A & B < C. " * 5
SHOWN = {
    "characters": lambda t: t[:200],
    "with …": lambda t: t[:200] + "…",
    "… within": lambda t: t[:199] + "…",
    "with ...": lambda t: t[:197] + "...",
    "with  [...]": lambda t: t[:194] + " [...]",
    "UTF-16 units": lambda t: t.encode("utf-16-le")[:400].decode("utf-16-le", "replace"),
    "half a character": lambda t: t[:150] + "\ufffd",
    "bytes": lambda t: t.encode()[:200].decode(errors="ignore"),
    "bytes with …": lambda t: t.encode()[:197].decode(errors="replace") + "…",
    "trimmed": lambda t: t[:200].rstrip(),
    "at a word": lambda t: t[:200].rsplit(" ", 1)[0] + "…",
    "escaped first": lambda t: html.escape(t)[:200],
    "escaped after": lambda t: html.escape(t[:200]),
    "NFD": lambda t: unicodedata.normalize("NFD", t)[:200],
    "folded": lambda t: " ".join(t.split())[:200],
    "emoji as ?": lambda t: without_emoji(t, "?")[:200],
    "whole": lambda t: t,
}


@pytest.mark.parametrize("how", SHOWN)
@pytest.mark.parametrize(
    "text", [BRIEF, "Короткая сцена, утро, кофе и город. " * 9, "一杯のコーヒー、朝の街、" * 30, "A dog. " * 60]
)
def test_a_beginning_is_known_however_it_was_cut(how, text):
    shown = SHOWN[how](text)
    assert begins(text, shown, 200)
    assert beginning(text) == beginning(shown)


@pytest.mark.parametrize("how", SHOWN)
def test_another_beginning_is_another_text(how):
    assert not begins("Sixteen" + BRIEF[7:], SHOWN[how](BRIEF), 200)
    assert not begins(BRIEF[:120] + "Then something else. " * 9, SHOWN[how](BRIEF), 200)


def test_a_short_text_that_is_shown_whole_must_be_the_same():
    assert begins("Make a video.", "Make a video. ", 200)
    assert begins("Tom & Jerry.", "Tom &amp; Jerry.", 200)
    assert not begins("Make a video. With cats.", "Make a video.", 200)
    assert not begins("Make a video.", "Make a video. With cats.", 200)
    assert not begins("Make a video. With cats.", "", 200)
    assert begins("", "", 200)


# ── values that servers keep in a form of their own ──


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("  Summer teaser ", "Summer teaser"),
        ("Summer  teaser", "Summer teaser"),
        ("Summer Teaser", "summer teaser"),
        ("A & B", "A &amp; B"),
        ("It's on", "It’s on"),
        ("Café", "Cafe\u0301"),
        ("Party 🎉", "Party ?"),
        ("Party 🎉", "Party"),
        ("Größe", "Gr??e"),
        ('Say "hi"', "Say hi"),
        ("é" * 30, "é" * 15),
        ("", None),
    ],
)
def test_the_form_that_a_server_keeps_is_the_value(asked, kept):
    assert renders(asked, kept, 30)


@pytest.mark.parametrize(
    ("asked", "now"),
    [
        ("Summer teaser", "Summer teaser 2"),
        ("Summer teaser", "Summer"),
        ("Summer teaser", "Winter teaser"),
        ("Volume +5", "Volume -5"),
        ("Summer teaser", None),
        (None, "Summer teaser"),
        ("Summer teaser", ""),
        (True, "true"),
        (False, None),
        ("opus", "sonnet"),
    ],
)
def test_what_a_person_may_have_meant_is_no_form_of_the_value(asked, now):
    assert not renders(asked, now, 30)


# ── what no reader sees ──


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("One  \nTwo", "One\nTwo"),
        ("Gru\u0308n", "Grün"),
        ("One\r\nTwo\r", "One\nTwo"),
        ("One\t\nTwo\n\n", "One\nTwo"),
        ("\ufeffOne", "One"),
        ("One\u00a0two", "One two"),
        ("One\u200b two", "One two"),
    ],
)
def test_differences_that_no_reader_sees_are_none(one, other):
    assert reads_alike(one, other) and reads_alike(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("One\nTwo", "One Two"),
        ("One\n\nTwo", "One\nTwo"),
        ("  One", "One"),
        ("a  b", "a b"),
        ("One", "one"),
        ("②", "2"),
        ("It's", "It’s"),
        (None, ""),
        (2, "2"),
    ],
)
def test_what_a_reader_can_see_is_a_difference(one, other):
    assert not reads_alike(one, other)
