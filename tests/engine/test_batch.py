"""`Batch`, built by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.events import MadeEvent, events
from tests.engine.test_avro import batch_of
from tiercel import _engine


@given(st.lists(events(), max_size=4))
def test_events_are_told_as_they_were_given(made: list[MadeEvent]) -> None:
    batch = batch_of(made)
    assert batch.to_dicts() == [event.as_dict() for event in made]
    assert len(batch) == len(made)


@given(st.lists(events(), max_size=4), st.lists(events(), max_size=4), st.data())
def test_extend_appends_a_part(first: list[MadeEvent], second: list[MadeEvent], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(second)))
    stop = data.draw(st.integers(start, len(second)))
    batch = batch_of(first)
    batch.extend(batch_of(second), start, stop)
    assert batch.to_dicts() == [event.as_dict() for event in first + second[start:stop]]


def test_times_and_counts() -> None:
    batch = _engine.Batch()
    assert (batch.first_time, batch.last_time, batch.kernel_events, batch.data_bytes) == (0, 0, 0, 0)
    batch.append("groupadded", time=5, tid=-1, params=[0, "root", ""])
    batch.append("close", time=7, tid=1, cpu=2, params=[-9, 3])
    assert (batch.first_time, batch.last_time, batch.kernel_events, batch.data_bytes) == (5, 7, 1, 26)


def test_a_list_of_texts_becomes_arguments() -> None:
    batch = _engine.Batch()
    batch.append("execve", time=1, tid=1, params=[0, "cat", ["-n", b"\xff", ""]])
    assert batch.to_dicts()[0]["params"]["args"] == b"-n\0\xff\0\0"


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("opne", [], "no event is called opne"),
        ("close", [1, 2, 3], "close has 2 parameters, not 3"),
        ("close", [2**63, 1], "close, parameter res: 9223372036854775808 is not between"),
        ("connect", [0, (2, "1.2.3", 4, "1.2.3.4", 5)], "connect, parameter tuple: invalid IP address"),
        ("bind", [0, (1, 2, 3)], "bind, parameter addr: an address is"),
        ("close", ["x"], "close, parameter res: "),
    ],
)
def test_mistakes_are_named(name: str, params: list[object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _engine.Batch().append(name, time=0, tid=0, params=params)


def test_a_range_past_the_end_is_refused() -> None:
    batch = _engine.Batch()
    with pytest.raises(IndexError, match=r"a batch of 0 events has no 0\.\.1"):
        batch.extend(_engine.Batch(), 0, 1)
