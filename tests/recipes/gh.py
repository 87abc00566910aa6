"""Stands in for GitHub's `gh`: keeps what it is told in a JSON file, evaluates `--jq` for real, records every call."""

import json
import os
import shutil
import sys
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import jq

HOME = Path(os.environ["FAKE_GITHUB"])
BOT = {"login": "github-actions[bot]"}


def main(arguments):
    account = json.loads((HOME / "account.json").read_text())
    account["calls"].append(arguments)
    answer = call(account, *parsed(arguments))
    (HOME / "account.json").write_text(json.dumps(account))
    return answer


def parsed(arguments):
    words, options = [], {}
    rest = iter(arguments)
    for word in rest:
        if word in ("--paginate", "--silent", "--force"):
            options[word] = True
        elif word.startswith("-"):
            options[word] = next(rest)
        else:
            words.append(word)
    return words, options


def call(account, words, options):
    match words:
        case ["api", url]:
            result = api(account, urlsplit(url).path.split("/"), dict(parse_qsl(urlsplit(url).query)), options)
            return "" if "--silent" in options else shown(result, options)
        case ["run", "download", run]:
            shutil.copytree(HOME / "artifacts" / run / options["--name"], options["--dir"])
        case ["label", "create", _]:
            pass
        case ["issue", "create"]:
            body = Path(options["--body-file"]).read_text()
            number = len(account["issues"]) + 100
            labels = [options["--label"]]
            account["issues"].append(
                {
                    "number": number,
                    "title": options["--title"],
                    "body": body,
                    "state": "open",
                    "user": BOT,
                    "labels": labels,
                }
            )
        case ["issue", "edit" | "close" as what, number]:
            (issue,) = [issue for issue in account["issues"] if issue["number"] == int(number)]
            if what == "close":
                issue["state"] = "closed"
            else:
                issue["body"] = Path(options["--body-file"]).read_text()
        case _:
            raise SystemExit(f"gh: unknown: {words}")
    return ""


def api(account, path, query, options):
    match path[3:], options.get("--method", "GET"):
        case ["commits", sha, "pulls"], "GET":
            return [pull for pull in account["pulls"] if pull["merge_commit_sha"] == sha]
        case ["actions", "workflows", name, "runs"], "GET":
            assert query["event"] == "pull_request"
            found = [run for run in account["runs"] if run["workflow"] == name and run["head_sha"] == query["head_sha"]]
            return {"workflow_runs": [run for run in reversed(found) if run["conclusion"] == query["status"]]}
        case ["pulls", number, "files"], "GET":
            (pull,) = [pull for pull in account["pulls"] if pull["number"] == int(number)]
            return pull["files"]
        case ["issues", _, "comments"], "GET":
            return account["comments"]
        case ["issues", _, "comments"], "POST":
            account["comments"].append({"id": len(account["comments"]) + 1, "user": BOT, "body": body(options)})
        case ["issues", "comments", number], "PATCH":
            (comment,) = [comment for comment in account["comments"] if comment["id"] == int(number)]
            comment["body"] = body(options)
        case ["issues"], "GET":
            return [issue for issue in account["issues"] if issue["state"] == "open"]
        case _:
            raise SystemExit(f"gh: unknown: {path}")
    return None


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


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1:]))
