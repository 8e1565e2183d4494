"""The commands, a module a group. Their heavy imports stand inside the functions: `tiercel --help` stays quick."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiercel.config import Settings


@dataclass(frozen=True)
class Context:
    """What stood before the command; `context.obj` of every command."""

    config: Path | None
    log: Mapping[str, Any]

    def settings(self, **flags: Mapping[str, Any]) -> "Settings":
        """The configuration with the command's flags on top; sets up logging as it says."""
        from tiercel import config, log

        settings = config.load(self.config, log=self.log, **flags)
        log.setup(settings.log.level, settings.log.format)
        return settings

    def reread(self) -> "Settings":
        """The configuration as it is now, without the command's flags."""
        from tiercel import config

        return config.load(self.config, log=self.log)
