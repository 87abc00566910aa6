"""A plan of a thousand projects, and plans full of hostile text."""

from msgspec.structs import replace

from reconciler.model.desired import DesiredMessage
from reconciler.model.errors import Diagnostic, Location
from reconciler.model.plan import Adopt, Create, Import, Message, Replace, Update
from tests.cli.report_samples import FAILED, PLAN, REMOVED, STEPS, change

BRIEF = "Fifteen seconds for the autumn collection: warm light, falling leaves.\n" * 40
HOSTILE = (
    '<script>document.title="pwned"</script><img src=x onerror="document.title=\'pwned\'"> javascript:alert(1) '
    "](http://evil.example) [a](javascript:alert(1)) ![i](https://evil.example/i.png) @everyone #1 https://evil.example "
    "` `` ``` ````\n````\n```\n--> <!-- x --> </details></code></style></script> \x1b[2J\u202e\u200b\x00\n"
    "::error::pwned\n##[error]x\n- [ ] a\n# heading\n| a | b |\n&lt;b&gt; &#60;i&#62; \ud83d"
)


def thousand(brief=BRIEF):
    steps = []
    for i in range(1000):
        fresh = (change("brief", None, brief, "none"), change("settings.title", None, f"Title {i}", "none"))
        address, body = f"teaser-{i:04}", {"brief": brief}
        steps.append(replace(STEPS[0], address=address, body=body, key=f"acme-videos/{address}/0", changes=fresh))
        if i % 2 == 0:
            message = DesiredMessage("softer", {"message": brief})
            steps.append(replace(STEPS[1], address=address, message=message))
    steps += [replace(STEPS[3], address=f"intro-{i}") for i in range(20)]
    steps += [replace(STEPS[8], address=f"old-{i}") for i in range(200)]
    steps += [replace(STEPS[7], address=f"clip-{i}") for i in range(500)]
    error = Diagnostic(severity="error", summary="it could not be read", detail="Run again.", address="lost")
    found = (*(replace(FAILED, address=f"broken-{i}") for i in range(300)), error, REMOVED)
    return replace(PLAN, steps=tuple(steps), diagnostics=found)


def hostile(evil=HOSTILE):
    """The text in every place that foreign text can stand in."""
    changes = (
        change(evil, evil, evil + "x", "sent", forces=evil),
        change("settings.title", [evil], {evil: evil}, "list", drift=True),
        change("settings.craft", None, evil, "none"),
    )
    texts = {"reason": evil, "waits_for": evil, "changes": changes, "project_id": evil, "address": "a"}
    steps = (
        Create(**{**texts, "address": "b"}, body={}, generation=0, key="k"),
        Message(**texts, message=DesiredMessage(evil, {"message": evil, evil: evil})),
        Update(**texts, body={}),
        Replace(**texts, body={}, generation=1, key="k"),
        Adopt(**texts, body={"project_id": evil}),
        Import(**texts),
    )
    found = Diagnostic(
        severity="error", summary=evil, detail=evil, address=evil, location=Location(evil, 1, 2), code=evil
    )
    more = (found, replace(found, severity="warning", attention=True), replace(found, severity="note"))
    given = {"workspace": evil, "api_url": evil, "created_at": evil, "reconciler_version": evil}
    return replace(PLAN, steps=steps, diagnostics=more, **given)
