"""A run killed while it uploads a file: the next one uploads it again if need be, and pays for nothing twice."""

import pytest

from tests.picture import image
from tests.recovery.runs import kill_at
from tests.sampling import every

SPECS = "projects:\n  it: {brief: A brief., settings: {title: It}, references: [{file: logo.png}]}\n"
TOLD = "projects:\n  it: {brief: A brief., settings: {title: It}, messages: [{message: Look., references: [{file: logo.png}]}]}\n"
CALLS = 3 * 4
"""Before, sent and received of POST /uploads, the PUT, POST /uploads/confirm, and the create."""


@pytest.fixture
def world(new_world):
    world = new_world(SPECS)
    (world.folder / "logo.png").write_bytes(image("logo"))
    return world


def effects(world, kind):
    return [effect for effect in world.store.ledger() if effect.kind == kind]


def calm(world):
    """The world converges, with one project, which refers to an upload that the account has."""
    world.converges()
    (create,) = effects(world, "create")
    given = {effect.detail["upload_id"] for effect in effects(world, "upload")}
    assert {reference["upload_id"] for reference in create.detail["references"]} <= given


@pytest.mark.sampled(3)
@pytest.mark.parametrize("at", every(3, range(1, CALLS + 1)))
def test_killed_at_each_call(world, at):
    ended = world.apply(orders=[kill_at("call", at)])
    assert ended.killed, str(ended)
    calm(world)
    assert len(effects(world, "upload")) <= 2


def test_a_killed_run_has_written_the_id_once_the_upload_is_confirmed(world):
    """The kill comes before the create: the next run uploads nothing."""
    ended = world.apply(orders=[kill_at("call", CALLS - 2)])
    assert ended.killed
    calm(world)
    assert len(effects(world, "upload")) == 1


@pytest.mark.sampled(3)
@pytest.mark.parametrize("at", every(2, [2, 6, 12]))
def test_killed_again_while_it_goes_on(world, at):
    for _ in range(2):
        world.apply(orders=[kill_at("call", at)])
    calm(world)
    assert len(effects(world, "upload")) <= 3


@pytest.mark.sampled(3)
@pytest.mark.parametrize("at", every(3, range(1, CALLS + 1)))
def test_a_message_with_a_file(world, at):
    world.specs(TOLD)
    ended = world.apply(orders=[kill_at("call", 3 + at)])
    assert ended.killed, str(ended)
    world.converges()
    assert world.sent("it") == ["Look."]
    (message,) = effects(world, "message")
    given = {effect.detail["upload_id"] for effect in effects(world, "upload")}
    assert message.detail["references"][0]["upload_id"] in given


def test_the_file_may_be_gone_once_its_create_was_begun(world):
    """What an interrupted create refers to is in the state; it is bound without the file."""
    ended = world.apply(orders=[kill_at("call", CALLS)])
    assert ended.killed
    (world.folder / "logo.png").rename(world.folder / "brand.png")
    world.specs(SPECS.replace("logo.png", "brand.png"))
    calm(world)
    assert len(effects(world, "upload")) == 1


@pytest.mark.sampled(3)
@pytest.mark.parametrize("at", every(3, range(1, 12)))
def test_killed_at_each_write_of_the_state(world, at):
    world.apply(orders=[kill_at("state", at)])
    calm(world)


def test_a_lost_state_uploads_again_and_binds_what_is_there(world):
    world.converges()
    world.state.unlink()
    calm(world)
