"""A quarter of a company's life with the shipped recipes: whatever happens, each create and message is paid for once.

After every step the ledgers of both accounts are compared with what the story has paid for, and what people see is compared
with the transcripts.
"""

import pytest

from tests.company.quarter import HERE, LIVES, lived


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("life", ["week", pytest.param("quarter", marks=pytest.mark.sweep)])
def test_a_life_costs_what_its_story_says_and_reads_as_written(life, tmp_path):
    """Intent: plans, racing pull requests, the queue, drift, rules and incidents, with no effect twice or elsewhere."""
    written = {path.stem: path.read_text(encoding="utf-8") for path in (HERE / life).glob("*.txt")}
    told = dict(lived(life, tmp_path))
    assert sorted(told) == sorted(written)
    for name, text in told.items():
        assert text == written[name], f"{life}/{name}: look at it, then run `python -m tests.company write {life}`"


@pytest.mark.parametrize("life", LIVES)
def test_no_transcript_has_a_secret_or_what_chance_decides(life):
    """Intent: neither a key, a port nor a folder of one machine comes into a file that is compared word by word."""
    for path in (HERE / life).glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert not [each for each in ("es_live_", "127.0.0.1", "/tmp/", "/dev/shm", "Traceback") if each in text], path
