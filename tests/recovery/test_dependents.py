"""A run killed while it sends something that refers to another project: the next one makes nothing twice."""

import pytest

from tests.recovery.runs import arrived, killed
from tests.sampling import square

BEFORE, SENT, RECEIVED = 1, 2, 3
TEASER = "projects:\n  teaser: {brief: A teaser., settings: {title: Teaser}}\n"
CUT = TEASER + "  cut: {brief: A cut., settings: {title: Cut}, references: [{project: teaser}]}\n"
TOLD = TEASER + (
    "  cut: {brief: A cut., settings: {title: Cut}, messages: [{message: Look., references: [{project: teaser}]}]}\n"
)


@pytest.fixture
def world(new_world):
    return new_world(TEASER, once=True)


def references(world, kind="create"):
    return [e.detail["references"] for e in world.store.ledger() if e.kind == kind and "references" in e.detail]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("at", [BEFORE, SENT, RECEIVED])
def test_a_create_with_a_video(world, at):
    world.specs(CUT)
    killed(world, at)
    world.converges()
    assert len(world.created()) == 2
    ((reference,),) = references(world)
    assert reference["url"].startswith("http") and reference["type"] == "video"
    assert world.entries()["cut"]["creation"]["references"] == [{"project": "teaser", "type": "video"}]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("at", [BEFORE, SENT, RECEIVED])
def test_a_message_with_a_video(world, at):
    world.specs(TOLD.replace("messages:", "extract_content: false, messages:"))
    killed(world, 3 + at)
    world.converges()
    assert world.sent("cut") == ["Look."]
    assert len(references(world, "message")) == 1


@pytest.mark.sampled(3)
@pytest.mark.parametrize("at", [BEFORE, SENT, RECEIVED])
def test_a_new_render_between_the_kill_and_the_next_run(world, at):
    """The URL is another one by then; the key and the symbol are the same."""
    world.specs(CUT)
    killed(world, at)
    world.store.person_writes(world.entries()["teaser"]["project_id"], "Again, please.")
    world.store.finish_all()
    world.converges()
    assert len(world.created()) == 2


@pytest.mark.sampled(3)
@pytest.mark.parametrize("at", [BEFORE, SENT, RECEIVED])
def test_a_rename_by_hand_between_the_kill_and_the_next_run(world, at):
    """What the killed run wrote down is renamed as well, so the message is known again."""
    world.specs(TOLD)
    killed(world, 3 + at)
    assert world.run("state", "mv", "teaser", "trailer").code == 0
    world.specs(TOLD.replace("  teaser:", "  trailer:").replace("project: teaser", "project: trailer"))
    world.converges()
    assert world.sent("cut") == ["Look."] and len(world.created()) == 2


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("at", "status"), square(2, [BEFORE, RECEIVED], ["failed", "cancelled", "running"]))
def test_a_create_whose_video_can_no_longer_be_had_is_neither_lost_nor_doubled(world, at, status):
    """Its key can't be sent again just now; once that is mended, it is bound."""
    world.specs(CUT)
    killed(world, at)
    arrived(world, 1 + (at == RECEIVED))
    made = len(world.created())
    teaser = world.entries()["teaser"]["project_id"]
    world.store.set_status(teaser, status)
    ended = world.apply("--wait", "none")
    assert ended.code == 0, str(ended)
    assert len(world.created()) == made and not world.pending()
    world.store.set_status(teaser, "idle")
    world.converges()
    assert len(world.created()) == 2


def test_the_project_that_is_waited_for_is_made_once_though_the_run_dies_in_between(new_world):
    world = new_world(CUT)
    killed(world, RECEIVED)
    world.converges()
    assert len(world.created()) == 2


@pytest.mark.parametrize("kept", [True, False])
def test_one_that_was_forgotten_and_renamed_replaces_nothing_that_refers_to_it(world, kept):
    """Also not once the entry under `moved` is gone: one apply with it is enough."""
    world.specs(CUT)
    world.converges()
    cut = world.entries()["cut"]["project_id"]
    assert world.run("state", "rm", "teaser", "--auto-approve").code == 0
    renamed = CUT.replace("teaser: {", "trailer: {").replace("project: teaser", "project: trailer")
    world.specs(renamed + "moved: [{from: teaser, to: trailer}]\n")
    assert world.apply().code == 0
    if not kept:
        world.specs(renamed)
    world.converges()
    assert world.entries()["cut"]["project_id"] == cut and len(world.created()) == 3
