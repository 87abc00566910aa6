"""A matrix of projects is one block: what they share once, what differs in a table, and nothing of it lost or hidden."""

import re

import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model.desired import DesiredMessage
from reconciler.model.errors import Diagnostic
from reconciler.model.plan import Adopt, Cancel, Create, Forget, Import, Message, Move, Release, Replace, Update
from reconciler.report.groups import group_projects
from reconciler.report.style import Style
from reconciler.report.summary import by_importance
from reconciler.report.text import plan_text
from tests.cli.report_samples import PLAN, change
from tests.sampling import examples, tried

MARKETS = ("us", "de", "fr", "it")
TEXT = st.text("ab ,.‹›\n\"'é", max_size=12) | st.lists(st.sampled_from(["red ", "blue", " 1", ", ", "x.y"])).map(
    "".join
)


def address(key):
    return f"promo[{key}]"


def create(key, text, **more):
    return Create(
        address=address(key),
        reason="it is in the specs and not in the state",
        body={"brief": text},
        generation=0,
        key=f"acme/{address(key)}/0",
        changes=(change("brief", None, text, "none"), change("settings.title", None, f"Promo {key}", "none")),
        **more,
    )


def matrix(*steps, diagnostics=()):
    projects = {}
    for step in steps:
        projects.setdefault(step.address, []).append(step)
    return group_projects(projects, diagnostics)


def written(group, number, text):
    """What a text of the group reads for one of its projects."""
    names, values = (
        re.fullmatch(r"promo\[(.*)\]", where)[1].split(",") for where in (group.address, group.addresses[number])
    )
    for placeholder, value in (*zip(names, values, strict=True), *zip(group.columns, group.rows[number], strict=True)):
        text = text.replace(placeholder, value)
    return text


def test_what_is_common_is_said_once_with_the_key_where_it_differs():
    (group,) = matrix(*(create(key, f"For {key}, warm light. Show {key} last.") for key in MARKETS))

    assert (group.address, group.columns) == ("promo[‹1›]", ())
    assert group.addresses == tuple(map(address, MARKETS))
    assert [c.after for c in group.steps[0].changes] == ["For ‹1›, warm light. Show ‹1› last.", "Promo ‹1›"]


def test_what_the_key_does_not_say_is_a_column():
    words = ("a shop", "two shops", "no shop", "a street")

    (group,) = matrix(*(create(key, f"Show {word} in {key}.") for key, word in zip(MARKETS, words, strict=True)))

    assert group.steps[0].changes[0].after == "Show ‹2› in ‹1›."
    assert (group.columns, group.rows) == (("‹2›",), tuple((word,) for word in words))


def test_a_matrix_of_two_axes_has_a_placeholder_for_each():
    keys = [f"{market},{form}" for market in MARKETS for form in ("16x9", "1x1")]

    (group,) = matrix(*(create(key, f"For {key.split(',')[0]} in {key.split(',')[1]}.") for key in keys))

    assert group.address == "promo[‹1›,‹2›]"
    assert group.steps[0].changes[0].after == "For ‹1› in ‹2›."


def can_be_read_back(texts):
    groups = matrix(*(create(f"k{i}", text) for i, text in enumerate(texts)))

    for group in groups:
        if any('"' in cell for row in group.rows for cell in row):
            continue  # shown in quotes
        for number, where in enumerate(group.addresses):
            text = written(group, number, group.steps[0].changes[0].after) if len(group.addresses) > 1 else None
            assert text in (None, texts[int(where.removeprefix("promo[k").removesuffix("]"))])
    assert sorted(where for group in groups for where in group.addresses) == [
        address(f"k{i}") for i in range(len(texts))
    ]
    assert all(len({*column}) > 1 for group in groups for column in zip(*group.rows, strict=True))


@examples(60, 600)
def test_every_text_can_be_read_back_exactly(examples):
    tried(can_be_read_back, examples, texts=st.lists(TEXT, min_size=3, max_size=5, unique=True))


def test_spaces_and_nothing_are_seen_in_a_column():
    texts = ("Show it.", "Show it now.", 'Show it "now".', "Show it  now.")

    (group,) = matrix(*(create(key, text) for key, text in zip(MARKETS, texts, strict=True)))

    cells = [row[0] for row in group.rows]
    assert len({*cells}) == 4
    assert all(cell[0] == cell[-1] == '"' for cell in cells)


def known(name, kind, **more):
    return kind(address=address(name), project_id=f"proj_{name}", reason="", **more)


DANGEROUS = {
    "replace": lambda key: known(key, Replace, body={}, generation=1, key="k"),
    "cancel": lambda key: known(key, Cancel),
    "release": lambda key: known(key, Release),
    "forget": lambda key: known(key, Forget),
    "drift": lambda key: known(
        key, Update, body={"title": "a"}, changes=(change("settings.title", "b", "a", drift=True),)
    ),
}


@pytest.mark.parametrize("make", DANGEROUS.values(), ids=DANGEROUS)
def test_what_is_dangerous_stands_by_itself(make):
    assert [group.addresses for group in matrix(*map(make, MARKETS))] == [(address(key),) for key in MARKETS]


@pytest.mark.parametrize(
    "finding",
    [
        Diagnostic(severity="error", summary="it failed", address="promo[de]"),
        Diagnostic(severity="warning", summary="look", address="promo[de]"),
        Diagnostic(severity="note", summary="look", address="promo[de]", attention=True),
    ],
    ids=["error", "warning", "attention"],
)
def test_a_project_that_something_was_found_about_stands_by_itself(finding):
    groups = matrix(*(create(key, f"For {key}.") for key in MARKETS), diagnostics=(finding,))

    assert [group.addresses for group in groups] == [("promo[us]", "promo[fr]", "promo[it]"), ("promo[de]",)]


def test_a_dangerous_one_among_many_is_not_hidden_by_their_block():
    steps = [known(key, Update, body={"title": key}, changes=(change("settings.title", "x", key),)) for key in MARKETS]
    steps[2] = DANGEROUS["replace"]("fr")

    text = plan_text(replace(PLAN, steps=tuple(steps), diagnostics=()), style=Style(color=False))

    assert "# promo[‹1›] (proj_‹1›)" not in text  # proj_us is one word
    assert "# promo[fr] (proj_fr) will be replaced" in text


@pytest.mark.parametrize("text", ["‹1›", "a ‹ b", "›"])
def test_a_text_that_looks_like_a_placeholder_is_shown_as_it_is(text):
    groups = matrix(*(create(key, f"{text} for {key}") for key in MARKETS))

    assert [len(group.addresses) for group in groups] == [1] * 4


@pytest.mark.parametrize(
    "make",
    [
        lambda key: known(key, Import),
        lambda key: Adopt(address=address(key), reason="", body={"project_id": f"studio {key}"}),
        lambda key: Move(address=address(key), reason="", from_address=f"old[{key}]"),
        lambda key: known(key, Message, message=DesiredMessage("softer", {"message": f"Softer for {key}."})),
        lambda key: create(key, "same", after=(f"base[{key}]",), waits_for=f"`base[{key}]` to finish"),
    ],
    ids=["import", "adopt", "move", "message", "after"],
)
def test_each_kind_says_what_differs(make):
    text = plan_text(
        replace(PLAN, steps=tuple(map(make, MARKETS)), diagnostics=(), lifecycles={}), style=Style(color=False)
    )

    assert text.count("# promo") == 1
    assert "‹1›" in text.split("\n# promo", 1)[1].split("\n", 1)[1]
    assert all(address(key) in text for key in MARKETS)


def test_who_waits_for_a_slot_is_counted():
    steps = [create(key, "same", waits_for=None if key == "us" else "a free slot") for key in MARKETS]

    (group,) = matrix(*steps)

    assert group.steps[0].waits_for == "a free slot, 3 of 4"


def test_two_are_shown_one_by_one_and_verbose_shows_all():
    steps = tuple(create(key, f"For {key}.") for key in MARKETS)
    plan = replace(PLAN, steps=steps, diagnostics=())

    assert len(matrix(*steps[:2])) == 2
    assert plan_text(plan, style=Style(color=False), verbose=True).count("# promo[") == 4
    assert plan_text(plan, style=Style(color=False)).count("# promo[") == 1


def test_a_table_fits_the_terminal_and_different_cells_stay_different():
    words = [f"{'a very long street scene ' * 6}number {i}" for i in range(4)]
    steps = tuple(create(key, f"Show {word}") for key, word in zip(MARKETS, words, strict=True))
    plan = replace(PLAN, steps=steps, diagnostics=(), lifecycles={})

    text = plan_text(plan, style=Style(color=False, width=60, columns=60))
    rows = [line for line in text.split("\n") if line.startswith("      promo[")][1:]

    assert len({row.split("  ")[-1] for row in rows}) == 4
    assert max(map(len, rows)) <= 60


def test_a_summary_has_one_line_for_each_project_and_all_findings():
    text = plan_text(PLAN, style=Style(color=False), summary=True)
    lines = text.split("\n\n")[0].split("\n")

    assert [line.split()[1] for line in lines] == [a for group in by_importance(PLAN).values() for a in group]
    assert lines[0].split() == ["-/+", "intro", "will", "be", "replaced", "(brief)"]
    assert all(diagnostic.summary in text for diagnostic in PLAN.diagnostics)
    assert text.rstrip().endswith(plan_text(PLAN, style=Style(color=False)).rstrip().split("\n")[-1])


def test_projects_that_end_alike_are_named_one_by_one_under_one_heading():
    """Intent: a destroy of thirty is read at a glance, and no project of it is out of sight."""
    names = [f"film-{number}" for number in range(30)]
    ends = [Cancel(address=name, reason="destroy was requested", project_id=f"proj_{name}") for name in names]
    kept = Cancel(address="kept", reason="it left the specs", project_id="proj_kept")
    drifted = Cancel(
        address="drifted",
        reason="destroy was requested",
        project_id="proj_drifted",
        changes=(change("settings.title", "Old", "New", "status"),),
    )

    shown = plan_text(replace(PLAN, steps=[*ends, kept, drifted], diagnostics=[]), style=Style(color=False, columns=80))

    assert shown.count("# 30 projects will each be cancelled\n  x cancel: destroy was requested\n      film-0 (") == 1
    assert [line.strip() for line in shown.splitlines() if line.strip().startswith("film-")] == [
        f"{name} (proj_{name})" for name in names
    ]
    assert "# kept (proj_kept) will be cancelled\n" in shown and "# drifted (proj_drifted) will be cancelled\n" in shown

    each = plan_text(replace(PLAN, steps=ends, diagnostics=[]), style=Style(color=False, columns=80), verbose=True)
    assert each.count(" will be cancelled\n") == 30
