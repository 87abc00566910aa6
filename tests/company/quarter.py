"""A quarter of the company's life: what people and machines do, step by step, and what may have been paid for after each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from reconciler.sandbox.store import Fault
from tests.company.company import SOFTER, Company, film
from tests.recipes.test_github_flow import failures
from tests.recipes.workflow import Job

HERE = Path(__file__).parent / "transcripts"
VOICE = "Add a calm voice."
RULES = """\
// deny size: a pull request makes at most four films
plan.summary.create <= 4

// approve(finance) production: more than two films for everybody to see
plan.environment != "prod" || plan.summary.create <= 2
"""


def green(jobs: dict[str, Job]) -> None:
    assert not failures(jobs), {name: job.log for name, job in jobs.items() if job.failed}


def red(jobs: dict[str, Job], **where: str) -> None:
    """Those jobs have failed, and where; no others."""
    assert {name.replace("teams%2f", "").replace(" ", "_"): step for name, step in failures(jobs).items()} == where


def made(company: Company, workspace: str, *names: str, messages: tuple[str, ...] = (SOFTER,), only: str = "") -> None:
    """Projects are paid for, in every environment or only in one."""
    for environment in [only] if only else company.environments:
        for name in names:
            key = f"{workspace}@{environment}/{name}/1"
            company.pay(environment, f"create {key}", *(f"message {key}: {text}" for text in messages))


def onboarding(company: Company) -> None:
    """The first pull request adds every workspace; its merge makes every film once, each in the account of its environment."""
    lines = "".join(
        f"  {each}: {{api: {{url: '{company.account(each).server.url}'}}}}\n" for each in company.environments
    )

    def files(name: str) -> dict[str, str | None]:
        config = f"workspace: {name}\nlimits: {{requests_per_minute: 100000}}\nenvironments:\n{lines}"
        return {"reconciler.yaml": config, **film("teaser", SOFTER), **film("trailer", only="prod")}

    green(company.opens(1, "All our films", *(company.write(files(name), name) for name in company.names)))
    company.compare()
    green(company.merges(1))
    for name in company.names:
        made(company, name, "teaser")
        made(company, name, "trailer", messages=(), only="prod")


def one_changes(company: Company) -> None:
    """A pull request that changes one workspace is planned and applied there and nowhere else."""
    with company.counted("one of all workspaces"):
        green(company.opens(2, "A voice for ads", company.write(film("teaser", SOFTER, VOICE), "ads")))
    company.compare()
    green(company.merges(2))
    for each in company.environments:
        company.pay(each, f"message ads@{each}/teaser/1: {VOICE}")


def all_change(company: Company) -> None:
    """The same workflow plans every workspace where all have changed: what planning one only has spared."""
    said = {"ads": (SOFTER, VOICE)}
    changes = [
        company.write(film("teaser", *said.get(name, (SOFTER,)), "Let it rain."), name) for name in company.names
    ]
    with company.counted("all workspaces"):
        green(company.opens(3, "Rain everywhere", *changes))
    company.closes(3)
    company.tell(*(f"requests of planning {what}: {requests}" for what, (requests, _) in company.figures.items()))


def racing(company: Company) -> None:
    """Of two pull requests on one workspace the one that is applied first has the claim; the other is behind until its merge."""
    green(company.opens(4, "Spring", company.write(film("spring", SOFTER), "brand")))
    green(company.opens(5, "Summer", company.write(film("summer", SOFTER), "brand")))
    green(company.comments(4, "ann", "/reconciler apply"))
    made(company, "brand", "spring")
    company.compare()
    red(
        company.comments(5, "mia", "/reconciler apply"),
        **{f"apply_brand_{each}": "Apply" for each in company.environments},
    )
    green(company.comments(5, "mia", "/reconciler plan"))
    company.plans_again()
    company.compare()
    green(company.merges(4))
    company.plans_again()
    company.compare()
    green(company.comments(5, "mia", "/reconciler apply"))
    made(company, "brand", "summer")
    company.compare()
    green(company.merges(5))


def merge_queue(company: Company) -> None:
    """The queue takes what was reviewed, and turns away a plan that was made for other files than would be merged."""
    green(company.opens(6, "Autumn", company.write(film("autumn"), "care")))
    green(company.opens(7, "Winter", company.write(film("winter"), "care")))
    green(company.queues(6))
    company.compare()
    green(company.merges(6))
    made(company, "care", "autumn", messages=())
    company.compare()
    fetch = "Fetch the plan that was reviewed"
    red(company.queues(7), **{f"plan_care_{each}": fetch for each in company.environments})
    green(company.comments(7, "ann", "/reconciler plan"))
    company.plans_again()
    green(company.queues(7))
    company.compare()
    green(company.merges(7))
    made(company, "care", "winter", messages=())


def permission(company: Company) -> None:
    """Who may not write to the repository applies nothing; who may, applies what the comment shows."""
    green(company.opens(8, "An encore", company.write(film("encore"), "brand")))
    red(company.comments(8, "eve", "/reconciler apply"), command="Take the command")
    company.compare()
    green(company.comments(8, "ada", "/reconciler apply"))
    made(company, "brand", "encore", messages=())
    company.compare()
    green(company.merges(8))


def policy(company: Company) -> None:
    """A rule denies what is too much, another wants finance to agree on production; both hold for the pull request after."""

    def rules(repository: Path) -> None:
        folder = repository / ".github" / "actions" / "reconciler" / "policy"
        folder.mkdir()
        (folder / "rules.cel").write_text(RULES)

    green(company.opens(9, "Rules", rules))
    green(company.merges(9))
    films = [f"day-{number}" for number in range(1, 6)]
    add = [company.write(film(name), "events") for name in films]
    denied = {f"plan_events_{each}": "Fail where the plan did" for each in company.environments}
    red(company.opens(10, "Five days of events", *add), **denied)
    keep = {f"specs/{name}.yaml": None for name in films[3:]}
    green(company.opens(10, "Three days will do", company.write(keep, "events")))
    company.compare()
    red(company.merges(10), apply_events_prod="Apply")
    for each in company.environments:
        if each != "prod":
            for name in films[:3]:
                company.pay(each, f"create events@{each}/{name}/1")
    company.compare()
    company.tell("== Finance approves the environment prod")
    company.github.environments["prod"]["RECONCILER_APPROVED_BY"] = "finance"
    green(company.applies(again=True))
    made(company, "events", *films[:3], messages=(), only="prod")


def drift(company: Company) -> None:
    """What somebody changes by hand opens one issue, whose saved plan undoes it; the issue closes by itself."""
    live = company.account("prod")
    key = "ads@prod/trailer/1"
    company.tell("== Somebody gives the trailer of ads another title in the studio")
    live.store.person_sets(live.project(key), title="The best trailer")
    green(company.night())
    green(company.night())
    (issue,) = company.github.account["issues"]
    digest = re.search("Digest: `([0-9a-f]{64})`", issue["body"])[1]
    plans = (company.github.home / "artifacts").glob("*/drift-teams%2fads prod/saved.plan")
    plan = max(plans, key=lambda path: int(path.parts[-3]))
    company.compare()
    company.runs("ads", "prod", "apply", str(plan), "--digest", digest)
    company.pay("prod", f"settings {key}: {{'title': 'trailer'}}")
    company.compare()
    green(company.night())
    assert [each["state"] for each in company.github.account["issues"]] == ["closed"]


def out_of_credits(company: Company) -> None:
    """The account runs dry within an apply; topped up, the job is run again and goes on where it stopped."""
    live = company.account("prod")
    spots = ("spot-1", "spot-2", "spot-3")
    green(company.opens(11, "Spots for food", *(company.write(film(each, only="prod"), "food") for each in spots)))
    costs = live.store.options.create_cost
    company.tell("== Somebody else spends nearly all credits")
    live.store.set_credits(2 * costs)
    red(company.merges(11), apply_food_prod="Apply")
    made(company, "food", *spots[:2], messages=(), only="prod")
    company.compare()
    company.tell("== The account is topped up")
    live.store.set_credits(100_000)
    green(company.applies(again=True))
    made(company, "food", *spots[2:], messages=(), only="prod")


def api_down(company: Company) -> None:
    """The API takes nothing more within an apply, then answers nothing at all; the job is run again until it is done."""
    live = company.account("prod")
    levels = ("level-1", "level-2")
    green(
        company.opens(
            12, "Levels for games", *(company.write(film(each, SOFTER, only="prod"), "games") for each in levels)
        )
    )
    down = {"kind": "status", "status": 503, "times": 0, "retry_after": "0.01"}
    live.store.add_fault(Fault(**down, method="POST", skip=1))
    red(company.merges(12), apply_games_prod="Apply")
    company.pay("prod", "create games@prod/level-1/1")
    company.compare()
    live.store.clear_faults()
    live.store.add_fault(Fault(**down))
    red(company.applies(again=True), apply_games_prod="Apply")
    company.compare()
    live.store.clear_faults()
    company.tell("== The API is back")
    green(company.applies(again=True))
    company.pay("prod", f"message games@prod/level-1/1: {SOFTER}")
    made(company, "games", "level-2", only="prod")


def machine_lost(company: Company) -> None:
    """The machine dies when a message was sent and its answer was not read; run again, the job finds it, and sends the rest."""
    live = company.account("prod")
    green(company.opens(13, "Care, from behind", company.write(film("backstage", SOFTER, VOICE, only="prod"), "care")))
    held = Fault(kind="timeout", method="POST", path="/messages$", when="after", seconds=60)
    with company.machine_lost(live, held, len(live.store.ledger()) + 2):
        red(company.merges(13), apply_care_prod="Apply")
    company.pay("prod", "create care@prod/backstage/1", f"message care@prod/backstage/1: {SOFTER}")
    company.compare()
    green(company.applies(again=True))
    company.pay("prod", f"message care@prod/backstage/1: {VOICE}")


def workspace_ends(company: Company) -> None:
    """A workspace that is over is destroyed, then deleted; nothing of it is planned any more, and no other one is touched."""
    for each in company.environments:
        company.runs("travel", each, "destroy", "--auto-approve")
    company.compare()
    gone = {"reconciler.yaml": None, "specs/teaser.yaml": None, "specs/trailer.yaml": None}

    def change(repository: Path) -> None:
        for name in gone:
            (repository / "teams" / "travel" / name).unlink()

    green(company.opens(14, "No more travels", change))
    green(company.merges(14))
    company.names = tuple(name for name in company.names if name != "travel")


def the_end(company: Company) -> None:
    """At the end every workspace is planned in every environment: no changes, and all was paid for once."""
    jobs = company.night()
    green(jobs)
    assert len([name for name in jobs if name.startswith("drift ")]) == len(company.names) * len(company.environments)
    assert all(each["state"] == "closed" for each in company.github.account["issues"])
    for name, account in company.accounts.items():
        kinds = [text.partition(" ")[0] for text in account.paid.elements()]
        company.tell(f"account {name}: " + ", ".join(f"{kinds.count(kind)} × {kind}" for kind in sorted(set(kinds))))


Step = Callable[[Company], None]
QUARTER: tuple[Step, ...] = (
    onboarding,
    one_changes,
    all_change,
    racing,
    merge_queue,
    permission,
    policy,
    drift,
    out_of_credits,
    api_down,
    machine_lost,
    workspace_ends,
    the_end,
)
WEEK: tuple[Step, ...] = (onboarding, one_changes, permission, machine_lost, the_end)


LIVES: dict[str, tuple[int, tuple[str, ...], tuple[Step, ...]]] = {
    "quarter": (12, ("dev", "staging", "prod"), QUARTER),
    "week": (3, ("dev", "prod"), WEEK),
}
"""How many workspaces there are in a life, their environments, and its steps."""


def lived(life: str, root: Path) -> Iterator[tuple[str, str]]:
    """The transcript of each step, by its name, once the accounts have what the story has paid for by then."""
    workspaces, environments, steps = LIVES[life]
    with Company(root, workspaces, environments) as company:
        for number, step in enumerate(steps, 1):
            company.tell(f"{step.__doc__}", "")
            try:
                step(company)
                company.compare()
            except BaseException as error:
                error.add_note(f"in step {number}, {step.__name__}, after:\n" + "\n".join(company.told[-40:]))
                raise
            yield f"{number:02}-{step.__name__.replace('_', '-')}", company.transcript()
        for what, (requests, seconds) in company.figures.items():
            print(f"{life}: planning {what}: {requests} requests, {seconds:.1f} s")
