"""These tests end processes and limit their memory by means of POSIX."""

import sys

collect_ignore_glob = ["test_*.py"] if sys.platform == "win32" else []
