"""`python -m distillemb_plugins.cli`: the same command, for torchrun and for where the script is not on the path."""

from __future__ import annotations

from . import main

if __name__ == "__main__":
    main()
