"""Parts of addresses that are more than a word."""

from __future__ import annotations


class EditionNumber:
    """An edition of a leaderboard: 3, or 3.1: its first correction."""

    regex = r"[1-9][0-9]{0,5}(?:\.[1-9][0-9]{0,5})?"

    def to_python(self, value: str) -> str:
        """As it stands."""
        return value

    def to_url(self, value: str) -> str:
        """As it stands."""
        return value
