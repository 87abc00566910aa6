"""``python -m tests.simulation``: many lives, one life as a story, or the shortest that still fails."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import msgspec

from tests.simulation.campaign import STEPS, Tally, lived, many, minimised, spread
from tests.simulation.course import Course, draw
from tests.simulation.themes import THEMES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--lives", type=int, default=1000, help="how many")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="SEED", help="the first one's seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--tell", metavar="SEED|FILE", help="tell one life, from a seed or the course that was printed")
    parser.add_argument("--minimise", metavar="SEED|FILE", help="shorten a life that breaks; its course goes to stderr")
    parser.add_argument("--without", choices=STEPS, help="take a safety step out of the program")
    parser.add_argument("--theme", choices=THEMES, help="of these lives, live those with this theme")
    parser.add_argument("--stop", action="store_true", help="end with the first that breaks; in this process")
    parser.add_argument("--summary", type=Path, help="write what was found and covered to a file, as it goes on")
    options = parser.parse_args()
    if options.minimise is not None:
        return tell(minimised(course_of(options.minimise), without=options.without), options.without)
    if options.tell is not None:
        return tell(course_of(options.tell), options.without)
    return campaign(options)


def course_of(text: str) -> Course:
    """The course of a seed, or of a file."""
    return draw(int(text)) if text.isdecimal() else msgspec.json.decode(Path(text).read_bytes(), type=Course)


def tell(course: Course, without: str | None) -> int:
    life = lived(course, without=without)
    print("\n".join(life.world.log))
    print(msgspec.json.encode(course).decode(), file=sys.stderr)
    return 1 if life.broken else 0


def campaign(options: argparse.Namespace) -> int:
    total, began = Tally(), time.monotonic()
    how = {"without": options.without, "theme": options.theme}
    first, count = options.first, options.lives
    alone = [many(range(first, first + count), stop=True, **how)] if options.stop else None
    for part in alone or spread(first, count, jobs=options.jobs, **how):
        total.add(part)
        for found in part.found:
            print(f"seed {found.seed}: {found.what[:300]}", flush=True)
        if options.summary:
            write(options.summary, total, options, time.monotonic() - began)
    print(total)
    return 1 if total.found else 0


def write(path: Path, total: Tally, options: argparse.Namespace, seconds: float) -> None:
    document = {
        "first": options.first,
        "lives": total.lives,
        "jobs": options.jobs,
        "wall_seconds": round(seconds),
        "core_seconds": round(total.seconds),
        "lives_a_minute_of_one_core": round(total.lives / total.seconds * 60),
        "virtual_days": round(total.virtual / 86_400, 1),
        "found": [{"seed": found.seed, "what": found.what} for found in sorted(total.found, key=lambda f: f.seed)],
        "figures": dict(sorted(total.figures.items())),
        "seen": {" × ".join(key): count for key, count in sorted(total.seen.items())},
    }
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(document, indent=1, ensure_ascii=False))
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main())
