import os

import pytest

from tiercel.schemas import generated

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("fcntl", 9977, 1030, 9)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "cmd": 26, "arg": 9}


@pytest.mark.parametrize(("number", "told"), [
    (0, "F_DUPFD"), (1, "F_GETFD"), (2, "F_SETFD"), (3, "F_GETFL"), (4, "F_SETFL"), (5, "F_GETLK"), (6, "F_SETLK"),
    (7, "F_SETLKW"), (8, "F_SETOWN"), (9, "F_GETOWN"), (10, "F_SETSIG"), (11, "F_GETSIG"), (12, "UNKNOWN"),
    (15, "F_SETOWN_EX"), (16, "F_GETOWN_EX"), (36, "F_OFD_GETLK"), (37, "F_OFD_SETLK"), (38, "F_OFD_SETLKW"),
    (1024, "F_SETLEASE"), (1025, "F_GETLEASE"), (1026, "F_NOTIFY"), (1029, "F_CANCELLK"), (1031, "F_SETPIPE_SZ"),
    (1032, "F_GETPIPE_SZ"), (1033, "UNKNOWN"),
])  # fmt: skip
def test_a_command_has_its_name(trace: Tracer, number: int, told: str) -> None:
    result, params = trace.call("fcntl", 9977, number, 2**40)
    assert params == {"res": result, "fd": 9977, "cmd": generated.FLAGS["fcntl_commands"][told], "arg": 2**40}


def test_a_copy(trace: Tracer) -> None:
    fd, params = trace.call("fcntl", 1, 1030, 700)
    os.close(fd)
    assert fd >= 700
    assert params == {"res": fd, "fd": 1, "cmd": 26, "arg": 700}
