"""`reconciler report`: what the page shows, that it only reads, and that hostile text stays text."""

import re

import httpx
import pytest
from msgspec.structs import replace

from reconciler.model.errors import Diagnostic
from reconciler.model.fleet import Fleet, Member
from reconciler.model.live import LiveMessage, LiveProject
from reconciler.model.state import Entry, Known, SentMessage
from reconciler.report.fleet_page import fleet_html
from reconciler.sandbox.server import BackgroundServer
from reconciler.sandbox.store import Options
from tests import command
from tests.report.big_plan import HOSTILE
from tests.report.test_markdown import Outside

SPEC = """\
projects:
  teaser:
    brief: A calm opening.
    tags: [summer]
    settings: {title: Teaser, craft: cinema, expected_output: assembled}
    messages: [Make the music softer.]
  stills:
    brief: Eight stills.
    settings: {expected_output: assets}
"""


def member(evil="x", **live):
    given = {"status": "idle", "project_url": "https://eversince.ai/p/1", "agent_message": evil, "error_message": evil}
    seen = LiveProject(id=evil, source="status", settings={"title": evil, evil: evil}, **{**given, **live})
    entry = Entry(
        project_id=evil,
        origin="created",
        settings={"craft": Known(evil, "sent", evil), "webhook_url": Known({"$secret": "d" * 32}, "patch", "t")},
        messages=(SentMessage(id="1", digest="d", text=evil, content="c", at="t"),),
    )
    said = LiveMessage(id=evil, role=evil, content=evil * 40, source=evil, created_at=evil)
    drift = Diagnostic(severity="note", summary=f"drift: {evil}", address="a", kind="drift")
    return Member(address="a", entry=entry, live=seen, messages=(said,) * 60, findings=(drift,))


def fleet_of(*members):
    return Fleet(workspace="w", at="2026-01-02T03:04:05Z", members=members, findings=())


def test_hostile_text_stays_text():
    """Intent: titles, agents' words, people's messages, addresses and statuses make no markup and no request."""
    urls = {"assembled_url": "javascript:alert(1)//.png", "project_url": "javascript:alert(1)", "status": HOSTILE}
    seen, plain = Outside(fleet_html(fleet_of(member(HOSTILE, **urls)))), Outside(fleet_html(fleet_of(member())))
    assert seen.tags <= plain.tags | {"details", "summary", "div"}
    assert seen.attributes <= plain.attributes
    assert not seen.comments
    for attribute in re.findall(r'(?:href|src)="([^"]*)"', fleet_html(fleet_of(member(HOSTILE, **urls)))):
        assert attribute.startswith(("#", "https://"))


@pytest.mark.parametrize(
    ("url", "tag"),
    [
        ("https://cdn.example.com/a.mp4?sig=1", "video"),
        ("https://cdn.example.com/a.PNG", "img"),
        ("http://127.0.0.1:8080/media/a.png", "img"),
        ("https://cdn.example.com/a.zip", None),
        ("http://cdn.example.com/a.png", None),
        ("http://sandbox/media/a.png", None),
    ],
)
def test_media_are_loaded_from_good_addresses_alone(url, tag):
    page = fleet_html(fleet_of(member(assembled_url=url, assembled_url_expires_at="2026-01-03T00:00:00Z")))
    assert re.findall(r"<(video|img) ", page) == ([tag] if tag else [])
    assert ("Rendered file" in page) == ("sandbox" not in url and "http://cdn" not in url)
    assert "expires" in page


@pytest.mark.parametrize(
    ("live", "why"),
    [
        (None, "Not in the account"),
        ({"status": "running"}, "Not rendered yet"),
        ({"status": "queued"}, "Not rendered yet"),
        ({"status": "idle"}, ""),
        ({"status": "cancelled"}, ""),
        ({"status": "failed", "error_message": "Out of frames."}, '<span class="red">Out of frames.</span>'),
        ({"status": "failed", "error_message": "E" * 500}, f'<span class="red">{"E" * 119}…</span>'),
        ({"status": "idle", "assembled_url": "https://cdn.example.com/a.zip"}, "No preview"),
        ({"status": "idle", "assembled_url": "http://sandbox/media/a.mp4"}, "No preview"),
    ],
)
def test_a_card_without_a_picture_says_why(live, why):
    """Intent: what will come, what will not, and what can't be shown; for the rest, the style says "Not rendered"."""
    shown = member() if live is None else member(**{"error_message": None, **live})
    page = fleet_html(fleet_of(shown if live is not None else replace(shown, live=None)))
    assert re.findall('<div class="poster">(.*?)</div>', page) == [why]


def test_a_conversation_is_read_without_unfolding_and_nothing_is_said_twice():
    long, last = "A sentence that goes on. " * 30, "Line\n" * 10
    said = [LiveMessage(id=str(n), role="user", content=text) for n, text in enumerate((long, last, "x" * 3_000))]
    page = fleet_html(fleet_of(replace(member(agent_message=last), messages=tuple(said))))
    chat = page.partition('class="chat"')[2].partition("</ul>")[0]
    assert chat.count("<details>") == 1
    assert page.count(last) == 1
    assert "Last message of the agent" not in page
    assert "Last message of the agent" in fleet_html(fleet_of(member(agent_message="Another.")))


def test_what_needs_a_person_is_offered_and_counted_first():
    page = fleet_html(fleet_of(*(member(status=s) for s in ("idle", "idle", "running", "failed", "cancelled"))))
    assert re.findall(r"<span>([a-z]+ \(\d\))</span>", page) == [
        "drift (5)",
        "failed (1)",
        "cancelled (1)",
        "running (1)",
        "idle (2)",
    ]


def test_the_timeline_goes_backwards_also_within_a_second():
    at = "2026-01-02T03:04:05Z"
    said = [LiveMessage(id=text, role="user", content=text, created_at=at) for text in ("first", "second")]
    older = replace(member(created_at="2026-01-01T00:00:00Z"), address="b", messages=())
    page = fleet_html(fleet_of(older, replace(member(created_at=at, updated_at=at), messages=tuple(said))))
    timeline = re.sub(r"<[^>]+>", "", page.partition("<h2>Timeline")[2].partition("</section>")[0])
    told = re.findall(r"Z (a is idle|a user: second|a user: first|a created|b created)", timeline)
    assert told == ["a is idle", "a user: second", "a user: first", "a created", "b created"]


def test_what_is_known_and_from_where():
    """Intent: what was read now wins over what the state remembers; secrets stay secret; long talks are cut and counted."""
    page = fleet_html(fleet_of(member("T")))
    assert "<dt>title<dd>T<dt>" in page
    assert re.search(r"<dt>craft<dd>T<i>last sent T</i>", page)
    assert "(secret)" in page
    assert "10 earlier messages are not shown." in page
    gone = fleet_html(fleet_of(replace(member(), live=None), member()))
    assert "2 projects: 1 gone, 1 idle. 2 messages sent." in gone
    assert "2 projects changed outside the specs." in gone
    assert "0 projects" in fleet_html(fleet_of())
    assert "No projects are managed." in fleet_html(fleet_of())


def run(root, *arguments):
    return command.run(*arguments, cwd=root)


@pytest.mark.sweep
def test_a_real_fleet(tmp_path, browser):
    """Intent: end to end over a socket: only GETs, drift found, page readable in a browser with its video."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "a.yaml").write_text(SPEC)
    with BackgroundServer(options=Options(speed=1000, strict=True)) as server:
        (tmp_path / "reconciler.yaml").write_text(f"workspace: w\napi: {{url: '{server.url}'}}\n")
        applied = run(tmp_path, "apply", "--auto-approve", "--wait", "idle", "--poll-interval", "0.05")
        assert applied.returncode == 0, applied.stderr
        made = next(p for p in server.store.projects() if p["title"] == "Teaser")
        patch(server.url, made["id"])
        before = len(server.store.requests())
        shown = run(tmp_path, "report", "--out", "public")
        assert shown.returncode == 0, shown.stderr
        assert shown.stdout == "Wrote public/index.html: 2 projects.\n"
        requests = server.store.requests()[before:]
        assert {request.method for request in requests} == {"GET"}
        assert len(requests) <= 1 + 2 * 2
        page = (tmp_path / "public" / "index.html").read_text(encoding="utf-8")
        assert "drift: settings.title" in page
        assert "#summer (1)" in page
        assert "user: Make the music softer." in page
        seen = browser.new_page()
        problems = []
        seen.on("console", lambda message: problems.append(message.text))
        seen.goto((tmp_path / "public" / "index.html").as_uri())
        seen.locator("video").scroll_into_view_if_needed()
        seen.wait_for_function("() => document.querySelector('video').videoWidth > 0")
        assert seen.get_by_role("article", name="teaser").count() == 1
        assert seen.get_by_role("status").inner_text() == "2 of 2 projects shown"
        assert problems == []


def patch(url, project_id):
    answer = httpx.patch(
        f"{url}/projects/{project_id}/settings",
        json={"title": "By hand"},
        headers={"Authorization": "Bearer any"},
        trust_env=False,
    )
    assert answer.status_code == 200


def test_without_conversations_it_asks_less(tmp_path):
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "a.yaml").write_text(SPEC)
    (tmp_path / "reconciler.yaml").write_text("workspace: w\napi: {url: sandbox}\nsandbox: {speed: 500}\n")
    assert run(tmp_path, "apply", "--auto-approve").returncode == 0
    shown = run(tmp_path, "report", "--out", "public", "--no-conversations")
    assert shown.returncode == 0, shown.stderr
    page = (tmp_path / "public" / "index.html").read_text(encoding="utf-8")
    assert "Conversation (" not in page
    assert "drift:" not in page
