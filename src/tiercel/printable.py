"""Text from outside made safe to print: names of files, processes and rules may hold anything."""


def printable(text: str) -> str:
    """The text with what would end a line or drive a terminal escaped, as in a Python literal."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
