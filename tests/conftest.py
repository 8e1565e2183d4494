"""Fixtures of all tests; as root with BTF nothing may be skipped that needs the kernel or services."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tiercel.testing.services import *  # noqa: F403

# How fast a machine makes its examples is no property of what is tested; a test that hangs ends at pytest's timeout.
settings.register_profile("tiercel", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tiercel")

_MUST_RUN = ("bpf", "services")
# What no set-up of ours brings may be missing.
_MAY_MISS = "needs dockerd"


def _able() -> bool:
    return os.geteuid() == 0 and Path("/sys/kernel/btf/vmlinux").exists()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """A skip becomes a failure where this machine can run the test."""
    outcome = yield
    report = outcome.get_result()
    marked = [name for name in _MUST_RUN if item.get_closest_marker(name)]
    if report.skipped and not hasattr(report, "wasxfail") and marked and _able():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        if str(reason).removeprefix("Skipped: ").startswith(_MAY_MISS):
            return
        report.outcome = "failed"
        report.longrepr = f"skipped although this machine is root with BTF (marker {marked[0]}): {reason}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/ anew from what is found")
    parser.addoption("--kills", type=int, default=3, help="how many processes tests/chaos kills")
    parser.addoption(
        "--containers", type=int, default=100, help="how many containers tests/e2e/test_containers.py runs"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the file of this name in tests/golden/; with --update-golden it is written."""

    def compare(name: str, found: str) -> None:
        path = Path(__file__).parent / "golden" / name
        if request.config.getoption("--update-golden"):
            path.write_text(found, encoding="utf-8")
        expected = path.read_text(encoding="utf-8")
        for number, (ours, theirs) in enumerate(zip(found.splitlines(), expected.splitlines(), strict=False), 1):
            assert ours == theirs, f"{name}, line {number}"
        assert found.count("\n") == expected.count("\n"), name

    return compare
