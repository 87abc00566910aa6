"""Whatever the account holds: the plans of one identity have no step on a project that another one's state or key owns."""

from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model.plan import Adopt, Create, Replace
from reconciler.model.state import Dispute
from reconciler.planning.planner import Selection, make_plan
from tests.planning.planning_support import AT, HEADER, account, adopted, created, desired, entry, imported, live, state
from tests.sampling import examples, tried

ADDRESSES = ["a", "b", "c"]
BRIEFS = ["A calm film.", "A calm film, slowly.", "Something else."]
TITLES = ["T", "t ", "U"]
IDENTITIES = ["agency", "agency-prod", "agency@dev", "agency@prod", "a"]
OWNERS = ["one", "two", "the key of one", "the key of two", "nobody"]


@st.composite
def projects(draw):
    """A live project, who owns it, and at which address."""
    made = draw(st.sampled_from(["2025-12-31T23:00:00Z", "2025-12-01T00:00:00Z", None]))
    status = draw(st.sampled_from(["idle", "running", "queued", "failed", "cancelled", "odd"]))
    looks = {"brief": draw(st.sampled_from(BRIEFS)), "title": draw(st.sampled_from(TITLES))}
    studio = draw(st.sampled_from([None, None, "studio_1"]))
    project = live("", status=status, created_at=made, source_project_id=studio, **looks)
    return project, draw(st.sampled_from(OWNERS)), draw(st.sampled_from(ADDRESSES)), draw(st.integers(1, 3))


@st.composite
def specs_of(draw, address):
    looks = {"brief": draw(st.sampled_from(BRIEFS)), "settings": {"title": draw(st.sampled_from(TITLES))}}
    more = {"messages": ["more"] * draw(st.integers(0, 1)), "cancelled": draw(st.sampled_from([False, False, True]))}
    lifecycle = {"on_failed": draw(st.sampled_from(["keep", "recreate"]))}
    return created(address, **looks, **more, lifecycle=lifecycle)


@st.composite
def selections(draw):
    some = st.frozensets(st.sampled_from(ADDRESSES))
    flags = {name: draw(st.booleans()) for name in ("destroy", "refresh_only", "refresh")}
    return Selection(targets=draw(st.none() | some), replace=draw(some), **flags)


def planned(identity, owner, seen, specs, selection, *, lost, disputes):
    """The plan of one identity, and the ids of the projects in its state."""
    entries = {}
    for project, whose, address, generation in seen:
        if whose == owner and not lost:
            entries.setdefault(address, entry(project.id, generation=generation))
    generations = {address: e.generation for address, e in entries.items()}
    have = replace(
        state(generations=generations, **entries),
        workspace=identity,
        serial=0 if lost else 3,
        applied_at=None if lost else AT,
    )
    have = replace(have, disputes={a: d for a, d in disputes.items() if a not in entries})
    everything = account(*(project for project, *_ in seen), complete=True)
    made = make_plan(specs, have, everything, selection=selection, header=HEADER, active_limit=5)
    return made, {e.project_id for e in entries.values()}


@examples(50, 600)
def test_no_plan_has_a_step_on_what_another_identity_owns(examples):
    tried(no_step_on_what_another_owns, examples, data=st.data())


def no_step_on_what_another_owns(data):
    names = data.draw(st.lists(st.sampled_from(IDENTITIES), min_size=2, max_size=2, unique=True))
    drawn = data.draw(st.lists(projects(), max_size=8))
    seen = [(replace(project, id=f"proj_{n}"), *rest) for n, (project, *rest) in enumerate(drawn)]
    keys = []
    for name, owner in zip(names, ("one", "two"), strict=True):
        declared = [data.draw(specs_of(address)) for address in ADDRESSES if data.draw(st.booleans())]
        if data.draw(st.booleans()):
            declared.append(adopted("from-studio", "studio_2"))
        nobodys = [project.id for project, whose, *_ in seen if whose == "nobody"]
        if nobodys and data.draw(st.booleans()):
            declared.append(imported("theirs", nobodys[0]))  # the user's word
        disputes = {
            address: Dispute(generation, project.id)
            for project, _, address, generation in seen
            if data.draw(st.sampled_from([False, False, True]))
        }
        made, own = planned(
            name,
            owner,
            seen,
            desired(*declared),
            data.draw(selections()),
            lost=data.draw(st.booleans()),
            disputes=disputes,
        )
        touched = {step.project_id for step in made.steps if step.project_id is not None}
        assert touched <= own | set(nobodys[:1]), (made.steps, own)
        assert all(step.body["project_id"] == "studio_2" for step in made.steps if isinstance(step, Adopt))
        mine = [step.key for step in made.steps if isinstance(step, Create | Replace)]
        assert all(key == f"{name}/{key.split('/')[1]}/{key.split('/')[2]}" for key in mine)
        keys.append(set(mine))
    assert not keys[0] & keys[1]
