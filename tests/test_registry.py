from __future__ import annotations

import inspect
import textwrap

import pytest

from chaoskit import registry as wiring
from chaoskit.model.errors import UsageError
from chaoskit.model.topology import Topology
from chaoskit.registry import MONEY, Part, Registry, not_one_of, shown

KINDS = ("faults", "checks", "environments", "places", "profiles", "probes")


def an_empty_system() -> Topology:
    return Topology(name="empty", services=(), links=(), entry=("a", "b"), journeys="m:j", journey_names=())


BUILT_IN = [pytest.param(part, id=f"{part.kind}-{part.name}") for kind in KINDS for part in Registry().parts(kind)]


@pytest.mark.parametrize("part", BUILT_IN)
def test_every_built_in_part_is_there_and_says_what_it_does(part):
    assert part.load() is not None
    assert part.says()


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_has_a_line_for_every_name(kind):
    lines = Registry().described(kind)
    assert [name for name, _ in lines] == list(Registry().names(kind))
    assert not [text for _, text in lines if text == "" or text.startswith("broken")]


@pytest.mark.parametrize("name", Registry().names("faults"))
def test_a_fault_is_registered_by_its_own_name(name):
    assert Registry().fault(name).kind == name


@pytest.mark.parametrize("name", [part.name for part in Registry().parts("checks")])
def test_a_check_is_registered_by_its_own_name(name):
    assert [check.name for check in Registry().checks(name)] == [name]


def test_money_is_every_money_checker_that_there_is():
    files = {path.stem.replace("_", "-") for path in (wiring.Path(wiring.__file__).parent / "checkers" / "money").glob("*.py")}
    assert set(MONEY) <= files
    assert [check.name for check in Registry().checks("money")] == list(MONEY)
    others = [part for part in Registry().parts("checks") if ".money." in str(part.target)]
    for_copies_that_may_be_behind = {"session", "staleness"}
    assert {part.name for part in others} - for_copies_that_may_be_behind == set(MONEY)


def test_profiles_are_those_of_the_load():
    from chaoskit.loads.profile import PROFILES

    assert set(Registry().names("profiles")) == set(PROFILES)
    assert Registry().profile("lebaran")(100.0)[-1].at_s == 85.0


def test_the_banks_defects_are_its_options():
    assert set(Registry().topology("bank").option_names["defect"]) == {"none", *wiring.defects()}


def test_the_default_place_is_processes():
    assert Registry().place(None) is Registry().place("process")


def test_experiments_are_found_by_name():
    found = wiring.experiments()
    about_the_standby = {"standby_away", "primary_restart", "primary_isolated", "ended_sessions"}
    assert {"database_failover", "network_partition", "server_saturation"} | about_the_standby <= set(found)
    assert all(path.is_file() for path in found.values())


@pytest.mark.parametrize(
    "kind, name, message",
    [
        ("faults", "kil", r"'kil' is not a fault \(bandwidth, crash, .*, stall\)\. Did you mean 'kill'\?"),
        ("checks", "At_Most_Once", r"Did you mean 'at-most-once'\?"),
        ("environments", "bnak", r"'bnak' is not an environment \(bank\)\. Did you mean 'bank'\?"),
        ("places", "moon", r"'moon' is not a place \(docker, process\)$"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest_one(kind, name, message):
    with pytest.raises(UsageError, match=message):
        Registry().part(kind, name)


def test_extra_parts_go_before_built_in_ones():
    registry = Registry([Part(kind="environments", name="bank", target=an_empty_system)])
    assert registry.topology("bank").name == "empty"


def test_an_environment_may_be_named_by_module(tmp_path, monkeypatch):
    (tmp_path / "acme_payments.py").write_text(
        textwrap.dedent("""
            from chaoskit.model.topology import Topology
            value = Topology(name="acme", services=(), links=(), entry=("a", "b"), journeys="m:j", journey_names=())
            def environment(): return value
            def broken(): raise RuntimeError("no database")
            number = 5
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert Registry().topology("acme_payments:environment").name == "acme"
    assert Registry().topology("acme_payments:value").name == "acme"
    with pytest.raises(UsageError, match="raised RuntimeError: no database"):
        Registry().topology("acme_payments:broken")
    with pytest.raises(UsageError, match="is 5; expected a Topology or a function that returns one"):
        Registry().topology("acme_payments:number")
    with pytest.raises(UsageError, match=r"cannot be loaded.*AttributeError"):
        Registry().topology("acme_payments:missing")
    for reference in ("acme_nowhere:environment", "acme_payments:", ":environment", ".:x"):
        with pytest.raises(UsageError, match="cannot be loaded"):
            Registry().topology(reference)


def install(folder, entry_points: str, *, name: str = "acme-chaos") -> None:
    """A distribution as an installer leaves it: its metadata, and a module with one good and some bad parts."""
    metadata = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(textwrap.dedent(entry_points))
    (folder / "acme_parts.py").write_text(
        textwrap.dedent('''
            from dataclasses import dataclass
            from typing import ClassVar
            from chaoskit.model import units

            @dataclass(frozen=True, kw_only=True)
            class DiskFull:
                """Fill the disk of a service."""
                kind: ClassVar[str] = "disk-full"
                needs: ClassVar[frozenset[str]] = frozenset({"disk"})
                service: units.Service

            class NotADataclass:
                kind = "not-a-dataclass"
        ''')
    )


def test_other_teams_parts_are_found_by_entry_point(tmp_path, monkeypatch):
    install(tmp_path, "[chaoskit.faults]\ndisk-full = acme_parts:DiskFull\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert Registry().fault("disk-full").kind == "disk-full"
    assert ("disk-full", "Fill the disk of a service.") in Registry().described("faults")
    assert "disk-full" in Registry().names("faults")


@pytest.mark.parametrize(
    "line, name, message",
    [
        (
            "gone = acme_nowhere:Gone",
            "gone",
            r"fault 'gone' of distribution 'acme-chaos': 'acme_nowhere:Gone' cannot be loaded \(ModuleNotFoundError.*mend or remove",
        ),
        (
            "not-a-dataclass = acme_parts:NotADataclass",
            "not-a-dataclass",
            r"of distribution 'acme-chaos' is <class .*expected a frozen dataclass",
        ),
        (
            "other-name = acme_parts:DiskFull",
            "other-name",
            r"its 'kind' is 'disk-full'; expected 'other-name'. Register it under its own name",
        ),
    ],
)
def test_a_broken_entry_point_is_an_error_that_names_its_distribution(tmp_path, monkeypatch, line, name, message):
    install(tmp_path, f"[chaoskit.faults]\n{line}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=message):
        Registry().fault(name)


def test_a_part_that_cannot_be_loaded_does_not_hide_the_others_in_a_list(tmp_path, monkeypatch):
    install(tmp_path, "[chaoskit.faults]\ngone = acme_nowhere:Gone\n")
    monkeypatch.syspath_prepend(tmp_path)
    lines = dict(Registry().described("faults"))
    assert lines["gone"].startswith("broken: fault 'gone' of distribution 'acme-chaos'")
    assert lines["kill"]


def test_two_parts_of_one_name_are_an_error(tmp_path, monkeypatch):
    install(tmp_path, "[chaoskit.faults]\nkill = acme_parts:DiskFull\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        UsageError, match=r"fault 'kill' comes from chaoskit and from distribution 'acme-chaos'; rename one or uninstall"
    ):
        Registry().parts("faults")
    assert Registry().fault("kill").__module__ == "chaoskit.faults.kill"


def test_messages_quote_no_more_than_a_reader_needs():
    assert shown("x" * 1000) == "'" + "x" * 75 + "...'"
    assert shown("\x1b[31m") == "'\\x1b[31m'"
    assert not_one_of("a", (), what="a thing") == "'a' is not a thing (there is none)"


def test_every_public_name_says_what_it_does():
    public = [value for name, value in vars(Registry).items() if not name.startswith("_") and inspect.isfunction(value)]
    assert all(inspect.getdoc(value) for value in public)
