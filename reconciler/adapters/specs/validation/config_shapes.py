"""The keys of ``reconciler.yaml``, and of variables, which spec files declare too."""

from __future__ import annotations

from typing import Final

from reconciler.adapters.specs.validation import json_fragments
from reconciler.adapters.specs.validation.shape_types import (
    COUNT_MAX,
    ENV_PATTERN,
    ENVIRONMENT_PATTERN,
    KEY_ENV_PATTERN,
    PROJECT_ID_PATTERN,
    WORKSPACE_PATTERN,
    Anything,
    Choice,
    Key,
    ListOf,
    MapOf,
    Number,
    Shape,
    Text,
)
from reconciler.model import contract
from reconciler.model.config import Limits, Policy
from reconciler.model.values import Json

ENVIRONMENT_SHAPE: Final = "EnvironmentShape"

_COUNT: Final = Number(low=0, high=COUNT_MAX, whole=True)
_POSITIVE: Final = Number(low=1, high=COUNT_MAX, whole=True)

VARIABLES: Final = Key(
    name="variables",
    type=MapOf(
        item=Shape(
            "VariableShape",
            "A variable, declared once in the workspace; ``${var.NAME}`` stands for its value.",
            (
                Key(
                    name="type",
                    type=Choice(("string", "number", "bool", "list")),
                    help="string (default), number, bool, or list (of text).",
                ),
                Key(
                    name="default", type=Anything({}), help="Its value if none is given. Without one it must be given."
                ),
                Key(name="description", type=Text(), help="What it is for."),
            ),
            title="Variable",
            schema=json_fragments.default_of_type,
        ),
        key_pattern=json_fragments.VARIABLE_PATTERN,
    ),
    help="Variables by name, each declared once in the workspace.",
)


_SEEN: Final[Json] = {"type": "string", "pattern": r"\S"}
_PATHS: Final = Anything({"anyOf": [_SEEN, {"type": "array", "items": _SEEN, "minItems": 1}]})
"""A path, or several; checked where the configuration is read."""
_VALUE: Final = Anything(
    {"anyOf": [{"type": ["string", "number", "boolean"]}, {"type": "array", "items": {"type": "string"}}]}
)
"""A value of a variable; checked where its type is known."""


def config_file(defaults: Shape) -> Shape:
    """``reconciler.yaml``, with the keys that a project may have by default."""
    shared = _shared(defaults)
    environment = Shape(
        ENVIRONMENT_SHAPE,
        "An environment: its keys are merged over those at the top of the file.",
        shared,
        title="Environment",
    )
    return Shape(
        "ConfigFile",
        "The configuration of a workspace.",
        (
            Key(
                name="workspace",
                type=Text(pattern=WORKSPACE_PATTERN),
                help="Stable name; part of every idempotency key. By default the directory's name.",
            ),
            *shared,
            Key(
                name="default_environment",
                type=Text(pattern=ENVIRONMENT_PATTERN),
                help="The environment that commands use without --environment.",
            ),
            Key(
                name="environments",
                type=MapOf(item=environment, key_pattern=ENVIRONMENT_PATTERN),
                help="Environments by name. Each may set any other key but workspace: maps are merged by key, lists and "
                "single values replaced. The name is part of every idempotency key.",
            ),
        ),
        title="Reconciler configuration",
    )


def _shared(defaults: Shape) -> tuple[Key, ...]:
    """The keys that stand at the top of the file and in each environment."""
    return (
        Key(name="api", type=_API, help="The API to talk to."),
        Key(name="account", type=_ACCOUNT, help="The account that the key must be of."),
        Key(
            name="specs",
            type=_PATHS,
            help="The folder of specification files, or a list of folders, read recursively; specs by default. A folder "
            "above the workspace must be in the same git repository.",
        ),
        Key(
            name="state",
            type=Text(form="path"),
            help="Where the state is: a path inside the workspace, or for a team s3://bucket/prefix, gs://… or "
            "az://…. Other places, like file:///shared/folder, are for --state or RECONCILER_STATE.",
        ),
        VARIABLES,
        Key(
            name="vars",
            type=MapOf(item=_VALUE, key_pattern=json_fragments.VARIABLE_PATTERN),
            help="Values of variables, by name.",
        ),
        Key(
            name="vars_file",
            type=Text(form="path"),
            help="A YAML file with values of variables, relative to the workspace, inside its git repository.",
        ),
        Key(name="defaults", type=defaults, help="Merged under every project."),
        Key(name="limits", type=_limits(), help="Limits of the account and of waiting."),
        Key(name="policy", type=_policy(), help="Limits on one apply."),
        Key(name="sandbox", type=_SANDBOX, help="The embedded emulated API."),
    )


_VERSION: Final = Choice(contract.versions())
_API: Final = Shape(
    "ApiShape",
    "The API.",
    (
        Key(
            name="url",
            type=Text(form="api_url"),
            help=f"{contract.DEFAULT_URL} by default; sandbox for the embedded emulated API: no key, no network. Any host "
            "but the vendor's and loopback must also be named in RECONCILER_ALLOWED_HOSTS.",
        ),
        Key(
            name="key_env",
            type=Text(pattern=KEY_ENV_PATTERN),
            help="The environment variable that holds the key; EVERSINCE_API_KEY by default. It begins with EVERSINCE_.",
        ),
        Key(
            name="version",
            type=_VERSION,
            help=f"The version of the API; {contract.DEFAULT_VERSION} by default. Fields, values and limits of specs "
            "follow it.",
        ),
    ),
    title="Api",
)
_ACCOUNT: Final = Shape(
    "AccountShape",
    "The account.",
    (
        Key(
            name="project",
            type=Text(pattern=PROJECT_ID_PATTERN),
            required=True,
            help="The id of a project that the account must have. If the key doesn't show it, nothing is sent.",
        ),
    ),
    title="Account",
)
_SANDBOX: Final = Shape(
    "SandboxShape",
    "The embedded emulated API.",
    (
        Key(name="speed", type=Number(low=0, above=True, high=COUNT_MAX), help="How many times faster than life."),
        Key(
            name="api_version",
            type=_VERSION,
            help="The version of the API that the emulated one speaks; by default that of api.version.",
        ),
    ),
    title="Sandbox",
)


def _limits() -> Shape:
    usual = Limits()
    return Shape(
        "LimitsShape",
        "Limits of the account and of waiting.",
        (
            Key(
                name="active_projects",
                type=_POSITIVE,
                help=f"Projects at work at a time; {usual.active_projects} by default.",
            ),
            Key(
                name="requests_per_minute",
                type=_POSITIVE,
                help=f"Requests a minute of one run; {usual.requests_per_minute} by default. A lower limit that the server names counts for all runs of the account.",
            ),
            Key(
                name="settle_seconds",
                type=Number(low=0, high=COUNT_MAX),
                help="Seconds in which a create or message of unknown fate may still appear; "
                f"{usual.settle_seconds:g} by default.",
            ),
            Key(
                name="lease_seconds",
                type=Number(low=1, high=86_400),
                help="Seconds for which the lock of a remote state outlives a run that was killed; "
                f"{usual.lease_seconds:g} by default.",
            ),
        ),
        title="Limits",
    )


def _policy() -> Shape:
    def count(name: str, what: str) -> Key:
        return Key(name=name, type=_COUNT, nullable=True, help=f"{what}; off by default.")

    return Shape(
        "PolicyShape",
        "Limits on one apply; null is off.",
        (
            count("max_creates", "Creates in one apply"),
            count("max_cancels", "Cancels in one apply"),
            count("max_replacements", "Replacements in one apply"),
            count("max_messages", "Messages in one apply"),
            count("max_renders", "Renders in one apply"),
            count("min_credits", "Credits below which nothing that costs is done"),
            Key(
                name="max_share",
                type=Number(low=0, high=1),
                nullable=True,
                help="The share of the managed projects (from 10 on) that one apply may cancel or replace; "
                f"{Policy().max_share} by default.",
            ),
            Key(
                name="allowed_env",
                type=ListOf(item=Text(pattern=ENV_PATTERN)),
                help="Names that ${env.…} may have in specifications; no well-known credentials.",
            ),
        ),
        title="Policy",
    )
