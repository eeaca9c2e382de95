"""The bank's processes, one module each: `python -m chaoskit.bank.services.core settings.json`."""
