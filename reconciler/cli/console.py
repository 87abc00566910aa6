"""What commands print with: results to stdout, everything else to stderr, secrets to neither."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from msgspec.structs import replace

from reconciler.cli.ci import annotate, owner_of
from reconciler.model.errors import Diagnostic, UsageError
from reconciler.model.redact import Redactor


class Console:
    """The terminal as commands see it, and the global options.

    ``format`` is the command's ``--format``; it is guessed from the arguments until the command is parsed, so that a
    usage error under ``--format json`` is a document too.
    """

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self.root = Path()
        """The workspace's folder; where to begin to look for it until the configuration is loaded."""
        self.state: str | None = None
        self.state_flag = False
        """Whether ``state`` was typed, and is relative to where the command works; else to the workspace."""
        self.api_url: str | None = None
        self.verbose = 0
        self.workspace: str | None = None
        self.redact = Redactor()
        self.secret_values: tuple[str, ...] = ()
        """What ``redact`` hides."""
        self.secret_env: tuple[str, ...] = ()
        """Variables whose values are hidden besides those that the configuration names."""
        self.clock: Callable[[], str] | None = None
        """Where notes are to carry their time, what tells it."""
        self.format = _guessed_format(arguments)
        self._printed = False
        self._color = True
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")

    def no_color(self) -> None:
        self._color = False

    def style(self, *, err: bool = False) -> Any:
        """How to render text for stdout (or stderr)."""
        from reconciler.report.style import Style  # noqa: PLC0415

        stream = sys.stderr if err else sys.stdout
        color = self._color and stream.isatty() and not os.environ.get("NO_COLOR")
        return Style(color=color)

    @property
    def interactive(self) -> bool:
        """Whether a person can be asked."""
        return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()

    def out(self, text: str) -> None:
        """Print a result. Secrets are taken out once more, in case one slipped through."""
        self._printed = True
        try:
            sys.stdout.write(self.redact(text))
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            discard(sys.stdout)
            raise UsageError(f"can't write to stdout: {error.strerror}") from error

    def json(self, document: Any) -> None:
        """Print the one document of ``--format json``."""
        from reconciler.model.plan_json import json_text  # noqa: PLC0415

        self.out(json_text(self.redact.value(document)))

    def note(self, text: str) -> None:
        """Print anything that is no result. Nothing is broken off because nobody reads it any more."""
        if self.clock is not None:
            text = f"{self.clock()} {text}"
        try:
            sys.stderr.write(self.redact(text).rstrip("\n") + "\n")
            sys.stderr.flush()
        except OSError:
            discard(sys.stderr)

    def diagnose(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Print findings to stderr; on GitHub, errors as annotations too."""
        from reconciler.report.diagnostics import diagnostic_text  # noqa: PLC0415

        for diagnostic in diagnostics:
            source = diagnostic.source
            if source is not None and self.redact(source) != source:  # no line that has a secret in it
                diagnostic = replace(diagnostic, source=None)  # noqa: PLW2901
            self.note(diagnostic_text(self.redact.record(diagnostic), style=self.style(err=True)))
        annotate(self, diagnostics)

    def fail(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        """Print the findings that end a command; as a document too where one is asked for and none was printed."""
        if self.format == "json" and not self._printed:
            from reconciler.report.documents import error_document  # noqa: PLC0415

            self.json(error_document(diagnostics))
        if self.format == "markdown" and not self._printed:
            from reconciler.report.markdown import failure_markdown  # noqa: PLC0415

            self.out(failure_markdown(diagnostics, workspace=self.workspace, owner=owner_of(self.root)))
        self.diagnose(diagnostics)

    def bug(self, error: Exception) -> None:
        """Something this program did not expect of itself."""
        if self.verbose > 1:
            self.note("".join(traceback.format_exception(error)))
        detail = f"{type(error).__name__}: {error}\nThis is a bug. Run again with `-vv` for more, and report it."
        self.fail((Diagnostic(severity="error", summary="the program failed unexpectedly", detail=detail),))


def discard(stream: TextIO) -> None:
    """From here on the stream leads nowhere: what it still holds can't fail once more."""
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  a device
        os.dup2(nowhere.fileno(), stream.fileno())


def _guessed_format(arguments: Sequence[str]) -> str:
    for this, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if this == "--format":
            return following
        if this.startswith("--format="):
            return this.removeprefix("--format=")
    names = (f"RECONCILER_{this.upper()}_FORMAT" for this in arguments)
    return next((os.environ[name] for name in names if os.environ.get(name)), "text")
