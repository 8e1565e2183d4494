from pathlib import Path

import pytest

from tiercel.probe import check, libbpf


def test_each_unmet_requirement_says_what_mends_it() -> None:
    found = check.findings()
    assert len({finding.name for finding in found}) == len(found) >= 8
    assert all(finding.text and (finding.ok or finding.remedy) for finding in found)


def test_a_missing_object_and_type_information_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "OBJECT", Path("/nonexistent/tiercel.bpf.o"))
    monkeypatch.setattr(check, "BTF", Path("/nonexistent/vmlinux"))
    found = {finding.name: finding for finding in check.findings()}
    assert (found["probe object"].ok, found["probe object"].remedy) == (False, "run `make probe`")
    assert not found["type information"].ok


def test_without_task_storage_it_says_what_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    for has, text in ((True, "described from /proc"), (False, "stay unknown")):
        monkeypatch.setattr(libbpf, "has_task_storage", lambda has=has: has)
        found = {finding.name: finding for finding in check.findings()}
        assert text in found["self-healing"].text
