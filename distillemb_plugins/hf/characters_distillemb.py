"""The character table, under the name that the files of this folder import.

A saved encoder directory carries the whole of ``distillemb_plugins/characters.py`` under this name.
"""

from ..characters import PAD_ID, CharTable

__all__ = ["PAD_ID", "CharTable"]
