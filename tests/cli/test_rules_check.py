"""`tiercel rules check`: what people and programs read of rule files that are wrong."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from run import tiercel

BAD = """\
- macro: opening
  condition: evt.type in (open, opneat)
- rule: one
  desc: d
  condition: >
    openin and proc.nmae = cat
    and proc.pid = x
  output: by %proc.nmae
  priority: WARNIN
  enabld: true
- ruel: x
"""


def test_text_shows_place_line_caret_and_what_was_meant(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(BAD)
    done = tiercel("rules", "check", file, home=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "0 rules, 5 errors, 2 warnings\n"
    one = f"""\
{file}:6:16: error LOAD_ERR_COMPILE_CONDITION: unknown field proc.nmae; did you mean proc.name? (in rule 'one')
        openin and proc.nmae = cat
                   ^
"""
    assert one in done.stdout
    found = [line.removeprefix(f"{file}:") for line in done.stdout.splitlines() if line.startswith(str(file))]
    assert found == [
        "6:5: error LOAD_ERR_VALIDATE: Undefined macro 'openin' used in filter: it is not defined; "
        "did you mean opening? (in rule 'one')",
        "6:16: error LOAD_ERR_COMPILE_CONDITION: unknown field proc.nmae; did you mean proc.name? (in rule 'one')",
        "7:20: error LOAD_ERR_COMPILE_CONDITION: 'x' is not a valid number (in rule 'one')",
        "8:14: error LOAD_ERR_COMPILE_OUTPUT: unknown filter: proc.nmae; did you mean proc.name? (in rule 'one')",
        "9:13: error LOAD_ERR_YAML_VALIDATE: 'WARNIN' is no priority; did you mean Warning? (in rule 'one')",
        "10:3: warning LOAD_UNKNOWN_KEY: unknown key 'enabld'; did you mean enabled? (in rule 'one')",
        "11:3: warning LOAD_UNKNOWN_ITEM: unknown item 'ruel'; did you mean rule?",
    ]


def test_json_has_falcos_shape(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    good, bad = tmp_path / "rules/a.yaml", tmp_path / "rules/b.yml"
    good.write_text("- list: unused\n  items: []\n")
    bad.write_text("- rule: r\n  desc: d\n  condition: proc.nmae = cat\n  output: o\n  priority: INFO\n")
    done = tiercel("rules", "check", "--json", tmp_path / "rules", tmp_path / "nosuch.yaml", home=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    first, second, third = json.loads(done.stdout)["falco_load_results"]
    assert first == {"name": str(good), "successful": True, "errors": [], "warnings": []}
    assert (third["name"], third["successful"]) == (str(tmp_path / "nosuch.yaml"), False)
    assert third["errors"][0]["code"] == "LOAD_ERR_FILE_READ"
    assert third["errors"][0]["context"]["snippet"] == ""
    assert second["errors"] == [
        {
            "code": "LOAD_ERR_COMPILE_CONDITION",
            "codedesc": "Error compiling condition",
            "message": "unknown field proc.nmae; did you mean proc.name?",
            "context": {
                "snippet": "  condition: proc.nmae = cat\n             ^\n",
                "locations": [
                    {
                        "item_type": kind,
                        "item_name": name,
                        "position": {"name": str(bad), "line": line, "column": column, "offset": offset},
                    }
                    for kind, name, line, column, offset in (
                        ("rules content", "", 0, 0, 0),
                        ("rule", "r", 0, 2, 2),
                        ("rule condition", "", 2, 13, 33),
                        ("condition expression", "", 2, 13, 33),
                    )
                ],
            },
        }
    ]


def test_warnings_alone_are_fine(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("- list: unused\n  items: []\n")
    done = tiercel("rules", "check", file, home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "0 rules, 0 errors, 1 warnings\n")
    assert done.stdout.startswith(f"{file}:1:3: warning LOAD_UNUSED_LIST: the list is not used (in list 'unused')\n")


def test_without_files_it_is_wrong_usage(tmp_path: Path) -> None:
    assert tiercel("rules", "check", home=tmp_path).returncode == 2
