"""The reference bank: small, real and correct. It is the control that every experiment must pass."""
