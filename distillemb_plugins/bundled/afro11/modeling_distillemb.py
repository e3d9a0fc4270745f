"""What `auto_map` names. This directory comes with the package, so the code is the package's own."""

from distillemb_plugins.hf.modeling_distillemb import *  # noqa: F403
