"""Renew the transcripts after a change of words: ``python -m tests.transcripts write``."""

import sys
import tempfile
from pathlib import Path

from tests.transcripts.life import HERE, transcripts

if __name__ == "__main__":
    if sys.argv[1:] != ["write"]:
        sys.exit("usage: python -m tests.transcripts write")
    with tempfile.TemporaryDirectory() as folder:
        made = transcripts(Path(folder) / "w")
    for old in HERE.glob("*.txt"):
        old.unlink()
    for name, text in made.items():
        (HERE / f"{name}.txt").write_text(text, encoding="utf-8")
        print(f"{text.count(chr(10)):4} lines  {name}")
