"""Rule sets as one thing: the files' content, what it is called, and what the engine made of it.

A set's version is the SHA-256 of all that decides what it compiles to, so whoever has the content can check it.
Addresses of host names in conditions are found once, when the set is compiled first, and are part of it from then on.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tiercel._engine import RuleSet
from tiercel.config import RuleOptions
from tiercel.errors import TiercelError
from tiercel.rules import choice, throttle
from tiercel.rules.load import Loaded, Loader, files_of, library, text_of
from tiercel.rules.plan import Resolver, resolve_host
from tiercel.rules.problems import Problem

FORMAT = 1
MAX_FILES = 10_000
MAX_BYTES = 64 << 20
"""Of all files of a set together, as JSON."""


class RefusedError(TiercelError):
    """A rule set that cannot be used; `errors` are all that is wrong with it, a line each."""

    def __init__(self, errors: Iterable[str]) -> None:
        self.errors = list(errors)
        more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
        super().__init__(f"{self.errors[0]}{more}")


@dataclass(frozen=True)
class RuleFiles:
    """The content of a rule set: texts by the names that errors tell, in the order in which they are loaded.

    `hosts` are the addresses of names in conditions; None: not yet looked up.
    """

    files: tuple[tuple[str, str], ...]
    options: RuleOptions = field(default_factory=RuleOptions)
    hosts: Mapping[str, tuple[str, ...]] | None = None
    shipped: bool = False

    @property
    def version(self) -> str:
        """64 hex digits; what files are called does not matter."""
        content = {
            "files": [text for _, text in self.files],
            "hosts": {name: list(addresses) for name, addresses in sorted((self.hosts or {}).items())},
            "options": written(self.options),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def pack(self) -> bytes:
        """The content as one message."""
        content = {
            "format": FORMAT,
            "files": self.files,
            "options": written(self.options),
            "hosts": {name: list(addresses) for name, addresses in (self.hosts or {}).items()},
            "shipped": self.shipped,
        }
        return zlib.compress(json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass"), 9)


@dataclass(frozen=True)
class CompiledSet:
    """A set that the engine can use."""

    files: RuleFiles
    version: str
    rules: RuleSet
    warnings: list[Problem] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Rules that are enabled."""
        return len(self.rules.names)


def written(options: RuleOptions) -> dict[str, Any]:
    """Options as JSON has them; those of a worker without what else it is told."""
    return options.model_dump(mode="json", include=set(RuleOptions.model_fields))


def chosen(rules: Loaded, options: RuleOptions) -> Loaded:
    """What the options make of rules: which are on, and what their alerts carry besides. ConfigError."""
    found = choice.chosen(rules.rules, options.select, options.priority)
    return replace(rules, rules=choice.appended(found, options.append_output))


def plan(
    rules: Loaded,
    options: RuleOptions,
    *,
    throttled: bool,
    resolver: Resolver = resolve_host,
    version: Callable[[], str] | None = None,
) -> str:
    """The rules as the engine reads them, with what the options make of them. RuleError, ConfigError."""
    return chosen(rules, options).plan(
        matching=options.matching,
        base64=options.buffer_format_base64,
        throttled=throttled,
        default=throttle.of_settings(options.throttle_burst, options.throttle_every_s),
        resolver=resolver,
        version=version,
    )


def read(paths: Iterable[str | Path], options: RuleOptions | None = None) -> RuleFiles:
    """The content of files and directories, without any the shipped rules. RefusedError names what is unreadable."""
    given = [Path(path) for path in paths]
    files, errors, found = [], [], list[Path]()
    for each in given or library():
        try:
            found += files_of(each)
        except OSError as error:
            errors.append(f"{each}: cannot be read: {error.strerror}")
    for path in found:
        text = text_of(path)
        if isinstance(text, Problem):
            errors.append(str(text))
        else:
            files.append((str(path), text))
    if errors:
        raise RefusedError(errors)
    own = RuleOptions.model_validate(written(options)) if options else RuleOptions()
    return RuleFiles(tuple(files), own, shipped=not given)


def unpack(message: bytes) -> RuleFiles:
    """What `pack` made. RefusedError if it is none; hostile messages are bounded by MAX_BYTES."""
    try:
        inflate = zlib.decompressobj()
        text = inflate.decompress(message, MAX_BYTES)
        if inflate.unconsumed_tail or not inflate.eof:
            raise ValueError(f"it is cut short, or holds more than {MAX_BYTES >> 20} MiB")
        content = json.loads(text)
        return _checked(content)
    except (ValueError, zlib.error, RecursionError) as error:
        raise RefusedError([f"not the content of a rule set: {error}"]) from None


def _checked(content: Any) -> RuleFiles:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    files, hosts = content.get("files"), content.get("hosts")
    if not isinstance(files, list) or len(files) > MAX_FILES or not all(_texts(file, 2) for file in files):
        raise ValueError("its files are no names and texts")
    if not isinstance(hosts, dict) or not all(_texts(addresses) for addresses in hosts.values()):
        raise ValueError("its hosts are no names with addresses")
    try:
        options = RuleOptions.model_validate(content.get("options"))
    except ValidationError as error:
        fault = error.errors()[0]
        raise ValueError(f"its options are none: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None
    return RuleFiles(
        tuple((name, text) for name, text in files),
        options,
        {name: tuple(addresses) for name, addresses in hosts.items()},
        shipped=content.get("shipped") is True,
    )


def _texts(value: object, count: int | None = None) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value) and count in (None, len(value))


def compiled(files: RuleFiles, *, resolver: Resolver = resolve_host) -> CompiledSet:
    """Compile a set. RefusedError has all of its errors.

    Takes as long as it takes; other threads go on meanwhile, as far as Python lets them.
    """
    loader = Loader()
    for name, text in files.files:
        loader.read_text(name, text)
    loaded = loader.finish()
    if loaded.errors:
        raise RefusedError(map(str, loaded.errors))
    found: dict[str, tuple[str, ...]] = {}

    def look_up(name: str) -> list[str]:
        if files.hosts is not None and name in files.hosts:
            return list(files.hosts[name])
        # A set that was told has all its names; of one that has not, nobody knows the address.
        if name not in found:
            found[name] = tuple(resolver(name)) if files.hosts is None else ()
        return list(found[name])

    complete: list[RuleFiles] = []

    def version() -> str:
        complete.append(files if files.hosts is not None else replace(files, hosts=found))
        return complete[0].version

    try:
        rules = RuleSet(plan(loaded, files.options, throttled=True, resolver=look_up, version=version))
    except (TiercelError, ValueError) as error:
        raise RefusedError([str(error)]) from None
    return CompiledSet(complete[0], rules.version, rules, loaded.warnings)
