"""Tables that ``--help`` and the manual's reference pages share: exit codes and environment variables."""

from __future__ import annotations

from typing import Final

DONE: Final = 0
ERROR: Final = 1
CHANGES: Final = 2
ATTENTION: Final = 3
INTERRUPTED: Final = 130

EXIT_CODES: Final = {
    DONE: "Success; for `watch` and `operator`, also when stopped by Ctrl-C or SIGTERM",
    ERROR: "Error, including usage errors, refused plans, failed steps, and steps that need a decision",
    CHANGES: "With --detailed-exitcode: plan found changes, or apply deferred steps; workspaces: one is affected",
    ATTENTION: "With --fail-on attention: a project needs a person; wins over 2",
    INTERRUPTED: "Interrupted by Ctrl-C or SIGTERM (except `watch` and `operator`)",
}
ENVIRONMENT: Final = {
    "EVERSINCE_API_KEY": "API key (`api.key_env` can name another EVERSINCE_ variable)",
    "EVERSINCE_API_URL": "API URL or `sandbox`, instead of `api.url` in `reconciler.yaml`",
    "EVERSINCE_API_VERSION": "Version of the API, instead of `api.version` in `reconciler.yaml`",
    "EVERSINCE_WEBHOOK_SECRET": "Secret that signs webhook deliveries, for watch",
    "RECONCILER_ALLOWED_HOSTS": "Additional hosts allowed in `api.url`, comma-separated",
    "RECONCILER_ENVIRONMENT": "Environment to work in, like --environment",
    "RECONCILER_KEY_COMMAND": "Command that prints the API key, like --key-command",
    "RECONCILER_POLICY": "Folders of rules that plans must obey, like --policy",
    "RECONCILER_NOTIFY": "Receivers of notices, like --notify",
    "RECONCILER_NOTIFY_ON": "Facts to send notices of, comma-separated [default: all]",
    "RECONCILER_NOTIFY_SLACK_URL": "URL of Slack's incoming webhook",
    "RECONCILER_NOTIFY_WEBHOOK_URL": "URL of a webhook that receives notices as JSON",
    "RECONCILER_NOTIFY_WEBHOOK_SECRET": "Secret that signs notices to the webhook",
    "RECONCILER_PULL_REQUEST": "Pull request that plan and apply are for, like --pull-request",
    "RECONCILER_PULL_REQUEST_URL": "Its page, like --pull-request-url",
    "RECONCILER_STATE": "Where the state is stored, like --state",
    "RECONCILER_VAR_<name>": "Value of `${var.<name>}`",
    "RECONCILER_<OPTION>": "Default of a global option: RECONCILER_CHDIR",
    "RECONCILER_<COMMAND>_<OPTION>": "Default of an option: RECONCILER_APPLY_TIMEOUT",
    "RECONCILER_MAX_PROJECTS": "Maximum number of declared projects [default: 20,000]",
    "RECONCILER_MAX_TEXT_MIB": "Maximum size of the expanded specs, in MiB [default: 64]",
    "NO_COLOR": "No color, if it is set to anything",
    "FORCE_COLOR, CLICOLOR_FORCE": "Color also where the output is no terminal, such as a CI log",
    "TERM": "If `dumb`: no color and no live progress",
    "XDG_CONFIG_HOME": "Folder of your own configuration, `reconciler/config.yaml` [default: ~/.config]",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "OpenTelemetry collector that gets traces, with the extra `otel`",
    "TRACEPARENT": "Trace that the traces of this run belong to",
    "PAGER": "Program that shows the manual's pages; `cat` for none",
    "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY": "Proxies; lower case works, too",
    "GITHUB_ACTIONS": "If `true`: log groups, annotations and the job summary",
}
"""What is read from the environment, besides the variables that ``policy.allowed_env`` names and those by which stores
of remote states and CI services say who they are.
"""


def as_lines(table: dict[str, str], indent: str = "  ") -> str:
    """A table as aligned lines; long names have a line of their own."""
    width = max(len(name) for name in table if len(name) <= _NAME_MAX)
    return "".join(
        f"{indent}{name:{width}}  {text}\n" if len(name) <= width else f"{indent}{name}\n{indent}{'':{width}}  {text}\n"
        for name, text in table.items()
    )


_NAME_MAX: Final = 30
