"""Files that may declare projects that left the specs: files that are not read, or that became empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reconciler.adapters.specs.unread_files import unread_declarations
from reconciler.model.desired import Desired
from reconciler.model.errors import Diagnostic, Location
from reconciler.model.plan import Plan
from reconciler.planning.safety import leaving, names


def missing_declarations(root: Path, desired: Desired, plan: Plan) -> Iterator[Diagnostic]:
    """A warning for each file that seems to declare what this plan stops managing."""
    gone = leaving(plan) - {removed.address for removed in desired.removed}
    if not gone:
        return
    for file, addresses in unread_declarations(root, gone, desired.files).items():
        yield Diagnostic(
            severity="warning",
            summary=f"`{file}` declares {names(addresses)} but is not read",
            detail="Specs are the files in the `specs` folder whose names end in `.yaml` or `.yml`; hidden ones are "
            "skipped. If they are still wanted, rename the file or move it back.",
            location=Location(file),
        )
    for file, count in desired.files.items():
        if not count:
            yield Diagnostic(
                severity="warning",
                summary=f"`{file}` declares no projects, and {len(gone)} left the specs: {names(sorted(gone))}",
                detail="If the file was emptied by accident, restore it from git.",
                location=Location(file),
            )
