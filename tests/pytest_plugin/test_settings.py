"""Options, ini lines and the environment: which goes before which, and what is told of wrong ones."""

import pytest

SHOW = """
    from chaoskit.pytest_plugin import SETTINGS_KEY

    def test_it(request):
        s = request.config.stash[SETTINGS_KEY]
        print("\\nSETTINGS", s.seed, s.inconclusive, s.require_docker, s.runs.relative_to(request.config.rootpath), s.allow)
"""


def shown(result):
    return next(line for line in result.outlines if line.startswith("SETTINGS"))


def test_an_option_goes_before_the_ini_file_and_that_before_the_environment(suite, monkeypatch):
    suite.tests(SHOW)
    assert shown(suite.run("-s")) == "SETTINGS None fail False runs ()"
    for name, value in {"SEED": "1", "INCONCLUSIVE": "warn", "REQUIRE_DOCKER": "1", "RUNS": "a"}.items():
        monkeypatch.setenv(f"CHAOSKIT_{name}", value)
    assert shown(suite.run("-s")) == "SETTINGS 1 warn True a ()"
    suite.ini("chaos_seed = 2", "chaos_inconclusive = skip", "chaos_require_docker = false", "chaos_runs = b")
    assert shown(suite.run("-s")) == "SETTINGS 2 skip False b ()"
    words = ("--chaos-seed=3", "--chaos-inconclusive=fail", "--chaos-require-docker", "--chaos-runs=c", "--chaos-allow=production")
    assert shown(suite.run("-s", *words)) == "SETTINGS 3 fail True c ('production',)"


def test_run_folders_are_where_the_path_was_written(suite, monkeypatch):
    below = suite.path / "below"
    below.mkdir()
    suite.tests(SHOW)
    suite.ini("chaos_runs = b")
    monkeypatch.chdir(below)
    assert shown(suite.run("-s", "..")).split()[4] == "b"
    assert shown(suite.run("-s", "..", "--chaos-runs=c")).split()[4] == "below/c"


def test_everything_that_is_wrong_is_one_usage_error(suite, monkeypatch):
    monkeypatch.setenv("CHAOSKIT_REQUIRE_DOCKER", "perhaps")
    suite.ini("chaos_inconclusive = pass", "chaos_collect = false")
    result = suite.run("--chaos-seed=-3", "x.chaos.yaml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: chaoskit: chaos_inconclusive: 'pass' is not one of fail, skip, warn",
            "chaoskit: $CHAOSKIT_REQUIRE_DOCKER: 'perhaps' is not one of yes, no",
            "chaoskit: --chaos-seed: '-3' is not a seed; expected a whole number from 0 on",
            "chaoskit: x.chaos.yaml was given, and chaos_collect says that no [*].chaos.yaml is collected; leave one out",
        ]
    )
    assert len(result.errlines) == 4 or result.errlines[4:] == [""]


def test_run_folders_need_a_folder(suite):
    suite.write("runs.txt", "")
    suite.tests(SHOW)
    result = suite.run("--chaos-runs=runs.txt")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: chaoskit: --chaos-runs: *runs.txt is not a folder; expected where run folders may go"])


def test_a_misspelt_permission_is_told_before_anything_is_started(suite):
    suite.tests("""
        def test_it(chaos):
            by_hand(chaos, PASSES)
    """)
    result = suite.run("--chaos-allow=prodution")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: chaoskit: --chaos-allow 'prodution' is not something that can be allowed (*). Did you mean 'production'?"]
    )


def test_they_can_be_written_in_pyproject(suite):
    (suite.path / "pytest.ini").unlink()
    suite.write(
        "pyproject.toml",
        '[tool.pytest.ini_options]\nchaos_seed = "5"\nchaos_require_docker = true\naddopts = "-p no:cacheprovider"\n',
    )
    suite.tests(SHOW)
    assert shown(suite.run("-s")) == "SETTINGS 5 fail True runs ()"


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="the native table came with pytest 9")
def test_they_can_be_written_in_the_native_table(suite):
    (suite.path / "pytest.ini").unlink()
    suite.write("pyproject.toml", '[tool.pytest]\nchaos_seed = "5"\nchaos_require_docker = true\nstrict = true\n')
    suite.tests(SHOW)
    assert shown(suite.run("-s")) == "SETTINGS 5 fail True runs ()"
