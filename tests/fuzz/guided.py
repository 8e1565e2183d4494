"""Fuzzing led by coverage, by hand: `python tests/fuzz/guided.py TARGET -max_total_time=300`, which needs atheris.

TARGET is condition, rule_file or output: the engine, which reads plans, tells no coverage. Options are libFuzzer's. It
begins with the shipped rules and knows the words of the language. An input that fails is written to `crash-*`, and
repeated by giving that file.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["tiercel.rules"]):
    from tests.fuzz import targets, texts


def seeds(target: str) -> list[str]:
    """What a target begins with."""
    return {
        "condition": texts.conditions,
        "rule_file": texts.items,
        "output": texts.outputs,
    }[target]()


def dictionary(words: set[str]) -> str:
    """The words as libFuzzer reads them."""
    lines = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in sorted(words) if word)
    return "".join(f'"{line}"\n' for line in lines)


def main() -> None:
    """Run until libFuzzer's limits or a failure end it."""
    name = sys.argv.pop(1)
    target = targets.TARGETS[name]
    with tempfile.TemporaryDirectory() as directory:
        words, corpus = Path(directory, "words"), Path(directory, "corpus")
        words.write_text(dictionary({*texts.WORDS, *texts.KEYS, *texts.SCALARS}))
        corpus.mkdir()
        for number, text in enumerate(seeds(name)):
            (corpus / str(number)).write_text(text)
        options = [f"-dict={words}", "-max_len=4096", "-timeout=20", "-rss_limit_mb=2048", *sys.argv[1:]]
        files = [] if any(Path(option).is_file() for option in sys.argv[1:]) else [str(corpus)]
        atheris.Setup([sys.argv[0], *options, *files], lambda data: target(data.decode(errors="replace")))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
