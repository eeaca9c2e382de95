"""Who this process is, for those who are refused because of it."""

from __future__ import annotations

import os
import pwd


def user_name() -> str:
    """The name of the user of this process; his number where he has none. With sudo, of whom he became root, too."""
    user = os.geteuid()
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = f"user {user}"
    before = os.environ.get("SUDO_USER") if user == 0 else None
    return f"{name} (by sudo of {before})" if before else name
