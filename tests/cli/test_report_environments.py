"""``reconciler report --all-environments``: one page for all, whose projects keep their environment."""

from __future__ import annotations

import re

import pytest

from tests.cli.cli_support import APPLY, Account, make_space

SPEC = """\
projects:
  hero: {brief: Hero., tags: [summer], settings: {title: Hero}}
  dev-only: {brief: Tries., only: [dev]}
  prod-only: {brief: "Sold ${env.WEBHOOK_TOKEN}", only: [prod], tags: [big], settings: {title: "${env.WEBHOOK_TOKEN}"}}
"""
CONFIG = """\
workspace: acme
api: {url: sandbox}
sandbox: {speed: 1000}
environments:
  dev: {}
  prod: {api: {version: 2026-05}, policy: {allowed_env: [WEBHOOK_TOKEN]}}
"""
SECRET = "canary-token-of-prod"
UNREACHABLE = "  far: {api: {url: 'https://far.example/v1'}}\n"


def places(page: str) -> set[str]:
    return set(re.findall(r'<h3 id="([^"]*)"', page))


@pytest.fixture(scope="module")
def applied(tmp_path_factory):
    space = make_space(tmp_path_factory.mktemp("w"), SPEC, CONFIG, WEBHOOK_TOKEN=SECRET)
    for name in ("dev", "prod"):
        space.run("-e", name, *APPLY)
    return space


def reported(space, *args, code=0, **env):
    ran = space.run("report", "--out", "public", "--all-environments", *args, code=code, **env)
    return ran, (space.root / "public" / "index.html").read_text(encoding="utf-8")


@pytest.mark.sweep
def test_one_page_shows_the_projects_of_all_environments_and_only_reads(applied):
    stores = {name: applied.root / ".reconciler" / "sandbox" / name / "account.db" for name in ("dev", "prod")}
    before = {}
    for name, path in stores.items():
        with Account(path) as store:
            before[name] = len(store.requests())
    states = {name: text for name, text in applied.files().items() if name.endswith("state.json")}
    ran, page = reported(applied, RECONCILER_ENVIRONMENT="dev")
    assert places(page) == {"hero@dev", "hero@prod", "dev-only@dev", "prod-only@prod"}
    assert ran.out == "Wrote public/index.html: 4 projects.\n"
    assert [line.split(",")[1].strip() for line in ran.err.splitlines()] == ["environment dev", "environment prod"]
    assert "environment dev, API sandbox" in page and "environment prod, API sandbox" in page
    assert 'data-group="environment"' in page
    assert SECRET not in page + ran.out + ran.err
    assert {name: text for name, text in applied.files().items() if name.endswith("state.json")} == states
    for name, path in stores.items():
        with Account(path) as store:
            made = store.requests()[before[name] :]
            assert made and {request.method for request in made} == {"GET"}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (("hero",), {"hero@dev", "hero@prod"}),
        (("dev-only", "prod-only"), {"dev-only@dev", "prod-only@prod"}),
        (("*-only",), {"dev-only@dev", "prod-only@prod"}),
        (("--tag", "big"), {"prod-only@prod"}),
        (("--exclude", "dev-only"), {"hero@dev", "hero@prod", "prod-only@prod"}),
        (("hero", "--tag", "big"), "leave no project"),
        (("heroo",), "Did you mean `hero`?"),
        (("hero", "nobody"), "`nobody` fits no project"),
        (("--tag", "bigg"), "Did you mean `big`?"),
        (("--exclude", "nobody"), "`--exclude nobody` fits no project"),
    ],
)
def test_a_selector_has_to_fit_something_in_one_of_them(applied, args, wanted):
    if isinstance(wanted, str):
        assert wanted in reported(applied, *args, code=1)[0].err
    else:
        assert places(reported(applied, *args)[1]) == wanted


@pytest.mark.sweep
def test_one_that_cannot_be_read_is_told_and_the_others_are_shown(applied, tmp_path):
    space = make_space(tmp_path, SPEC, CONFIG + UNREACHABLE, WEBHOOK_TOKEN=SECRET)
    for name in ("dev", "prod"):
        space.run("-e", name, *APPLY)
    ran, page = reported(space, code=1)
    assert len(places(page)) == 4
    assert ran.out == "Wrote public/index.html: 4 projects.\n"
    for told in (ran.err, page):
        assert "environment `far`" in re.sub("</?code>", "`", told)
        assert "RECONCILER_ALLOWED_HOSTS" in told
    space.write("reconciler.yaml", CONFIG.partition("  dev")[0] + UNREACHABLE)
    (space.root / "public" / "index.html").unlink()
    assert "environment `far`" in space.run("report", "--out", "public", "--all-environments", code=1).err
    assert not (space.root / "public" / "index.html").exists()


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("-e", "dev", "report"), "--environment"),
        (("report", "-e", "dev"), "--environment"),
        (("--state", "mine.json", "report"), "`--state` names the state of one environment"),
    ],
)
def test_what_chooses_one_environment_is_refused_beside_it(applied, args, told):
    assert told in applied.run(*args, "--out", "other", "--all-environments", code=1).err
    assert not (applied.root / "other").exists()


def test_a_workspace_without_environments_is_shown_as_without_the_option(tmp_path):
    space = make_space(tmp_path, "projects:\n  hero: {brief: Hero.}\n")
    space.run(*APPLY)
    _, page = reported(space)
    assert places(page) == {"hero"} and 'data-group="environment"' not in page


def test_an_address_that_fits_nothing_is_an_error_without_the_option_too(applied):
    assert "`nobody` fits no project" in applied.run("-e", "dev", "report", "--out", "public", "nobody", code=1).err
