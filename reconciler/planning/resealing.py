"""Replacing the digests that an earlier version gave to the secrets in a state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from reconciler.model.desired import Desired, DesiredProject
from reconciler.model.state import Entry, SentMessage
from reconciler.model.values import (
    Json,
    Sealed,
    Secret,
    Value,
    has_secret,
    is_sealed,
    seal_as_before,
    secrets_in,
)
from reconciler.planning.message_log import content_digest, message_digest


class Resealing:
    """Gives an entry the digests that the secrets of the specs have now.

    A secret that the specs no longer have keeps its digest, since its value is not known.
    """

    def __init__(self, desired: Desired, lineage: str) -> None:
        """``desired`` is sealed."""
        self._secrets: dict[str, str] = {}
        self._messages: dict[str, str] = {}
        self._contents: dict[str, str] = {}
        for value in _values(desired.projects):
            self._learn(value, lineage)
        for project in desired.projects.values():
            for message in project.messages:
                if not has_secret(message.body):
                    continue
                before = seal_as_before(message.body, lineage)
                self._messages[message_digest(before)] = message_digest(message.body)
                text = message.body["message"]
                if isinstance(text, Secret) and text.value is not None:
                    self._contents[content_digest(lineage, text.value.expose())] = content_digest(lineage, text)

    def _learn(self, value: Mapping[str, Value], lineage: str) -> None:
        if has_secret(value):
            for before, now in zip(secrets_in(seal_as_before(value, lineage)), secrets_in(value), strict=True):
                self._secrets[before.digest] = now.digest

    def __call__(self, entry: Entry) -> Entry:
        """The entry with the new digests; the same object if nothing changes."""
        if not self._secrets:
            return entry
        made = replace(
            entry,
            creation=Sealed({name: self._value(value) for name, value in entry.creation.items()}),
            settings={name: replace(known, value=self._value(known.value)) for name, known in entry.settings.items()},
            messages=tuple(map(self._message, entry.messages)),
        )
        return entry if made == entry else made

    def _value(self, value: Json) -> Json:
        if is_sealed(value):
            return {key: self._secrets.get(digest, digest) for key, digest in value.items()}
        if isinstance(value, Mapping):
            return {key: self._value(item) for key, item in value.items()}
        return [self._value(item) for item in value] if isinstance(value, list) else value

    def _message(self, message: SentMessage) -> SentMessage:
        digest = self._messages.get(message.digest, message.digest)
        content = self._contents.get(message.content, message.content)
        changed = (digest, content) != (message.digest, message.content)
        return replace(message, digest=digest, content=content) if changed else message


def _values(projects: Mapping[str, DesiredProject]) -> Iterator[Mapping[str, Value]]:
    for project in projects.values():
        yield project.creation
        yield project.settings
        yield from (message.body for message in project.messages)
        yield project.deliver.share or {}
