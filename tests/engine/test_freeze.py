"""A freeze says who, when, why and until when; what cannot be read still forbids."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from chaoskit.engine.freeze import freeze, frozen, unfreeze
from chaoskit.engine.user import user_name
from chaoskit.model.errors import UsageError

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)


def test_says_who_when_and_why_until_it_is_lifted(tmp_path):
    path = tmp_path / "state" / "freeze.json"
    freeze(path, reason="the core is being moved", until=None, now=NOW)
    assert frozen([path], now=NOW + timedelta(days=900)) == (
        (path, f"by {user_name()} since 2026-11-25T08:00:00+00:00: the core is being moved"),
    )
    assert path.stat().st_mode & 0o777 == 0o644
    assert unfreeze(path)
    assert frozen([path], now=NOW) == ()
    assert not unfreeze(path)
    assert list(path.parent.iterdir()) == []


def test_ends_by_itself_where_it_has_an_end(tmp_path):
    path = tmp_path / "freeze.json"
    freeze(path, reason="", until=NOW + timedelta(hours=1), now=NOW)
    ((_, says),) = frozen([path], now=NOW + timedelta(minutes=59))
    assert says.endswith("until 2026-11-25T09:00:00+00:00: no reason")
    assert frozen([path], now=NOW + timedelta(hours=1)) == ()


def test_a_second_freeze_takes_the_place_of_the_first(tmp_path):
    path = tmp_path / "freeze.json"
    freeze(path, reason="one", until=NOW, now=NOW)
    freeze(path, reason="other", until=None, now=NOW)
    ((_, says),) = frozen([path], now=NOW)
    assert says.endswith(": other")


WHOLE = {"by": "x", "since": "y", "reason": "", "until": ""}


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "no", json.dumps({**WHOLE, "until": "soon"}), json.dumps({**WHOLE, "until": "2026-11-26"})]
)
def test_a_file_that_is_not_understood_still_forbids(tmp_path, text):
    path = tmp_path / "freeze.json"
    path.write_text(text)
    ((_, says),) = frozen([path], now=NOW)
    assert "cannot be read" in says


def test_a_folder_in_its_place_still_forbids(tmp_path):
    ((_, says),) = frozen([tmp_path], now=NOW)
    assert "cannot be read" in says
    with pytest.raises(UsageError, match="so the freeze holds"):
        unfreeze(tmp_path)


def test_what_is_not_written_is_not_frozen(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="so nothing is frozen"):
        freeze(tmp_path / "file" / "freeze.json", reason="", until=None, now=NOW)


def test_nothing_that_moves_the_cursor_is_shown(tmp_path):
    path = tmp_path / "freeze.json"
    freeze(path, reason="\x1b[2Jgone", until=None, now=NOW)
    ((_, says),) = frozen([path], now=NOW)
    assert says.isprintable()
