"""The reference bank in one value: its services, the links between them, its customers and its ledger.

An environment decides how each service is started and hurt; the bank is the same everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from chaoskit.bank import customers, ledger_db
from chaoskit.bank.journeys import HABIT_NAMES, JOURNEY_NAMES
from chaoskit.bank.options import OPTION_NAMES, bank_options
from chaoskit.model.topology import Command, Currency, Ledger, LinkSpec, Place, Port, ServiceSpec, Topology, http_hello

HTTP = "http"
"""The port of every service but the database's."""
POSTGRES = ledger_db.LEDGER_DB.port


def topology() -> Topology:
    """The reference bank. Nothing is started and no option is read: that happens in the commands and journeys."""
    door = (Port(HTTP, http_hello("/health")),)
    return Topology(
        name="bank",
        services=(
            *ledger_db.SERVICES,
            ServiceSpec(name="rail", ports=door, command=_rail, version="interbank switch"),
            # The first start waits for a primary and opens the books.
            ServiceSpec(name="core", ports=door, command=_core, after=(*ledger_db.NODES, "rail"), ready_within_s=45.0),
            ServiceSpec(name="gateway", ports=door, command=_gateway, after=("core",)),
            ServiceSpec(name="status", ports=door, command=_status, after=("gateway",)),
        ),
        links=(
            *ledger_db.LINKS,
            LinkSpec(client="customers", service="gateway", ports=(HTTP,)),
            LinkSpec(client="gateway", service="core", ports=(HTTP,)),
            *(LinkSpec(client="core", service=member, ports=(POSTGRES,)) for member in ledger_db.NODES),
            LinkSpec(client="core", service="rail", ports=(HTTP,)),
        ),
        groups=(ledger_db.LEDGER_DB,),
        entry=("gateway", HTTP),
        journeys="chaoskit.bank.journeys:journeys",
        journey_names=JOURNEY_NAMES,
        habit_names=HABIT_NAMES,
        option_names=OPTION_NAMES,
        ledger=_ledger,
        opening=customers.opening,
        currency=Currency(code="Rp"),  # nobody has paid in sen for decades: a rupiah is the smallest amount
    )


def _ledger(address: Callable[[str, str], tuple[str, int]]) -> Ledger:
    # The database driver is loaded when money is read, not when a topology is looked at.
    from chaoskit.bank.ledger import BankLedger

    members = {member: address(member, POSTGRES) for member in ledger_db.NODES}
    return BankLedger(members, user=ledger_db.USER, name=ledger_db.DATABASE, rail=address("rail", HTTP))


def _rail(place: Place) -> Command:
    return _service(place, "rail", {})


def _core(place: Place) -> Command:
    options = bank_options(place.options)
    return _service(
        place,
        "core",
        {
            "databases": [place.to(member, POSTGRES) for member in ledger_db.NODES],
            "user": ledger_db.USER,
            "database": ledger_db.DATABASE,
            "rail_url": _url(place, "rail"),
            "slots": options.slots,
            "service_time_ms": options.service_time_ms,
            "customers": options.customers,
        },
    )


def _gateway(place: Place) -> Command:
    options = bank_options(place.options)
    return _service(place, "gateway", {"core_url": _url(place, "core"), "slots": options.slots})


def _status(place: Place) -> Command:
    return _service(place, "status", {"gateway_url": _url(place, "gateway")})


def _service(place: Place, module: str, settings: Mapping[str, object]) -> Command:
    """How a service's module is started: its settings are a file, since the seed signs tokens and a command line is public."""
    host, port = place.own(HTTP)
    common = {
        "host": host,
        "port": port,
        "seed": place.seed,
        "directory": str(place.directory),
        "defect": bank_options(place.options).defect,
    }
    path = place.write("settings.json", json.dumps({**common, **settings}, indent=1))
    return Command(argv=(place.program("python"), "-m", f"chaoskit.bank.services.{module}", str(path)))


def _url(place: Place, service: str) -> str:
    host, port = place.to(service, HTTP)
    return f"http://{host}:{port}"
