"""Comparison of a text that was sent with one that the server shows, which may be the same text in another form.

Servers escape, normalize, cut, drop what they can't store, and add lines of their own. They don't replace our words with
others: that distinguishes a server's form of our text from a text of somebody else.

Two forms of a text are compared. :func:`plain` removes what servers change without changing a word, and makes white space
single. :func:`_letters` only keeps letters and digits.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Final, Literal

Likeness = Literal["same", "near", "different"]

_UNESCAPES: Final = 3
"""How many times a text may have been escaped."""
_LONG: Final = 24
"""A text with so many letters is not contained in another by chance."""
_SHORT: Final = 12
"""A text with fewer letters may be contained in another by chance."""
_ADDED: Final = 0.25
"""The least share of our text in one that a server added lines to."""
_HOLDS: Final = 0.5
"""The least share of our text in one that contains it somewhere."""
_CUT_FROM: Final = 100
"""A text with so many characters that is the beginning of ours was cut; a shorter one may be somebody else's."""
_OVERLAP: Final = 0.7
"""The least share of words that a text keeps if it only lost or only gained some."""
_CLOSE: Final = 0.9
"""The least share of common words if some were lost and others gained."""
_LOST: Final = 0.5
"""The least share of letters that a narrow character set keeps of a text in a language that it is meant for."""
_FEW: Final = 3
"""Fewer common words mean nothing."""
_KEY: Final = 16
"""Letters of the key to find texts by their beginnings."""

_MOST: Final = 200_000
"""The most characters of a text that are compared."""

# Not compiled here: most runs compare nothing that differs, and would take longer to start.
_TAG: Final = r"<(?:/?[A-Za-z][^<>]*|!--[^<>]*)>"
_BREAK: Final = r"(?i)<(?:br|/?p|/?div|/?li|hr)\b[^<>]*>"
_AUTOLINK: Final = r"<(https?://[^<>\s]*)>"
_LINK: Final = r"\[([^\[\]]*)\]\([^()\s]*\)"
_HALF: Final = r"(?:&#?\w{0,8}|</?\w{0,12}|\\u?[0-9a-f]{0,4})\Z"
_CODED: Final = r"\\U000([0-9a-fA-F]{5})|[\\%]u\{([0-9a-fA-F]{1,5})\}|[\\%]u([0-9a-fA-F]{4})"
_BYTES: Final = r"(?:(?:%|=|\\x)[0-9a-fA-F]{2})+"
_NOT_HEX: Final = r"[^0-9a-fA-F]"
_CHARSETS: Final = ("latin-1", "cp1252", "cp1251", "koi8-r", "mac-roman", "cp437")
_LINE_CODED: Final = r"\\[nrt](?![a-z])|\\[nN]"
_ESCAPED: Final = r"\\([^\w\s])"
_SHORTCODE: Final = r":[a-z][a-z0-9_+-]*:"
_ELLIPSIS: Final = r"\s*[\[(]?\s*(?:…|\.{3,})\s*[\])]?\s*\Z"
_GAP: Final = r"[\[(]?(?:…|\.{3,})[\])]?|[*#•█]{2,}|\[[^\[\]\n]{1,40}\]|https?://[^\s<>]+"
"""What stands for something that was left out."""
_PARTS: Final = r"\n|\s(?=[\[(])|(?<=:)\s|\s[-|–—]+\s"
_MARKS = ".,;:!'"
_QUOTES = dict.fromkeys(map(ord, '‘’‚‛′`´ʼ“”„‟″«»‹›「」"'), "'")
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−﹘﹣-"), "-")
_SELECTORS = dict.fromkeys(range(0xFE00, 0xFE10))
_UNIFIED = {**_QUOTES, **_DASHES, **_SELECTORS, ord("?"): None, 0xFFFD: None, ord("…"): "..."}
_PLAIN_LETTERS = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})
_TWO_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ø": "oe", "ü": "ue", "å": "aa"})
"""How some write these letters where a character set lacks them."""
_UNSEEN = dict.fromkeys(
    (0x00AD, 0x034F, 0x061C, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF)
)
_BLANKS = dict.fromkeys((0x00A0, *range(0x2000, 0x200B), 0x202F, 0x205F), " ")
_AS_READ = {**_UNSEEN, **_BLANKS}
_UNSPACED: Final = "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
"""Letters of scripts without spaces; compiled where there are any, which takes as long as all other patterns here."""
_ONE_FORM: Final = r"[A-Za-z0-9]+( [A-Za-z0-9]+)*"
_WORD: Final = r"[^\W_]+"
_DROPPED = frozenset(("Cc", "Cf", "Co", "Cs", "Cn", "So", "Sk", "Me"))
"""Controls, characters without width, half surrogate pairs, emoji and their modifiers."""


def reader_form(text: str) -> str:
    """The text as a reader sees it: equal for two texts that look the same.

    Line ends, spaces at the ends of lines, final newlines, no-break and typographic spaces, characters without width, marks
    of direction, and the way in which accents are written (NFC) make no difference.
    """
    if text.isascii() and "\r" not in text and " \n" not in text and "\t\n" not in text:
        return text.rstrip()
    text = unicodedata.normalize("NFC", text.translate(_AS_READ))
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).rstrip()


def reads_alike(one: object, other: object) -> bool:
    """Whether two values are the same to a reader."""
    if one == other:
        return True
    return isinstance(one, str) and isinstance(other, str) and reader_form(one) == reader_form(other)


# ── the forms ───────────────────────────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=4096)
def _bare(text: str) -> str:
    """The text without tags, links and escapes."""
    for _ in range(_UNESCAPES):
        bare = html.unescape(re.sub(_TAG, " ", re.sub(_AUTOLINK, r"\1", re.sub(_ESCAPED, r"\1", text))))
        if bare == text:
            break
        text = bare
    if "\\" in text or "%u" in text:
        text = re.sub(_LINE_CODED, " ", re.sub(_CODED, lambda m: chr(int(m[m.lastindex or 0], 16)), text))
    return re.sub(_LINK, r"\1", text)


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """The text without what servers change while they keep every word: escapes, tags, quotes, dashes, case, invisible
    characters, emoji and their short codes. White space is single.
    """
    text = unicodedata.normalize("NFKC", _bare(text).translate(_UNIFIED)).translate(_UNIFIED)
    kept = (" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c) not in _DROPPED)
    return " ".join(re.sub(_SHORTCODE, "", "".join(kept).casefold()).split())


def _tight(text: str) -> str:
    return plain(text).replace(" ", "")


@lru_cache(maxsize=4096)
def _letters(text: str) -> str:
    """Letters and digits, without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", plain(text).translate(_PLAIN_LETTERS)) if c.isalnum())


def _signs(text: str) -> Counter[str]:
    return Counter(c for c in _tight(text) if not c.isalnum() and not unicodedata.combining(c))


@lru_cache(maxsize=4096)
def _ascii_letters(text: str, form: Literal["NFC", "NFD"] = "NFC") -> str:
    """The letters and digits that a narrow character set keeps."""
    normal = re.sub(_SHORTCODE, "", unicodedata.normalize(form, _bare(text)).lower())
    return re.sub(r"[^0-9a-z]+", "", normal)


def _visible(text: str) -> set[str]:
    composed = unicodedata.normalize("NFKC", _bare(text)).translate(_UNIFIED)
    return {c for c in composed if not c.isspace() and unicodedata.category(c) not in _DROPPED - {"So"}}


@lru_cache(maxsize=1024)
def _words(text: str) -> Counter[str]:
    """The words; in scripts without spaces, pairs of characters."""
    words: list[str] = []
    for word in re.findall(_WORD, plain(text)):
        if not word.isascii() and re.search(_UNSPACED, word):
            words += [word[i : i + 2] for i in range(max(1, len(word) - 1))]
        else:
            words.append(word)
    return Counter(words)


# ── what was sent, and what is seen ─────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=4096)
def classify(sent: str, seen: str) -> Likeness:
    """Whether a text that the server shows is the one that was sent.

    ``same``: it is, perhaps in another form. ``near``: it may be; only a person can tell. ``different``: it is another
    text. The cost grows with the length, not with its square.
    """
    if sent == seen:
        return "same"
    sent, seen = sent[:_MOST], seen[:_MOST]
    found = _most(_classify(sent, seen), _classify(sent.casefold().translate(_TWO_LETTERS), seen))
    for _ in range(_UNESCAPES):
        repaired = [] if found == "same" else _repaired(seen)
        if not repaired:
            break
        found, seen = _most(found, *(_classify(sent, text) for text in repaired)), repaired[0]
    return found


def _classify(sent: str, seen: str) -> Likeness:
    if _tight(sent) == _tight(seen) != "":
        return "same"
    ours, theirs = _letters(sent), _letters(seen)
    if not ours or not theirs:
        return _without_letters(sent, seen, ours)
    if ours == theirs:
        return _by_signs(sent, seen, ours)
    return _most(
        _added(sent, seen),
        _cut(sent, seen),
        _damaged(sent, seen),
        _in_part(sent, seen),
        _gapped(sent, seen),
        _common(sent, seen),
    )


def _most(*found: Likeness) -> Likeness:
    return "same" if "same" in found else "near" if "near" in found else "different"


def _repaired(seen: str) -> list[str]:
    """What the text may have been if its bytes were written as codes, or decoded in a narrow character set."""
    decoded = re.sub(_BYTES, _from_codes, seen)
    if decoded != seen:
        return [decoded]
    if seen.isascii() and "&#" not in seen:
        return []
    seen = html.unescape(seen)
    repaired: dict[str, None] = {}
    for charset in _CHARSETS:
        encoded = seen.encode(charset, "ignore")
        text = encoded.decode(errors="ignore")
        if text != seen and len(text.encode()) > _CLOSE * len(encoded) and len(encoded) > _CLOSE * len(seen):
            repaired[text] = None
    return list(repaired)


def _from_codes(codes: re.Match[str]) -> str:
    data = bytes.fromhex(re.sub(_NOT_HEX, "", codes[0]))
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _without_letters(sent: str, seen: str, ours: str) -> Likeness:
    """Compare texts of which one has no letters: only emoji, or nothing that a narrow character set could keep."""
    mine, yours = _visible(sent), _visible(seen)
    if not yours:
        return "near"  # nobody sends an empty message
    if ours:
        return "near" if yours <= {*mine, "'"} and not _ascii_letters(sent) else "different"
    if mine == yours:
        return "same"
    named = re.sub(_SHORTCODE, "", seen).strip() == ""
    return "near" if named or yours & mine else "different"


def _by_signs(sent: str, seen: str, letters: str) -> Likeness:
    """Compare texts with equal letters: only signs or accents differ. Servers only lose some, or only add some."""
    if plain(sent).strip(_MARKS) == plain(seen).strip(_MARKS):
        return "same"
    mine, yours = _signs(sent), _signs(seen)
    one_way = not (mine - yours and yours - mine)
    return "same" if one_way and (len(letters) >= _SHORT or not (mine or yours)) else "near"


def _added(sent: str, seen: str) -> Likeness:
    """Whether a longer text contains all of it."""
    mine, yours = plain(sent), plain(seen)
    share, letters = len(mine) / max(1, len(yours)), len(_letters(sent))
    if _on_own_lines(_tight(sent), seen):
        return "same" if letters >= _SHORT and share >= _ADDED else "near"
    if mine not in yours or not _apart(mine, yours):
        return "different"
    if share < _HOLDS:
        at_an_end = yours.startswith(mine) or yours.endswith(mine)
        return "near" if letters >= (_SHORT if at_an_end else _LONG) else "different"
    return "same" if letters >= _LONG else "near"


def _apart(inner: str, outer: str) -> bool:
    """Whether another text contains it as whole words."""
    start = outer.index(inner)
    before, after = outer[:start][-1:], outer[start + len(inner) :][:1]
    return not (before.isalnum() and inner[0].isalnum()) and not (after.isalnum() and inner[-1].isalnum())


def _on_own_lines(mine: str, seen: str) -> bool:
    """Whether it equals the first or the last parts of another text."""
    parts = [_tight(part) for part in _parts(seen)]
    ends = ("".join(parts[:n]) for n in range(1, len(parts)))
    return any(mine == end for end in (*ends, *("".join(parts[n:]) for n in range(1, len(parts)))))


def _parts(seen: str) -> list[str]:
    """Lines, and text in brackets or after a colon; of very many the first and the last."""
    parts = [
        part
        for part in re.split(_PARTS, re.sub(_BREAK, "\n", html.unescape(seen)).replace("\\n", "\n"))
        if part.strip()
    ]
    return parts if len(parts) <= 2 * _SHORT else [*parts[:_SHORT], "\n".join(parts[_SHORT:-_SHORT]), *parts[-_SHORT:]]


def _in_part(sent: str, seen: str) -> Likeness:
    """Whether the text, cut or damaged by a narrow character set, has something before or after it."""
    parts = _parts(seen)
    for n in range(1, min(len(parts), 5)):
        for rest in ("\n".join(parts[n:]), "\n".join(parts[:-n])):
            if _most(_cut(sent, rest), _damaged(sent, rest), _common(sent, rest)) != "different":
                return "near"
    return "different"


def _cut(sent: str, seen: str) -> Likeness:
    """Whether the other text is the beginning of it, cut off."""
    head, marked = _uncut(seen)
    mine, rest = _letters(sent), _letters(head)
    if not rest or not mine.startswith(rest):
        return "different"
    whole, shown = plain(sent), plain(head)
    mid_word = whole.startswith(shown) and shown[-1].isalnum() and whole[len(shown) :][:1].isalnum()
    if len(head) >= _CUT_FROM or ((marked or mid_word) and len(rest) >= _SHORT):
        return "same"
    return "near" if marked or len(rest) >= _LONG or 2 * len(rest) >= len(mine) else "different"


def _gapped(sent: str, seen: str) -> Likeness:
    """Whether the other text is ours with gaps, for which marks stand; or the end of ours."""
    mine, pieces = _letters(sent), [_letters(piece) for piece in re.split(_GAP, seen)]
    at, last = 0, pieces.pop()
    for number, piece in enumerate(pieces):
        found = mine.find(piece, at)
        if found < 0 or (number == 0 and found > 0):
            return "different"
        at = found + len(piece)
    if not mine.endswith(last) or len(mine) - len(last) < at:
        return "different"
    kept = sum(map(len, pieces)) + len(last)
    return "near" if kept >= _LONG or (2 * kept >= len(mine) and (pieces or kept >= _SHORT)) else "different"


def _uncut(seen: str) -> tuple[str, bool]:
    """The text before the mark of a cut, and whether there is a mark."""
    text = seen.rstrip()
    head = re.sub(_HALF, "", text.rstrip("\ufffd"))
    tail = html.unescape(head[-40:])
    bare = re.sub(_ELLIPSIS, "", tail)
    marked = head != text or bare != tail or _bare(text) != text
    return re.sub(_HALF, "", (head[:-40] + bare).rstrip("\ufffd")), marked


def _damaged(sent: str, seen: str) -> Likeness:
    """Whether the other text is what a narrow character set kept of it."""
    if plain(sent).isascii() and plain(seen).isascii():
        return "different"
    yours = _ascii_letters(seen)
    whole = len(yours) == len(_letters(seen))
    return _most(
        *(_left(mine, yours, sent, whole=whole) for mine in {_ascii_letters(sent), _ascii_letters(sent, "NFD")})
    )


def _left(mine: str, yours: str, sent: str, *, whole: bool) -> Likeness:
    mostly = len(mine) >= _LOST * len(_letters(sent))
    if not yours or not (mostly or whole):
        return "different"
    if mine == yours:
        return "same" if len(mine) >= _SHORT and mostly else "near"
    return "near" if len(yours) >= _SHORT and (mine.startswith(yours) or mine in yours) else "different"


def _common(sent: str, seen: str) -> Likeness:
    """Whether the other text lost some words or gained some; or both, if it has very many."""
    mine, yours = _words(sent), _words(seen)
    common = (mine & yours).total()
    if common < _FEW:
        return "different"
    one_way = common in (mine.total(), yours.total())
    share = common / max(mine.total(), yours.total())
    return "near" if share >= (_OVERLAP if one_way else _CLOSE) else "different"


# ── beginnings, as lists show them ──────────────────────────────────────────────────────────────────────────────────


def begins(text: str, shown: str, limit: int) -> bool:
    """Whether ``shown`` is what a server shows of a text that it cuts at ``limit``.

    It may count characters, UTF-16 units or bytes, put a mark at the end, and change the form of the text. A text that is
    not cut must be the same one.
    """
    if shown == text[:limit]:
        return True
    text = text[: 10 * limit]
    if _tight(shown) == _tight(text):
        return _tight(text) != "" or shown.strip() == text.strip()
    head, marked = _uncut(shown)
    if len(head.encode(errors="replace")) < (limit // 4 if marked else limit * 3 // 4):
        return False
    mine, rest = _tight(text), _tight(head)
    if mine.startswith(rest):
        return rest != ""
    mine, rest = _letters(text), _letters(head)
    if len(rest) >= _LONG and mine.startswith(rest):
        return True
    mine, rest = _ascii_letters(text), _ascii_letters(head)
    return len(rest) >= _LONG and mine.startswith(rest)


def beginning(text: str) -> str:
    """A key to find a text by its beginning, as a list shows it: equal for both."""
    return _ascii_letters(text[: 50 * _KEY])[:_KEY]


def renders(asked: object, shown: object, limit: int | None = None) -> bool:
    """Whether a value may be the server's form of what was set: other spaces, case, escapes.

    ``limit``: the most characters that the server keeps. A value that a person may have set is not such a form.
    """
    if asked == shown or (asked in ("", None) and shown in ("", None)):
        return True
    if not (isinstance(asked, str) and isinstance(shown, str)):
        return False
    if _letters(asked) == _letters(shown) and not _signs(shown) - _signs(asked):
        return _letters(asked) != "" or _without_letters(asked, shown, "") != "different"
    if not plain(asked).isascii() and _damaged(asked, shown) != "different":
        return True
    return limit is not None and _measure(asked) > limit and begins(asked, shown, limit)


def has_one_form(text: str) -> bool:
    """Whether a server can only change the case of a text."""
    return re.fullmatch(_ONE_FORM, text) is not None


def _measure(text: str) -> int:
    """The largest length in any unit."""
    return len(text.encode(errors="replace"))
