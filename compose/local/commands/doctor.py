"""`hitweave doctor`: looks at everything and says what to do about each fault."""

import os
import sys
from pathlib import Path

import click
import orjson
from rich.console import Console
from rich.markup import escape

from compose.local.checks import examine
from compose.local.finding import Finding
from compose.local.home import Home
from indexer.errors import CouldNotReach, HitweaveError

STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "fault": "red"}


@click.command("doctor")
def command() -> None:
    """Check settings, programs, disk, ports, servers, workers, sidecar, indices and models.

    Exit 0 without a fault, 3 when something does not answer, 1 for other faults. The last line of
    standard output is one JSON object.
    """
    home = Home(Path(os.environ["HITWEAVE_HOME"]))
    console = Console(stderr=True, highlight=False)
    findings = []
    for finding in examine(home):
        findings.append(finding)
        _show(console, finding)
    faults = [finding for finding in findings if finding.level == "fault"]
    report = {"faults": len(faults), "findings": [finding.describe() for finding in findings]}
    print(orjson.dumps(report).decode())
    if faults:
        unreachable = any(finding.unreachable for finding in faults)
        sys.exit(CouldNotReach.exit_code if unreachable else HitweaveError.exit_code)


def _show(console: Console, finding: Finding) -> None:
    style = STYLES[finding.level]
    head = f"[{style}]{finding.level:8}[/{style}] {finding.subject:15} {escape(finding.found)}"
    console.print(head, soft_wrap=True)
    if finding.advice:
        console.print(f"{'':24} → {escape(finding.advice)}", soft_wrap=True)
