"""Reading a conversation under every reading that the contract leaves open, and telling which of it is ours."""

import itertools

import httpx
import pytest

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.model.live import LiveMessage
from reconciler.model.state import SentMessage
from reconciler.model.values import Revealed
from reconciler.operations.calls.own_messages import claim
from reconciler.operations.read.conversation import Window, read_window
from reconciler.planning.message_log import content_digest
from tests.operations.operations_support import Capped, in_world
from tests.virtual_time import run

READINGS = [
    {"messages_default": default, "brief_is_message": brief, "message_source": source}
    for default, brief, source in itertools.product(["newest", "oldest"], [True, False], ["chat", "api"])
]
PARTIAL = READINGS[::3]


def fill(world, count):
    """A project and the ids of its whole conversation, oldest first."""
    project = world.project(brief="The brief.")
    with world.store.account() as account:
        seq = account.project(project)["seq"]
        for number in range(count):
            role = "user" if number % 2 else "assistant"
            account.add_message(seq, role, f"text {number}", source="chat", at=account.now + number)
    return project, [m["id"] for m in world.store.conversation(project)]


def ids(window):
    return [m.id for m in window.messages]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("options", READINGS)
@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 120])
def test_without_a_cursor_everything_is_read_oldest_first(options, count):
    async def test(world):
        project, everything = fill(world, count)
        window = await read_window(world.api, project, None)

        assert ids(window) == everything
        assert window.newest == (everything[-1] if everything else None)
        assert len(world.calls()) == 1 or len(everything) > 50

    in_world(test, **options)


@pytest.mark.parametrize("options", PARTIAL)
@pytest.mark.parametrize("behind", [0, 1, 50, 51, 110])
def test_after_a_cursor_just_what_is_newer_is_read(options, behind):
    async def test(world):
        project, everything = fill(world, 120)
        cursor = everything[-1 - behind]
        window = await read_window(world.api, project, cursor)

        assert ids(window) == (everything[-behind:] if behind else [])
        assert window.newest == everything[-1]
        assert len(world.calls()) == 1 or behind > 50
        assert all(row.query["limit"] == "50" for row in world.store.requests())

    in_world(test, **options)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("options", PARTIAL)
@pytest.mark.parametrize("caps", [(20,), (1,), (49, 3, 50)])
@pytest.mark.parametrize("cursor", [None, 30])
def test_pages_that_a_server_caps_are_read_by_what_came(options, caps, cursor):
    async def test(world):
        project, everything = fill(world, 80)
        async with Capped(world, *caps).client() as api:
            window = await read_window(api, project, None if cursor is None else everything[cursor])

        assert ids(window) == everything[0 if cursor is None else cursor + 1 :]

    in_world(test, **options)


class Server:
    """A conversation served as the contract allows: the page after a cursor from either end, in either order."""

    def __init__(self, count, *, newest_page, newest_first, inclusive=False, page=50):
        self.all = [
            {"id": f"m{n:03}", "role": "user", "content": "x", "created_at": f"2026-01-01T00:{n // 60:02}:{n % 60:02}Z"}
            for n in range(count)
        ]
        self.newest_page, self.newest_first, self.inclusive, self.page = newest_page, newest_first, inclusive, page
        self.calls = 0

    def __call__(self, request):
        self.calls += 1
        query = dict(request.url.params)
        names = [m["id"] for m in self.all]
        low = names.index(query["after"]) + (not self.inclusive) if "after" in query else 0
        high = names.index(query["before"]) + self.inclusive if "before" in query else len(names)
        window = self.all[low:high]
        from_the_end = "before" in query or self.newest_page
        shown = window[-self.page :] if from_the_end else window[: self.page]
        page = shown[::-1] if self.newest_first else shown
        return httpx.Response(200, json={"messages": page, "has_more": len(window) > len(shown)})

    def window(self, cursor):
        async def main():
            transport = httpx.MockTransport(self)
            limiter = RateLimiter(10_000)
            async with ApiClient("http://sandbox/api/v1", "k", limiter=limiter, transport=transport) as api:
                return await read_window(api, "p", cursor)

        return run(main())


@pytest.mark.sampled(3)
@pytest.mark.parametrize("newest_page", [True, False])
@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize(("count", "cursor"), [(3, None), (120, None), (120, 100), (160, 10), (160, 159), (0, None)])
def test_either_end_and_either_order_of_a_page_gives_the_same_window(
    newest_page, newest_first, inclusive, count, cursor
):
    server = Server(count, newest_page=newest_page, newest_first=newest_first, inclusive=inclusive)
    names = [m["id"] for m in server.all]

    window = server.window(None if cursor is None else names[cursor])

    assert ids(window) == names[0 if cursor is None else cursor + 1 :]
    assert window.newest == (names[-1] if names else None)
    assert server.calls <= 8


# ── which of it is ours ──

LINEAGE = "l"


def digest(text):
    return content_digest(LINEAGE, text)


def window(*texts):
    """``"text"`` is a user's message, ``("assistant", text)`` another's; ids count from 0."""
    given = [t if isinstance(t, tuple) else ("user", t) for t in texts]
    messages = tuple(LiveMessage(id=f"m{n}", role=role, content=text) for n, (role, text) in enumerate(given))
    return Window(messages, None)


def logged(name, text, message_id=None):
    return SentMessage(id=name, digest="", text=text, content=digest(text), message_id=message_id, at="")


def claimed(seen, log=(), *, text="again", brief=None):
    return claim(seen, log, text=Revealed(text), lineage=LINEAGE, env={}, brief=brief)


def match(*args, **more):
    found = claimed(*args, **more).match
    return found.id if found else None


def test_white_space_does_not_matter_but_everything_else_does():
    assert digest(" a\r\n b ") == digest("a b")
    assert len({digest("a b"), digest("ab"), digest("A b"), content_digest("other", "a b")}) == 4


def test_the_first_equal_message_of_a_user_is_ours():
    assert match(window("other", ("assistant", "again"), "again", "again")) == "m2"
    assert match(window("other")) is None
    assert match(window()) is None


def test_of_equal_texts_each_logged_one_takes_its_own():
    seen = window("again", "again", "again")

    assert match(seen, [logged("1", "again", "m0")]) == "m1"
    both = claimed(seen, [logged("1", "again"), logged("2", "again")])
    assert both.match is not None and both.match.id == "m2"
    assert [(m.id, m.message_id) for m in both.known] == [("1", "m0"), ("2", "m1")]
    assert match(window("again"), [logged("1", "again")]) is None


def test_logged_messages_learn_their_ids_in_passing():
    found = claimed(window("one", "x", "two"), [logged("1", "one"), logged("2", "two"), logged("3", "three")])

    assert [(m.id, m.message_id) for m in found.known] == [("1", "m0"), ("2", "m2")] and found.match is None


def test_a_brief_that_reads_like_the_message_is_not_the_message():
    assert match(window("again"), brief="again") is None
    assert match(window("again", "again"), brief="again") == "m1"
    assert match(window(("assistant", "hi"), "again", "again"), brief="again") == "m2"


def test_where_the_brief_is_not_in_the_conversation_nothing_is_taken_for_it():
    assert match(window("other", "again"), brief="again") == "m1"
    assert match(window("again"), brief="something else") == "m0"
    assert match(window("again"), brief=None) == "m0"
    assert match(window("again"), [logged("1", "again")], brief="again") is None
