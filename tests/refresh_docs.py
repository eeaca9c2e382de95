"""Puts what the docs show into them: documents as they are, and the report of a run that was really made.

    python tests/refresh_docs.py [RUN]

A block after `<!-- file: NAME -->` gets that file; the block after `<!-- output: demo -->` gets the report of the run folder RUN.
"""

import re
import sys
from pathlib import Path

from chaoskit.registry import Registry
from chaoskit.reports.text import text_report
from chaoskit.wiring import judge_again

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"<!-- (file|output): (.*?) -->\n```(\w+)\n.*?```", re.DOTALL)


def main(run: Path | None) -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        text = page.read_text()
        filled = BLOCK.sub(lambda match: _filled(match, run), text)
        if filled != text:
            page.write_text(filled)
            print(page)


def _filled(match: re.Match[str], run: Path | None) -> str:
    kind, name, language = match.groups()
    if kind == "file":
        content = (ROOT / name).read_text()
    elif run is None:
        return match.group(0)
    else:
        folder = f"runs/{run.name}"
        report = text_report(judge_again(run, Registry()), folder=folder)
        content = re.sub(r"^Run again: .*$", _reproduce(run), report, flags=re.MULTILINE)
    return f"<!-- {kind}: {name} -->\n```{language}\n{content}```"


def _reproduce(run: Path) -> str:
    import json

    return "Run again:   " + json.loads((run / "verdict.json").read_text())["reproduce"]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
