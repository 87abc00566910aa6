"""Two teams, environments or states in one account: no project is taken by its looks, and none is touched by another.

The oracle is the account's ledger: what acted, and on which project.
"""

import json
from pathlib import Path

import pytest

from reconciler.sandbox.faults import Fault
from tests.cli.cli_support import Space, make_space

SPECS = """\
projects:
  teaser: {brief: Ten seconds of sea., settings: {title: Sea}, messages: [Slower.]}
  trailer: {brief: A minute of sea., settings: {title: Long sea}}
"""


@pytest.fixture
def account(accounts):
    key, store = accounts.open()
    return accounts.url, key, store


def space_of(root: Path, workspace: str, account, specs: str = SPECS) -> Space:
    url, key, _ = account
    return make_space(root, specs, f"workspace: {workspace}\n", EVERSINCE_API_URL=url, EVERSINCE_API_KEY=key)


def applied(space: Space, *args: str, code: int = 0):
    return space.run(*args, "apply", "--auto-approve", "--poll-interval", "0.05", code=code)


def entries(space: Space, name: str = "reconciler.state.json"):
    return json.loads((space.root / name).read_text())["projects"]


def ids(space: Space, name: str = "reconciler.state.json") -> set[str]:
    return {entry["project_id"] for entry in entries(space, name).values()}


def acts(store, *kinds: str) -> list[str]:
    """The projects on which something acted, in the ledger's order."""
    return [effect.project_id for effect in store.ledger() if not kinds or effect.kind in kinds]


def aged(store, hours: float) -> None:
    """As if all projects had been made so much earlier, and the API had forgotten their keys."""
    with store.account() as inside:
        inside.run("UPDATE projects SET created_at = created_at - ?", hours * 3600)
    store.forget_keys()


@pytest.mark.sweep
def test_two_workspaces_with_the_same_specs_have_projects_of_their_own(tmp_path, account):
    """Intent: dev and prod in one account: prod makes its own, and its `destroy` leaves dev's alone."""
    store = account[2]
    dev, prod = (space_of(tmp_path / name, f"agency-{name}", account) for name in ("dev", "prod"))
    applied(dev)
    planned = prod.run("plan", "--format", "json").document
    assert {step["action"] for step in planned["steps"]} == {"create", "message"}
    assert [d["kind"] for d in planned["diagnostics"]] == ["lost-state"]
    applied(prod)
    assert not ids(dev) & ids(prod)
    assert len(acts(store, "create")) == 4 and len(acts(store, "message")) == 2
    before = len(store.ledger())
    theirs = ids(prod)
    applied_destroy = prod.run("destroy", "--auto-approve", "--force")
    assert applied_destroy.code == 0
    assert {effect.project_id for effect in store.ledger()[before:]} <= theirs
    assert "No changes" in dev.run("plan").out


@pytest.mark.sweep
def test_an_old_look_alike_stops_its_address_and_shows_the_ways_out_and_others_go_on(tmp_path, account):
    """Intent: a state that is lost, keys that are forgotten: nothing is bought again, and the new one is made."""
    store = account[2]
    space = space_of(tmp_path / "w", "agency", account)
    applied(space)
    store.finish_all()
    aged(store, 48)
    old = ids(space)
    (space.root / "reconciler.state.json").unlink()
    space.write("specs/b.yaml", "projects: {fresh: {brief: New.}}\n")
    before = len(store.ledger())

    ran = applied(space, code=1)
    assert len(acts(store, "create")) == 3 and set(entries(space)) == {"fresh"}
    assert not {effect.project_id for effect in store.ledger()[before:]} & old
    for words in ("`teaser` may exist already", "reconciler state recover", "--replace teaser", "look like 2 of the 3"):
        assert words in ran.out, ran.out
    assert "`teaser` may exist already" in applied(space, code=1).out  # though there is a state by now
    assert len(acts(store, "create")) == 3

    space.run("state", "recover", "--auto-approve")
    assert ids(space) > old
    assert "No changes" in space.run("plan").out
    applied(space)
    assert len(acts(store, "create")) == 3 and len(acts(store, "message")) == 1


EQUAL = ("Sea", "Sea"), ("Sea", "Waves"), "b"
TAKEN_OVER = ("Sea",), ("Waves", "Sea"), "a"


@pytest.mark.parametrize(
    ("brief", "hours", "titles"),
    [("Sea. [fail]", 0, EQUAL), ("Sea. [fail]", 0, TAKEN_OVER), ("Sea.", 48, EQUAL), ("Sea.", 48, TAKEN_OVER)],
    ids=[
        "equal ones failed",
        "a new one is as the failed one was",
        "the keys of equal ones are forgotten",
        "and as it was",
    ],
)
def test_no_address_claims_a_project_whose_own_key_does_not_find_it(tmp_path, account, brief, hours, titles):
    """Intent: an address has another title than its project, the state is lost, and another address looks like the project."""
    store = account[2]
    before, after, asked = titles

    def specs(titles):
        projects = (
            f"  {name}: {{brief: {json.dumps(brief)}, settings: {{title: {title}}}}}\n"
            for name, title in zip("ab", titles, strict=False)
        )
        return "projects:\n" + "".join(projects)

    space = space_of(tmp_path / "w", "agency", account, specs(before))
    applied(space)
    store.finish_all()
    if hours:
        aged(store, hours)
    (space.root / "reconciler.state.json").unlink()
    space.write("specs/a.yaml", specs(after))

    ran = applied(space, code=1)
    assert len(acts(store, "create")) == len(before)
    assert f"`{asked}` may exist already" in ran.out


def test_replace_makes_one_of_ones_own_beside_an_old_look_alike(tmp_path, account):
    store = account[2]
    dev, prod = (space_of(tmp_path / name, f"agency-{name}", account) for name in ("dev", "prod"))
    applied(dev)
    store.finish_all()
    aged(store, 48)
    prod.run("apply", "--auto-approve", "--replace", "teaser", "--replace", "trailer", "--wait", "none")
    assert len(acts(store, "create")) == 4
    assert not ids(dev) & ids(prod)
    assert not acts(store, "cancel")


def test_a_failed_project_of_someone_else_does_not_hand_over_a_look_alike(tmp_path, account):
    """Intent: a first apply beside any failed project binds, messages and cancels nothing that others own."""
    store = account[2]
    theirs = store.person_creates(brief="Ten seconds of sea.", title="Sea")
    failed = store.person_creates(brief="Something else.", title="Else", status="failed")
    space = space_of(tmp_path / "w", "agency", account)

    ran = applied(space, code=1)
    assert "`teaser` may exist already" in ran.out
    assert set(entries(space)) == {"trailer"}
    space.run("destroy", "--auto-approve", "--force")
    assert not {theirs, failed} & set(acts(store, "message", "cancel", "settings", "update"))


@pytest.mark.sampled(6)
@pytest.mark.parametrize("change", ["brief: For prod.", "brief: For dev., settings: {title: Prod}"])
def test_a_key_that_made_another_project_binds_nothing(tmp_path, account, change):
    """Intent: two states under one workspace's name are told apart by what the key's project is."""
    store = account[2]
    space = space_of(tmp_path / "w", "agency", account, "projects: {a: {brief: For dev., settings: {title: Dev}}}\n")
    applied(space, "--state", "dev.json")
    store.finish_all()
    (made,) = ids(space, "dev.json")
    before = store.ledger()
    space.write("specs/a.yaml", f"projects: {{a: {{{change}}}}}\n")

    for _ in range(2):
        ran = applied(space, "--state", "prod.json", code=1)
        assert f"the key `agency/a/1` belongs to `{made}`" in ran.out, ran.out
        for words in ("workspace` of its own", "reconciler state recover", f"reconciler import a {made}"):
            assert words in ran.out
        assert not (space.root / "prod.json").exists() or not entries(space, "prod.json")
    planned = space.run("--state", "prod.json", "plan", "--format", "json").document
    assert not [s for s in planned["steps"] if s["project_id"] == made]
    space.run("--state", "prod.json", "destroy", "--auto-approve", "--force")
    assert store.ledger() == before


def test_a_lost_state_and_a_changed_spec_end_well(tmp_path, account):
    """Intent: the way out that the error names works: the project is bound, and the change is shown and made."""
    store = account[2]
    space = space_of(tmp_path / "w", "agency", account, "projects: {a: {brief: Sea., settings: {title: Old}}}\n")
    applied(space)
    store.finish_all()
    (made,) = ids(space)
    (space.root / "reconciler.state.json").unlink()
    space.write("specs/a.yaml", "projects: {a: {brief: Sea., settings: {title: New}}}\n")
    assert f"reconciler import a {made}" in applied(space, code=1).out
    space.run("import", "a", made)
    planned = space.run("plan", "--format", "json").document
    assert [(s["action"], s["project_id"]) for s in planned["steps"]] == [("update", made)]
    applied(space)
    assert len(acts(store, "create")) == 1 and "No changes" in space.run("plan").out


@pytest.mark.sweep
def test_another_accounts_key_creates_nothing_where_none_of_the_managed_projects_is(tmp_path, accounts, account):
    """Intent: with the key of client B, client A's workspace makes no call that changes anything."""
    space = space_of(tmp_path / "w", "agency", account)
    applied(space)
    space.write("specs/b.yaml", "projects: {fresh: {brief: New.}}\n")
    key, other = accounts.open()
    space.env["EVERSINCE_API_KEY"] = key
    for command in (("plan",), ("apply", "--auto-approve"), ("destroy", "--auto-approve", "--force")):
        ran = space.run(*command, code=1)
        assert "the API key is of another account: it shows none of the 2 managed projects" in ran.out + ran.err
    assert not other.ledger()
    space.env["EVERSINCE_API_KEY"] = account[1]
    applied(space)
    assert set(entries(space)) == {"teaser", "trailer", "fresh"}


def test_a_single_managed_project_that_is_gone_is_reported_as_gone(tmp_path, accounts, account):
    space = space_of(tmp_path / "w", "agency", account, "projects: {a: {brief: Sea.}}\n")
    applied(space)
    space.env["EVERSINCE_API_KEY"], _ = accounts.open()
    assert "no longer has project" in space.run("plan").out


LOST = "the state is new, but the account has projects that look like 2 of the 2 in the specs"


@pytest.fixture
def lost(tmp_path, account):
    """A workspace that was applied, and whose state was deleted."""
    space = space_of(tmp_path / "w", "agency", account)
    applied(space)
    account[2].finish_all()
    (space.root / "reconciler.state.json").unlink()
    return space


@pytest.mark.sampled(3)
@pytest.mark.parametrize("format_", ["text", "markdown", "html"])
def test_a_plan_without_a_state_says_so_at_the_top_and_shows_an_upper_bound(lost, format_):
    """Intent: a reviewer of the plan sees first that the state may be lost, and what the numbers are."""
    said = lost.run("plan", "--format", format_).out
    top = said.find(LOST)
    assert 0 <= top < min(i for i in (said.find("will be created"), said.find("Plan:")) if i >= 0)
    assert "reconciler state recover" in said[top : top + 400]
    assert "Plan: at most 2 projects to create" in said or "Plan: at most 2 to create" in said, said
    assert "At most 2" in said and "spend credits, and less if the account has some of it already" in said
    assert "is an upper bound: a project that its key finds is not created again, and a message that its" in said


def test_what_looks_like_nobodys_is_no_upper_bound(tmp_path, account):
    space = space_of(tmp_path / "w", "agency", account)
    account[2].person_creates(brief="Another.", title="Other")
    said = space.run("plan").out
    assert "at most" not in said.lower() and "upper bound" not in said and "look like" not in said


def test_an_apply_without_a_state_binds_what_the_keys_find_and_buys_nothing(lost, account):
    before = acts(account[2], "create", "message")
    applied(lost)
    assert acts(account[2], "create", "message") == before and len(ids(lost)) == 2
    assert "No changes" in lost.run("plan").out


@pytest.mark.sampled(3)
@pytest.mark.parametrize("command", [("status",), ("output",), ("report", "--out", "public")], ids=" ".join)
def test_commands_that_show_what_is_managed_say_that_the_state_may_be_lost(lost, command):
    said = lost.run(*command).out
    assert LOST.replace("the state", "The state", 1) in said and "run `reconciler state recover`" in said
    assert "No projects are managed" not in said
    lost.run("state", "recover", "--auto-approve")
    assert "look like" not in lost.run(*command).out


@pytest.mark.sampled(3)
@pytest.mark.parametrize("command", ["status", "output"])
def test_documents_stay_documents_and_the_hint_goes_to_stderr(lost, command):
    ran = lost.run(command, "--format", "json")
    assert ran.document == {} and LOST in ran.err


@pytest.mark.sweep
def test_the_page_of_the_report_says_it_first(lost):
    lost.run("report", "--out", "public")
    page = (lost.root / "public" / "index.html").read_text()
    assert -1 < page.find("look like 2 of the 2") < page.find("0 projects")


@pytest.mark.parametrize("command", ["status", "output"])
def test_an_empty_account_has_no_lost_projects(tmp_path, account, command):
    space = space_of(tmp_path / "w", "agency", account)
    assert "No projects are managed." in space.run(command).out


def test_output_needs_no_key_to_say_that_nothing_is_managed(lost):
    lost.env["EVERSINCE_API_URL"] = "https://eversince.ai/api/v1"
    lost.env["EVERSINCE_API_KEY"] = ""
    assert "No projects are managed." in lost.run("output").out


def test_recover_without_a_terminal_shows_what_it_would_bind_and_binds_nothing(lost, account):
    ran = lost.run("state", "recover", code=1)
    assert ran.out.count(": same brief and title") == 2 and "= teaser -> " in ran.out
    assert "nothing was bound" in ran.err and "--auto-approve" in ran.err
    assert not (lost.root / "reconciler.state.json").exists() or not entries(lost)
    assert lost.run("state", "recover", "--auto-approve").out.endswith(
        "2 bound. `reconciler plan` shows what differs.\n"
    )


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    ("brief", "whole"), [("For dev.", True), ("A calm film about the sea. " * 12, False)], ids=["short", "cut"]
)
def test_a_lost_state_and_a_changed_brief_end_well(tmp_path, account, brief, whole):
    """Intent: the key tells, `state recover` believes it when the user says so, and the plan then shows the change."""
    store = account[2]
    space = space_of(tmp_path / "w", "agency", account, f"projects: {{a: {{brief: {brief}, messages: [Slower.]}}}}\n")
    applied(space)
    store.finish_all()
    (made,) = ids(space)
    (space.root / "reconciler.state.json").unlink()
    space.write("specs/a.yaml", "projects: {a: {brief: Something else., messages: [Slower.]}}\n")
    bought = acts(store, "create", "message")

    ran = applied(space, code=1)
    assert f"failed[E203]: a: create: the key `agency/a/1` belongs to `{made}`, which has another brief" in ran.out, (
        ran.out
    )
    assert "E203" in space.run("plan").out and "E203" in applied(space, code=1).out
    shown = space.run("state", "recover", code=1).out
    assert f"= a -> {made} (idle): its key made it; its brief differs from the spec's; 1 of 1 messages found" in shown
    space.run("state", "recover", "--auto-approve")
    assert acts(store, "create", "message") == bought
    planned = space.run("plan", "--format", "json").document
    if whole:
        (replaced, _) = planned["steps"]
        assert (replaced["action"], replaced["project_id"]) == ("replace", made)
        assert {"path": "brief", "before": brief, "after": "Something else."}.items() <= replaced["changes"][0].items()
    else:  # what the list shows is no reason to cancel anything
        (finding,) = planned["diagnostics"]
        assert not planned["steps"] and f"the brief of `{made}` differs from the spec's" in finding["summary"]
    space.run("apply", "--auto-approve", "--poll-interval", "0.05", *([] if whole else ["--replace", "a"]))
    applied(space)
    assert len(acts(store, "create")) == 2 and acts(store, "cancel") == [made]
    assert len(acts(store, "message")) == 2 and "No changes" in space.run("plan").out


def test_a_changed_spec_is_offered_by_its_title_before_any_apply(tmp_path, account):
    """Intent: likeness only offers; the user's word binds, and the plan shows the change."""
    space = space_of(
        tmp_path / "w", "agency", account, "projects: {a: {brief: A film of the sea., settings: {title: T}}}"
    )
    applied(space)
    account[2].finish_all()
    (made,) = ids(space)
    (space.root / "reconciler.state.json").unlink()
    space.write("specs/a.yaml", "projects: {a: {brief: A short film of the sea., settings: {title: T}}}")
    assert f"run `reconciler import a {made}`" in space.run("state", "recover", "--auto-approve").out
    space.run("import", "a", made)
    assert f"the brief of `{made}` differs from the spec's" in space.run("plan").out
    assert len(acts(account[2], "create")) == 1


def test_the_way_beside_a_disputed_key_leads_to_a_project_of_ones_own(tmp_path, account):
    """Intent: two states under one name: `--replace` makes a second project, and the first is never touched."""
    store = account[2]
    space = space_of(tmp_path / "w", "agency", account, "projects: {a: {brief: For dev.}}\n")
    applied(space, "--state", "dev.json")
    store.finish_all()
    (devs,) = ids(space, "dev.json")
    space.write("specs/a.yaml", "projects: {a: {brief: For prod., messages: [Slower.]}}\n")
    applied(space, "--state", "prod.json", code=1)
    before = len(store.ledger())
    space.run("--state", "prod.json", "apply", "--auto-approve", "--poll-interval", "0.05", "--replace", "a")
    space.run("--state", "prod.json", "destroy", "--auto-approve", "--force")
    assert ids(space, "dev.json") == {devs} and devs not in {e.project_id for e in store.ledger()[before:]}


def test_a_key_that_is_refused_as_used_binds_nothing_and_blocks_nothing_else(tmp_path, account):
    """Intent: a server that answers a reused key with 409 means the same as one that answers with the project."""
    store = account[2]
    space = space_of(tmp_path / "w", "agency", account, "projects: {a: {brief: For dev.}}\n")
    applied(space, "--state", "dev.json")
    space.write("specs/a.yaml", "projects: {a: {brief: For prod.}}\n")
    refusal = {"kind": "status", "method": "POST", "path": "^/projects$", "status": 409, "code": "conflict"}
    for _ in range(2):
        store.add_fault(Fault(**refusal))
        ran = applied(space, "--state", "prod.json", code=1)
        assert "failed[E203]: a: create: the key `agency/a/1` has been used for another request" in ran.out
    before = len(store.ledger())
    space.run("--state", "prod.json", "apply", "--auto-approve", "--replace", "a", "--wait", "none")
    assert set(acts(store)[before:]) == ids(space, "prod.json") != ids(space, "dev.json")
    assert store.ledger()[before].idempotency_key == "agency/a/2"


def test_what_was_adopted_before_is_said_in_plan_and_apply(tmp_path, account):
    """Intent: adopting is the user's word, but the user hears that someone was here before."""
    specs = "projects: {a: {adopt: 51d10000-0000-4000-8000-000000000001}}\n"
    first, second = (space_of(tmp_path / name, name, account, specs) for name in ("one", "two"))
    said = "adopted before: by an earlier run, or by someone else"
    assert said not in first.run("plan").out + applied(first).err
    assert said in second.run("plan").out and said in applied(second).err


LATE = """\
projects:
  one: {brief: The first., settings: {title: One}}
  two: {brief: The second., settings: {title: Two}}
  three: {brief: The third., settings: {title: Three}}
"""


@pytest.mark.sampled(3)
@pytest.mark.parametrize("first", ["import", "target", "part", "recover"])
def test_whatever_the_first_write_after_a_loss_is_the_others_are_not_bought_again(tmp_path, account, first):
    """Intent: the state is lost, the keys expired; binding one project must not end what protects the others."""
    store = account[2]
    space = space_of(tmp_path / "w", "w", account, LATE)
    applied(space)
    aged(store, 72)
    mine = entries(space)
    (space.root / "reconciler.state.json").unlink()
    match first:
        case "import":
            space.run("import", "one", mine["one"]["project_id"])
        case "target":
            applied(space, code=1)
            space.run("apply", "--auto-approve", "--target", "one", code=1)
        case "part":
            space.write("specs/a.yaml", "projects:\n  other: {brief: Something else.}\n")
            applied(space)
            space.write("specs/a.yaml", LATE)
        case "recover":
            twin = space_of(
                tmp_path / "twin", "twin", account, "projects:\n  two: {brief: The second., settings: {title: Two}}\n"
            )
            applied(twin, code=1)
            twin.run("apply", "--auto-approve", "--replace", "two")
            aged(store, 72)
            space.run("state", "recover", "--auto-approve")
    before = len(acts(store, "create"))
    said = applied(space, code=1)
    assert "warning[E202]" in said.err + said.out
    assert len(acts(store, "create")) == before
    assert not acts(store, "cancel")


def test_an_old_copy_of_the_state_buys_nothing_again_once_the_keys_are_forgotten(tmp_path, account):
    """Intent: neither a project nor a replacement that the copy does not know."""
    store = account[2]
    space = space_of(tmp_path / "w", "w", account, "projects:\n  one: {brief: The first., settings: {title: One}}\n")
    applied(space)
    copy = (space.root / "reconciler.state.json").read_bytes()
    space.write("specs/a.yaml", LATE.replace("The first.", "The first once more."))
    applied(space)
    aged(store, 72)
    (space.root / "reconciler.state.json").write_bytes(copy)
    before = len(acts(store, "create"))
    said = applied(space, code=1)
    assert (said.err + said.out).count("warning[E202]") >= 3
    assert len(acts(store, "create")) == before


def test_someone_elses_copy_of_an_old_project_stops_until_the_user_says_whose_it_is(tmp_path, account):
    store = account[2]
    dev, prod = (space_of(tmp_path / name, f"agency-{name}", account) for name in ("dev", "prod"))
    applied(prod)
    dev.write("specs/a.yaml", SPECS + "  late: {brief: A late one., settings: {title: Late}}\n")
    applied(dev)
    aged(store, 72)
    prod.write("specs/a.yaml", SPECS + "  late: {brief: A late one., settings: {title: Late}}\n")
    applied(prod, code=1)
    prod.run("apply", "--auto-approve", "--replace", "late")
    assert prod.run("plan", "--detailed-exitcode").out
    assert not ids(dev) & ids(prod)


def test_status_and_report_say_that_the_key_is_of_another_account(tmp_path, account, accounts):
    space = space_of(tmp_path / "w", "w", account, LATE)
    applied(space)
    key, _ = accounts.open()
    for command in (("status",), ("report", "--out", "page")):
        said = space.run(*command, code=1, EVERSINCE_API_KEY=key)
        assert "E204" in said.err and "gone" not in said.out
    assert not (space.root / "page").exists()


def test_what_is_exported_in_an_environment_is_imported_there_only(tmp_path, account):
    """Intent: the file that export writes must not break the other environments."""
    url, key, store = account
    config = "workspace: w\nenvironments: {dev: {}, prod: {}}\n"
    space = make_space(tmp_path / "w", SPECS, config, EVERSINCE_API_URL=url, EVERSINCE_API_KEY=key)
    theirs = store.person_creates(brief="Made by hand.", title="By hand")
    space.run("-e", "dev", "export", "--out", "specs/more")
    (written,) = (space.root / "specs" / "more").iterdir()
    assert "only: [dev]" in written.read_text()
    for name in ("dev", "prod"):
        space.run("-e", name, "validate")
    assert theirs in space.run("-e", "dev", "plan").out
    assert theirs not in space.run("-e", "prod", "plan").out


@pytest.mark.sweep
def test_a_replacement_whose_key_is_anothers_stops_until_the_user_passes_over_that_key(tmp_path, account):
    """Intent: a second folder under one name used the next key; no apply after that promises what the key can't do."""
    store = account[2]
    one, two = (
        space_of(tmp_path / name, "w", account, "projects:\n  promo: {brief: First.}\n") for name in ("one", "two")
    )
    applied(one, "-v")
    applied(two)
    two.run("apply", "--auto-approve", "--replace", "promo")
    one.write("specs/a.yaml", "projects:\n  promo: {brief: Another one.}\n")
    first = applied(one, code=1)
    assert "the next apply creates" not in first.out + first.err
    before = len(store.ledger())
    planned = one.run("plan", "--format", "json").document
    assert not planned["steps"] and "E203" in {d.get("code") for d in planned["diagnostics"]}
    applied(one, code=1)
    assert len(store.ledger()) == before
    one.run("apply", "--auto-approve", "--replace", "promo")
    assert not ids(one) & ids(two)
    assert one.run("plan", "--detailed-exitcode").out


def test_an_old_state_that_was_put_back_does_not_move_into_a_second_environment(tmp_path, account):
    """Intent: a project belongs to one environment, also where a backup says otherwise."""
    url, key, _ = account
    space = make_space(tmp_path / "w", SPECS, "workspace: w\n", EVERSINCE_API_URL=url, EVERSINCE_API_KEY=key)
    applied(space)
    copy = (space.root / "reconciler.state.json").read_bytes()
    space.write("reconciler.yaml", "workspace: w\nenvironments: {dev: {}, prod: {}}\n")
    space.run("state", "mv", "--to-environment", "prod")
    (space.root / "reconciler.state.json").write_bytes(copy)
    said = space.run("state", "mv", "--to-environment", "dev", code=1)
    assert "is already managed as `teaser` in environment `prod`" in said.err and "Nothing was moved" in said.err
    assert (space.root / "reconciler.state.json").read_bytes() == copy
    assert not (space.root / "reconciler.dev.state.json").exists()
