"""Runs the quick tests under every Python of this machine, and the plugin's own with each major of pytest: for `make versions`.

A Python that is not here is named and makes the result no worse: nothing is downloaded but packages. Found are `python3.x` on the
path, and those of pyenv.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
PYTESTS = ("8", "9")
"""The two newest majors. The newest is the one that the quick tests have run with, so its turn is last and leaves it in place."""
QUICK = ("-m", "not whole")
PLUGIN = ("tests/pytest_plugin", "tests/test_chaos.py")
USABLE = "import ensurepip, ssl, sys, venv; print('.'.join(map(str, sys.version_info[:2])))"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / ".versions", help="where the environments are kept")
    folder = parser.parse_args().folder.absolute()
    rows, is_right = [], True
    for version in PYTHONS:
        python = found(version)
        if python is None:
            rows.append((version, "", "not on this machine", 0.0))
            continue
        own = made(python, folder / version)
        for what, words, pytest in (("quick tests", QUICK, ""), *(("the plugin's tests", PLUGIN, major) for major in PYTESTS)):
            if pytest:
                install(own, f"pytest=={pytest}.*")
            begun = time.monotonic()
            code = subprocess.run([own, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words], cwd=ROOT, check=False).returncode
            is_right &= code == 0
            rows.append(
                (
                    version,
                    f"{what}, pytest {pytest_of(own)}",
                    "passed" if code == 0 else f"FAILED ({code})",
                    time.monotonic() - begun,
                )
            )
    print()
    for version, what, how, took_s in rows:
        print(f"Python {version:5}  {what:36}  {how}{f', {took_s:.0f} s' if took_s else ''}")
    return 0 if is_right else 1


def found(version):
    """A Python of that version that can make environments; None when there is none."""
    own = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for candidate in (sys.executable, shutil.which(f"python{version}"), *reversed(own)):
        if candidate:
            done = subprocess.run([candidate, "-c", USABLE], capture_output=True, text=True, check=False)
            if done.returncode == 0 and done.stdout.strip() == version:
                return str(candidate)
    return None


def made(python, folder):
    """The environment's own Python, with what the checkout needs in it."""
    own = folder / "bin" / "python"
    if not own.exists():
        subprocess.run([python, "-m", "venv", folder], check=True)
    install(own, "--editable", f"{ROOT}[dev]")
    return own


def install(python, *words):
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", *words]
    subprocess.run(command, check=True)


def pytest_of(python):
    code = "import pytest; print(pytest.__version__)"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
