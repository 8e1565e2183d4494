import pytest

from .conftest import Tracer
from .test_clone import both_sides, check

pytestmark = pytest.mark.bpf


def test_parent_and_child(trace: Tracer) -> None:
    check(*both_sides(trace, "fork"), 0)
