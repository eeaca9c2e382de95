"""Who may import whom. Every rule of `docs/explanation/architecture.md` that a syntax tree can show is held here.

Imports inside functions and under TYPE_CHECKING count too; so do text references such as `chaoskit.bank.topology:topology`.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from chaoskit.documents.parameters import parameters
from chaoskit.registry import Registry

ROOT = Path(__file__).parents[1]
PARTS = ("faults", "loads", "probes", "checkers", "environments", "ledgers", "reports", "bank")
NO_NAMES = {"utils", "common", "helpers", "misc", "base"}
KINDS = ("faults", "checks", "environments", "places", "profiles", "probes")


def sources() -> dict[str, str]:
    """Every module of the package by dotted name."""
    files = sorted((ROOT / "chaoskit").rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path.read_text() for path in files}


def imports(module: str, text: str, *, is_package: bool = False) -> Iterator[str]:
    """Dotted names of all that a module imports, wherever in it. `from a import b` counts as `a.b`: b may be a module."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = module.split(".") if is_package else module.split(".")[:-1]
            above = start[: len(start) - (node.level - 1)] if node.level else []
            yield from (".".join([*above, *([node.module] if node.module else []), alias.name]) for alias in node.names)


def texts(text: str) -> Iterator[str]:
    """Every string constant that is not a docstring."""
    tree = ast.parse(text)
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
            yield node.value


def layer(name: str) -> str:
    """`model` of `chaoskit.model.units`; "" for what is not ours or is the package itself."""
    ours, _, rest = name.partition(".")
    return rest.partition(".")[0] if ours == "chaoskit" else ""


def violations(modules: Mapping[str, str]) -> list[str]:
    """Every broken rule, as `module: what`."""
    found = []
    for module, text in modules.items():
        mine = layer(module)
        if NO_NAMES & set(module.split(".")):
            found.append(f"{module}: its name says nothing")
        for name in imports(module, text, is_package=_is_package(module, modules)):
            if name == "chaoskit.__version__":
                continue
            top, theirs = name.partition(".")[0], layer(name)
            if mine == "model" and not (theirs == "model" or top in sys.stdlib_module_names or top == "__future__"):
                found.append(f"{module}: model imports {name}")
            if mine == "engine" and top == "chaoskit" and theirs not in ("model", "engine"):
                found.append(f"{module}: engine imports {name}")
            if mine in PARTS and top == "chaoskit" and theirs not in ("model", mine):
                found.append(f"{module}: a part imports {name}")
            if top in ("docker", "testcontainers") and mine != "environments":
                found.append(f"{module}: {name} outside environments")
            if (top == "hypothesis" or theirs == "strategies") and mine != "strategies":
                found.append(f"{module}: {name} outside strategies")
            if theirs == "bank" and mine not in ("bank", "registry"):
                found.append(f"{module}: names the bank by import")
        if mine not in ("bank", "registry") and any("chaoskit.bank" in constant for constant in texts(text)):
            found.append(f"{module}: names the bank in a text")
    return found


def _is_package(module: str, modules: Mapping[str, str]) -> bool:
    return any(other.startswith(module + ".") for other in modules)


def test_the_package_keeps_its_directions():
    assert violations(sources()) == []


BROKEN = {
    "model imports a library": ({"chaoskit.model.x": "import ruamel.yaml"}, "model imports ruamel.yaml"),
    "model imports the engine in a function": (
        {"chaoskit.model.x": "def f():\n    from chaoskit.engine import runner"},
        "model imports chaoskit.engine.runner",
    ),
    "the engine imports a part": ({"chaoskit.engine.x": "import chaoskit.faults.kill"}, "engine imports chaoskit.faults.kill"),
    "the engine imports a part for types": (
        {"chaoskit.engine.x": "if TYPE_CHECKING:\n    from chaoskit.checkers.takeover import Takeover"},
        "engine imports chaoskit.checkers.takeover.Takeover",
    ),
    "the engine imports the registry": ({"chaoskit.engine.x": "from chaoskit import registry"}, "engine imports chaoskit.registry"),
    "a part imports the engine": (
        {"chaoskit.faults.x": "from chaoskit.engine.undo import undo"},
        "a part imports chaoskit.engine.undo.undo",
    ),
    "a part imports it relatively": (
        {"chaoskit.checkers.money.x": "from ...engine import judge", "chaoskit.checkers": ""},
        "a part imports chaoskit.engine.judge",
    ),
    "a package imports it relatively": (
        {"chaoskit.checkers": "from ..engine import judge", "chaoskit.checkers.x": ""},
        "a part imports chaoskit.engine.judge",
    ),
    "a part imports another kind of part": (
        {"chaoskit.faults.x": "from chaoskit.environments import ports"},
        "a part imports chaoskit.environments.ports",
    ),
    "a part imports the command line": ({"chaoskit.reports.x": "import chaoskit.cli"}, "a part imports chaoskit.cli"),
    "docker in a fault": ({"chaoskit.faults.x": "import docker"}, "docker outside environments"),
    "testcontainers in the command line": (
        {"chaoskit.cli": "def f():\n    import testcontainers.core"},
        "testcontainers.core outside environments",
    ),
    "hypothesis in a test tool": ({"chaoskit.testing.x": "import hypothesis"}, "hypothesis outside strategies"),
    "strategies in a door": ({"chaoskit.cli": "import chaoskit.strategies"}, "chaoskit.strategies outside strategies"),
    "a door names the bank": ({"chaoskit.cli": "from chaoskit.bank import defects"}, "names the bank by import"),
    "a door names the bank in a text": ({"chaoskit.cli": "X = 'chaoskit.bank.topology:topology'"}, "names the bank in a text"),
    "a name that says nothing": ({"chaoskit.engine.utils": ""}, "its name says nothing"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_each_rule_is_seen_to_fail(case):
    modules, expected = BROKEN[case]
    module = next(iter(modules))
    assert violations(modules) == [f"{module}: {expected}"]


ALLOWED = {
    "chaoskit.model.x": "import json\nfrom chaoskit.model import units\nfrom __future__ import annotations",
    "chaoskit.engine.x": "import threading\nfrom chaoskit.engine import undo\nfrom chaoskit.model.errors import Stopped",
    "chaoskit.environments.docker": "import docker\nfrom chaoskit.model import errors",
    "chaoskit.bank.x": "from chaoskit.bank import schema\nX = 'chaoskit.bank.journeys:journeys'",
    "chaoskit.registry": "X = 'chaoskit.bank.topology:topology'\nfrom chaoskit.bank.defects import DEFECTS",
    "chaoskit.cli": '"""Says chaoskit.bank in a docstring."""\nfrom chaoskit import registry, engine',
}


@pytest.mark.parametrize("module", ALLOWED)
def test_what_is_allowed_is_not_a_violation(module):
    assert violations({module: ALLOWED[module]}) == []


def undocumented(page: str) -> list[str]:
    """Parts that have no line `| `name` | …` under the heading of their kind, and lines of parts that there are not."""
    found = []
    for kind in KINDS:
        section = re.search(rf"^## {kind}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL | re.IGNORECASE)
        lines = dict(re.findall(r"^\| `([^`]+)` \|(.*)$", section[1], re.MULTILINE)) if section else {}
        parts = {part.name: part for part in Registry().parts(kind) if part.origin == "chaoskit"}
        found += [f"{kind}: {name}" for name in sorted(parts.keys() ^ (lines.keys() - {"money"}))]
        for name in sorted(parts.keys() & lines.keys()) if kind in ("faults", "checks") else ():
            part = parts[name].load()
            assert isinstance(part, type)
            found += [f"{kind}: {name}.{p.key}" for p in parameters(part) if f"`{p.key}`" not in lines[name]]
    return found


def test_every_part_has_a_line_in_the_reference_page():
    assert undocumented((ROOT / "docs" / "reference" / "parts.md").read_text()) == []


def test_a_missing_and_a_surplus_line_are_seen():
    page = (ROOT / "docs" / "reference" / "parts.md").read_text()
    assert undocumented(re.sub(r"^\| `kill` .*\n", "", page, flags=re.MULTILINE)) == ["faults: kill"]
    assert undocumented(page.replace("`within`", "in time")) == [
        "checks: cash.within",
        "checks: recovery.within",
        "checks: staleness.within",
        "checks: takeover.within",
    ]
    assert undocumented(page.replace("| `kill` |", "| `kll` |\n| `kill` |", 1)) == ["faults: kll"]


def files_of(target: str) -> tuple[Path, tuple[Path, ...]]:
    """The file of a part, and where its test may stand: mirrored, for the part or for its whole folder."""
    path = Path(*target.partition(":")[0].split(".")).with_suffix(".py")
    below = path.relative_to("chaoskit")
    folder = ROOT / "tests" / below.parent
    return ROOT / path, (
        folder / f"test_{below.name}",
        folder.with_name(f"test_{folder.name}.py"),
        folder / f"test_{folder.name}.py",
    )


@pytest.mark.parametrize(
    "target", sorted({str(part.target) for kind in KINDS for part in Registry().parts(kind) if part.origin == "chaoskit"})
)
def test_every_part_has_a_file_and_a_test(target):
    source, tests = files_of(target)
    assert source.is_file()
    assert [test for test in tests if test.is_file()], (
        f"none of {', '.join(str(test.relative_to(ROOT)) for test in tests)} is there"
    )


LIGHT = "import sys\n{}\nprint(*sorted({{m.partition('.')[0] for m in sys.modules}} - set(sys.stdlib_module_names)))"


@pytest.mark.parametrize(
    "statement, allowed",
    [
        ("import chaoskit", {"chaoskit"}),
        # What any command needs before it knows which one it is.
        ("import chaoskit.cli", {"chaoskit"}),
        # Other teams' editors and suites validate documents and list parts without the bank's packages.
        (
            """
from chaoskit import documents, registry as wiring
registry = wiring.Registry()
for path in wiring.experiments().values():
    documents.read(path, registry=registry)
wiring.defects()
documents.schema()
""",
            {"chaoskit", "ruamel"},
        ),
    ],
    ids=["chaoskit", "cli", "validate"],
)
def test_what_a_fresh_interpreter_loads(statement, allowed):
    # -S: no site packages' start-up files, which load what they like; -I: no environment. Hence the paths by hand.
    paths = f"import sys; sys.path[:0] = {[str(ROOT), *[p for p in sys.path if p.endswith('site-packages')]]!r}"
    code = f"{paths}\n{LIGHT.format(statement)}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert set(done.stdout.split()) - {"__main__"} <= allowed
