"""How fast an encoder learns inside a pipeline: the defaults of configurations, arguments, commands and builds.

Each is the best on dev of what the recipe ``recipes/embeddings`` tried, over its languages and encoders. Tests hold
them against the kept scores. Entities need a lower rate: at the pipeline's own rate an encoder forgets, and in some
languages falls below a pipeline without one.
"""

from __future__ import annotations

# The encoder's learning rate as a share of the pipeline's, by the task of `build_config`. Both tasks at once were not
# tried: entities lose more by a high rate than parts of speech by a low one.
GRAD_FACTORS = {"ner": 0.3, "pos": 1.0, "ner-pos": 0.3, "textcat": 1.0}
DEFAULT_GRAD_FACTOR = GRAD_FACTORS["ner"]  # of a block written by hand, whose task is not known
