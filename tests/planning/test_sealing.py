"""Secrets are digested under the state's lineage wherever they stand, so that no digest tells a value by itself."""

from __future__ import annotations

import pytest

from reconciler.model.desired import AdoptOrigin, CreateOrigin, Desired, DesiredMessage, DesiredProject, seal
from reconciler.model.values import Revealed, Secret, secret_digest

VALUE = Revealed("s3cret")
LOADED = Secret("${env.TOKEN}", secret_digest("", VALUE), VALUE)
SEALED = Secret("${env.TOKEN}", secret_digest("lineage", VALUE), VALUE)


def project(token: object, place: str) -> DesiredProject:
    """One that has ``token`` in one place, and plain text in all others."""
    at = {name: token if name == place else "plain" for name in ("brief", "reference", "setting", "message", "shown")}
    return DesiredProject(
        "a",
        CreateOrigin({"brief": at["brief"], "references": [{"url": at["reference"]}]}),
        {"webhook_url": at["setting"], "craft_auto": True},
        (DesiredMessage("1", {"message": at["message"], "references": [{"url": at["shown"]}]}),),
    )


@pytest.mark.parametrize("place", ["brief", "reference", "setting", "message", "shown"])
def test_a_secret_is_sealed_wherever_it_stands(place):
    assert LOADED != SEALED
    sealed = seal(Desired("w", {"a": project(LOADED, place)}), "lineage")
    assert sealed == Desired("w", {"a": project(SEALED, place)})


def test_a_secret_of_an_adopted_project_is_sealed():
    def adopted(token: Secret) -> Desired:
        return Desired("w", {"a": DesiredProject("a", AdoptOrigin("s"), {"webhook_url": token})})

    assert seal(adopted(LOADED), "lineage") == adopted(SEALED)


def test_what_has_no_secret_stays_as_it_is():
    plain = Desired("w", {"a": project("plain", "brief")})
    assert seal(plain, "lineage").projects["a"] is plain.projects["a"]
