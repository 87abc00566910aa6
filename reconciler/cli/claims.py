"""The options that name the pull request that a command is for."""

from __future__ import annotations

import click

from reconciler.cli.ci import actor
from reconciler.cli.options import Option
from reconciler.model.claim import LONGEST, LONGEST_URL, Claimant, is_line
from reconciler.model.errors import UsageError


class PullRequest(click.ParamType[str]):
    """The name of a pull request or merge request: one line of free text."""

    name = "pull request"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).strip()
        if not is_line(text, LONGEST):
            self.fail(f"a pull request is one line of 1 to {LONGEST} characters, such as `acme/shop#12`", param, ctx)
        return text


def pull_request(help_: str) -> Option:
    """``--pull-request``."""
    return click.option(
        "--pull-request", type=PullRequest(), envvar="RECONCILER_PULL_REQUEST", metavar="TEXT", help=help_
    )


def claimant(*, pull_request: str | None, pull_request_url: str | None) -> Claimant | None:
    """Whose plan or apply it is. Raises UsageError."""
    if pull_request is None:
        if pull_request_url:
            raise UsageError("`--pull-request-url` needs `--pull-request`", "It is the page of that pull request.")
        return None
    url = (pull_request_url or "").strip() or None
    if url is not None and not (url.startswith(("https://", "http://")) and is_line(url, LONGEST_URL)):
        raise UsageError("`--pull-request-url` is not a URL", "Write `https://…`, in at most 1,000 characters.")
    return Claimant(pull_request=pull_request, url=url, actor=actor())
