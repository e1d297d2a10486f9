"""User names and passwords in addresses, which belong neither in logs nor in errors. (apt itself leaves them out.)"""

import re

_USER = re.compile(r"(?P<before>://|proxy[^\s=]*=[\"']?)[^\s/\"'<>]+@", re.IGNORECASE)
"""Up to the last @ before the path: passwords may have one. Values of proxy settings may lack the scheme."""


def redacted(text: str) -> str:
    """`text` with *** for who is let in."""
    return _USER.sub(r"\g<before>***@", text)


def has_credentials(text: str) -> bool:
    """Whether an address in `text` says who is let in."""
    return _USER.search(text) is not None
