"""What `tiercel collect` is put together of."""

import os
from pathlib import Path

import pytest

from tiercel.commands.collecting import _give


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_a_spool_that_root_began_goes_to_the_user_and_nothing_else_does(tmp_path: Path) -> None:
    outside, spool = tmp_path / "outside", tmp_path / "spool"
    outside.write_text("precious")
    spool.mkdir()
    (spool / "journal").write_text("")
    (spool / "link").symlink_to(outside)
    os.link(outside, spool / "hard")
    os.mkfifo(spool / "fifo")
    (spool / "other").write_text("")
    os.chown(spool / "other", 7, 7)
    _give(spool, 65534, 65534)
    owners = {path.name: path.lstat().st_uid for path in (spool, outside, *spool.iterdir())}
    given = {"spool": 65534, "journal": 65534}
    assert owners == given | {"outside": 0, "link": 0, "hard": 0, "fifo": 0, "other": 7}
