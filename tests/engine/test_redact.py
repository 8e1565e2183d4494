"""What leaves a host of environments, payloads and command lines, with the patterns of the configuration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiercel._engine import Batch, Redactor
from tiercel.config import Collector

DEFAULT = Collector()


def execve(args: list[str], env: list[str]) -> Batch:
    batch = Batch()
    params = [0, "prog", args, 7, 7, 1, "/", 1024, 0, 0, 1, 1, 0, "prog", "", env]
    batch.append("execve", time=5, tid=7, params=params)
    return batch


def redacted(batch: Batch, *, env: list[str] | None = None, payloads: list[str] | None = None) -> list[dict]:
    Redactor(DEFAULT.env if env is None else env, payloads or [], DEFAULT.redact).redact(batch)
    return [row["params"] for row in batch.to_dicts()]


def words(value: bytes) -> list[str]:
    return value.decode().removesuffix("\0").split("\0")


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["--password=hunter2", "-v"], ["--password=***", "-v"]),
        (["--password", "hunter2", "-v"], ["--password", "***", "-v"]),
        (["-u", "me", "--api-key", "abc"], ["-u", "me", "--api-key", "***"]),
        (["--db-password=x y"], ["--db-password=***"]),
        (["https://me:hunter2@host/x"], ["https://me:***@host/x"]),
        (["-c", "export DB_PASSWORD=abc; run"], ["-c", "export DB_PASSWORD=***; run"]),
        (["-H", "Authorization: Bearer abc.def"], ["-H", "Authorization: Bearer ***"]),
        (["AKIAABCDEFGHIJKLMNOP"], ["***"]),
        (["https://host/?token=abc&x=1"], ["https://host/?token=***&x=1"]),
    ],
)
def test_secrets_of_command_lines_do_not_leave(arguments: list[str], left: list[str]) -> None:
    assert words(redacted(execve(arguments, []))[0]["args"]) == left


@pytest.mark.parametrize(
    "arguments",
    [["-l", "/etc/passwd"], ["--tokenize"], ["http://host:80/x"], ["git", "push", "--force"], ["--key=x.pem"]],
)
def test_what_is_no_secret_stays(arguments: list[str]) -> None:
    assert words(redacted(execve(arguments, []))[0]["args"]) == arguments


def test_values_of_the_environment_stay_only_where_they_are_listed() -> None:
    env = ["HOME=/root", "AWS_SECRET=abc", "LD_PRELOAD=/tmp/x.so", "EMPTY="]
    assert words(redacted(execve([], env))[0]["env"]) == [
        "HOME=***",
        "AWS_SECRET=***",
        "LD_PRELOAD=/tmp/x.so",
        "EMPTY=",
    ]
    assert words(redacted(execve([], env), env=["*"])[0]["env"]) == env
    assert words(redacted(execve([], env), env=["HOME"])[0]["env"])[0] == "HOME=/root"


def test_payloads_leave_only_where_they_are_listed() -> None:
    batch = Batch()
    for name in ("write", "pwrite"):
        batch.append(name, time=1, tid=1, params=[6, b"secret", 3, 6])
    redactor = Redactor([], ["write"], [])
    redactor.redact(batch)
    assert [row["params"].get("data") for row in batch.to_dicts()] == [b"secret", None]
    assert redactor.counts == (0, 1, 0)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (([], ["close"], []), "close"),
        (([], [], ["("]), r"\("),
        (([], [], ["a*"]), "empty"),
        (([], [], ["(a{999}){999}"]), "size limit"),
    ],
)
def test_a_wrong_rule_is_one_error(arguments: tuple, fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as error:
        Redactor(*arguments)
    assert "\n" not in str(error.value)


@given(
    st.lists(st.tuples(st.lists(st.text("ab=-\u00e9 ", max_size=8)), st.lists(st.text("AB=x", max_size=6))), max_size=8)
)
def test_what_is_beside_what_goes_stays(rows: list[tuple[list[str], list[str]]]) -> None:
    batch, plain = Batch(), Batch()
    for args, env in rows:
        for one in (batch, plain):
            one.extend(execve(args, env))
            one.append("close", time=6, tid=7, params=[0, 4])
    Redactor([], [], ["-a=(b)"]).redact(batch)
    for after, before in zip(batch.to_dicts(), plain.to_dicts(), strict=True):
        kept = {key: value for key, value in before["params"].items() if key not in {"args", "env"}}
        assert {key: value for key, value in after["params"].items() if key not in {"args", "env"}} == kept
        for entry in words(after["params"].get("env") or b""):
            name, equals, value = entry.partition("=")
            assert value in {"", "***"} if equals else name in {"", "***"}
