"""The shape of specification files and of ``reconciler.yaml``: strict models, and the JSON Schemas made of them.

The models check plain trees (variables filled, nothing coerced); their instances are thrown away, for what is declared
is the tree itself. Limits and enumerations come from :mod:`reconciler.model.contract`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.first_look import (
    ADDRESS_PATTERN,
    COUNT_MAX,
    CREATION_ONLY,
    ENV_PATTERN,
    KEY_ENV_PATTERN,
    MESSAGE_ID_PATTERN,
    NAME_PATTERN,
    ORIGINS,
    PROJECT_ID_PATTERN,
    SENT_AS_URL,
    SOURCES,
    WORKSPACE_PATTERN,
    Ignorable,
)
from reconciler.adapters.specs.validation.json_fragments import (
    EACH_SHAPE,
    VARIABLE_PATTERN,
    default_of_type,
    text_shape,
)
from reconciler.adapters.specs.validation.urls import AddressError, api_address, web_address
from reconciler.model import contract
from reconciler.model.config import Limits, Policy
from reconciler.model.desired import ADDRESS_MAX, OnFailed, OnImmutableChange, OnRemove
from reconciler.model.references import PROJECT_TYPE

_LIMITS: Final = Limits()
_POLICY: Final = Policy()


def problem(code: Code, message: str, /, **context: Any) -> PydanticCustomError:
    """An error of a validator that carries its code."""
    return PydanticCustomError(code.value, message, context)


def _visible(value: str) -> str:
    if not value.strip():
        raise problem(Code.BLANK, "must not be blank")
    return value


def _at_most(limit: int) -> Callable[[str], str]:
    def check(value: str) -> str:
        if (length := len(value.rstrip("\n"))) > limit:
            raise problem(Code.LIMIT, f"has {length:,} characters, at most {limit:,} are allowed")
        return value

    return check


def _address(check: Callable[[str], str]) -> AfterValidator:
    def checked(value: str) -> str:
        try:
            return check(value)
        except AddressError as wrong:
            raise problem(Code.URL, str(wrong)) from None

    return AfterValidator(checked)


def _path(value: str) -> str:
    if "\0" in value:
        raise problem(Code.IDENTIFIER, "is not a path")
    return _visible(value)


Address = Annotated[str, Field(pattern=ADDRESS_PATTERN, max_length=ADDRESS_MAX)]
WorkspaceName = Annotated[str, Field(pattern=WORKSPACE_PATTERN)]
MessageId = Annotated[str, Field(pattern=MESSAGE_ID_PATTERN)]
ProjectId = Annotated[str, Field(pattern=PROJECT_ID_PATTERN)]
EnvName = Annotated[str, Field(pattern=ENV_PATTERN)]
KeyEnvName = Annotated[str, Field(pattern=KEY_ENV_PATTERN)]
Brief = Annotated[
    str,
    AfterValidator(_visible),
    AfterValidator(_at_most(contract.BRIEF_MAX)),
    WithJsonSchema(text_shape(contract.BRIEF_MAX)),
]
MessageText = Annotated[
    str,
    AfterValidator(_visible),
    AfterValidator(_at_most(contract.MESSAGE_MAX)),
    WithJsonSchema(text_shape(contract.MESSAGE_MAX)),
]
Visible = Annotated[str, AfterValidator(_visible), WithJsonSchema({"type": "string", "pattern": r"\S"})]
HttpsUrl = Annotated[
    str,
    _address(lambda value: web_address(value, "https")),
    WithJsonSchema({"type": "string", "pattern": r"^https://[^\s/]\S*$"}),
]
WebUrl = Annotated[
    str,
    _address(lambda value: web_address(value, "https", "http")),
    WithJsonSchema({"type": "string", "pattern": r"^https?://[^\s/]\S*$"}),
]
ApiUrl = Annotated[
    str,
    _address(api_address),
    WithJsonSchema({"type": "string", "pattern": r"^(sandbox|https?://[^\s/?#@][^\s?#@]*)$"}),
]
PathText = Annotated[str, AfterValidator(_path), WithJsonSchema({"type": "string", "pattern": r"\S"})]
Count = Annotated[int, Field(ge=0, le=COUNT_MAX)]
Positive = Annotated[int, Field(ge=1, le=COUNT_MAX)]


def _field(description: str, **more: Any) -> Any:
    """An optional field: what is not declared is not there, whatever default the class attribute has."""
    return Field(default=None, description=description, **more)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class Reference(_Strict):
    """Reference media: a URL, an uploaded file, a file of the workspace, or the video of another project."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [source]} for source in SOURCES],
            "dependentSchemas": {
                "type": {"not": {"anyOf": [{"required": [s]} for s in SOURCES if s not in SENT_AS_URL]}}
            },
            "examples": [
                {"url": "https://example.com/logo.png", "type": "image"},
                {"upload_id": "upl_abc123"},
                {"project": "teaser"},
                {"file": "assets/logo.png"},
            ],
        }
    )
    url: WebUrl = _field(f"Reference by URL; at most {contract.URL_REFERENCES_MAX} of these.")
    upload_id: Visible = _field("Id of an uploaded file.")
    project: Address = _field(
        "Address of another project of the workspace: its rendered video, once that is there. Sent as a URL, so it counts "
        f"among the {contract.URL_REFERENCES_MAX}."
    )
    file: Visible = _field(
        f"A file of the workspace ({', '.join(contract.UPLOADS)}), relative to it, never outside; uploaded once for what "
        "is in it."
    )
    type: contract.ReferenceType = _field(
        f"What the URL leads to: image, video, audio, or url for a page. {PROJECT_TYPE} by default for a project."
    )


References = Annotated[
    list[Reference],
    Field(
        max_length=contract.REFERENCES_MAX,
        json_schema_extra={
            "contains": {"anyOf": [{"required": [source]} for source in SENT_AS_URL]},
            "minContains": 0,
            "maxContains": contract.URL_REFERENCES_MAX,
        },
    ),
]


class Settings(_Strict):
    """What can change at any time (PATCH settings). Absent: left alone."""

    title: Annotated[str, Field(max_length=contract.TITLE_MAX)] | None = _field(
        f"Project title. Max {contract.TITLE_MAX} characters. null clears it.", examples=["Summer teaser"]
    )
    mode: contract.Mode = _field("autonomous, collaborative, or none (hand project to studio).")
    video_model: Visible = _field("Default video model ID. Agent selects if not set.", examples=["kling-3.0"])
    image_model: Visible = _field("Default image model ID. Agent selects if not set.", examples=["nano-banana-pro"])
    agent_model: contract.AgentModel = _field("opus (the API's default) or sonnet.")
    craft: contract.Craft = _field("Craft; auto is the API's default.")
    craft_auto: bool = _field("Let the agent auto-select crafts. By default true when craft is auto, false otherwise.")
    webhook_url: HttpsUrl | None = _field("HTTPS URL for status change notifications. null removes it.")
    expected_output: contract.ExpectedOutput | None = _field(
        "assembled (rendered video) or assets (standalone assets, no render). null: detected from the brief."
    )


class LifecycleShape(_Strict):
    """What to do when the project leaves the specs, fails, or changes where it can't."""

    model_config = ConfigDict(title="Lifecycle")
    on_remove: OnRemove = _field(
        "stop (default): cancel while it works or waits, forget once finished. cancel. release: hand to the studio "
        "(mode none). forget: leave it alone. protect: refuse."
    )
    on_failed: OnFailed = _field("keep (default): report it. recreate: make a new one.")
    on_immutable_change: OnImmutableChange = _field(
        "When a field that is fixed at creation changes: replace (default), error, ignore."
    )
    ignore_changes: list[Ignorable] = _field("Fields whose changes are left alone.", examples=[["title"]])


class Message(_Strict):
    """A message to the agent, sent once when the project is idle."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "softer", "message": "Make the music softer."}]})
    id: MessageId = _field('Stable id; by default the position, "1", "2", …')
    message: MessageText = Field(description=f"Feedback or direction. Max {contract.MESSAGE_MAX:,} characters.")
    references: References = _field("Reference media.")
    extract_content: bool = _field("Extract content from reference URLs. The API's default is true.")


def _exclusions(schema: dict[str, Any]) -> None:
    """One way to come to be; without a brief no fields of creation. A default may give the way."""
    there = [origin for origin in ORIGINS if origin in schema["properties"]]
    schema["dependentSchemas"] = {
        origin: {
            "not": {
                "anyOf": [
                    {"required": [other]}
                    for other in (*there, *(CREATION_ONLY if origin in ("adopt", "import") else ()))
                    if other != origin
                ]
            }
        }
        for origin in there
    }


class Defaults(_Strict):
    """What a project may have that defaults may have too."""

    model_config = ConfigDict(json_schema_extra=_exclusions)
    brief: Brief = _field(
        f"Creative direction for the agent. Max {contract.BRIEF_MAX:,} characters. Fixed at creation."
    )
    brief_file: Visible = _field("A file with the brief, relative to the workspace, never outside it.")
    aspect_ratio: contract.AspectRatio = _field("16:9 is the API's default. Fixed at creation.")
    references: References = _field("Reference media. Fixed at creation.")
    extract_content: bool = _field("Extract content from reference URLs. The API's default is true. Fixed at creation.")
    settings: Settings = _field("What can change at any time. Only declared fields are managed.")
    state: Literal["present", "cancelled"] = _field("present (default), or cancelled: stop the agent.")
    lifecycle: LifecycleShape = _field("What to do when it leaves the specs, fails, or changes where it can't.")


def _short_form(schema: dict[str, Any]) -> None:
    schema["items"] = {"anyOf": [text_shape(contract.MESSAGE_MAX), schema["items"]]}


class Project(Defaults):
    """One project: created from a brief, adopted from the studio, or imported; several of a kind with ``for_each``."""

    for_each: Annotated[Any, WithJsonSchema(EACH_SHAPE)] = _field(
        "Makes one project for each key: a list of keys; a map of keys to a value or to named values; or a matrix of "
        "named lists. ${each.key}, ${each.value} and ${each.NAME} stand for them; the address is name[key] or "
        "name[key,key].",
        examples=[["us", "de"], {"market": ["us", "de"], "ratio": ["16:9", "9:16"]}],
    )
    depends_on: list[Address] = _field(
        "Addresses of projects that must have finished before credits are spent on this one; the name of a for_each stands "
        "for all of its projects. A project in references is waited for anyway.",
        examples=[["teaser"]],
    )
    adopt: ProjectId = _field("Id of a studio project to adopt instead of creating one.")
    import_: ProjectId = _field("Id of an existing API project to take over; no call is made.", alias="import")
    messages: list[Message] = _field(
        "Messages to the agent, in order. Append only: what was sent can't be edited.", json_schema_extra=_short_form
    )


class MovedShape(_Strict):
    """A renamed project; the API is not touched."""

    model_config = ConfigDict(title="Moved")
    from_: Address = Field(alias="from", description="The old address.")
    to: Address = Field(description="The new address, which the specs declare.")


class RemovedShape(_Strict):
    """How to part with a project that left the specs; overrides its lifecycle."""

    model_config = ConfigDict(title="Removed")
    address: Address = Field(description="Its address.")
    action: OnRemove = Field(description="stop, cancel, release, forget or protect.")


_DEFAULTS: Final = "Merged under every project of this file; beats the workspace's defaults."
_PROJECTS: Final = "Projects by address, unique across the workspace."


class VariableShape(_Strict):
    """A variable, declared once in the workspace; ``${var.NAME}`` stands for its value."""

    model_config = ConfigDict(title="Variable", json_schema_extra=default_of_type)
    type: Literal["string", "number", "bool", "list"] = _field("string (default), number, bool, or list (of text).")
    default: Annotated[Any, WithJsonSchema({})] = _field("Its value if none is given. Without one it must be given.")
    description: str = _field("What it is for.")


Variables = Annotated[
    dict[str, VariableShape], Field(json_schema_extra={"propertyNames": {"pattern": VARIABLE_PATTERN}})
]


class _Frame(_Strict):
    variables: Variables = _field("Variables by name, each declared once in the workspace.")
    moved: list[MovedShape] = _field("Renames that don't touch the API.")
    removed: list[RemovedShape] = _field("Overrides of the lifecycle of projects that left the specs.")


class Document(_Frame):
    """A document of a specification file, its projects still unread."""

    defaults: dict[str, Any] = _field(_DEFAULTS)
    projects: dict[str, Any] = _field(_PROJECTS)


class Spec(_Frame):
    """A specification file for the reconciler: Eversince projects as they should be."""

    model_config = ConfigDict(title="Reconciler specification")
    defaults: Defaults = _field(_DEFAULTS)
    projects: dict[str, Project] = _field(_PROJECTS, json_schema_extra={"propertyNames": {"pattern": NAME_PATTERN}})


class ApiShape(_Strict):
    """The API."""

    model_config = ConfigDict(title="Api")
    url: ApiUrl = _field(
        f"{contract.DEFAULT_URL} by default; sandbox for the embedded emulated API: no key, no network. Any host but "
        "the vendor's and loopback must also be named in RECONCILER_ALLOWED_HOSTS."
    )
    key_env: KeyEnvName = _field(
        "The environment variable that holds the key; EVERSINCE_API_KEY by default. It begins with EVERSINCE_."
    )


class LimitsShape(_Strict):
    """Limits of the account and of waiting."""

    model_config = ConfigDict(title="Limits")
    active_projects: Positive = _field(f"Projects at work at a time; {_LIMITS.active_projects} by default.")
    requests_per_minute: Positive = _field(f"Requests a minute; {_LIMITS.requests_per_minute} by default.")
    settle_seconds: Annotated[float, Field(ge=0, le=COUNT_MAX, allow_inf_nan=False)] = _field(
        f"Seconds in which a message of unknown fate may still appear; {_LIMITS.settle_seconds:g} by default."
    )
    lease_seconds: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)] = _field(
        f"Seconds for which the lock of a remote state outlives a run that was killed; {_LIMITS.lease_seconds:g} by default."
    )


class PolicyShape(_Strict):
    """Limits on one apply; null is off."""

    model_config = ConfigDict(title="Policy")
    max_creates: Count | None = _field("Creates in one apply; off by default.")
    max_cancels: Count | None = _field("Cancels in one apply; off by default.")
    max_replacements: Count | None = _field("Replacements in one apply; off by default.")
    max_messages: Count | None = _field("Messages in one apply; off by default.")
    min_credits: Count | None = _field("Credits below which nothing that costs is done; off by default.")
    max_share: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = _field(
        f"The share of the managed projects (from 10 on) that one apply may cancel or replace; {_POLICY.max_share} by default."
    )
    allowed_env: list[EnvName] = _field("Names that ${env.…} may have in specifications; no well-known credentials.")


class SandboxShape(_Strict):
    """The embedded emulated API."""

    model_config = ConfigDict(title="Sandbox")
    speed: Annotated[float, Field(gt=0, le=COUNT_MAX, allow_inf_nan=False)] = _field("How many times faster than life.")


class ConfigFile(_Strict):
    """The configuration of a workspace."""

    model_config = ConfigDict(title="Reconciler configuration")
    workspace: WorkspaceName = _field("Stable name; part of every idempotency key. By default the directory's name.")
    api: ApiShape = _field("The API to talk to.")
    specs: PathText = _field("The folder of specification files, read recursively; specs by default.")
    state: PathText = _field(
        "Where the state is: a path inside the workspace, or for a team s3://bucket/prefix, gs://… or az://…. Other "
        "places, like file:///shared/folder, are for --state or RECONCILER_STATE."
    )
    variables: Variables = _field("Variables by name, each declared once in the workspace.")
    defaults: Defaults = _field("Merged under every project.")
    limits: LimitsShape = _field("Limits of the account and of waiting.")
    policy: PolicyShape = _field("Limits on one apply.")
    sandbox: SandboxShape = _field("The embedded emulated API.")
