"""What is said of this machine when nothing is started."""

from chaoskit.environments.doctor import examine


def test_an_engine_that_may_not_be_used_is_said_and_is_not_needed(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.7:2375")
    line = next(line for line in examine() if line.what == "container engine")
    assert not line.is_there
    assert not line.is_needed
    assert "is not on this machine" in line.says
