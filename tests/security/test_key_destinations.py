"""The key goes to the vendor, to this machine, or to a host that its owner named: never where a branch says."""

from __future__ import annotations

import json

import pytest

from reconciler.model.errors import ConfigError
from reconciler.sandbox.server import BackgroundServer
from reconciler.sandbox.store import Options
from tests.cli.cli_support import answering, make_space
from tests.sampling import every
from tests.security.security_support import ATTACKER, KEY, PLAIN, STOLEN, network
from tests.spec_files import load_config

COMMANDS = [
    ("plan",),
    ("plan", "--out", "saved.plan"),
    ("apply", "--auto-approve"),
    ("destroy", "--auto-approve"),
    ("status",),
    ("messages", "teaser"),
    ("output",),
    ("import", "teaser", "proj_1"),
    ("export", "--out", "x"),
    ("state", "recover"),
    ("report", "--out", "x"),
    ("watch",),
    ("validate",),
]


def configured(url, more=""):
    return f"workspace: acme\napi:\n  url: {json.dumps(url)}\n{more}"


@pytest.mark.sampled(3)
@pytest.mark.parametrize("args", every(2, COMMANDS), ids=" ".join)
def test_no_command_sends_the_key_where_a_branch_says(tmp_path, args):
    # Intent: exit 1 before any call or look-up, the line of the file, the variable that would allow it.
    space = make_space(tmp_path / "w", PLAIN, configured(ATTACKER), EVERSINCE_API_KEY=KEY)
    before = space.files()
    with network() as net:
        ran = space.run(*args, code=1, **net.env)
    assert net.heard == []
    assert space.files() == before
    told = ran.out + ran.err
    assert "reconciler.yaml:3:8" in told and "attacker.example" in told, told
    assert "RECONCILER_ALLOWED_HOSTS=attacker.example" in told
    assert KEY not in told


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    "env",
    [
        {"RECONCILER_ALLOWED_HOSTS": "attacker.example"},
        {"EVERSINCE_API_URL": ATTACKER},
        {},
    ],
    ids=["hosts", "url", "flag"],
)
def test_the_network_of_these_tests_hears_what_leaves(tmp_path, env):
    # Intent: a host that was named from outside is called, by each of the three ways; so silence above means something.
    space = make_space(tmp_path / "w", PLAIN, configured(ATTACKER if len(env) else "sandbox"), EVERSINCE_API_KEY=KEY)
    flags = () if env else ("--api-url", ATTACKER)
    with network() as net:
        space.run(*flags, "plan", code=1, **net.env, **env)
    assert net.heard and net.heard[0].startswith("CONNECT attacker.example:443 ")


GOOD = [
    ("https://eversince.ai/api/v1", ""),
    ("https://EverSince.AI/api/v1/", ""),
    ("https://eversince.ai:443/api/v2", ""),
    ("http://127.0.0.1:8080/api/v1", ""),
    ("http://127.9.8.7/api/v1", ""),
    ("https://localhost:8443/api/v1", ""),
    ("http://[::1]:8080/api/v1", ""),
    ("sandbox", ""),
    ("sandbox", "!nonsense!"),
    ("https://proxy.example/api/v1", "proxy.example"),
    ("https://proxy.example:8443/api/v1", "proxy.example"),
    ("https://proxy.example:8443/api/v1", "other.example, PROXY.example:8443 ,"),
    ("https://proxy.example/api/v1", "proxy.example:443"),
    ("https://10.1.2.3/api/v1", "10.1.2.3"),
    ("https://[2001:db8::1]/api/v1", "2001:DB8:0::1"),
    ("https://[2001:db8::1]:8443/api/v1", "[2001:db8::1]:8443"),
    ("https://xn--bcher-kva.example/api/v1", "xn--bcher-kva.example"),
    ("https://my_proxy/api/v1", "my_proxy"),
]


@pytest.mark.parametrize(("url", "hosts"), GOOD)
def test_these_the_file_may_name(tmp_path, url, hosts):
    (tmp_path / "reconciler.yaml").write_text(configured(url))
    assert load_config(tmp_path, env={"RECONCILER_ALLOWED_HOSTS": hosts}).api_url == url.rstrip("/")


BAD = [
    ("https://eversince.ai.attacker.example/api/v1", ""),
    ("https://attacker.example/eversince.ai/api/v1", ""),
    ("https://eversince.ai@attacker.example/api/v1", ""),
    ("https://eversince.ai:x@attacker.example/api/v1", ""),
    ("https://attacker.example\\@eversince.ai/api/v1", ""),
    ("https://eversince.ai\\.attacker.example/api/v1", ""),
    ("https://eversince.ai#@attacker.example/api/v1", ""),
    ("https://eversince.ai?@attacker.example/api/v1", ""),
    ("https://eversince.ai%2eattacker.example/api/v1", ""),
    ("https://eversince.ai%00.attacker.example/", ""),
    ("https://xeversince.ai/api/v1", ""),
    ("https://api.eversince.ai/api/v1", ""),
    ("https://eversince.ai./api/v1", ""),
    ("https://eversince.ai:8443/api/v1", ""),
    ("https://eversince.ai:80/api/v1", ""),
    ("https://eversince.ai:0443x/api/v1", ""),
    ("http://eversince.ai/api/v1", ""),
    ("http://eversince.ai:443/api/v1", ""),
    ("https://еversince.ai/api/v1", ""),  # a Cyrillic letter
    ("https://eversince。ai/api/v1", ""),
    ("https://ｅversince.ai/api/v1", ""),
    ("https://eversince.ai\t.attacker.example/", ""),
    ("https://eversince.ai\n.attacker.example/", ""),
    (" https://eversince.ai/api/v1", ""),
    ("//attacker.example/api/v1", ""),
    ("https:attacker.example", ""),
    ("https:///attacker.example", ""),
    ("Sandbox", ""),
    ("http://sandbox/api/v1", ""),
    ("https://localhost.attacker.example/api/v1", ""),
    ("http://localhost.:8080/api/v1", ""),
    ("http://127.0.0.1.attacker.example/api/v1", ""),
    ("http://127.1/api/v1", ""),
    ("http://2130706433/api/v1", ""),
    ("http://0x7f000001/api/v1", ""),
    ("http://0.0.0.0:8080/api/v1", ""),
    ("http://[::]:8080/api/v1", ""),
    ("http://169.254.169.254/latest", ""),
    ("http://[fe80::1%25eth0]/api/v1", ""),
    ("https://proxy.example/api/v1", "example"),
    ("https://proxy.example/api/v1", ".example"),
    ("https://proxy.example/api/v1", "xproxy.example,roxy.example"),
    ("https://proxy.example/api/v1", "proxy.example:8443"),
    ("https://proxy.example:8443/api/v1", "proxy.example:443"),
    ("https://sub.proxy.example/api/v1", "proxy.example"),
    ("http://proxy.example/api/v1", "proxy.example"),
]


@pytest.mark.parametrize(("url", "hosts"), BAD)
def test_these_it_may_not(tmp_path, url, hosts):
    # Intent: every spelling that one reader takes for a good host and another for a bad one is refused, at its line.
    (tmp_path / "reconciler.yaml").write_text(configured(url))
    with pytest.raises(ConfigError) as failure:
        load_config(tmp_path, env={"RECONCILER_ALLOWED_HOSTS": hosts})
    (found,) = failure.value.diagnostics
    assert str(found.location) == "reconciler.yaml:3:8"
    assert found.summary.startswith("api.url")


@pytest.mark.parametrize("hosts", ["*", "*.example", "https://proxy.example", "proxy.example/api", "a b", "u@h", "h:x"])
def test_a_list_that_is_none_of_hosts_is_told(tmp_path, hosts):
    (tmp_path / "reconciler.yaml").write_text(configured("https://proxy.example/api/v1"))
    with pytest.raises(ConfigError, match=r"RECONCILER_ALLOWED_HOSTS: .* is not a host"):
        load_config(tmp_path, env={"RECONCILER_ALLOWED_HOSTS": f"good.example,{hosts}"})


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "name",
    [
        "GITHUB_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "PATH",
        "XEVERSINCE_KEY",
        "EVERSINCE_",
        "eversince_api_key",
        "EVERSINCEKEY",
    ],
)
def test_no_other_secret_goes_out_as_the_key(tmp_path, name):
    # Intent: `key_env` names the tool's own variables only; the value of another one reaches no server, not even loopback.
    with answering(200, '{"projects": [], "total": 0}') as server:
        config = configured(server.url, f"  key_env: {name}\n")
        space = make_space(tmp_path / "w", PLAIN, config, **{name: STOLEN} if name != "PATH" else {})
        ran = space.run("plan", code=1)
    assert server.heard == []
    assert "reconciler.yaml:4:12" in ran.err and "EVERSINCE_" in ran.err
    assert STOLEN not in ran.out + ran.err


def test_a_key_of_another_team_may_be_named(tmp_path):
    with answering(200, '{"projects": [], "total": 0}') as server:
        config = configured(server.url, "  key_env: EVERSINCE_BRAND_KEY\n")
        make_space(tmp_path / "w", PLAIN, config, EVERSINCE_BRAND_KEY=KEY).run("plan")
    assert {key for _, _, key in server.heard} == {f"Bearer {KEY}"}


@pytest.mark.sweep
def test_neither_a_saved_plan_nor_a_state_says_where_the_key_goes(tmp_path):
    # Intent: their `api_url` is compared and no more; whoever edits it gets a refusal, and no request.
    with (
        BackgroundServer(
            tmp_path / "account.db", options=Options(speed=200, requests_per_minute=0, strict=True), key=KEY
        ) as server,
        answering(200, '{"projects": [], "total": 0}') as thief,
    ):
        env = {"EVERSINCE_API_KEY": KEY, "EVERSINCE_API_URL": server.url}
        space = make_space(tmp_path / "w", PLAIN, "workspace: acme\n", **env)
        space.run("plan", "--out", "saved.plan")
        plan = space.root / "saved.plan"
        assert server.url in plan.read_text()
        plan.write_text(plan.read_text().replace(server.url, thief.url))
        space.run("apply", "saved.plan", code=1)
        space.run("apply", "--auto-approve")
        state = space.root / "reconciler.state.json"
        assert server.url in state.read_text()
        state.write_text(state.read_text().replace(server.url, thief.url))
        for args in (("plan",), ("apply", "--auto-approve"), ("status",), ("state", "recover", "--auto-approve")):
            space.run(*args, code=None)
        assert thief.heard == []


def test_a_netrc_file_changes_no_header(tmp_path):
    # Intent: credentials that are kept for a host's other users are not sent in place of the key.
    netrc = tmp_path / "netrc"
    netrc.write_text("default login thief password gotcha\n")
    netrc.chmod(0o600)
    with answering(200, '{"projects": [], "total": 0}') as server:
        space = make_space(tmp_path / "w", PLAIN, configured(server.url), EVERSINCE_API_KEY=KEY)
        space.run("plan", NETRC=str(netrc), HOME=str(tmp_path))
    assert {key for _, _, key in server.heard} == {f"Bearer {KEY}"}
