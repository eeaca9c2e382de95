"""What an image is named by, when it is built, and what is said when it cannot be."""

from dataclasses import replace

import pytest

from chaoskit import __version__
from chaoskit.environments import owner
from chaoskit.environments.images import Image, Images, provide
from chaoskit.environments.images.build import _Builder
from chaoskit.environments.images.content import BUILDS, HERE
from chaoskit.model.errors import MissingPart, Stopped

BY_NAME = {build.name: build for build in BUILDS}


def never():
    return False


def test_a_digest_changes_with_the_machine_the_base_and_the_packages():
    bank = BY_NAME["bank"]
    digests = {
        bank.digest("x86_64", "chaoskit/python:1"),
        bank.digest("aarch64", "chaoskit/python:1"),
        bank.digest("x86_64", "chaoskit/python:2"),
        replace(bank, packages=("aiohttp",)).digest("x86_64", "chaoskit/python:1"),
        replace(bank, sources=()).digest("x86_64", "chaoskit/python:1"),
    }
    assert len(digests) == 5
    assert bank.digest("x86_64", "chaoskit/python:1") in digests


def test_a_digest_does_not_change_by_itself_nor_with_what_is_not_in_the_image():
    assert BY_NAME["ledger-db"].digest("x86_64", "b") == BY_NAME["ledger-db"].digest("x86_64", "b")
    assert BY_NAME["ledger-db"].sources == ()
    assert "environments" not in BY_NAME["bank"].sources


def test_every_image_has_its_dockerfile_and_begins_with_one_that_is_built():
    assert {path.name for path in HERE.glob("*.Dockerfile")} == {build.dockerfile.name for build in BUILDS}
    assert all(build.base in {"", *BY_NAME} for build in BUILDS)


def test_the_first_image_that_has_all_programs_is_chosen():
    images = Images(
        all=(
            Image(name="small", reference="a", id="1", programs={"python": "/p"}),
            Image(name="large", reference="b", id="2", programs={"python": "/p", "etcd": "/e"}),
        )
    )
    assert images.with_programs(frozenset({"python"})).name == "small"
    assert images.with_programs(frozenset({"python", "etcd"})).name == "large"
    with pytest.raises(MissingPart, match=r"no image has the programs postgres together \(small: python; large: python, etcd\)"):
        images.with_programs(frozenset({"postgres"}))


@pytest.mark.docker
@pytest.mark.whole
class TestOnAnEngine:
    def test_the_second_time_nothing_is_built(self, engine):
        first = provide(engine)
        said = []
        assert provide(engine, say=said.append) == first
        assert said == []
        assert {image.name for image in first.all} == {"bank", "ledger-db", "toxiproxy"}

    def test_the_images_are_small_and_carry_our_label(self, engine):
        for image in provide(engine).all:
            found = engine.client.images.get(image.id)
            assert found.labels["chaoskit"] == "1"
            assert found.attrs["Size"] < 250_000_000, image.name

    def test_no_llvm_is_in_the_database_image(self, engine):
        image = provide(engine, names=("ledger-db",)).named("ledger-db")
        found = engine.client.containers.run(
            image.id, ["find", "/", "-xdev", "-iname", "*llvm*"], remove=True, network_disabled=True, labels={"chaoskit": "1"}
        )
        assert found.decode() == ""

    def test_every_program_is_where_it_is_said_to_be(self, engine):
        for image in provide(engine, names=("bank", "ledger-db")).all:
            argv = ["ls", *image.programs.values()]
            engine.client.containers.run(image.id, argv, remove=True, network_disabled=True, labels={"chaoskit": "1"})

    def test_published_images_are_pulled_instead_and_the_variable_is_named_when_that_fails(self, engine, monkeypatch):
        monkeypatch.setenv("CHAOSKIT_IMAGES", "127.0.0.1:9/chaoskit/")
        with pytest.raises(
            MissingPart, match=rf"127\.0\.0\.1:9/chaoskit/bank:{__version__} could not be pulled(.|\n)*CHAOSKIT_IMAGES"
        ):
            provide(engine)

    def test_published_images_that_are_here_are_used(self, engine, monkeypatch):
        image = engine.client.images.get(provide(engine, names=("toxiproxy",)).named("toxiproxy").id)
        image.tag("127.0.0.1:9/ours/toxiproxy", tag=__version__)
        try:
            monkeypatch.setenv("CHAOSKIT_IMAGES", "127.0.0.1:9/ours")
            assert provide(engine, names=("toxiproxy",)).named("toxiproxy").id == image.id
        finally:
            engine.client.images.remove(f"127.0.0.1:9/ours/toxiproxy:{__version__}", noprune=True)

    def test_a_build_that_fails_says_what_its_log_says(self, engine, tmp_path):
        base = provide(engine, names=("bank",)).named("bank").reference
        (tmp_path / "Dockerfile").write_text(f"FROM {base}\nRUN echo the disk is full of sand; exit 3\n")
        with pytest.raises(MissingPart, match=r"chaoskit/test:broken could not be built(.|\n)*full of sand"):
            _Builder(engine, print, never, owner.new_run())._build(str(tmp_path), "chaoskit/test:broken", {})

    def test_a_build_ends_when_the_run_is_to_stop(self, engine, tmp_path):
        base = provide(engine, names=("bank",)).named("bank").reference
        # A step that takes a while, so that the engine notices before it has made anything.
        (tmp_path / "Dockerfile").write_text(f"FROM {base}\nRUN sleep 5\n")
        before = {image.id for image in engine.client.images.list(filters={"dangling": True})}
        with pytest.raises(Stopped, match="chaoskit/test:stopped"):
            _Builder(engine, print, lambda: True, owner.new_run())._build(str(tmp_path), "chaoskit/test:stopped", {})
        assert {image.id for image in engine.client.images.list(filters={"dangling": True})} <= before
