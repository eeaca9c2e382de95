"""Database managers that decide wrongly: Python that Patroni 3.0 runs before itself, as the text of a module.

They are text because they run beside Patroni, in an interpreter that has no chaoskit. Each replaces one decision.
"""

from __future__ import annotations

PROMOTES_ANYBODY = """\
# Patroni takes only a standby that was in step when the primary was last seen. Here every standby counts as such, and
# nobody asks how far it is behind.
import patroni.postgresql  # first, or the next import goes round in a circle
from patroni.dcs import SyncState
from patroni.ha import Ha

SyncState.matches = lambda self, name, check_leader=False: True
Ha.is_lagging = lambda self, position: False
"""

ALWAYS_WAITS = """\
# Patroni lets commits go through when the last standby in step has left. Here they wait until one is back.
from patroni.config import GlobalConfig

GlobalConfig.is_synchronous_mode_strict = True
"""

GIVES_UP_WAITING = """\
# When the last standby in step has left, Patroni lets commits go through, and remembers that nobody may take over.
# Here it is told to be asynchronous from then on: it forgets.
import json

import patroni.postgresql  # first, or the next import goes round in a circle
from patroni.ha import Ha

sound = Ha.process_sync_replication


def process_sync_replication(self):
    before = set(self.cluster.sync.members)
    sound(self)
    if before and self.is_synchronous_mode() and not self.state_handler.sync_handler.current_state(self.cluster)[0]:
        settings = dict(self.cluster.config.data, synchronous_mode=False)
        self.dcs.set_config_value(json.dumps(settings, separators=(",", ":")))


Ha.process_sync_replication = process_sync_replication
"""

NEVER_STEPS_DOWN = """\
# A primary that reaches neither etcd nor the other nodes steps down, since somebody else may have been made primary.
# Here it stays.
import patroni.postgresql  # first, or the next import goes round in a circle
from patroni.ha import Ha

Ha._handle_dcs_error = lambda self: "the coordinator is not accessible, and I go on"
"""
