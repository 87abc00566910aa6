"""What every kind of step is called, in each of the places where people read it."""

from __future__ import annotations

from typing import assert_never

from msgspec import Struct
from msgspec.structs import asdict

from reconciler.model.desired import Lifecycle
from reconciler.model.events import StepResult
from reconciler.model.plan import (
    Adopt,
    Cancel,
    Create,
    Forget,
    Import,
    Message,
    Move,
    Release,
    Replace,
    Step,
    Update,
)
from reconciler.model.values import masked
from reconciler.report.fields import value_text
from reconciler.report.safe_text import clean
from reconciler.report.style import Colour


class Words(Struct, frozen=True):
    """``name``: the step itself. ``legend``: what its symbol means. ``done`` and ``doing``: what becomes of the project.

    ``calls``: whether the step talks to the API.
    """

    symbol: str
    colour: Colour
    name: str
    legend: str
    done: str
    doing: str
    calls: bool = True


def words(step: Step) -> Words:  # noqa: C901, PLR0911  one for each kind
    match step:
        case Create():
            return Words("+", "green", "create", "create (spends credits)", "created", "creating")
        case Replace():
            legend = "replace: cancel the old project, create a new one (spends credits)"
            return Words("-/+", "red", "replace", legend, "replaced", "replacing")
        case Adopt():
            return Words("&", "green", "adopt", "adopt a studio project", "adopted", "adopting")
        case Import():
            return Words("=", "green", "import", "import a project, no call", "imported", "importing", calls=False)
        case Update():
            return Words("~", "yellow", "update", "update settings in place", "updated", "updating")
        case Message():
            name = f'message "{clean(step.message.id)}"'
            return Words(">", "cyan", name, "send a message (spends credits)", f"sent {name}", f"sending {name}")
        case Cancel():
            return Words("x", "red", "cancel", "cancel", "cancelled", "cancelling")
        case Release():
            return Words("^", "yellow", "release", "release to the studio", "released", "releasing")
        case Forget():
            legend = "forget: the project stays, no call"
            return Words("-", "yellow", "forget", legend, "forgotten", "forgetting", calls=False)
        case Move():
            return Words("->", "cyan", "move", "move to another address, no call", "moved", "moving", calls=False)
        case _:
            assert_never(step)


def title(step: Step) -> str:
    """What a step is, with what it is about."""
    name = words(step).name
    match step:
        case Create() | Replace():
            usual = 1 if isinstance(step, Create) else 2
            return name if step.generation == usual else f"{name} (generation {step.generation} of its key)"
        case Adopt():
            return f"{name} studio project {value_text(masked(step.body.get('project_id')))}"
        case Import():
            return f"{name} {clean(step.project_id or '')}".rstrip()
        case Move():
            return f"{name} from {clean(step.from_address)}"
        case Release():
            return f"{name} to the studio"
        case Update() | Message() | Cancel() | Forget():
            return name
        case _:
            assert_never(step)


def waiting(step: Step) -> str:
    """What a step waits for, and what it comes after: each address that the first does not name."""
    told = step.waits_for or ""
    after = [address for address in step.after if f"`{address}`" not in told]
    parts = [f"waits for: {told}"] if told else []
    parts += [f"after: {', '.join(after)}"] if after else []
    return f"({'; '.join(parts)})" if parts else ""


def lifecycle_text(lifecycle: Lifecycle) -> str:
    """What is not as it is by default: ``on_remove: protect``."""
    plain = Lifecycle()
    told = [
        f"{name}: {', '.join(value) or 'none' if isinstance(value, tuple) else value}"
        for name, value in asdict(lifecycle).items()
        if value != getattr(plain, name)
    ]
    return "; ".join(told) or "as by default"


def fate(steps: list[Step]) -> str:
    """What becomes of a project: ``created and sent 2 messages``."""
    fates = [words(step).done for step in steps if not isinstance(step, Message)]
    messages = sum(isinstance(step, Message) for step in steps)
    return joined([*fates, f"sent {plural(messages, 'message')}"] if messages else fates)


def plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def joined(parts: list[str]) -> str:
    """``a, b and c``."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def why(result: StepResult) -> str:
    """One line: why a step did not get done, as far as anything was said about it."""
    if result.note:
        return clean(result.note)
    if result.error is not None:
        return clean(result.error.summary)
    match result.outcome:
        case "deferred":
            return f"waits for {clean(result.step.waits_for)}" if result.step.waits_for else "its turn did not come"
        case "skipped":
            return "an earlier step of the same project did not get done"
        case "unknown":
            return "it may have acted; the next apply finds out before anything is sent again"
        case "failed" | "done":
            return ""
        case _:
            assert_never(result.outcome)
