"""Records of which rules count from which offset on: read as written, never changed, bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiercel.processors import rollout
from tiercel.processors.rollout import NEVER, Rollout, Span

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def test_each_offset_has_the_version_recorded_for_it() -> None:
    plan = Rollout({3: ((10, A), (20, B), (30, A))})
    assert plan.at(2, 15) is None
    spans = [plan.at(3, offset) for offset in (0, 10, 19, 20, 29, 30, 10**12)]
    first, second, third = Span(A, 20), Span(B, 30), Span(A, NEVER)
    assert spans == [first, first, first, second, second, third, third]
    assert plan.versions() == {A, B}


def test_what_is_recorded_is_never_changed_and_what_nobody_needs_goes() -> None:
    plan = Rollout({3: ((10, A), (20, B))})
    assert plan.adding(3, 20, C, 0) is None
    assert plan.adding(3, 19, C, 0) is None
    assert plan.adding(3, 30, C, 0) == ((10, A), (20, B), (30, C))
    assert plan.adding(3, 30, C, 19) == ((10, A), (20, B), (30, C))
    assert plan.adding(3, 30, C, 20) == ((20, B), (30, C))
    assert plan.adding(3, 30, C, 30) == ((30, C),)
    assert plan.adding(4, 7, C, 0) == ((7, C),)


def test_what_is_said_of_messages_that_nobody_has_met_yet_counts_for_nothing() -> None:
    plan = Rollout({3: ((10, A), (20, B), (NEVER - 1, C))})
    plan.leave_out(3, 21)
    assert plan.entries[3] == ((10, A), (20, B))
    assert plan.adding(3, 21, C, 0) == ((10, A), (20, B), (21, C))
    plan.leave_out(3, 5)
    assert plan.at(3, 5) is None


def test_a_partition_whose_offsets_are_not_committed_takes_no_more_than_it_can_hold() -> None:
    plan = Rollout({0: tuple((offset, A) for offset in range(rollout.MAX_ENTRIES))})
    assert plan.adding(0, 999, B, 0) is None
    assert len(plan.adding(0, 999, B, 2) or ()) == rollout.MAX_ENTRIES - 1


@given(
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from([A, B, C]), st.integers(0, 60)), max_size=20),
    st.integers(0, 100),
)
def test_entries_that_are_left_out_change_nothing_from_the_committed_offset_on(
    adds: list[tuple[int, str, int]], offset: int
) -> None:
    all_of_it, trimmed, highest = Rollout(), Rollout(), 0
    for at, version, committed in adds:
        # Only what was handled is committed, and only what comes can be given another version.
        highest = max(highest, min(committed, at))
        for plan, known in ((all_of_it, 0), (trimmed, highest)):
            entries = plan.adding(0, at, version, known)
            if entries:
                assert rollout.unpack(rollout.pack(entries)) == entries
                plan.entries[0] = entries
    if offset >= highest:
        assert all_of_it.at(0, offset) == trimmed.at(0, offset)


@pytest.mark.parametrize(
    "message",
    [
        b"", b"{", b"[]", b"{}", b"1", b"[1]", b"[[1]]", b'[[1,"x"]]', b'[["1","' + A.encode() + b'"]]',
        b'[[true,"' + A.encode() + b'"]]', b'[[-1,"' + A.encode() + b'"]]', b"[" * 100_000, b"\xff",
        rollout.pack(((2, A), (1, A))), rollout.pack(((2, A), (2, B))), rollout.pack(((NEVER, A),)),
        rollout.pack(tuple((offset, A) for offset in range(rollout.MAX_ENTRIES + 1))),
    ],
)  # fmt: skip
def test_a_record_that_is_none_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        rollout.unpack(message)
