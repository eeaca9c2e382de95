"""Defects of idempotency keys, in the core and in the bank's own app."""

from __future__ import annotations

from chaoskit.bank.defect import Defect

NEW_KEY_PER_RETRY = Defect(
    name="new-key-per-retry",
    title="The bank's app pays again under a new key",
    breaks="The app makes a new idempotency key for each call, so the bank cannot know that a retry is one.",
    incident="An outbox sent its journal again without the key of the first time (LerianStudio/midaz#1974), and retries of a "
    "ledger's client allocated the same money twice (blnkfinance/blnk#315).",
    convicted_by="at-most-once",
    experiment="network_partition",
)
KEY_RACE = Defect(
    name="key-race",
    title="Two taps at once are two payments",
    breaks="The core looks a key up in one transaction and writes it down in the next, so two calls at once both find it unused.",
    incident="A key was looked up before it was stored, so calls that raced all went through (runvendo/vendo#1297).",
    convicted_by="at-most-once",
    experiment="impatient_customers",
)
KEY_BODY_RACE = Defect(
    name="key-body-race",
    title="A payment that was refused is carried out",
    breaks="The core notices only after the payment that another one with the same key came at the same time, and refuses it then.",
    incident="Two bodies raced under one key, and the one that was refused is the one that was stored (runvendo/vendo#1297).",
    convicted_by="no-refused-effect",
    experiment="impatient_customers",
)
SHORT_KEY_LIFE = Defect(
    name="short-key-life",
    title="Keys are forgotten sooner than an outage ends",
    breaks="The core knows a key for one second only; whoever asks again later pays again.",
    incident="None by name: published designs keep keys for 24 hours, and a retry that comes later is a new payment to them.",
    convicted_by="at-most-once",
    experiment="network_partition",
)
