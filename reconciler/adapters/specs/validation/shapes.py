"""Descriptions of the mappings in spec files and in ``reconciler.yaml``: each key once, with its type and its help.

The first look, the models and the JSON Schema are built from them. Keys that the API gets come from the contract's
table of fields; the language's own keys stand here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Final, Literal, assert_never, get_args

from msgspec import Struct

from reconciler.adapters.specs.validation import json_fragments
from reconciler.adapters.specs.yaml.parsing import Path
from reconciler.model import contract
from reconciler.model.config import Limits, Policy
from reconciler.model.contract_tables import Contract, Field, ReferenceType
from reconciler.model.desired import ADDRESS_MAX, KEY, NAME, OnFailed, OnImmutableChange, OnRemove
from reconciler.model.references import PROJECT_TYPE
from reconciler.model.values import Json

NAME_PATTERN: Final = f"^{NAME.pattern}$"
ADDRESS_PATTERN: Final = rf"^{NAME.pattern}(\[{KEY.pattern}(,{KEY.pattern})*\])?$"
WORKSPACE_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
MESSAGE_ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
PROJECT_ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
ENV_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
KEY_ENV_PATTERN: Final = r"^EVERSINCE_[A-Za-z0-9_]+$"
COUNT_MAX: Final = 1_000_000_000

ORIGINS: Final = ("brief", "brief_file", "adopt", "import")
"""The origins of a project; a project has exactly one."""
UNCREATED: Final = ("adopt", "import")
"""The origins that create nothing."""
SOURCES: Final = ("url", "upload_id", "project", "file")
"""The sources of a reference; it has exactly one."""
SENT_AS_URL: Final = ("url", "project")
"""The sources that the API gets as a URL: with a type, and few of them."""

SchemaChange = Callable[[dict[str, Json]], None]
"""Adds to a JSON Schema what the types don't say."""


class Text(Struct, frozen=True, kw_only=True):
    """A string. ``pattern`` is for the whole of it, ``max_length`` in characters."""

    form: Literal["any", "visible", "block", "path", "https_url", "web_url", "api_url"] = "any"
    """``visible`` has a character that is not white space; ``block`` too, and its last line breaks don't count."""
    pattern: str | None = None
    max_length: int | None = None


class Number(Struct, frozen=True, kw_only=True):
    """A number from ``low`` to ``high``; ``above`` excludes ``low`` itself."""

    low: int
    high: int
    above: bool = False
    whole: bool = False


class Flag(Struct, frozen=True):
    """true or false."""


class Choice(Struct, frozen=True):
    """One of several strings."""

    values: tuple[str, ...]


class Anything(Struct, frozen=True):
    """Any value; ``schema`` says more to editors, and another place checks it."""

    schema: dict[str, Json]


class ListOf(Struct, frozen=True, kw_only=True):
    """A list."""

    item: Type
    max_length: int | None = None
    schema: SchemaChange | None = None


class MapOf(Struct, frozen=True, kw_only=True):
    """A mapping with keys of any name; ``key_pattern`` is for editors, another place checks it."""

    item: Type
    key_pattern: str | None = None


class Key(Struct, frozen=True, kw_only=True):
    """A key of a mapping. One that is not required may be absent; None is only for one that is nullable."""

    name: str
    type: Type
    help: str
    required: bool = False
    nullable: bool = False
    secret: bool = False
    """Whether ``${env.NAME}`` may stand there: it goes to the API sealed. Anything else is stored or shown in clear."""
    examples: tuple[Json, ...] = ()


class Shape(Struct, frozen=True, eq=False):
    """A mapping with known keys and no others. ``name`` is its name in the JSON Schema."""

    name: str
    help: str
    keys: tuple[Key, ...]
    title: str | None = None
    schema: SchemaChange | None = None

    @property
    def names(self) -> list[str]:
        """The keys, as they are written."""
        return [key.name for key in self.keys]


Type = Text | Number | Flag | Choice | Anything | ListOf | MapOf | Shape


class Shapes(Struct, frozen=True, kw_only=True, eq=False):
    """The mappings of one version of the API that are checked by themselves."""

    defaults: Shape
    project: Shape
    document: Shape
    """A document of a spec file, its projects still unread."""
    spec: Shape
    """A whole spec file, for the JSON Schema."""
    config_file: Shape
    creation_only: tuple[str, ...]
    """Fields that only a project with a brief has."""
    secret_keys: frozenset[str]
    """The keys where ``${env.NAME}`` may stand."""
    flag_keys: frozenset[str]
    """The keys where a variable of type bool gives true or false; anywhere else it gives text."""
    block_keys: frozenset[str]
    """The keys of texts whose final line breaks (of a block scalar) don't count."""


ADDRESS: Final = Text(pattern=ADDRESS_PATTERN, max_length=ADDRESS_MAX)
_VISIBLE: Final = Text(form="visible")
_PROJECT_ID: Final = Text(pattern=PROJECT_ID_PATTERN)
_COUNT: Final = Number(low=0, high=COUNT_MAX, whole=True)
_POSITIVE: Final = Number(low=1, high=COUNT_MAX, whole=True)

_DEFAULTS_HELP: Final = "Merged under every project of this file; beats the workspace's defaults."
_PROJECTS_HELP: Final = "Projects by address, unique across the workspace."


def current() -> Shapes:
    """The mappings for the version of the API in use."""
    return shapes_of(contract.current())


@functools.cache
def shapes_of(api: Contract) -> Shapes:
    """The mappings for a version of the API."""
    defaults = _defaults(api)
    project = _project(api, defaults)
    frame = _frame()
    anything = MapOf(item=Anything({}))
    spec = (
        Key(name="defaults", type=defaults, help=_DEFAULTS_HELP),
        Key(name="projects", type=MapOf(item=project, key_pattern=NAME_PATTERN), help=_PROJECTS_HELP),
    )
    unread = (
        Key(name="defaults", type=anything, help=_DEFAULTS_HELP),
        Key(name="projects", type=anything, help=_PROJECTS_HELP),
    )
    whole = Shape(
        "Spec",
        "A specification file for the reconciler: Eversince projects as they should be.",
        (*frame, *spec),
        title="Reconciler specification",
    )
    keys = [key for shape in (whole, *mappings_in(whole)) for key in shape.keys]
    return Shapes(
        defaults=defaults,
        project=project,
        document=Shape("Document", "A document of a specification file.", (*frame, *unread)),
        spec=whole,
        config_file=_config_file(defaults),
        creation_only=creation_only(api),
        secret_keys=frozenset(key.name for key in keys if key.secret),
        flag_keys=frozenset(key.name for key in keys if isinstance(key.type, Flag)),
        block_keys=frozenset(key.name for key in keys if isinstance(key.type, Text) and key.type.form == "block"),
    )


def shape_at(shape: Shape, path: Path) -> Shape | None:
    """The mapping that stands at a path; None if there is none, or one with keys of any name."""
    found: Type | None = shape
    for part in path:
        match found:
            case Shape(keys=keys):
                found = next((key.type for key in keys if key.name == part), None)
            case ListOf(item=item) | MapOf(item=item):
                found = item
            case _:
                return None
    return found if isinstance(found, Shape) else None


def mappings_in(shape: Shape) -> Iterator[Shape]:
    """Every mapping in a mapping."""
    for key in shape.keys:
        kind = key.type
        while isinstance(kind, ListOf | MapOf):
            kind = kind.item
        if isinstance(kind, Shape):
            yield kind
            yield from mappings_in(kind)


def _key(field: Field, references: Type, *, fixed: bool = False) -> Key:
    """A field of the API as a key of a spec. ``fixed``: where it stands, it is part of a creation."""
    return Key(
        name=field.name,
        type=_type(field, references),
        help=f"{field.description} Fixed at creation." if fixed else field.description,
        required=field.required and not fixed,  # a project may come to be in other ways, or have its brief elsewhere
        nullable=field.nullable,
        secret=field.secret,
        examples=field.examples,
    )


def _type(field: Field, references: Type) -> Type:
    match field.kind:
        case "text" if field.block:
            return Text(form="block", max_length=field.max_length)
        case "text":
            return Text(form="any" if field.blank else "visible", max_length=field.max_length)
        case "choice":
            return Choice(field.allowed("settings"))
        case "flag":
            return Flag()
        case "https_url":
            return Text(form="https_url")
        case "references":
            return references
        case _:
            assert_never(field.kind)


def _references(api: Contract) -> ListOf:
    few = api.limits.url_references
    reference = Shape(
        "Reference",
        "Reference media: a URL, an uploaded file, a file of the workspace, or the video of another project.",
        (
            Key(
                name="url",
                type=Text(form="web_url"),
                help=f"Reference by URL; at most {few} of these.",
                secret=True,
            ),
            Key(name="upload_id", type=_VISIBLE, help="Id of an uploaded file.", secret=True),
            Key(
                name="project",
                type=ADDRESS,
                help="Address of another project of the workspace: its rendered video, once that is there. Sent as a "
                f"URL, so it counts among the {few}.",
            ),
            Key(
                name="file",
                type=_VISIBLE,
                help=f"A file of the workspace ({', '.join(api.uploads)}), relative to it, never outside; uploaded once "
                "for what is in it.",
            ),
            Key(
                name="type",
                type=Choice(get_args(ReferenceType)),
                help="What the URL leads to: image, video, audio, or url for a page. "
                f"{PROJECT_TYPE} by default for a project.",
            ),
        ),
        schema=functools.partial(json_fragments.one_source, sources=SOURCES, typed=SENT_AS_URL),
    )
    return ListOf(
        item=reference,
        max_length=api.limits.references,
        schema=functools.partial(json_fragments.few_urls, sources=SENT_AS_URL, limit=few),
    )


def _lifecycle(api: Contract) -> Shape:
    return Shape(
        "LifecycleShape",
        "What to do when the project leaves the specs, fails, or changes where it can't.",
        (
            Key(
                name="on_remove",
                type=Choice(get_args(OnRemove)),
                help="stop (default): cancel while it works or waits, forget once finished. cancel. release: hand to the "
                "studio (mode none). forget: leave it alone. protect: refuse.",
            ),
            Key(
                name="on_failed",
                type=Choice(get_args(OnFailed)),
                help="keep (default): report it. recreate: make a new one.",
            ),
            Key(
                name="on_immutable_change",
                type=Choice(get_args(OnImmutableChange)),
                help="When a field that is fixed at creation changes: replace (default), error, ignore.",
            ),
            Key(
                name="ignore_changes",
                type=ListOf(item=Choice((*api.settings, *api.creation_fields))),
                help="Fields whose changes are left alone.",
                examples=(["title"],),
            ),
        ),
        title="Lifecycle",
    )


def _defaults(api: Contract) -> Shape:
    references = _references(api)
    settings = Shape(
        "Settings",
        "What can change at any time (PATCH settings). Absent: left alone.",
        tuple(_key(field, references) for field in api.fields_of("settings")),
    )
    brief, *rest = (_key(field, references, fixed=True) for field in api.creation)
    return Shape(
        "Defaults",
        "What a project may have that defaults may have too.",
        (
            brief,
            Key(
                name="brief_file",
                type=_VISIBLE,
                help="A file with the brief, relative to the workspace, never outside it.",
            ),
            *rest,
            Key(name="settings", type=settings, help="What can change at any time. Only declared fields are managed."),
            Key(
                name="state",
                type=Choice(("present", "cancelled")),
                help="present (default), or cancelled: stop the agent.",
            ),
            Key(
                name="lifecycle",
                type=_lifecycle(api),
                help="What to do when it leaves the specs, fails, or changes where it can't.",
            ),
        ),
        schema=_exclusive_origins(api),
    )


def _exclusive_origins(api: Contract) -> SchemaChange:
    return functools.partial(
        json_fragments.exclusive_origins, origins=ORIGINS, creation_only=creation_only(api), uncreated=UNCREATED
    )


def creation_only(api: Contract) -> tuple[str, ...]:
    """Fields that only a project with a brief has."""
    return tuple(name for name in api.creation_fields if name not in ORIGINS)


def _project(api: Contract, defaults: Shape) -> Shape:
    references = _references(api)
    message = Shape(
        "Message",
        "A message to the agent, sent once when the project is idle.",
        (
            Key(
                name="id", type=Text(pattern=MESSAGE_ID_PATTERN), help='Stable id; by default the position, "1", "2", …'
            ),
            *(_key(field, references) for field in api.fields_of("message")),
        ),
        schema=functools.partial(
            json_fragments.with_examples, examples=[{"id": "softer", "message": "Make the music softer."}]
        ),
    )
    return Shape(
        "Project",
        "One project: created from a brief, adopted from the studio, or imported; several of a kind with ``for_each``.",
        (
            *defaults.keys,
            Key(
                name="for_each",
                type=Anything(json_fragments.EACH_SHAPE),
                help="Makes one project for each key: a list of keys; a map of keys to a value or to named values; or a "
                "matrix of named lists. ${each.key}, ${each.value} and ${each.NAME} stand for them; the address is "
                "name[key] or name[key,key].",
                examples=(["us", "de"], {"market": ["us", "de"], "ratio": ["16:9", "9:16"]}),
            ),
            Key(
                name="depends_on",
                type=ListOf(item=ADDRESS),
                help="Addresses of projects that must have finished before credits are spent on this one; the name of a "
                "for_each stands for all of its projects. A project in references is waited for anyway.",
                examples=(["teaser"],),
            ),
            Key(name="adopt", type=_PROJECT_ID, help="Id of a studio project to adopt instead of creating one."),
            Key(name="import", type=_PROJECT_ID, help="Id of an existing API project to take over; no call is made."),
            Key(
                name="messages",
                type=ListOf(
                    item=message,
                    schema=functools.partial(json_fragments.short_form, limit=api.max_length("message")),
                ),
                help="Messages to the agent, in order. Append only: what was sent can't be edited.",
            ),
        ),
        schema=_exclusive_origins(api),
    )


def _frame() -> tuple[Key, ...]:
    """The keys of a spec file besides its projects."""
    moved = Shape(
        "MovedShape",
        "A renamed project; the API is not touched.",
        (
            Key(name="from", type=ADDRESS, help="The old address.", required=True),
            Key(name="to", type=ADDRESS, help="The new address, which the specs declare.", required=True),
        ),
        title="Moved",
    )
    removed = Shape(
        "RemovedShape",
        "How to stop managing a project that left the specs; overrides its lifecycle.",
        (
            Key(name="address", type=ADDRESS, help="Its address.", required=True),
            Key(
                name="action",
                type=Choice(get_args(OnRemove)),
                help="stop, cancel, release, forget or protect.",
                required=True,
            ),
        ),
        title="Removed",
    )
    return (
        _VARIABLES,
        Key(name="moved", type=ListOf(item=moved), help="Renames that don't touch the API."),
        Key(
            name="removed",
            type=ListOf(item=removed),
            help="Overrides of the lifecycle of projects that left the specs.",
        ),
    )


_VARIABLES: Final = Key(
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


def _config_file(defaults: Shape) -> Shape:
    return Shape(
        "ConfigFile",
        "The configuration of a workspace.",
        (
            Key(
                name="workspace",
                type=Text(pattern=WORKSPACE_PATTERN),
                help="Stable name; part of every idempotency key. By default the directory's name.",
            ),
            Key(name="api", type=_API, help="The API to talk to."),
            Key(
                name="specs",
                type=Text(form="path"),
                help="The folder of specification files, read recursively; specs by default.",
            ),
            Key(
                name="state",
                type=Text(form="path"),
                help="Where the state is: a path inside the workspace, or for a team s3://bucket/prefix, gs://… or "
                "az://…. Other places, like file:///shared/folder, are for --state or RECONCILER_STATE.",
            ),
            _VARIABLES,
            Key(name="defaults", type=defaults, help="Merged under every project."),
            Key(name="limits", type=_limits(), help="Limits of the account and of waiting."),
            Key(name="policy", type=_policy(), help="Limits on one apply."),
            Key(name="sandbox", type=_SANDBOX, help="The embedded emulated API."),
        ),
        title="Reconciler configuration",
    )


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
    ),
    title="Api",
)
_SANDBOX: Final = Shape(
    "SandboxShape",
    "The embedded emulated API.",
    (Key(name="speed", type=Number(low=0, above=True, high=COUNT_MAX), help="How many times faster than life."),),
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
                help=f"Requests a minute; {usual.requests_per_minute} by default.",
            ),
            Key(
                name="settle_seconds",
                type=Number(low=0, high=COUNT_MAX),
                help="Seconds in which a message of unknown fate may still appear; "
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
