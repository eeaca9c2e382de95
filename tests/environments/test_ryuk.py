"""Testcontainers' Ryuk is not started for our containers, and nobody else's is taken away."""

import pytest
from testcontainers.core.config import testcontainers_config as config
from testcontainers.core.container import DockerContainer, Reaper

from chaoskit.environments import ryuk


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch):
    for variable in ryuk.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(config, "tc_properties", {})
    monkeypatch.setattr(config, "_ryuk_disabled", None)


def test_it_is_off_only_while_we_start_something():
    with ryuk.without_pulling_ryuk():
        assert config.ryuk_disabled is True
    assert config.ryuk_disabled is False
    with ryuk.without_pulling_ryuk():
        assert config.ryuk_disabled is True, "that it was looked at before is nobody's wish"


def test_an_error_in_between_leaves_it_as_it_was():
    with pytest.raises(KeyError), ryuk.without_pulling_ryuk():
        raise KeyError
    assert config.ryuk_disabled is False


@pytest.mark.parametrize(
    "variable, value, disabled", [("TESTCONTAINERS_RYUK_DISABLED", "false", False), ("TESTCONTAINERS_RYUK_DISABLED", "true", True)]
)
def test_what_a_user_has_set_by_variable_counts(monkeypatch, variable, value, disabled):
    monkeypatch.setenv(variable, value)
    with ryuk.without_pulling_ryuk():
        assert config.ryuk_disabled is disabled


def test_a_ryuk_that_runs_already_watches_ours_too(monkeypatch):
    monkeypatch.setattr(Reaper, "_instance", Reaper())
    with ryuk.without_pulling_ryuk():
        assert config.ryuk_disabled is False


@pytest.mark.parametrize("how", ["property", "image"])
def test_a_ryuk_that_is_configured_in_another_way_is_honoured(monkeypatch, how):
    if how == "property":
        monkeypatch.setattr(config, "tc_properties", {"ryuk.disabled": "false"})
    else:
        monkeypatch.setattr(config, "ryuk_image", "registry.example/ryuk:1")
    with ryuk.without_pulling_ryuk():
        assert config.ryuk_disabled is False


@pytest.mark.docker
def test_its_image_is_not_pulled_for_our_containers(engine):
    """The container's own image is not there either, and that is what the error is about."""
    with ryuk.without_pulling_ryuk(), pytest.raises(Exception, match="chaoskit-no-such-image"):
        DockerContainer("chaoskit-no-such-image:none").start()
    assert not [one for one in engine.client.containers.list(all=True) if "ryuk" in one.name]
