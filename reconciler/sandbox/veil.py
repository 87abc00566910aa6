"""Protection of texts on disk: secrets that are known are replaced by stand-ins, what was sent is kept as digests.

The account has to give back what it was sent, so text goes into its tables; a value that the caller knows to be secret
goes in as a stand-in, and an answer to the caller has the value again. The request log and the ledger only have to tell
equal from different, so they keep digests.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

from reconciler.model.contract import ReferenceType
from reconciler.model.redact import SHORTEST

_MARK: Final = "{secret:"
_SCRYPT_COST: Final = {"n": 1 << 14, "r": 8, "p": 1}
"""16 MiB and some 50 ms for each guess, as a secret may be short."""
_OWN_NAMES: Final = frozenset({"idempotency_key", "message_id", "digest", "content_type", "file_size", "from"})
"""Fields whose values are the account's own, or say nothing."""


class Veil:
    """Replaces secrets by stand-ins and back.

    Args:
        secrets: The values that must not lie on disk. Those shorter than ``SHORTEST`` characters would match everywhere
            and stay.
        salt: Belongs to the account, so that a value has the same stand-in in every run.

    """

    def __init__(self, secrets: Iterable[str], salt: bytes) -> None:
        self._secrets = sorted({s for s in secrets if len(s) >= SHORTEST}, key=lambda s: (-len(s), s))
        self._salt = salt
        self._made: dict[str, str] = {}

    def hide(self, text: str) -> str:
        """The text with stand-ins."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, self._stand_in(secret))
        return text

    def hide_all(self, value: Any) -> Any:
        """The same for every string in a JSON value, names too."""
        if not self._secrets:
            return value
        match value:
            case str():
                return self.hide(value)
            case dict():
                return {self.hide(name): self.hide_all(item) for name, item in value.items()}
            case list():
                return [self.hide_all(item) for item in value]
            case _:
                return value

    def show(self, text: str) -> str:
        """The text that was hidden, as far as its secrets are known."""
        if _MARK in text:
            for secret in self._secrets:
                text = text.replace(self._stand_in(secret), secret)
        return text

    def show_json(self, body: bytes) -> bytes:
        """The same for JSON."""
        if _MARK.encode() not in body:
            return body
        for secret in self._secrets:
            written = json.dumps(secret)[1:-1].encode()
            body = body.replace(self._stand_in(secret).encode(), written)
        return body

    def _stand_in(self, secret: str) -> str:
        made = self._made.get(secret)
        if made is None:
            raw = secret.encode(errors="surrogateescape")
            made = f"{_MARK}{hashlib.scrypt(raw, salt=self._salt, dklen=16, **_SCRYPT_COST).hex()}}}"
            self._made[secret] = made
        return made


class Digests:
    """Digests of what was sent, under a key of the account: the same for the same value, and for no other."""

    def __init__(self, key: bytes, choices: frozenset[str]) -> None:
        self._key = key
        self._choices = choices | {*get_args(ReferenceType)}
        """Values that the API's own table lists, so they tell nothing."""

    def of(self, value: object) -> str:
        """The digest of one JSON value."""
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        return f"digest:{hashlib.blake2b(text.encode(), key=self._key, digest_size=16).hexdigest()}"

    def of_fields(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """An object whose fields are digests, but for those that can hold nothing secret."""
        return {name: self._of_field(name, item) for name, item in value.items()}

    def _of_field(self, name: str, item: object) -> object:
        if item is None or isinstance(item, bool) or name in _OWN_NAMES:
            return item
        if isinstance(item, str) and item in self._choices:
            return item
        if isinstance(item, dict):
            return self.of_fields(item)
        if isinstance(item, list):
            return [self.of_fields(one) if isinstance(one, dict) else self._of_field(name, one) for one in item]
        return self.of(item)
