"""What servers do to text and what they forget, as options of the account: the right value of each."""

import json

import httpx
import pytest

from reconciler.sandbox.account_options import HELP, Options
from reconciler.sandbox.habits import HABITS
from reconciler.sandbox.store import Store

PAIR = "\U0001f3a5"

TITLES = [
    (("trim",), "  Summer  film ", "Summer  film"),
    (("fold",), " Summer \t film", " Summer film"),
    (("lower",), "SUMMER Ä", "summer ä"),
    (("escape",), "A & B < C", "A &amp; B &lt; C"),
    (("controls",), "a\x07b\tc\nd\x85", "ab\tc\nd"),
    (("quotes",), "\"It's\" ('so')", "“It’s” (‘so’)"),
    (("emoji",), f"Film {PAIR}!", "Film ?!"),
    (("joiners",), "a\u200db\ufe0f", "ab"),
    (("nfc",), "u\u0308", "ü"),
    (("nfd",), "ü", "u\u0308"),
    (("trim", "fold", "lower", "escape"), "  A  &  B ", "a &amp; b"),
]


@pytest.fixture
def account(open_account):
    return lambda **options: open_account(requests_per_minute=0, active_projects=0, **options)


@pytest.mark.parametrize(("habits", "sent", "kept"), TITLES)
def test_a_title_is_kept_in_the_servers_form(account, habits, sent, kept):
    api = account(title_habits=habits)
    made = api.idle(title=sent)
    assert api("PATCH", f"/projects/{made}/settings", {"title": sent}).json()["title"] == kept
    assert api("GET", "/projects").json()["projects"][0]["title"] == kept
    assert [e.detail.get("title") or e.detail["sent"]["title"] for e in api.store.ledger()] == [sent, sent]


@pytest.mark.parametrize(("habits", "sent", "kept"), TITLES)
def test_a_message_and_a_brief_are_kept_in_the_servers_form(account, habits, sent, kept):
    api = account(message_habits=habits)
    made = api.idle(sent)
    api("POST", f"/projects/{made}/messages", {"message": sent})
    said = [m["content"] for m in api("GET", f"/projects/{made}/messages").json()["messages"] if m["role"] == "user"]
    assert said == [kept, kept]
    assert api.store.ledger()[-1].detail["message"] == sent


def test_a_message_is_cut_and_gets_a_line(account):
    api = account(message_max=200, message_line="[1 reference attached]")
    made = api.idle()
    api("POST", f"/projects/{made}/messages", {"message": "x" * 301})
    said = [m["content"] for m in api.store.conversation(made) if m["role"] == "user"]
    assert said[-1] == "x" * 200 + "\n[1 reference attached]"


@pytest.mark.parametrize(
    ("options", "brief", "shown"),
    [
        ({}, "x" * 200, "x" * 200),
        ({}, "x" * 201, "x" * 200),
        ({"list_brief": "ellipsis"}, "x" * 200, "x" * 200),
        ({"list_brief": "ellipsis"}, "x" * 201, "x" * 200 + "…"),
        ({"list_brief": "dots"}, "x" * 200, "x" * 200),
        ({"list_brief": "dots"}, "x" * 201, "x" * 197 + "..."),
        ({"list_utf16": True}, PAIR * 100, PAIR * 100),
        ({"list_utf16": True}, PAIR * 101, PAIR * 100),
        ({"list_utf16": True}, "x" + PAIR * 100, "x" + PAIR * 99 + "\ud83c"),
        ({"list_utf16": True, "list_brief": "dots"}, PAIR * 101, PAIR * 98 + "\ud83c..."),
        ({}, PAIR * 201, PAIR * 200),
    ],
)
def test_the_list_cuts_a_brief_as_servers_do(account, options, brief, shown):
    api = account(**options)
    api.create(brief)
    answer = api("GET", "/projects")
    assert json.loads(answer.content)["projects"][0]["brief"] == shown


def test_the_list_lags_behind_a_patch(account):
    # Intent: the answer to the PATCH has the new values, the list the old ones for a while; a second PATCH prolongs it.
    api = account(list_lag=10)
    made = api.idle(title="Old")
    row = lambda: api("GET", "/projects").json()["projects"][0]  # noqa: E731
    assert api("PATCH", f"/projects/{made}/settings", {"title": "New"}).json()["title"] == "New"
    api.wait(5)
    api("PATCH", f"/projects/{made}/settings", {"title": "Newest", "mode": "collaborative"})
    api.wait(9)
    assert (row()["title"], row()["mode"]) == ("Old", "autonomous")
    api.wait(2)
    assert (row()["title"], row()["mode"]) == ("Newest", "collaborative")


def test_a_page_has_no_more_rows_than_the_server_gives_and_says_so(account):
    api = account(page_max=3)
    made, *_ = [api.idle() for _ in range(5)]
    page = api("GET", "/projects?limit=100").json()
    assert (len(page["projects"]), page["limit"], page["total"]) == (3, 3, 5)
    api("POST", f"/projects/{made}/messages", {"message": "M"})
    api.store.finish_all()
    talk = api("GET", f"/projects/{made}/messages?limit=50").json()
    assert (len(talk["messages"]), talk["has_more"]) == (3, True)


def test_keys_are_forgotten_after_their_time(account):
    api = account(key_seconds=60)
    first = api.create(idempotency_key="k")
    api.wait(59)
    assert api("POST", "/projects", {"brief": "B", "idempotency_key": "k"}).json()["id"] == first
    api.wait(2)
    assert api("POST", "/projects", {"brief": "B", "idempotency_key": "k"}).status_code == 202


def test_forgotten_cursors_are_not_found_and_those_of_now_are_good(account, refused):
    api = account()
    made = api.idle()
    old = api("GET", f"/projects/{made}/messages").json()["messages"][0]["id"]
    api.store.forget_cursors()
    for name in ("after", "before"):
        refused(api("GET", f"/projects/{made}/messages?{name}={old}"), 404, "not_found")
    now = api("GET", f"/projects/{made}/messages").json()["messages"]
    later = api("GET", f"/projects/{made}/messages?after={now[0]['id']}").json()["messages"]
    assert later == now[1:] and old not in {m["id"] for m in now}


def test_an_unknown_cursor_may_meet_an_empty_page(account):
    api = account(unknown_cursor="empty")
    made = api.idle()
    for name in ("after", "before"):
        answer = api("GET", f"/projects/{made}/messages?{name}=msg_unknown")
        assert (answer.status_code, answer.json()) == (200, {"messages": [], "has_more": False})
    assert api("GET", f"/projects/{made}/messages").json()["messages"]


def test_projects_of_a_day_are_limited(account, refused):
    api = account(creates_per_day=2)
    api.create()
    api.wait(3600)
    api.create()
    answer = api("POST", "/projects", {"brief": "B"})
    refused(answer, 429, "rate_limited")
    assert answer.headers["Retry-After"] == str(23 * 3600)
    api.wait(23 * 3600 + 1)
    api.create()


@pytest.mark.parametrize(
    ("options", "fill", "path", "body"),
    [
        ({"active_projects": 1}, "create", "/projects", {"brief": "B"}),
        ({"active_projects": 1}, "create", "/projects/{idle}/messages", {"message": "M"}),
        ({"active_projects": 1}, "person", "/projects", {"brief": "B"}),
        ({"creates_per_day": 1}, None, "/projects", {"brief": "B"}),
        ({"requests_per_minute": 3}, "create", "/projects", {"brief": "B"}),
    ],
)
def test_every_429_says_when_to_come_again(open_account, options, fill, path, body):
    api = open_account(**options)
    idle = api.idle()
    if fill == "create":
        api.create()
    elif fill == "person":
        api.store.person_creates(brief="B", status="running")
    while (answer := api("POST", path.format(idle=idle), body)).status_code != 429:
        assert answer.status_code in (200, 202)
    assert int(answer.headers["Retry-After"]) >= 1
    assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "x-request-id"} <= answer.headers.keys()


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "status", "problem"),
    [
        ("POST", "/projects", '{"brief": "B"}', {"Content-Type": "text/plain"}, 415, "Content-Type"),
        ("POST", "/projects", '{"brief": "B"}', {}, 415, "Content-Type"),
        ("PATCH", "/projects/{id}/settings", "{}", JSON, 400, "at least one field"),
        ("PATCH", "/projects/{id}/settings", '{"title": " "}', JSON, 400, "title: must not be empty"),
        ("POST", "/projects", '{"brief": "B", "title": ""}', JSON, 400, "title: must not be empty"),
        ("POST", "/projects", '{"brief": "B", "brief": "C"}', JSON, 400, "valid JSON"),
        (
            "POST",
            "/projects",
            '{"brief": "B", "references": [{"url": "https://a.example"}]}',
            JSON,
            400,
            "references[0].type: is required",
        ),
        ("POST", "/projects/{id}/cancel", "{}", {}, 415, "Content-Type"),
    ],
)
def test_a_strict_server_refuses_what_another_takes(account, refused, method, path, content, headers, status, problem):
    for strict in (False, True):
        api = account(strict=strict)
        answer = api(method, path.format(id=api.idle()), content=content, headers=headers)
        if strict:
            assert problem in refused(answer, status, "validation_error")
        else:
            assert answer.status_code in (200, 202)


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8"])
def test_a_strict_server_takes_json(account, kind):
    api = account(strict=True)
    assert api("POST", "/projects", content=b'{"brief": "B"}', headers={"Content-Type": kind}).status_code == 202
    assert api("POST", f"/projects/{api.idle()}/cancel").status_code == 200


def test_what_one_process_changes_another_does(open_account, tmp_path):
    # Intent: options lie with the account, so that a command changes a server that runs.
    path = tmp_path / "account.db"
    served = open_account(path=path)
    other = Store(path)
    other.change({"title_habits": ["lower"], "credits": 5})
    assert served.store.credits() == 5 and served.store.options.title_habits == ("lower",)
    other.set_credits(1000)
    served.create(title="LOUD")
    assert other.projects()[0]["title"] == "loud"
    other.close()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"colour": 1}, "colour: unknown option"),
        ({"title_habits": ["shout"]}, "shout"),
        ({"page_max": 0}, "page_max"),
        ({"credits": -1}, "credits"),
        ({"strict": "yes"}, "strict"),
        ({"speed": 0}, "speed"),
    ],
)
def test_an_option_that_makes_no_sense_changes_nothing(api, changes, problem):
    before = api.store.options
    with pytest.raises(ValueError, match=problem):
        api.store.change({"list_lag": 3, **changes})
    assert api.store.options == before


def test_options_of_another_version_are_no_obstacle(open_account, tmp_path):
    path = tmp_path / "account.db"
    first = open_account(path=path, credits=7).store
    with first.account() as account:
        account.set_meta("options", '{"speed": 3.0, "of_tomorrow": true}')
    assert open_account(path=path, given=False).store.options == Options(speed=3.0)


def test_every_option_and_habit_says_what_it_means():
    assert all(HELP[name].endswith(".") for name in Options.__struct_fields__)
    assert all(meaning for meaning, _ in HABITS.values())


def test_options_are_seen_and_changed_over_http(tmp_path):
    from reconciler.sandbox.server import BackgroundServer

    with BackgroundServer(tmp_path / "account.db") as server:
        headers = {"Authorization": f"Bearer {server.token}"}
        root = server.url.removesuffix("/api/v1") + "/_sandbox"
        with httpx.Client(verify=False, base_url=root, headers=headers, trust_env=False) as controls:
            assert controls.get("/options").json()["options"]["list_brief"] == "plain"
            changed = controls.patch("/options", json={"list_brief": "dots", "credits": 42}).json()["options"]
            assert (changed["list_brief"], changed["credits"]) == ("dots", 42)
            for wrong in ({"list_brief": "much"}, {"x": 1}, [], 5):
                assert controls.patch("/options", json=wrong).status_code == 400
            controls.post("/faults", json={"kind": "status", "status": 503})
            assert [f["status"] for f in controls.get("/faults").json()["faults"]] == [503]
            assert controls.delete("/faults").json() == {"faults": []}
            assert {controls.post(f"/{name}").status_code for name in ("finish", "forget-keys", "forget-cursors")} == {
                200
            }
