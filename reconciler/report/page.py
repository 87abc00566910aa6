"""Self-contained HTML pages. :func:`el` makes elements and escapes everything that is not an element."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from reconciler.model.hosts import is_loopback
from reconciler.report.safe_text import clean

_ASSETS: Final = Path(__file__).parent / "assets"
_VOID: Final = frozenset({"meta", "img", "input", "br"})
_OPEN: Final = frozenset({"li", "dt", "dd"})
"""Elements that end where the next one or their parent does: pages have thousands of them."""
_CODE: Final = re.compile(r"`([^`\n]+)`")
_COMMENT: Final = re.compile(r"/\*.*?\*/\s*", re.DOTALL)
_SPACE: Final = re.compile(r"\s*([{};,])\s*")
_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'"


class Html(str):
    """Markup, as opposed to text."""

    __slots__ = ()


Attribute = str | bool | None


def el(tag: str, /, *children: str, **attributes: Attribute) -> Html:
    """An element. Text among ``children`` and attributes is cleaned and escaped; ``class_`` is ``class``, ``a_b`` ``a-b``.

    An attribute that is ``True`` has no value; one that is ``None`` or ``False`` is left out.
    """
    given = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{text(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in _VOID:
        return Html(f"<{tag}{given}>")
    inside = "".join(child if isinstance(child, Html) else text(child) for child in children)
    return Html(f"<{tag}{given}>{inside}" if tag in _OPEN else f"<{tag}{given}>{inside}</{tag}>")


def text(value: str) -> Html:
    """Untrusted text, escaped: nothing in it is markup or hides or reorders what is around it."""
    return Html(html.escape(clean(value, multiline=True)))


def joined(*parts: str) -> Html:
    return Html("".join(part if isinstance(part, Html) else text(part) for part in parts))


def web_url(url: str | None) -> str | None:
    """The URL if a browser may follow it (https, or http on this machine); ``None`` otherwise."""
    try:
        parts = urlsplit(url or "")
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname or ""
    if not url or not url.isprintable() or " " in url or not host or port == 0 or parts.username or parts.password:
        return None
    return url if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)) else None


def link(url: str | None, label: str) -> Html:
    """A link, or the URL as text where no browser should follow it."""
    safe = web_url(url)
    if safe is None:
        return el("span", f"{label}: ", el("code", url)) if url else Html("")
    return el("a", label, href=safe)


def folded(summary: str, *body: str, **attributes: Attribute) -> Html:
    return el("details", el("summary", summary), *body, **attributes)


def prose(value: str) -> Html:
    """Text of ours or about the specs, with what stands between backticks as code."""
    parts = _CODE.split(value)
    return joined(*(el("code", part) if number % 2 else part for number, part in enumerate(parts)))


def anchor(address: str) -> str:
    """The link to a project's place in the page, whose id is its address. Ids of the page's own parts begin with ``_``,
    as no address does.
    """
    return f"#{quote(address, safe='/@')}"


def chip(group: str, value: str, label: str) -> Html:
    """A choice of the filter; ``value`` is among the ``data-`` words of the projects that it shows."""
    box = el("input", type="checkbox", value=value, data_group=group)
    return el("label", box, el("span", label))


def filter_bar(chips: Sequence[Html], label: str, *buttons: Html) -> Html:
    """The filter of a page, one line that stays in view; hidden until the script shows it, since without scripts
    everything is visible.
    """
    search = el(
        "input",
        type="search",
        id="_search",
        autocomplete="off",
        placeholder="Address",
        aria_label="Address contains",
    )
    choices = el("fieldset", el("legend", "Show only", class_="sr"), *chips)
    shown_now = el("p", id="_shown", role="status", class_="soft")
    keys = [el("kbd", "/"), " ", el("kbd", "j"), " ", el("kbd", "k")]
    hint = el("span", *keys, class_="soft keys", title="Search, next, previous")
    return el("nav", search, choices, shown_now, *buttons, hint, id="_filter", aria_label=label, hidden=True)


def page(title: str, body: Html, *, scripts: Sequence[str] = (), styles: Sequence[str] = (), policy: str = "") -> str:
    """A whole document. The browser uses only the scripts and styles that are in it, checked by digest.

    ``styles`` are assets beside the common one; ``policy`` adds directives, for pages that show images from elsewhere.
    """
    style = "".join(map(asset, ("page.css", *styles)))
    code = "".join(map(asset, scripts))
    allowed = f"; script-src '{_digest(code)}'" if code else ""
    csp = f"{_POLICY}; style-src '{_digest(style)}'{allowed}{policy}"
    head = [
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=csp),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        el("style", Html(style)),
    ]
    scripted = el("script", Html(code)) if code else Html("")
    skip = el("a", "Skip to the content", href="#_main", class_="skip")
    document = el("html", el("head", *head), el("body", skip, body, scripted), lang="en")
    return f"<!doctype html>\n{document}\n"


@cache
def asset(name: str) -> str:
    """The text of a file, without its comments and, in CSS, without spaces that mean nothing."""
    content = _COMMENT.sub("", (_ASSETS / name).read_text(encoding="utf-8"))
    if name.endswith(".css"):
        return _SPACE.sub(r"\1", content)
    return "".join(map(str.lstrip, content.splitlines(keepends=True)))


def _digest(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
