"""Names that moved; to be imported from where they are now."""

from distillemb_plugins.data.sources import (
    HUB_REVISION,
    HUB_SPLITS,
    HUB_TAGS,
    HUB_TASKS,
    cache_folder,
    corpus_files,
    hub_dataset,
    not_under_data,
    task_files,
)
from recipes.results import (
    DEFAULT_DATA,
    ROOT,
    add_result,
    markdown_table,
    mean_spread,
    megabytes,
    read_results,
    replace_block,
    run_app,
    whole_seeds,
)

__all__ = [
    "DEFAULT_DATA",
    "HUB_REVISION",
    "HUB_SPLITS",
    "HUB_TAGS",
    "HUB_TASKS",
    "ROOT",
    "add_result",
    "cache_folder",
    "corpus_files",
    "hub_dataset",
    "markdown_table",
    "mean_spread",
    "megabytes",
    "not_under_data",
    "read_results",
    "replace_block",
    "run_app",
    "task_files",
    "whole_seeds",
]
