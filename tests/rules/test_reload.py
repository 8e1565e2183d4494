"""Rule files that change while they are used: whatever way they change, the good set counts and the bad one is told."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tiercel.config import Worker
from tiercel.errors import KafkaError
from tiercel.rules import reload, sets
from tiercel.rules.reload import Reloader
from tiercel.rules.sets import CompiledSet, RefusedError, RuleFiles
from tiercel.testing.services import eventually

RULE = "- rule: {0}\n  desc: d\n  condition: evt.type = openat\n  output: o\n  priority: NOTICE\n"


class Watched:
    """A reloader and what it told."""

    def __init__(self, *paths: Path) -> None:
        self.told: list[CompiledSet | RefusedError] = []
        first = sets.compiled(sets.read(paths))
        self.reloader = Reloader(paths, first, self.told.append)

    def names(self) -> list[str] | None:
        """Rules of the set that is ready, once."""
        new = self.reloader.take()
        return new.rules.names if new else None

    def becomes(self, *names: str) -> bool:
        return eventually(lambda: self.names() == list(names), 10)

    def refused(self) -> list[str]:
        """The errors told last, once there are some."""
        eventually(lambda: any(isinstance(news, RefusedError) for news in self.told), 10)
        errors = [news.errors for news in self.told if isinstance(news, RefusedError)]
        self.told.clear()
        return errors[-1] if errors else []


@pytest.fixture
def watch() -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def make(*paths: Path) -> Watched:
        made.append(Watched(*paths))
        return made[-1]

    yield make
    for watched in made:
        watched.reloader.close()
    assert not any(thread.name == "rules" and thread.is_alive() for thread in threading.enumerate())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULE.format("one"))
    return path


Watch = Callable[..., Watched]


def test_a_file_that_is_written_counts_once(watch: Watch, file: Path) -> None:
    watched = watch(file)
    file.write_text(RULE.format("two"))
    assert watched.becomes("two")
    assert watched.reloader.take() is None
    file.write_text(RULE.format("two"))
    file.write_text(RULE.format("three"))
    assert watched.becomes("three")
    assert [news.rules.names for news in watched.told if isinstance(news, CompiledSet)] == [["two"], ["three"]]


def test_an_editor_that_renames_over_it(watch: Watch, file: Path) -> None:
    watched = watch(file)
    for name in ("two", "three"):
        fresh = file.with_suffix(".new")
        fresh.write_text(RULE.format(name))
        fresh.rename(file)
        assert watched.becomes(name)


def test_folders_whose_files_come_and_go(watch: Watch, tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "1.yaml").write_text(RULE.format("one"))
    watched = watch(folder)
    (folder / "2.yaml").write_text(RULE.format("two"))
    assert watched.becomes("one", "two")
    (folder / "README").write_text("no rules")
    (folder / "1.yaml").unlink()
    assert watched.becomes("two")
    shutil.rmtree(folder)
    assert "cannot be read" in watched.refused()[0]
    folder.mkdir()
    (folder / "3.yaml").write_text(RULE.format("three"))
    assert watched.becomes("three")
    (folder / "3.yaml").unlink()
    assert watched.refused() == ["there is no enabled rule in these files"]


def test_a_config_map_of_kubernetes_that_is_swapped(watch: Watch, tmp_path: Path) -> None:
    """`file -> ..data/file`, `..data -> ..1`, and the second link is renamed over."""
    mounted = tmp_path / "mounted"
    for number, name in enumerate(("one", "two", "three")):
        (mounted / f"..{number}").mkdir(parents=True)
        (mounted / f"..{number}" / "rules.yaml").write_text(RULE.format(name))
    (mounted / "..data").symlink_to("..0")
    (mounted / "rules.yaml").symlink_to("..data/rules.yaml")
    by_file, by_folder = watch(mounted / "rules.yaml"), watch(mounted)
    for number, name in ((1, "two"), (2, "three")):
        (mounted / "..tmp").symlink_to(f"..{number}")
        (mounted / "..tmp").rename(mounted / "..data")
        shutil.rmtree(mounted / f"..{number - 1}")
        assert by_file.becomes(name)
        assert by_folder.becomes(name)


def test_a_bad_set_is_refused_with_all_its_errors_and_the_old_one_goes_on(watch: Watch, file: Path) -> None:
    watched = watch(file)
    current = watched.reloader.current
    at_once(file, RULE.format("two").replace("openat", "opnat") + RULE.format("three").replace("NOTICE", "LOUD"))
    errors = watched.refused()
    assert [error.startswith(f"{file}:") for error in errors] == [True, True]
    assert {error.split(":")[1] for error in errors} == {"3", "10"}
    assert watched.reloader.take() is None
    assert watched.reloader.current is current
    file.write_text(RULE.format("one"))
    file.touch()
    assert watched.reloader.take() is None
    file.write_text(RULE.format("four"))
    assert watched.becomes("four")


def at_once(file: Path, text: str | bytes) -> None:
    """Between truncating and writing a file is empty, which is an error of its own."""
    beside = file.with_suffix(".new")
    beside.write_bytes(text.encode() if isinstance(text, str) else text)
    beside.replace(file)


@pytest.mark.parametrize("text", [b"\xff", b"- [", b"[" * 100_000, b"x: &a [*a]", b"- rule: \x00"])
def test_whatever_is_in_a_file_is_an_error_of_it(watch: Watch, file: Path, text: bytes) -> None:
    watched = watch(file)
    at_once(file, text)
    assert watched.refused()[0].startswith(f"{file}:")
    file.write_text(RULE.format("two"))
    assert watched.becomes("two")


def test_a_file_that_vanishes_and_comes_back(watch: Watch, file: Path) -> None:
    watched = watch(file)
    file.unlink()
    assert "cannot be read: No such file" in watched.refused()[0]
    file.write_text(RULE.format("one"))
    assert not eventually(watched.names, 1.5), "it is what it was"
    os.truncate(file, 0)
    assert watched.refused() == ["there is no enabled rule in these files"]


def test_asked_to_it_looks_up_host_names_anew(watch: Watch, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = ["192.0.2.1"]
    compiled = sets.compiled

    def resolved(files: RuleFiles) -> CompiledSet:
        return compiled(files, resolver=lambda _: list(addresses))

    monkeypatch.setattr(sets, "compiled", resolved)
    file.write_text(RULE.format("one").replace("openat", "connect and fd.sip.name = example.test"))
    watched = watch(file)
    first = watched.reloader.current
    assert first.files.hosts == {"example.test": ("192.0.2.1",)}
    watched.reloader.reload()
    assert not eventually(watched.names, 0.5), "the same addresses are the same set"
    addresses[:] = ["192.0.2.2"]
    watched.reloader.reload()
    assert watched.becomes("one")
    assert watched.reloader.current.version != first.version


def test_a_set_is_a_message_that_compiles_to_the_same(file: Path) -> None:
    file.write_text(RULE.format("one").replace("openat", "connect and fd.sip.name = example.test"))
    read = sets.read([file], Worker(matching="all", throttle_burst=5, select=[{"enable": {"rule": "*"}}]))
    made = sets.compiled(read, resolver=lambda _: ["192.0.2.1", "2001:db8::1"])
    told = sets.unpack(made.files.pack())
    assert told == made.files
    again = sets.compiled(told, resolver=lambda name: pytest.fail(f"{name} is looked up"))
    assert (again.version, told.version) == (made.version, made.version)
    assert made.rules.version == made.version
    other = RuleFiles((("elsewhere.yaml", told.files[0][1]),), told.options, told.hosts)
    assert other.version == made.version, "where a file lies does not matter"
    for changed in (
        *(
            RuleFiles(told.files, told.options.model_copy(update={key: value}), told.hosts)
            for key, value in {"matching": "first", "throttle_burst": 0, "select": [], "priority": "error"}.items()
        ),
        RuleFiles(told.files, told.options, {"example.test": ()}),
        RuleFiles((("x", told.files[0][1] + "\n"),), told.options, told.hosts),
    ):
        assert changed.version != made.version


GOOD: dict[str, Any] = {"format": 1, "files": [["a", "b"]], "options": {"matching": "all"}, "hosts": {}}


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2}, {"files": 3}, {"files": [["a"]]}, {"files": [["a", 1]]}, {"files": [["a", "b"]] * 10_001},
        {"options": {"matching": "some"}}, {"options": []}, {"options": {"throttle_burst": -1}}, {"hosts": []},
        {"options": {"max_threads": 7}}, {"options": {"select": [{"enable": {}}]}}, {"options": None},
        {"hosts": {"a": "b"}}, {"hosts": {"a": [1]}},
    ],
)  # fmt: skip
def test_content_that_is_none_is_refused(change: dict[str, Any]) -> None:
    import json
    import zlib

    assert sets.unpack(zlib.compress(json.dumps(GOOD).encode())).files == (("a", "b"),)
    with pytest.raises(RefusedError, match=r"^not the content of a rule set: "):
        sets.unpack(zlib.compress(json.dumps(GOOD | change).encode()))


def test_bytes_that_are_no_content_are_refused_and_bounded() -> None:
    import zlib

    bomb = zlib.compress(b"[" * (sets.MAX_BYTES + 1))
    for message in (b"", b"x", zlib.compress(b"[]"), zlib.compress(b"["), zlib.compress(b"[]")[:-1], bomb):
        with pytest.raises(RefusedError, match=r"^not the content of a rule set: "):
            sets.unpack(message)


def test_folders_that_are_watched_are_those_of_links_and_of_what_they_lead_to(tmp_path: Path) -> None:
    real, linked = tmp_path / "real", tmp_path / "linked"
    real.mkdir()
    linked.mkdir()
    (real / "rules.yaml").write_text("")
    (linked / "rules.yaml").symlink_to(real / "rules.yaml")
    assert reload.watched([linked / "rules.yaml"]) == sorted([str(real), str(linked)])


def test_a_set_that_could_not_be_handed_on_is_handed_on_again_and_whoever_asks_gets_it_once_more(file: Path) -> None:
    away, told = threading.Event(), list[str]()

    def publish(new: CompiledSet | RefusedError) -> None:
        assert isinstance(new, CompiledSet)
        if not away.is_set():
            raise KafkaError("no answer")
        told.append(new.version)

    first = sets.compiled(sets.read([file]))
    with closing(Reloader([file], first, publish)) as reloader:
        at_once(file, RULE.format("two"))
        time.sleep(1)
        assert reloader.current is first
        assert reloader.take() is None
        away.set()
        assert eventually(lambda: len(told) == 1, 10)
        second = reloader.current.version
        reloader.reload()
        assert eventually(lambda: told == [second, second], 10)
    assert second != first.version
