"""Output of commands: results go to stdout, everything else to stderr, secrets to neither."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from msgspec.structs import replace

from reconciler.cli import ci
from reconciler.model.errors import Diagnostic, UsageError
from reconciler.model.redact import Redactor
from reconciler.model.values import Json
from reconciler.report.style import Style
from reconciler.report.wrapping import wrapped

if TYPE_CHECKING:
    from reconciler.adapters.tracing import RunTrace, Tracing

_NARROWEST: Final = 40
"""Columns of a terminal that are used at least."""
_WIDEST: Final = 500
"""Columns that are used at most."""
_USUAL: Final = 80
"""The width where it is unknown."""


class Console:
    """The terminal as commands see it, and the global options.

    ``format`` is the command's ``--format``. Until the command is parsed it is guessed from the arguments, so that a
    usage error under ``--format json`` is a document too.
    """

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self.root = Path()
        """The workspace's folder; until the configuration is loaded, the folder where the search for it starts."""
        self.state: str | None = None
        self.state_flag = False
        """Whether ``state`` is a flag (relative to the current directory) or a variable (relative to the workspace)."""
        self.api_url: str | None = None
        self.key_command: str | None = None
        self.key_command_flag = False
        """Whether ``key_command`` is a flag, which wins over the variable with the key."""
        self.policy: tuple[str, ...] = ()
        """The folders of the policy, as the user names them."""
        self.told_of_policy = False
        self.environment: str | None = None
        self.environment_flag = False
        """Whether ``environment`` is a flag, which no variable wins over."""
        self.verbose = 0
        self.workspace: str | None = None
        self.redact = Redactor()
        self.secret_values: tuple[str, ...] = ()
        """The values that ``redact`` hides."""
        self.secret_env: tuple[str, ...] = ()
        """Variables to hide besides those that the configuration names."""
        self.learned: tuple[str, ...] = ()
        """Secrets that no variable has, such as the key that a command printed."""
        self.printed_keys: dict[tuple[str, ...], str] = {}
        """The keys that commands printed, so that none runs twice."""
        self.notify: str | None = None
        """The receivers of notices that the user named, by commas."""
        self.finishing: list[Callable[[], object]] = []
        """What is still to be done once the command has said all that it says."""
        self.tracing: Tracing | None = None
        """Where traces go, if the environment asks for them."""
        self.tracing_tried = False
        self.trace: RunTrace | None = None
        """The trace of the run under way."""
        self.clock: Callable[[], str] | None = None
        """Gives the time that each note starts with, if notes are to carry their time."""
        self.format = _guess_format(arguments)
        self._printed = False
        self._color = True

    def start(self, folder: str) -> None:
        """Look for the workspace from this folder on."""
        self.root = Path(folder)

    def learn(self, *secrets: str) -> None:
        """Hide these values from now on, wherever the redactor is used already."""
        self.learned += secrets
        self.redact.learn(secrets)

    def disable_color(self) -> None:
        self._color = False

    def style(self, *, err: bool = False) -> Style:
        """How to render text for stdout (or stderr)."""
        stream = sys.stderr if err else sys.stdout
        asked = os.environ.get("FORCE_COLOR") or os.environ.get("CLICOLOR_FORCE", "0") != "0"
        shown = stream.isatty() and not self.dumb
        color = self._color and not os.environ.get("NO_COLOR") and bool(asked or shown)
        columns = max(_NARROWEST, _columns(stream))
        return Style(color=color, width=columns, columns=columns if stream.isatty() else None)

    @property
    def dumb(self) -> bool:
        """Whether the terminal takes no escape codes."""
        return os.environ.get("TERM") == "dumb"

    @property
    def interactive(self) -> bool:
        """Whether a person can be asked."""
        return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()

    def out(self, text: str) -> None:
        """Print a result. Secrets are hidden once more, in case one slipped through."""
        self._printed = True
        try:
            sys.stdout.write(self.redact(text))
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            discard(sys.stdout)
            raise UsageError(f"can't write to stdout: {error.strerror}") from error

    def say(self, text: str) -> None:
        """Print a result that only people read: on a terminal, long lines are broken between words."""
        self.out(wrapped(self.redact(text), self.style().columns))

    def json(self, document: Json) -> None:
        """Print the one document of ``--format json``."""
        from reconciler.model.plan_json import json_text  # noqa: PLC0415

        self.out(json_text(self.redact.value(document)))

    def note(self, text: str) -> None:
        """Print anything that is not a result. A reader that went away stops nothing."""
        if self.clock is not None:
            text = f"{self.clock()} {text}"
        try:
            text = wrapped(self.redact(text).rstrip("\n"), self.style(err=True).columns)
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
        except OSError:
            discard(sys.stderr)

    def diagnose(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Print findings to stderr; on GitHub, annotate errors too."""
        from reconciler.report.diagnostics import diagnostic_text  # noqa: PLC0415

        for diagnostic in diagnostics:
            source = diagnostic.source
            if source is not None and self.redact(source) != source:  # never show a line that holds a secret
                diagnostic = replace(diagnostic, source=None)  # noqa: PLW2901
            self.note(diagnostic_text(self.redact.record(diagnostic), style=self.style(err=True)))
        self.annotate(diagnostics)

    def annotate(self, diagnostics: Sequence[Diagnostic]) -> None:
        """On GitHub, mark errors at their files: on stderr, since the runner reads both streams.

        Not with ``--format github``, whose result on stdout has the annotations.
        """
        if self.format != "github" and ci.on_github():
            errors = [d for d in diagnostics if d.severity == "error"]
            for annotation in ci.annotation_lines(self.root, errors[: ci.ANNOTATIONS_MAX]):
                self.note(annotation)

    def out_annotations(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Print the result of ``--format github``."""
        self.out("".join(f"{annotation}\n" for annotation in ci.annotation_lines(self.root, diagnostics)))

    def summarize(self, markdown: Callable[[], str]) -> None:
        """Append to the CI job's summary, if there is one. Failing to do so is only a warning."""
        path = ci.summary_file()
        if path is None:
            return
        try:
            ci.append_to_summary(path, self.redact(markdown()))
        except OSError as error:
            self.note(f"warning: the job's summary can't be written: {error.strerror}")

    def fail(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        """Print the findings that end a command; also as the result that ``--format`` asks for, if none was printed."""
        if not self._printed:
            self._out_failure(diagnostics)
        self.diagnose(diagnostics)

    def _out_failure(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        match self.format:
            case "json":
                from reconciler.report.documents import error_document  # noqa: PLC0415

                self.json(error_document(diagnostics))
            case "markdown":
                from reconciler.report.markdown import failure_markdown  # noqa: PLC0415

                owner = ci.comment_owner(self.root)
                self.out(
                    failure_markdown(diagnostics, workspace=self.workspace, owner=owner, environment=self.environment)
                )
            case "github":
                self.out_annotations(diagnostics)
            case _:
                pass

    def finish(self) -> None:
        """Do what is left before the process ends; none of it changes the exit code."""
        while self.finishing:
            self.finishing.pop()()

    def report_bug(self, error: BaseException) -> None:
        """Print an exception that this program did not expect."""
        if self.verbose > 1:
            self.note("".join(traceback.format_exception(error)))
        detail = f"{type(error).__name__}: {error}\nThis is a bug. Run again with `-vv` for more, and report it."
        self.fail((Diagnostic(severity="error", summary="the program failed unexpectedly", detail=detail),))


def _columns(stream: TextIO) -> int:
    """The width of the terminal, as `COLUMNS` or the terminal itself tells."""
    told = os.environ.get("COLUMNS", "")
    if told.isascii() and told.isdecimal() and int(told):
        return min(int(told), _WIDEST)
    try:
        return min(os.get_terminal_size(stream.fileno()).columns, _WIDEST) or _USUAL
    except (OSError, ValueError):  # no terminal, or no file
        return _USUAL


def discard(stream: TextIO) -> None:
    """Redirect the stream to nowhere, so that flushing what it still holds can't fail again."""
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  a device
        os.dup2(nowhere.fileno(), stream.fileno())


def _guess_format(arguments: Sequence[str]) -> str:
    for this, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if this == "--format":
            return following
        if this.startswith("--format="):
            return this.removeprefix("--format=")
    names = (f"RECONCILER_{this.upper()}_FORMAT" for this in arguments)
    return next((os.environ[name] for name in names if os.environ.get(name)), "text")
