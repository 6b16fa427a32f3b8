"""Text that is shown or written: names of files and classes that are not valid Unicode."""

import re

_SURROGATE = re.compile("[\ud800-\udfff]")

_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF
"""The surrogates with which Python stands for the bytes 0x80 to 0xff of a file name that is not UTF-8 (PEP 383)."""


def printable(text: str) -> str:
    r"""Return text that can be encoded: lone surrogates, which no encoding has, become escapes such as `\xe9`."""
    return _SURROGATE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if _FIRST_BYTE <= code <= _LAST_BYTE else f"\\u{code:04x}"
