"""How a limit of the API looks: the one list for what the proxy sees and for what an agent's program says."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["KINDS", "KINDS_OF_A_PROGRAM", "NO_CREDIT", "STATUS", "WORDS"]

STATUS: Final = (402, 429)
"""HTTP statuses of a response."""

KINDS: Final = ("rate_limit_error", "billing_error")
"""Types of an error of the API."""

KINDS_OF_A_PROGRAM: Final = (*KINDS, "rate_limit")
"""claude calls the first one by a name of its own, too."""

NO_CREDIT: Final = re.compile(r"(Your )?credit balance is too low[^:]*", re.IGNORECASE)
"""The whole message of the API. An error that quotes the request has a colon after the quoted name."""

WORDS: Final = re.compile(
    r"usage limit|hit your [\w -]*limit|(weekly|5-hour|session|opus|sonnet) limit reached"
    r"|credit balance is too low|out of (usage credits|extra usage)",
    re.IGNORECASE,
)
"""Words of claude's last message, by its versions, when it reports an error."""
