"""Plans of hundreds and of a thousand projects, and plans full of hostile text."""

from msgspec.structs import replace

from reconciler.model.desired import DesiredMessage
from reconciler.model.errors import Diagnostic, Location
from reconciler.model.plan import Adopt, Create, Import, Message, Replace, Update
from tests.cli.report_samples import FAILED, PLAN, REMOVED, STEPS, change

BRIEF = "Fifteen seconds for the autumn collection: warm light, falling leaves.\n" * 40
REFERENCES = [
    {"project": "teaser-000", "type": "video"},
    {"url": "https://cdn.example.com/brand/logo.png?signature=" + "ab12" * 40, "type": "image"},
    {"file": "assets/palette.png", "digest": "a" * 64},
]
VOICES = ["Ana", "Ben", "Cleo"]
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


def three_hundred(keys=12):
    """A day's plan: creates, a matrix of ``keys`` × 2, updates, and one replacement in the middle."""
    steps = []
    for i in range(240):
        brief = f"A fifteen second teaser for product {i}: warm light, falling leaves, the logo at the end."
        fresh = (change("brief", None, brief, "none"), change("settings.title", None, f"Teaser {i}", "none"))
        steps.append(replace(STEPS[0], address=f"teaser-{i:03}", body={"brief": brief}, changes=fresh))
    for number, market in enumerate(f"m{i}" for i in range(keys)):
        for ratio in ("9:16", "16:9"):
            brief = (
                f"A thirty second promo for the autumn collection, for {market} viewers in {ratio}, with warm light."
            )
            fresh = (
                change("brief", None, brief, "none"),
                change("references", None, REFERENCES, "none"),
                change("settings.title", None, f"Promo {market}", "none"),
            )
            told = DesiredMessage(
                "softer", {"message": f"Use the voice of {VOICES[number % 3]} and make the music softer."}
            )
            address = f"promo[{market},{ratio}]"
            steps.append(replace(STEPS[0], address=address, body={"brief": brief}, changes=fresh))
            steps.append(replace(STEPS[1], address=address, message=told))
    steps += [replace(STEPS[7], address=f"clip-{i:02}", project_id=f"proj_{i}c") for i in range(35)]
    steps.insert(170, replace(STEPS[3], address="brand-film", project_id="proj_77ab"))
    return replace(PLAN, environment="prod", steps=tuple(steps), unchanged=12, managed=60)


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
