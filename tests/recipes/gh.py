"""Stands in for GitHub's `gh`: keeps what it is told in a JSON file, evaluates `--jq` for real, records every call.

As a script it serves a port of this machine. What shells start as `gh` says there which process it is; a child with that
one's arguments, folder and environment does what is asked, at a tenth of what a start of Python costs.
"""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import jq

CONTENTS = {"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}
BOT = {"login": "github-actions[bot]"}
COMMAND = """\
#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/PORT
echo $$ >&3
read -r code <&3
IFS= read -r -d '' said <&3
if [ "$code" = 0 ]; then printf %s "$said"; else echo "$said" >&2; fi
exit "$code"
"""


def main(arguments):
    global HOME  # noqa: PLW0603  each call is a process of its own
    HOME = Path(os.environ["FAKE_GITHUB"])
    account = json.loads((HOME / "account.json").read_text())
    account["calls"].append(arguments)
    answer = call(account, *parsed(arguments))
    (HOME / "account.json").write_text(json.dumps(account))
    return answer


def parsed(arguments):
    words, options = [], {"fields": {}}
    rest = iter(arguments)
    for word in rest:
        if word in ("--paginate", "--silent", "--force"):
            options[word] = True
        elif word.startswith("-"):
            options[word] = next(rest)
            if word in ("-f", "-F"):
                name, _, value = options[word].partition("=")
                options["fields"][name] = int(value) if word == "-F" and value.isdecimal() else value
        else:
            words.append(word)
    return words, options


def call(account, words, options):
    match words:
        case ["api", "graphql"]:
            return shown(graphql(account, options["fields"]), options)
        case ["api", url]:
            query = dict(parse_qsl(urlsplit(url).query))
            if options.get("--method") == "GET":
                query |= {name: str(value) for name, value in options["fields"].items()}
            result = api(account, urlsplit(url).path.split("/"), query, options)
            return "" if "--silent" in options else shown(result, options)
        case ["run", "download", run]:
            shutil.copytree(HOME / "artifacts" / run / options["--name"], options["--dir"])
        case ["label", "create", _]:
            pass
        case ["issue", "create"]:
            body = Path(options["--body-file"]).read_text()
            number = len(account["issues"]) + 100
            labels = [{"name": options["--label"]}]
            account["issues"].append(
                {
                    "number": number,
                    "title": options["--title"],
                    "body": body,
                    "state": "open",
                    "user": BOT,
                    "labels": labels,
                    "created_at": now(account),
                }
            )
        case ["issue", "edit" | "close" as what, number]:
            issue = issue_of(account, number)
            if what == "close":
                issue["state"] = "closed"
            else:
                edited(account, issue, Path(options["--body-file"]).read_text())
        case _:
            raise SystemExit(f"gh: unknown: {words}")
    return ""


def edited(account, issue, body, by=BOT):
    """An edit of an issue's text."""
    issue |= {"body": body, "editor": by, "last_edited_at": now(account)}


def graphql(account, fields):
    """The only query that there is: who edited an issue last, which REST does not say."""
    issue = issue_of(account, fields["number"])
    repository = {"issue": {name: value for name, value in seen(issue).items() if f" {name} " in fields["query"]}}
    return {"data": {"repository": repository}}


def seen(issue):
    """An issue as GraphQL has it, where a bot's name has no `[bot]`."""

    def actor(user):
        bot = user is not None and user["login"].endswith("[bot]")
        kind = "Bot" if bot else "User"
        return user and {"__typename": kind, "login": user["login"].removesuffix("[bot]")}

    return {
        "state": issue["state"].upper(),
        "body": issue["body"],
        "createdAt": issue["created_at"],
        "lastEditedAt": issue.get("last_edited_at"),
        "author": actor(issue["user"]),
        "editor": actor(issue.get("editor")),
    }


def issue_of(account, number):
    (issue,) = [issue for issue in account["issues"] if issue["number"] == int(number)]
    return issue


def api(account, path, query, options):
    method = options.get("--method", "GET")
    match path[3], path[4:]:
        case "actions", rest:
            return actions(account, rest, method, query)
        case "issues", rest:
            return issues(account, rest, method, query, options)
        case "pulls", rest if method == "GET":
            return pulls(account, rest, query)
        case "contents", rest if method == "GET":  # of a file: what git calls it
            name = ["git", "-C", os.environ["FAKE_REPOSITORY"], "rev-parse", f"{query['ref']}:{'/'.join(rest)}"]
            done = subprocess.run(name, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit("gh: Not Found (HTTP 404)")
            return {"sha": done.stdout.strip()}
        case "commits", [sha, "pulls"] if method == "GET":
            return [pull for pull in account["pulls"] if pull["merge_commit_sha"] == sha]
        case "collaborators", [login, "permission"] if method == "GET":
            role = account.get("collaborators", {}).get(login, "read")
            return {"permission": {"maintain": "write", "triage": "read"}.get(role, role), "role_name": role}
    raise SystemExit(f"gh: unknown: {path}")


def actions(account, path, method, query):
    match path, method:
        case ["workflows", name, "runs"], "GET":
            assert query["event"] == "pull_request"
            found = [run for run in account["runs"] if run["workflow"] == name and run["head_sha"] == query["head_sha"]]
            wanted = query.get("status")
            return {"workflow_runs": [run for run in reversed(found) if wanted in (None, run["conclusion"])]}
        case ["runs", number, "rerun"], "POST":
            (run,) = [run for run in account["runs"] if run["id"] == int(number)]
            if run["status"] != "completed":
                raise SystemExit("gh: This workflow is already running (HTTP 403)")
            run["status"] = "queued"
            account.setdefault("reruns", []).append(run["id"])
            return None
        case ["runs", number], "GET":
            (run,) = [run for run in account["runs"] if run["id"] == int(number)]
            return run
        case ["artifacts"], "GET":
            found = {int(each.parent.name) for each in (HOME / "artifacts").glob("*/*") if each.name == query["name"]}
            runs = [run for run in reversed(account["runs"]) if run["id"] in found]
            return {
                "artifacts": [
                    {
                        "name": query["name"],
                        "id": run["id"] * 10,
                        "workflow_run": {
                            "id": run["id"],
                            "head_branch": run["head_branch"],
                            "repository_id": 1,
                            "head_repository_id": 1 + (run["head_repository"]["full_name"] != "acme/videos"),
                        },
                    }
                    for run in runs
                ]
            }
    raise SystemExit(f"gh: unknown: {method} {path}")


def pulls(account, path, query):
    match path:
        case []:
            return [pull for pull in account["pulls"] if pull.get("state", "closed") == query["state"]]
        case [number, *rest]:
            (pull,) = [pull for pull in account["pulls"] if pull["number"] == int(number)]
            if rest in ([], ["files"]):
                return pull["files"] if rest else pull
    raise SystemExit(f"gh: unknown: {path}")


def issues(account, path, method, query, options):
    match path, method:
        case [number, "comments"], "GET":
            return [comment for comment in account["comments"] if comment.get("issue", number) == number]
        case [number, "comments"], "POST":
            comment = {"id": len(account["comments"]) + 1, "user": BOT, "body": body(options)}
            account["comments"].append({**comment, "issue": number, "updated_at": now(account)})
        case ["comments", number, "reactions"], "POST":
            content = options["-f"].removeprefix("content=")
            assert content in CONTENTS, content
            account.setdefault("reactions", []).append([int(number), content])
        case ["comments", number], "GET" | "PATCH":
            (comment,) = [comment for comment in account["comments"] if comment["id"] == int(number)]
            if method == "GET":
                return comment
            comment |= {"body": body(options), "updated_at": now(account)}
        case [number], "GET":
            return issue_of(account, number)
        case [], "GET":
            labels = set(filter(None, query.get("labels", "").split(",")))
            assert not labels, "by their labels, which others can take off"
            return [issue for issue in account["issues"] if issue["state"] == "open"]
        case _:
            raise SystemExit(f"gh: unknown: {method} {path}")
    return None


def now(account):
    """The next second of the account's own clock: GitHub's times have no parts of seconds."""
    account["clock"] = account.get("clock", 0) + 1
    hours, seconds = divmod(account["clock"], 3600)
    return f"2026-01-01T{hours:02}:{seconds // 60:02}:{seconds % 60:02}Z"


def body(options):
    value = options["-F"].removeprefix("body=@")
    text = Path(value).read_text()
    if len(text) > 65_536:
        raise SystemExit("gh: Body is too long (maximum is 65536 characters) (HTTP 422)")
    return text


def shown(value, options):
    program = options.get("--jq")
    if program is None:
        return json.dumps(value)
    lines = jq.compile(program).input_value(value).all()
    return "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)


def answer(connection):
    """One call, as the process that connects was started; its exit code, and what it says."""
    with connection.makefile("rw", encoding="utf-8", newline="") as stream:
        process = Path("/proc", stream.readline().strip())
        _, _, *arguments = map(os.fsdecode, (process / "cmdline").read_bytes().split(b"\0")[:-1])
        environment = (process / "environ").read_bytes().split(b"\0")[:-1]
        os.chdir(process / "cwd")
        os.environ.clear()
        os.environ.update(os.fsdecode(pair).split("=", 1) for pair in environment)
        code, said = 0, ""
        try:
            said = main(arguments)
        except SystemExit as end:
            code, said = 1, str(end)
        except BaseException as error:  # noqa: BLE001  as a program that breaks
            code, said = 1, repr(error)
        stream.write(f"{code}\n{said}")


def serve():
    """Says its port, and answers until its input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while listener in select.select([0, listener], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    answer(connection)
                    os._exit(0)


if __name__ == "__main__":
    serve()
