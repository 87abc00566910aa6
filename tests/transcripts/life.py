"""A month of a team's life on a terminal: what each command shows, with ids, times and whatever depends on them made alike."""

from __future__ import annotations

import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.cli.cli_support import CONFIG, make_space, on_terminal

HERE = Path(__file__).parent
COLUMNS = (80, 200)
SPECS = """\
projects:
  promo:
    for_each:
      market: [us, de, fr, it, es, pl]
      format: ["16x9", "9x16", "1x1", "4x5"]
    brief: |
      A thirty second spot for the autumn collection for the ${each.market} market: warm light,
      falling leaves, a slow piano. The shop is in the last shot, cut for ${each.format}.
    settings: {title: "Autumn ${each.market} ${each.format}"}
    messages: ["Make the music softer for ${each.market}."]
""" + "".join(
    f"""\
  film-{n}:
    brief: Film number {n}, ten seconds, for the screens in the shop windows.
    settings: {{title: Shop film {n}}}
"""
    for n in range(1, 7)
)
_LIMITS = "limits: {requests_per_minute: 100000}\n"
_SLOW, _FAST = (CONFIG.replace("speed: 200", f"speed: {speed}") + _LIMITS for speed in (0.001, 1000))
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_DONE = re.compile(r": (created|updated|moved|sent|cancelled|replaced|forgotten|released)\b")


def transcripts(root: Path) -> dict[str, str]:
    """Live through it in a new folder; the text of each transcript, by its name."""
    return {name: _alike(text) for name, text in _life(root)}


def _life(root: Path) -> Iterator[tuple[str, str]]:
    space = make_space(root, SPECS, _SLOW)
    space.db.parent.mkdir(parents=True)
    with space.account() as store:
        store.change({"requests_per_minute": 0})

    def show(*args: str, columns: int = 80, answer: bytes = b"", before=()) -> str:
        shown, code = on_terminal(space, *args, answer=answer, before=before, COLUMNS=str(columns), NO_COLOR="1")
        return f"$ reconciler {' '.join(args)}\n{shown}(exit code {code})\n"

    for columns in COLUMNS:
        yield f"1-first-plan-{columns}", show("plan", columns=columns)
    yield "2-summary-80", show("plan", "--summary")

    fifth = (*((b"created (", b""),) * 4, (b"created (", signal.SIGINT))
    yield "3-interrupted-80", show("apply", before=((b"[y/N]", b"y\n"), *fifth))

    space.write("reconciler.yaml", _FAST)
    with space.account() as store:
        store.finish_all()
    on = ("apply", "--wait", "idle", "--poll-interval", "0.05")
    yield "4-continued-80", show(*on, answer=b"y\n")
    ids = {address: entry["project_id"] for address, entry in space.state["projects"].items()}
    _always_just_now(space.db)
    for columns in COLUMNS:
        yield f"5-status-{columns}", show("status", columns=columns)

    with space.account() as store:
        store.person_sets(ids["film-1"], title="A title that somebody liked better")
    yield "6-drift-80", show("plan")
    space.write("specs/a.yaml", SPECS.replace("film-2:", "shop-door:") + "moved: [{from: film-2, to: shop-door}]\n")
    yield "7-renamed-80", show("apply", answer=b"y\n")

    with space.account() as store:
        store.set_status(ids["film-3"], "failed", error_message="The agent could not read the reference.")
    _always_just_now(space.db)
    yield "8-failed-status-80", show("status", "--status", "failed")
    yield "8-failed-plan-80", show("plan", "--fail-on", "attention")

    changed = SPECS.replace("film-2:", "shop-door:").replace("Film number 4, ten", "Film number 4, nine")
    space.write("specs/a.yaml", changed)
    for columns in COLUMNS:
        yield f"9-changed-brief-{columns}", show("plan", columns=columns)
    yield "10-destroy-80", show("destroy", "--force", answer=b"n\n")


def _always_just_now(db: Path) -> None:
    """Let every project be as old as ever: changed in a distant future, which is shown as now."""
    with closing(sqlite3.connect(db)) as account, account:
        account.execute("UPDATE projects SET updated_at = 32000000000")


def _alike(text: str) -> str:
    text = re.sub(r"\b(proj|msg)_[0-9a-f]{16}\b", r"\1_0123456789abcdef", text.replace("\r\n", "\n"))
    text = re.sub(r"(?<=Requests: )\d+(?= used\.)", "…", text)
    return "\n".join(_without_chance(text.split("\n")))


def _without_chance(lines: list[str]) -> Iterator[str]:
    """The lines; those of progress without their times, in the order of their words and only of what was done."""
    progress: list[str] = []
    for line in [*lines, ""]:
        if _TIME.match(line):
            progress.append(line)
        elif progress and line.startswith("  "):  # a wrapped one
            progress[-1] += f" {line.strip()}"
        else:
            told = (re.sub(r" in [\d.]+ (s|m \d\d s)$", "", _TIME.sub("…", each)) for each in progress)
            yield from sorted(filter(_DONE.search, told))
            progress.clear()
            yield line
