"""Descriptions of the mappings in spec files: each key once, with its type and its help.

The first look, the models and the JSON Schema are built from them. Keys that the API gets come from the contract's
table of fields; the language's own keys stand here and, for ``reconciler.yaml``, in ``config_shapes``.
"""

from __future__ import annotations

import functools
from typing import Final, assert_never, get_args

from msgspec import Struct

from reconciler.adapters.specs.validation import json_fragments
from reconciler.adapters.specs.validation.config_shapes import VARIABLES, config_file
from reconciler.adapters.specs.validation.shape_types import (
    ADDRESS,
    ENVIRONMENT_PATTERN,
    MESSAGE_ID_PATTERN,
    NAME_PATTERN,
    PROJECT_ID_PATTERN,
    TAG_PATTERN,
    Anything,
    Choice,
    Flag,
    Key,
    ListOf,
    MapOf,
    SchemaChange,
    Shape,
    Text,
    Type,
    mappings_in,
)
from reconciler.model import contract
from reconciler.model.contract_tables import Contract, Field, ReferenceType
from reconciler.model.desired import OnFailed, OnImmutableChange, OnRemove
from reconciler.model.references import PROJECT_TYPE

ORIGINS: Final = ("brief", "brief_file", "adopt", "import")
"""The origins of a project; a project has exactly one."""
UNCREATED: Final = ("adopt", "import")
"""The origins that create nothing."""
SOURCES: Final = ("url", "upload_id", "project", "file")
"""The sources of a reference; it has exactly one."""
SENT_AS_URL: Final = ("url", "project")
"""The sources that the API gets as a URL: with a type, and few of them."""


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


_QUALITIES: Final = ("1080p", "4k")
"""Of a render, where the API has none: planning says so."""
_VISIBLE: Final = Text(form="visible")
_ENVIRONMENTS: Final = ListOf(item=Text(pattern=ENVIRONMENT_PATTERN))
_PROJECT_ID: Final = Text(pattern=PROJECT_ID_PATTERN)

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
        config_file=config_file(defaults),
        creation_only=creation_only(api),
        secret_keys=frozenset(key.name for key in keys if key.secret),
        flag_keys=frozenset(key.name for key in keys if isinstance(key.type, Flag)),
        block_keys=frozenset(key.name for key in keys if isinstance(key.type, Text) and key.type.form == "block"),
    )


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
        case "set":
            return ListOf(item=Choice(field.values, or_uuid=True), unique=True)
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
    resumable = Key(
        name="resume_from",
        type=ListOf(item=Choice(api.resumable)),
        help="Statuses from which a new message sets the agent to work again: failed, cancelled. None by default: such a "
        "project is reported, and no message is sent.",
        examples=(["failed"],),
    )
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
            *((resumable,) if api.resumable else ()),
        ),
        title="Lifecycle",
    )


def _prices(api: Contract) -> str:
    """What a render costs in each quality."""
    prices = [f"{quality} {f'costs {cost} credits' if cost else 'is free'}" for quality, cost in api.renders.items()]
    return f" ({', '.join(prices)})" if prices else ""


def _deliver(api: Contract) -> Shape:
    share = Shape(
        "ShareShape",
        "The permanent link: its page's title and description.",
        (
            Key(
                name="title",
                type=_VISIBLE,
                help="Title of the page; by default the API chooses one.",
                secret=True,
                examples=("Summer teaser",),
            ),
            Key(name="description", type=_VISIBLE, help="Text of the page."),
        ),
        title="Share",
    )
    return Shape(
        "DeliverShape",
        "What to do with the video once the messages are done, and again after each later message.",
        (
            Key(
                name="render",
                type=Choice(tuple(api.renders) or _QUALITIES),
                help=f"Render it in this quality{_prices(api)}. null: don't render (where defaults say otherwise).",
                nullable=True,
            ),
            Key(
                name="share",
                type=share,
                help="Make a permanent link to it, which the state keeps; {} for one without a title. null: no link.",
                nullable=True,
            ),
            Key(
                name="download",
                type=Text(form="path"),
                help="Download it into this folder of the workspace (or of `apply --out`), never outside. null: don't.",
                nullable=True,
                examples=("renders/",),
            ),
        ),
        title="Deliver",
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
                name="deliver",
                type=_deliver(api),
                help="What to do with the video once the messages are done: render, share, download.",
                examples=({"render": "1080p", "share": {"title": "Summer teaser"}, "download": "renders/"},),
            ),
            Key(
                name="state",
                type=Choice(("present", "cancelled")),
                help="present (default), or cancelled: stop the agent.",
            ),
            Key(
                name="tags",
                type=ListOf(item=Text(pattern=TAG_PATTERN)),
                help="Words to select the project by, with --tag.",
                examples=(["summer", "client:acme"],),
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
                name="only",
                type=_ENVIRONMENTS,
                help="The environments that have this project; by default all.",
                examples=(["prod"],),
            ),
            Key(
                name="except",
                type=_ENVIRONMENTS,
                help="The environments that don't have this project; not together with only.",
                examples=(["dev"],),
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
            Key(
                name="to",
                type=ADDRESS,
                help="The new address: one that the specs declare, or that another entry renames.",
                required=True,
            ),
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
        VARIABLES,
        Key(name="moved", type=ListOf(item=moved), help="Renames that don't touch the API."),
        Key(
            name="removed",
            type=ListOf(item=removed),
            help="Overrides of the lifecycle of projects that left the specs.",
        ),
    )
