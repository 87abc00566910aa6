"""Conversations: what is in them, in which order, and how they are read page by page."""

import pytest

from reconciler.model import contract


def contents(answer):
    return [message["content"] for message in answer.json()["messages"]]


@pytest.fixture
def talk(open_account):
    """A conversation of twelve user messages, numbered, which the agent did not react to."""

    def make(**options):
        api = open_account(brief_is_message=False, **options)
        project_id = api.store.person_creates(brief="B", status="failed")
        ids = [api.store.person_writes(project_id, str(n)) for n in range(12)]
        return api, f"/projects/{project_id}/messages", ids

    return make


def test_a_message_sets_the_agent_to_work_and_is_charged(api):
    project_id = api.idle()
    balance = api.store.credits()
    answer = api("POST", f"/projects/{project_id}/messages", {"message": "Softer", "references": [{"upload_id": "u"}]})
    assert (answer.status_code, answer.json()) == (202, {"id": project_id, "status": "running"})
    assert api.store.credits() == balance - api.store.options.message_cost
    effect = api.store.ledger()[-1]
    sent = [message for message in api.store.conversation(project_id) if message["content"] == "Softer"]
    assert (effect.kind, effect.detail["message"]) == ("message", "Softer")
    assert [(message["id"], message["references"]) for message in sent] == [
        (effect.detail["message_id"], [{"upload_id": "u"}])
    ]


def test_the_same_message_twice_is_two_messages(api):
    project_id = api.idle()
    for _ in range(2):
        assert api("POST", f"/projects/{project_id}/messages", {"message": "Again"}).status_code == 202
        api.store.finish_all()
    assert contents(api("GET", f"/projects/{project_id}/messages")).count("Again") == 2


def test_messages_have_the_contracts_fields_and_stand_oldest_first(api):
    project_id = api.create("The brief")
    api.wait(2)
    answer = api("GET", f"/projects/{project_id}/messages")
    first, second = answer.json()["messages"]
    assert answer.json()["has_more"] is False
    assert first | {"id": ""} == {
        "id": "",
        "role": "user",
        "content": "The brief",
        "source": "chat",
        "created_at": "2025-06-15T15:06:40Z",
    }
    assert (second["role"], second["created_at"]) == ("assistant", "2025-06-15T15:06:40Z")


def test_the_brief_is_in_the_conversation_or_not_and_messages_have_the_source_the_account_gives_them(open_account):
    api = open_account(brief_is_message=False, message_source="api")
    project_id = api.idle("The brief")
    assert "The brief" not in contents(api("GET", f"/projects/{project_id}/messages"))
    api("POST", f"/projects/{project_id}/messages", {"message": "Softer"})
    found = {message["content"]: message["source"] for message in api.store.conversation(project_id)}
    assert found["Softer"] == "api"


@pytest.mark.parametrize(("reading", "page"), [("newest", ["9", "10", "11"]), ("oldest", ["0", "1", "2"])])
def test_without_a_cursor_comes_the_page_that_the_account_gives_first(talk, reading, page):
    api, path, _ = talk(messages_default=reading)
    answer = api("GET", f"{path}?limit=3")
    assert (contents(answer), answer.json()["has_more"]) == (page, True)
    assert api("GET", path).json()["has_more"] is False


def test_after_gives_the_messages_next_to_the_cursor_and_says_whether_more_follow(talk):
    api, path, ids = talk()
    answer = api("GET", f"{path}?limit=3&after={ids[1]}")
    assert (contents(answer), answer.json()["has_more"]) == (["2", "3", "4"], True)
    answer = api("GET", f"{path}?limit=3&after={ids[8]}")
    assert (contents(answer), answer.json()["has_more"]) == (["9", "10", "11"], False)
    answer = api("GET", f"{path}?after={ids[-1]}")
    assert (contents(answer), answer.json()["has_more"]) == ([], False)


def test_before_gives_the_messages_next_to_the_cursor_and_says_whether_more_precede(talk):
    api, path, ids = talk(messages_default="oldest")
    answer = api("GET", f"{path}?limit=3&before={ids[5]}")
    assert (contents(answer), answer.json()["has_more"]) == (["2", "3", "4"], True)
    answer = api("GET", f"{path}?before={ids[2]}")
    assert (contents(answer), answer.json()["has_more"]) == (["0", "1"], False)


def test_both_cursors_bound_a_window_that_begins_at_after(talk):
    api, path, ids = talk()
    answer = api("GET", f"{path}?limit=2&after={ids[2]}&before={ids[6]}")
    assert (contents(answer), answer.json()["has_more"]) == (["3", "4"], True)


def test_the_cursor_of_another_project_is_refused(talk, refused):
    api, path, _ = talk()
    other = api.store.person_creates(brief="B")
    foreign = api.store.person_writes(other, "x")
    assert "no such message" in refused(api("GET", f"{path}?after={foreign}"), 400, "validation_error")


def test_a_page_has_twenty_messages_unless_asked_otherwise(talk):
    api, path, _ = talk()
    for n in range(60):
        api.store.person_writes(path.split("/")[2], f"more {n}")
    assert len(contents(api("GET", path))) == contract.current().limits.messages_page_default
    assert len(contents(api("GET", f"{path}?limit=50"))) == contract.current().limits.messages_page


def test_ids_say_nothing_about_the_order(talk):
    _, _, ids = talk()
    assert ids != sorted(ids)
    assert len(set(ids)) == 12
