import pytest

from tiercel.schemas import generated

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("unshare", 0x100000000)
    assert result < 0
    assert params == {"res": result, "flags": 0}


def test_namespaces(trace: Tracer) -> None:
    names = {"CLONE_NEWNS": 0x20000, "CLONE_NEWUTS": 0x4000000, "CLONE_NEWIPC": 0x8000000, "CLONE_NEWNET": 0x40000000}
    result, params, _ = trace.in_child("unshare", sum(names.values()))
    assert result == 0
    assert params == {"res": 0, "flags": sum(generated.FLAGS["clone_flags"][name] for name in names)}
