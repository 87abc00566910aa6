"""Environment variables that hold well-known credentials: no specification may send their values anywhere.

A branch writes both ``policy.allowed_env`` and the address that a value goes to, so what is listed here can't be
allowed. A name that is not listed, like ``WEBHOOK_TOKEN``, may be.
"""

from __future__ import annotations

from typing import Final

_KNOWN: Final = """
    EVERSINCE_* RECONCILER_*
    GITHUB_TOKEN GITHUB_*_TOKEN GITHUB_PAT* GH_TOKEN GH_*_TOKEN GH_PAT* ACTIONS_* RUNNER_TOKEN
    CI_*TOKEN* CI_*PASSWORD* CI_*JWT* CI_*SECRET* CI_REPOSITORY_URL
    GITLAB_*TOKEN* GL_TOKEN BITBUCKET_*TOKEN* BITBUCKET_*PASSWORD* BUILDKITE_*TOKEN* CIRCLE_*TOKEN* DRONE_*TOKEN*
    JENKINS_*TOKEN* TRAVIS_*TOKEN* SYSTEM_ACCESSTOKEN AZURE_* ARM_* AWS_* GOOGLE_* GCP_* GCLOUD_* CLOUDSDK_*
    ALIBABA_* ALICLOUD_* B2_* CLOUDFLARE_* CF_API_* DIGITALOCEAN_* DO_*TOKEN* FLY_* HCLOUD_TOKEN HEROKU_* IBMCLOUD_*
    LINODE_*TOKEN* MINIO_* NETLIFY_* OCI_* OVH_* R2_* S3_* SCW_* VERCEL_*
    ATLAS_TOKEN CONSUL_*TOKEN* KUBE* NOMAD_*TOKEN* PULUMI_* TFE_TOKEN TF_TOKEN_* TF_API_TOKEN VAULT_* SOPS_* AGE_*KEY*
    OP_*TOKEN* OP_SESSION* BW_* DOPPLER_* INFISICAL_*
    CARGO_*TOKEN* COMPOSER_AUTH DOCKER_* DOCKERHUB_* GEM_HOST_API_KEY HEX_API_KEY MAVEN_*PASSWORD* NODE_AUTH_TOKEN
    NPM_* NUGET_* PIP_* POETRY_* PYPI_* QUAY_* REGISTRY_*PASSWORD* RUBYGEMS_* TWINE_* UV_* YARN_*TOKEN*
    GIT_ASKPASS GIT_*TOKEN* GIT_*PASSWORD* GIT_CONFIG* GNUPG* GPG_* SSH_* SIGNING_KEY* COSIGN_* *PRIVATE_KEY*
    *_ACCESS_KEY *_ACCESS_KEY_ID *_SECRET_KEY NETRC HTTP_PROXY HTTPS_PROXY ALL_PROXY
    DATABASE_URL MONGO*_URI MYSQL_* PGPASS* POSTGRES* REDIS_* SNOWFLAKE_*
    ANTHROPIC_* COHERE_API_KEY ELEVENLABS_* GEMINI_* GROQ_API_KEY HF_TOKEN HUGGING* MISTRAL_API_KEY OPENAI_*
    REPLICATE_* RUNWAY* STABILITY_*
    ALGOLIA_*KEY* CODECOV_TOKEN DATADOG_* DD_API_KEY DD_APP_KEY HONEYCOMB_* JIRA_*TOKEN* LINEAR_API_KEY MAILGUN_*
    NEW_RELIC_* NOTION_*TOKEN* PAGERDUTY_* PAYPAL_* SENDGRID_* SENTRY_AUTH_TOKEN SLACK_*TOKEN* SNYK_TOKEN SONAR_*TOKEN*
    STRIPE_* TELEGRAM_*TOKEN* TWILIO_*
"""
"""Names, or patterns with one or two ``*``. The first line is this tool's own: its key (whatever ``api.key_env`` names begins so),
the webhook's secret, its options."""


def is_credential(name: str) -> bool:
    """Whether a variable of this name is known to hold a credential; upper and lower case are one."""
    return any(_fits(name.upper(), pattern) for pattern in _KNOWN.split())


def _fits(name: str, pattern: str) -> bool:
    start, star, rest = pattern.partition("*")
    if not star:
        return name == start
    middle, _, end = rest.rpartition("*")
    tail = name.removeprefix(start)
    return name.startswith(start) and tail.endswith(end) and middle in tail[: len(tail) - len(end)]
