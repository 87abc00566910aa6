"""Steps, projects and results in words, in each of the places where people read them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, assert_never

from msgspec.structs import asdict

from reconciler.model.desired import Lifecycle
from reconciler.model.plan import (
    Adopt,
    Cancel,
    Create,
    Forget,
    Import,
    Message,
    Move,
    Release,
    Render,
    Replace,
    Share,
    Step,
    Update,
    describe,
)
from reconciler.model.values import masked
from reconciler.report.fields import value_text
from reconciler.report.safe_text import clean

if TYPE_CHECKING:
    from reconciler.model.events import StepResult


def step_name(step: Step) -> str:
    """What the step is: ``create``, ``message "softer"``."""
    return _message(step) or describe(step).words.verb


def step_doing(step: Step) -> str:
    """What happens to the project: ``creating``, ``sending message "softer"``."""
    return f"{describe(step).words.doing} {_message(step)}".rstrip()


def step_done(step: Step) -> str:
    """What happened to the project: ``created``, ``sent message "softer"``."""
    return f"{describe(step).words.done} {_message(step)}".rstrip()


def _message(step: Step) -> str:
    return f'message "{clean(step.message.id)}"' if isinstance(step, Message) else ""


def step_title(step: Step) -> str:
    """The step with what it applies to: ``import proj_2``, ``release to the studio``."""
    what = step_name(step)
    match step:
        case Create() | Replace():
            usual = 1 if isinstance(step, Create) else 2
            return what if step.generation == usual else f"{what} (generation {step.generation})"
        case Adopt():
            return f"{what} studio project {value_text(masked(step.body.get('project_id')))}"
        case Import():
            return f"{what} {clean(step.project_id or '')}".rstrip()
        case Move():
            return f"{what} from {clean(step.from_address)}"
        case Release():
            return f"{what} to the studio"
        case Render():
            return f"{what} in {clean(str(step.body.get('quality')))}"
        case Update() | Message() | Share() | Cancel() | Forget():
            return what
        case _:
            assert_never(step)


def wait_text(step: Step) -> str:
    """What a step waits for, and the addresses that it follows, unless the former names them."""
    waits_for = step.waits_for or ""
    after = [address for address in step.after if f"`{address}`" not in waits_for]
    parts = [f"waits for: {waits_for}"] if waits_for else []
    parts += [f"after: {', '.join(after)}"] if after else []
    return f"({'; '.join(parts)})" if parts else ""


def lifecycle_text(lifecycle: Lifecycle) -> str:
    """The values that differ from the defaults: ``on_remove: protect``."""
    default = Lifecycle()
    differing = [
        f"{name}: {', '.join(value) or 'none' if isinstance(value, tuple) else value}"
        for name, value in asdict(lifecycle).items()
        if value != getattr(default, name)
    ]
    return "; ".join(differing) or "defaults"


def steps_outcome(steps: list[Step]) -> str:
    """What the steps do to their project: ``created and sent 2 messages``."""
    kinds = [describe(step).words for step in steps]
    sent = [f"{words.done} {words.steps(count)}" for words, count in Counter(kinds).items() if words.repeats]
    return joined([*(words.done for words in kinds if not words.repeats), *sent])


def plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """``0.4 s``, ``42 s``, ``1 m 04 s``, ``2 h 03 m``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02} s" if minutes else f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} m"


def age(seconds: float) -> str:
    """Roughly how long: ``12 s``, ``3 m``, ``5 h``, ``9 d``."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def joined(parts: list[str]) -> str:
    """``a, b and c``."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def reason_text(result: StepResult) -> str:
    """One line that says why a step was not done; empty where nothing is known."""
    if result.note:
        return clean(result.note)
    if result.error is not None:
        return clean(result.error.summary)
    match result.outcome:
        case "deferred":
            return f"waits for {clean(result.step.waits_for)}" if result.step.waits_for else "it was not started"
        case "skipped":
            return "an earlier step of the same project was not done"
        case "unknown":
            return "it may have been done; the next apply checks before it sends anything again"
        case "failed" | "done":
            return ""
        case _:
            assert_never(result.outcome)
