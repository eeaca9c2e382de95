"""Runs chaoskit as a person does, with its temporary files below the test's folder, and looks at what is left afterwards."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def processes_below(folder):
    """Processes, other than this one, whose working folder, arguments or environment name *folder*: (pid, arguments) pairs."""
    left = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            texts = (str((process / "cwd").readlink()), (process / "cmdline").read_text(), (process / "environ").read_text())
        except OSError:  # it has ended meanwhile, or is another user's
            continue
        if int(process.name) != os.getpid() and any(str(folder) in text for text in texts):
            left.append((process.name, texts[1].replace("\0", " ")))
    return left


class Chaoskit:
    """Starts `chaoskit run`. `folder` is where it may put its temporary files; nothing but `runs` may be left there."""

    def __init__(self, folder):
        self.folder = folder / "world"
        self.folder.mkdir()
        self.runs = self.folder / "runs"
        self._out, self._err = folder / "out", folder / "err"
        self.environ = {**os.environ, "TMPDIR": str(self.folder)}
        self._process = None

    def command(self, experiment, *options):
        document = EXPERIMENTS / f"{experiment}.chaos.yaml"
        # Other tests, and other people of this machine, have banks of their own at the same time.
        own = ["--seed", "7", "--runs", str(self.runs), "--lock", self.folder.parent.name + str(os.getpid())]
        return [sys.executable, "-m", "chaoskit.cli", "run", str(document), *own, *options]

    def start(self, *command):
        with self._out.open("w") as out, self._err.open("w") as err:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=self.environ)
        return self._process

    def run(self, experiment, *options):
        return self.start(*self.command(experiment, *options))

    def wait_for_line(self, text, *, timeout_s=90.0):
        """Wait until the progress has a line with *text*."""
        deadline = time.monotonic() + timeout_s
        while text not in self.said:
            assert self._process.poll() is None, f"it ended before it said {text!r}:\n{self.said}"
            assert time.monotonic() < deadline, f"it never said {text!r}:\n{self.said}"
            time.sleep(0.02)  # between two looks, bounded by the deadline

    @property
    def said(self):
        return self._err.read_text()

    @property
    def printed(self):
        return self._out.read_text()

    def assert_nothing_is_left(self, *, within_s=0.0):
        """*within_s* for what has written its last line and is about to end."""
        deadline = time.monotonic() + within_s
        while (left := processes_below(self.folder)) and time.monotonic() < deadline:
            time.sleep(0.02)  # between two looks, bounded by the deadline
        assert left == []
        # Where the undo of faults on containers is written stays, empty: other runs of the user may be about to write there.
        undo = self.folder / f"chaoskit-undo-{os.geteuid()}"
        assert not undo.exists() or not list(undo.iterdir())
        left = {path.name for path in self.folder.iterdir()} - {undo.name}
        assert left <= {"runs"}, "something is left outside the run folder"

    def close(self):
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)


@pytest.fixture
def chaoskit(tmp_path):
    started = Chaoskit(tmp_path)
    yield started
    started.close()
