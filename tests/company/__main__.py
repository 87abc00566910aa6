"""Renew the transcripts after a change of words: ``python -m tests.company write [quarter|week]``."""

import sys
import tempfile
from pathlib import Path

from tests.company.quarter import HERE, LIVES, lived

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write"]:
            chosen = list(LIVES)
        case ["write", life] if life in LIVES:
            chosen = [life]
        case _:
            sys.exit(f"usage: python -m tests.company write [{'|'.join(LIVES)}]")
    for life in chosen:
        (HERE / life).mkdir(parents=True, exist_ok=True)
        for old in (HERE / life).glob("*.txt"):
            old.unlink()
        with tempfile.TemporaryDirectory() as folder:
            for name, text in lived(life, Path(folder)):
                (HERE / life / f"{name}.txt").write_text(text, encoding="utf-8")
                print(f"{text.count(chr(10)):4} lines  {life}/{name}", flush=True)
