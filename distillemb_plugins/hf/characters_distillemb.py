"""The character table, under the name that the files of this folder import.

A saved encoder directory carries the whole of ``distillemb_plugins/characters.py`` under this name.
"""

from ..characters import FIRST_CHARACTER_ID, PAD_ID, UNKNOWN_ID, CharTable, split_characters

__all__ = ["FIRST_CHARACTER_ID", "PAD_ID", "UNKNOWN_ID", "CharTable", "split_characters"]
