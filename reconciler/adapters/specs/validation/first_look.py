"""The shapes of specification files and of ``reconciler.yaml``, and a first look at a tree: whether it is right beyond
doubt.

The models of :mod:`reconciler.adapters.specs.validation.models` have the last word, and say all that is wrong. They come with pydantic, whose import takes
longer than all the work of a small plan; what is right, as nearly everything is, need not wait for it. So the shapes
here may refuse what the models accept, but never accept what they refuse (``tests/language/test_first_look.py``).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, get_args

from msgspec import UNSET, Meta, Struct, convert, field
from msgspec.json import encode

from reconciler.model import contract
from reconciler.model.desired import ADDRESS_MAX, KEY, NAME, OnFailed, OnImmutableChange, OnRemove

NAME_PATTERN: Final = f"^{NAME.pattern}$"
ADDRESS_PATTERN: Final = rf"^{NAME.pattern}(\[{KEY.pattern}(,{KEY.pattern})*\])?$"
WORKSPACE_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
MESSAGE_ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
PROJECT_ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
ENV_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
KEY_ENV_PATTERN: Final = r"^EVERSINCE_[A-Za-z0-9_]+$"
COUNT_MAX: Final = 1_000_000_000

ORIGINS: Final = ("brief", "brief_file", "adopt", "import")
"""The ways a project comes to be; a project has exactly one."""
CREATION_ONLY: Final = ("aspect_ratio", "references", "extract_content")
"""Fields that only a project with a brief has."""
SOURCES: Final = ("url", "upload_id", "project", "file")
"""What a reference may be given by; it has exactly one."""
SENT_AS_URL: Final = ("url", "project")
"""Those that the API gets as a URL: with a type, and few of them."""
Ignorable = Literal[
    "title",
    "mode",
    "video_model",
    "image_model",
    "agent_model",
    "craft",
    "craft_auto",
    "webhook_url",
    "expected_output",
    "brief",
    "aspect_ratio",
    "references",
    "extract_content",
]
assert get_args(Ignorable) == (*contract.SETTINGS, *contract.CREATION_FIELDS)


def fits(shape: type[Struct], tree: Any) -> bool:
    """Whether the tree surely has this shape."""
    try:
        encode(convert(tree, shape))  # half a surrogate pair is no text
    except (ValueError, TypeError):
        return False
    return True


def _whole(pattern: str, longest: int | None = None) -> Meta:
    """Text of a pattern; here ``$`` would allow a line break after it."""
    return Meta(pattern=pattern.removesuffix("$") + r"\Z", max_length=longest)


_ABSENT: Final[Any] = UNSET
_HOST: Final = "[A-Za-z0-9.-]+(:[0-9]{1,4})?"
Address = Annotated[str, _whole(ADDRESS_PATTERN, ADDRESS_MAX)]
WorkspaceName = Annotated[str, _whole(WORKSPACE_PATTERN)]
MessageId = Annotated[str, _whole(MESSAGE_ID_PATTERN)]
ProjectId = Annotated[str, _whole(PROJECT_ID_PATTERN)]
EnvName = Annotated[str, _whole(ENV_PATTERN)]
KeyEnvName = Annotated[str, _whole(KEY_ENV_PATTERN)]
Brief = Annotated[str, Meta(pattern=r"\S", max_length=contract.BRIEF_MAX)]
MessageText = Annotated[str, Meta(pattern=r"\S", max_length=contract.MESSAGE_MAX)]
Visible = Annotated[str, Meta(pattern=r"\S")]
PathText = Annotated[str, Meta(pattern=r"^[^\0]*[^\0\s][^\0]*\Z")]
HttpsUrl = Annotated[str, Meta(pattern=rf"^https://{_HOST}(/[!-~]*)?\Z")]
WebUrl = Annotated[str, Meta(pattern=rf"^https?://{_HOST}(/[!-~]*)?\Z")]
ApiUrl = Annotated[str, Meta(pattern=rf"^(sandbox|https?://{_HOST}(/[A-Za-z0-9/._-]*)?)\Z")]
Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
Positive = Annotated[int, Meta(ge=1, le=COUNT_MAX)]


class _Shape(Struct, forbid_unknown_fields=True):
    pass


class Reference(_Shape):
    url: WebUrl = _ABSENT
    upload_id: Visible = _ABSENT
    project: Address = _ABSENT
    file: Visible = _ABSENT
    type: contract.ReferenceType = _ABSENT


References = Annotated[list[Reference], Meta(max_length=contract.REFERENCES_MAX)]


class Settings(_Shape):
    title: Annotated[str, Meta(max_length=contract.TITLE_MAX)] | None = _ABSENT
    mode: contract.Mode = _ABSENT
    video_model: Visible = _ABSENT
    image_model: Visible = _ABSENT
    agent_model: contract.AgentModel = _ABSENT
    craft: contract.Craft = _ABSENT
    craft_auto: bool = _ABSENT
    webhook_url: HttpsUrl | None = _ABSENT
    expected_output: contract.ExpectedOutput | None = _ABSENT


class LifecycleShape(_Shape):
    on_remove: OnRemove = _ABSENT
    on_failed: OnFailed = _ABSENT
    on_immutable_change: OnImmutableChange = _ABSENT
    ignore_changes: list[Ignorable] = _ABSENT


class Message(_Shape):
    message: MessageText
    id: MessageId = _ABSENT
    references: References = _ABSENT
    extract_content: bool = _ABSENT


class Defaults(_Shape):
    brief: Brief = _ABSENT
    brief_file: Visible = _ABSENT
    aspect_ratio: contract.AspectRatio = _ABSENT
    references: References = _ABSENT
    extract_content: bool = _ABSENT
    settings: Settings = _ABSENT
    state: Literal["present", "cancelled"] = _ABSENT
    lifecycle: LifecycleShape = _ABSENT


class Project(Defaults):
    """A project whose ``for_each`` was taken out."""

    depends_on: list[Address] = _ABSENT
    adopt: ProjectId = _ABSENT
    import_: ProjectId = field(default=_ABSENT, name="import")
    messages: list[Message] = _ABSENT


class MovedShape(_Shape):
    to: Address
    from_: Address = field(name="from")


class RemovedShape(_Shape):
    address: Address
    action: OnRemove


class VariableShape(_Shape):
    type: Literal["string", "number", "bool", "list"] = _ABSENT
    default: Any = _ABSENT
    description: str = _ABSENT


class Document(_Shape):
    """A document of a specification file, its projects still unread."""

    variables: dict[str, VariableShape] = _ABSENT
    moved: list[MovedShape] = _ABSENT
    removed: list[RemovedShape] = _ABSENT
    defaults: dict[str, Any] = _ABSENT
    projects: dict[str, Any] = _ABSENT


class ApiShape(_Shape):
    url: ApiUrl = _ABSENT
    key_env: KeyEnvName = _ABSENT


class LimitsShape(_Shape):
    active_projects: Positive = _ABSENT
    requests_per_minute: Positive = _ABSENT
    settle_seconds: Annotated[float, Meta(ge=0, le=COUNT_MAX)] = _ABSENT
    lease_seconds: Annotated[float, Meta(ge=1, le=86_400)] = _ABSENT


class PolicyShape(_Shape):
    max_creates: Count | None = _ABSENT
    max_cancels: Count | None = _ABSENT
    max_replacements: Count | None = _ABSENT
    max_messages: Count | None = _ABSENT
    min_credits: Count | None = _ABSENT
    max_share: Annotated[float, Meta(ge=0, le=1)] | None = _ABSENT
    allowed_env: list[EnvName] = _ABSENT


class SandboxShape(_Shape):
    speed: Annotated[float, Meta(gt=0, le=COUNT_MAX)] = _ABSENT


class ConfigFile(_Shape):
    workspace: WorkspaceName = _ABSENT
    api: ApiShape = _ABSENT
    specs: PathText = _ABSENT
    state: PathText = _ABSENT
    variables: dict[str, VariableShape] = _ABSENT
    defaults: Defaults = _ABSENT
    limits: LimitsShape = _ABSENT
    policy: PolicyShape = _ABSENT
    sandbox: SandboxShape = _ABSENT
