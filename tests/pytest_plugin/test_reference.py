"""The reference page names all that there is."""

from pathlib import Path

from chaoskit import pytest_plugin

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "pytest.md").read_text()


def test_every_setting_mark_fixture_and_hook_has_a_line():
    names = [f"`{name}" for name in pytest_plugin.MARKERS]
    for setting in pytest_plugin.SETTINGS:
        names.append(f"`{setting.option}")
        names += [] if setting.is_option_only else [f"`{setting.ini}`", f"`{setting.variable}`"]
    names += [f"`{name}(" for name in vars(pytest_plugin.Hooks) if name.startswith("pytest_")]
    names += [f"| `{name}` |" for name in ("chaos", "chaos_environment", "chaos_arguments")]
    assert [name for name in names if f"| {name.removeprefix('| ')}" not in PAGE] == []
