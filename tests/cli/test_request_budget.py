"""The lines that say how many requests a command took."""

import re

import pytest

from tests.cli.cli_support import APPLY


@pytest.mark.sampled(6)
@pytest.mark.parametrize("old", [0, 130])
def test_no_command_takes_more_requests_than_it_says(fresh, old):
    # Intent: who plans a minute's rationed requests by these lines is not let down, by no call at all.
    def taken():
        with fresh.account() as store:
            return len(store.requests())

    fresh.run("plan")
    with fresh.account() as store:
        for number in range(old):
            store.person_creates(brief=f"Somebody else's {number}", title=f"Other {number}")
    for args in (("plan",), APPLY, ("plan",), APPLY, ("plan", "--destroy"), ("destroy", *APPLY[1:])):
        before = taken()
        said = re.findall(r"^Requests: (\d+) used", fresh.run(*args).out, re.MULTILINE)
        assert taken() - before == int(said[-1]) > 0, args
