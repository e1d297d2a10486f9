"""Debian versions: valid or not, which is newer, and a key that sorts in a database the way dpkg sorts.

Source of the rules: Debian Policy, section 5.6.12 (Version), and deb-version(7).
"""

import re

from debian.debian_support import Version

_VALID = re.compile(r"(?:[0-9]+:)?[0-9][A-Za-z0-9.+~-]*\Z")
_NON_DIGITS = re.compile(r"[^0-9]*")
_DIGITS = re.compile(r"[0-9]*")
_TILDE, _END, _LETTER_BASE, _OTHER_BASE = 0x01, 0x02, 0x10, 0x60


def is_valid(version: str) -> bool:
    """Whether Policy allows `version`: an epoch of digits, an upstream version that starts with a digit."""
    return len(version) <= 200 and _VALID.match(version) is not None


def without_epoch(version: str) -> str:
    """The part of a version that file names carry."""
    return version.partition(":")[2] or version


def compare(left: str, right: str) -> int:
    """Below 0 if `left` is older, 0 if dpkg treats them as equal, above 0 if `left` is newer."""
    a, b = Version(left), Version(right)
    return (a > b) - (a < b)


def sort_key(version: str) -> bytes:
    """Bytes whose order is dpkg's order, so that an index answers "which is newest" without parsing.

    Each non-digit run is mapped character by character ('~' before the end, the end before letters, letters
    before the rest) and closed by an end mark; each number is its length and its digits, leading zeros dropped.
    """
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    return _number(epoch) + _part(upstream) + _part(revision)


def _part(text: str) -> bytes:
    key = bytearray()
    position = 0
    while True:
        run = _NON_DIGITS.match(text, position)
        number = _DIGITS.match(text, run.end() if run else position)
        if run is None or number is None:
            raise AssertionError("both patterns match the empty string")
        key += bytes(_order(character) for character in run.group())
        key.append(_END)
        key += _number(number.group())
        position = number.end()
        if position >= len(text):
            key.append(_END)
            return bytes(key)


def _number(digits: str) -> bytes:
    significant = digits.lstrip("0")
    return bytes([len(significant)]) + significant.encode("ascii")


def _order(character: str) -> int:
    if character == "~":
        return _TILDE
    if character.isalpha():
        return _LETTER_BASE + (ord(character) - ord("A"))
    return _OTHER_BASE + ord(character) - ord("+")
