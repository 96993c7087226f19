"""Codes: what names a product exactly, as a ticker, an ISBN or a part number does. Pure.

A code is compared whole. Case, width and whatever is no letter or digit do not matter: `brk b`,
`BRK-B` and `ＢＲＫ.Ｂ` are `BRK.B`. The fields themselves stay as they were sent; what is compared
is written beside them.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from indexer.catalogue.product import take

CODE_CHARS_MAX = 128


def folded(text: str) -> str:
    """What of a text is compared; empty where it cannot be a code."""
    if len(text) > CODE_CHARS_MAX:
        return ""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(sign for sign in plain if unicodedata.category(sign)[0] in "LMN")


def of(document: Mapping[str, Any], paths: Sequence[str]) -> list[str]:
    """The codes at dotted paths of a document, folded; a field may hold several."""
    rest = dict(document)
    found: list[str] = []
    for path in paths:
        value = take(rest, path)
        values = value if isinstance(value, list) else [value]
        found += [folded(str(one)) for one in values if type(one) in (str, int)]
    return [code for code in dict.fromkeys(found) if code]
