"""`tiercel rules test`, `explain` and `list` as a shell sees them."""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from tiercel.local import bundled_capture
from tiercel.rules.load import library, load

sys.path.insert(0, str(Path(__file__).parent))
from run import one_line, tiercel

SHELL = "Shell spawned by a server process"
RULE = "{rule: R, desc: d, condition: evt.type = read and fd.num > 5, output: o, priority: Notice}"


def test_the_shipped_rules_pass_their_tests(tmp_path: Path) -> None:
    done = tiercel("rules", "test", "--coverage", "--junit", tmp_path / "out.xml", home=tmp_path)
    assert done.returncode == 0
    assert ", 0 failed, " in done.stderr
    assert f"{SHELL}: " in done.stdout
    assert "  never true: " in done.stdout
    root = Xml.parse(tmp_path / "out.xml").getroot()
    assert root.get("tests") == done.stderr.split()[0]


def test_a_failure_is_a_line_and_1(tmp_path: Path) -> None:
    path = tmp_path / "x_test.yaml"
    path.write_text(f"rules: [{RULE}]\ntests:\n- {{name: t, events: [{{read: , on: 3}}], alerts: [R]}}\n")
    done = tiercel("rules", "test", path, home=tmp_path)
    assert done.returncode == 1
    assert one_line(done.stdout)
    assert done.stdout.startswith(f"FAILED {path}:3: t: expected 'R', got no alert; ")
    assert done.stdout.endswith("first false: fd.num > 5 — is 3\n")
    assert done.stderr.startswith("1 tests, 1 failed, ")


def test_what_a_failure_shows_drives_no_terminal(tmp_path: Path) -> None:
    path = tmp_path / "x_test.yaml"
    path.write_text(
        "rules: [credentials.yaml, 00-macros.yaml]\n"
        'tests:\n- {name: "\\e[2J", events: [{openat: /etc/shadow, by: {exe: "/tmp/\\e]0;x\\a\\ny"}}], alerts: []}\n'
    )
    done = tiercel("rules", "test", path, home=tmp_path)
    assert one_line(done.stdout)
    assert done.stdout.strip().isprintable()


def test_wrong_files_of_tests_are_1_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "x_test.yaml").write_text("testz: []\n")
    for path in (tmp_path / "x_test.yaml", tmp_path, tmp_path / "none"):
        done = tiercel("rules", "test", path, home=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert one_line(done.stderr)


def test_explain_a_capture(tmp_path: Path) -> None:
    done = tiercel("rules", "explain", SHELL, "--capture", bundled_capture(), home=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{SHELL}: matched event ")
    assert "  ✓ proc.pname in (apache2, " in done.stdout
    told = tiercel("rules", "explain", SHELL, "--capture", bundled_capture(), "--json", home=tmp_path)
    number = json.loads(told.stdout)["event"]["evt.num"]
    other = tiercel(
        *("rules", "explain", SHELL, "--capture", bundled_capture(), "--number", str(number + 1)), home=tmp_path
    )
    assert f"{SHELL}: did not match event {number + 1}: " in other.stdout
    assert other.stdout.count("← first false") == 1


def test_explain_where_nothing_matches_shows_what_came_furthest(tmp_path: Path) -> None:
    rules = tmp_path / "r.yaml"
    rules.write_text(
        "- rule: R\n  desc: d\n  condition: evt.type = openat and fd.name = /none\n  output: o\n  priority: Info\n"
    )
    done = tiercel("rules", "explain", "R", "-r", rules, "--capture", bundled_capture(), home=tmp_path)
    assert done.returncode == 0
    assert "first false: fd.name = /none — is /" in done.stdout


def test_explain_an_event_of_history(tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path / 'store'}"
    told = tiercel("replay", bundled_capture(), "--store", dsn, "--json", home=tmp_path)
    alert = next(json.loads(line) for line in told.stdout.splitlines() if json.loads(line)["rule"] == SHELL)
    done = tiercel("rules", "explain", SHELL, "--event", alert["event"], "--dsn", dsn, home=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{SHELL}: matched event {alert['event']}: execve")
    missing = tiercel("rules", "explain", SHELL, "--event", alert["event"] + "000000", "--dsn", dsn, home=tmp_path)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert one_line(missing.stderr)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ((SHELL,), 2),
        ((SHELL, "--event", "a/b/1", "--capture", "x"), 2),
        (("Shell spawned by a sever process", "--capture", "x"), 1),
        ((SHELL, "--capture", "/none"), 1),
        ((SHELL, "--capture", str(bundled_capture()), "--number", "123456789"), 1),
    ],
)
def test_wrong_questions(tmp_path: Path, arguments: tuple[str, ...], status: int) -> None:
    done = tiercel("rules", "explain", *arguments, home=tmp_path)
    assert (done.returncode, done.stdout) == (status, "")
    assert one_line(done.stderr)


def test_list(tmp_path: Path) -> None:
    table = tiercel("rules", "list", home=tmp_path)
    assert table.returncode == 0
    assert SHELL in table.stdout
    narrow = tiercel("rules", "list", home=tmp_path, COLUMNS="80").stdout.splitlines()
    assert len(narrow) == 1 + len(load(library()).rules), "a rule a line"
    page = tiercel("rules", "list", "Shell spawned*", home=tmp_path)
    assert "child_of_a_server, executed" in page.stdout
    assert "own_commands: proc.pname =, proc.cmdline startswith" in page.stdout
    told = json.loads(tiercel("rules", "list", SHELL, "--json", home=tmp_path).stdout)
    assert told["info"]["name"] == SHELL
    assert told["details"]["events"] == ["execve", "execveat"]
    assert told["details"]["lists"] == ["servers", "shells"]
    assert set(told["details"]["condition_fields"]) >= {"evt.type", "proc.pname", "proc.cmdline"}
    none = tiercel("rules", "list", "nothing so called", home=tmp_path)
    assert (none.returncode, none.stdout) == (1, "")
    assert one_line(none.stderr)


def test_list_shows_throttles_and_check_says_what_is_wrong_with_one(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    rule = "- rule: r\n  desc: d\n  condition: evt.type = execve\n  output: o\n  priority: NOTICE\n  throttle: "
    file.write_text(rule + "{per: [proc.name], burst: 5, every: 300s}\n")
    told = json.loads(tiercel("rules", "list", file, "--json", home=tmp_path).stdout)
    assert told["info"]["throttle"] == {"per": ["proc.name"], "burst": 5, "every": "5m"}
    assert "5 of each proc.name in 5m" in tiercel("rules", "list", file, "r", home=tmp_path).stdout
    assert tiercel("rules", "check", file, home=tmp_path).returncode == 0
    file.write_text(rule + "{per: [proc.nmae], burst: 5, every: 300s}\n")
    checked = tiercel("rules", "check", file, home=tmp_path)
    assert checked.returncode == 1
    assert f"{file}:6:20: " in checked.stdout + checked.stderr
