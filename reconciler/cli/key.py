"""Where the API key comes from: a variable, or a command of the user's. Never from the branch."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from reconciler import files
from reconciler.cli.console import Console
from reconciler.cli.inputs import explain_errors
from reconciler.cli.interrupts import default_signals
from reconciler.model.config import Config
from reconciler.model.errors import ConfigError
from reconciler.model.hosts import is_loopback
from reconciler.model.redact import Redactor
from reconciler.report.safe_text import clean

SANDBOX_KEY = "sandbox"
"""Used as the key where none is needed: the sandbox accepts any."""


def read_key(console: Console, config: Config) -> str:
    """The key: by ``--key-command``, else the variable that has it, else by the command that ``RECONCILER_KEY_COMMAND``
    or the user's own configuration names. A command runs once in the program's life.

    Raises:
        ConfigError: there is none, or its command fails.
        UsageError: what should name a command does not.

    """
    key = os.environ.get(config.key_env, "")
    if key and not console.key_command_flag:
        return key
    if command := _command(console, config):
        return _printed_by(console, config, command)
    if is_loopback(urlsplit(config.api_url).hostname or ""):
        return SANDBOX_KEY
    raise ConfigError(
        f"no API key: environment variable {config.key_env} is not set",
        "Set it to your key, name a command that prints it with --key-command, or try everything for free with "
        "`--api-url sandbox`.",
    )


def _command(console: Console, config: Config) -> tuple[str, ...]:
    if console.key_command or console.key_command_flag:
        from reconciler.adapters.key_command import words  # noqa: PLC0415  subprocess, which few runs need

        return words(
            console.key_command or "", "--key-command" if console.key_command_flag else "RECONCILER_KEY_COMMAND"
        )
    from reconciler.adapters.specs.user_file import load_user_config  # noqa: PLC0415  only if there is no other key

    return load_user_config(os.environ, config.root, explain_errors).key_command


def _printed_by(console: Console, config: Config, command: tuple[str, ...]) -> str:
    known = console.printed_keys.get(command)
    if known is not None:
        return known
    from reconciler.adapters.key_command import ask, key_of, named  # noqa: PLC0415

    with default_signals():  # Ctrl-C ends it, whatever the command that asks does on signals
        ran = ask(
            command,
            checkout=files.checkout_of(config.root),
            env=os.environ,
            interactive=console.interactive,
        )
    printed = ran.out.decode(errors="replace").strip()
    told = Redactor((printed,))(ran.err.decode(errors="replace"))  # a script may trace what it prints
    if told.strip():
        console.note(f"{named(command)} says: {clean(told.strip(), multiline=True)}")
    key = key_of(command, ran)
    console.learn(key)
    console.printed_keys[command] = key
    return key
