"""What a broken bank has in place of a sound part, one module for each part. `chaoskit.bank.services.parts` says which and when."""
