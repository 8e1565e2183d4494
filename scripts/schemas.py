"""Holds the Avro schemas against those of all releases: readers of each must read what any other writes.

--check (part of `make check`) asks Apache Avro's own compatibility check and lets fastavro read records of each with
the other; --registry URL also asks what a registry's subjects would refuse; --freeze VERSION keeps the present ones as
a release, once they pass.
"""

import argparse
import io
import json
import re
import sys
import warnings
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import fastavro
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse
from fastavro.utils import generate_many

from tiercel.errors import KafkaError, SchemaError
from tiercel.joints.registry import SUBJECTS, Registry
from tiercel.schemas import avro
from tiercel.schemas.writers import check as check_writer

FOLDER = Path(__file__).parent.parent / "schemas"
_RECORDS = 20


def released(folder: Path, name: str) -> dict[str, str]:
    """A schema in all its releases, by version."""
    return {path.parent.name: path.read_text() for path in sorted(folder.glob(f"released/*/{name}.avsc"))}


def refused(reader: str, writer: str) -> str | None:
    """Why this reader does not read what this writer writes; None: it does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # logical types that Apache's does not know are plain to it, as they are to us
        result = ReaderWriterCompatibilityChecker().get_compatibility(parse(reader), parse(writer))
    if result.compatibility is not SchemaCompatibilityType.compatible:
        return "; ".join(sorted(map(str, result.messages))) or "Apache Avro does not say why"
    theirs, ours = (fastavro.parse_schema(json.loads(text)) for text in (writer, reader))
    try:
        for record in generate_many(json.loads(writer), _RECORDS):
            out = io.BytesIO()
            fastavro.schemaless_writer(out, theirs, record)
            fastavro.schemaless_reader(io.BytesIO(out.getvalue()), theirs, ours)
    except Exception as error:  # whatever it is, it is not read
        return f"fastavro: {error}"
    return None


def faults(folder: Path = FOLDER, names: tuple[str, ...] = avro.NAMES) -> Iterator[str]:
    """A sentence for each pair of which one does not read the other, and for what no reader should take."""
    for name in names:
        texts = released(folder, name) | {"now": (folder / f"{name}.avsc").read_text()}
        try:
            check_writer(texts["now"])
        except SchemaError as error:
            yield f"{name}.avsc: {error}"
            continue
        for (reader, ours), (writer, theirs) in permutations(texts.items(), 2):
            if "now" in (reader, writer) and (reason := refused(ours, theirs)) is not None:
                yield f"{name}.avsc: a reader of {reader} does not read what {writer} writes: {reason}"


def registry_faults(url: str, folder: Path = FOLDER) -> Iterator[str]:
    """A sentence for each schema that the registry's subject would refuse. KafkaError."""
    registry = Registry(url, ())
    for name in SUBJECTS:
        reason = registry.incompatible(name, (folder / f"{name}.avsc").read_text())
        if reason is not None:
            yield f"{name}.avsc: the registry refuses it: {reason}"


def freeze(version: str, folder: Path = FOLDER) -> str | None:
    """Keep the present schemas as those of a release; why not, if not. What is released is never written again."""
    if not re.fullmatch(r"\d+(\.\d+)+", version):
        return f"{version} is no version: 0.2"
    kept = folder / "released" / version
    if kept.exists():
        return f"{version} is released: what readers were made for does not change"
    kept.mkdir(parents=True)
    for name in avro.NAMES:
        (kept / f"{name}.avsc").write_text((folder / f"{name}.avsc").read_text())
    return None


def main(arguments: list[str] | None = None, folder: Path = FOLDER) -> int:
    """Exit status 1 if something is not compatible, or not frozen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="hold the schemas against all releases (always done)")
    parser.add_argument("--registry", metavar="URL", help="also ask this registry whether it would take them")
    parser.add_argument("--freeze", metavar="VERSION", help="keep them as a release")
    options = parser.parse_args(arguments)
    found = list(faults(folder))
    try:
        if options.registry:
            found += registry_faults(options.registry, folder)
    except KafkaError as error:
        found.append(str(error))
    if options.freeze and not found and (reason := freeze(options.freeze, folder)) is not None:
        found.append(reason)
    print("\n".join(found), end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
