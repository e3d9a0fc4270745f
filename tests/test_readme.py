"""The README's shape, links and figures, and the blocks that it refers to. Its commands and Python: test_docs.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recipes import readme

ROOT = Path(__file__).resolve().parents[1]
RECIPES = ROOT / "recipes"
README = (ROOT / "README.md").read_text("utf-8")
SPACY = (ROOT / "docs" / "how-to" / "spacy.md").read_text("utf-8")
CONFIG = [
    block for block in re.findall(r"```ini\n(.*?)```", SPACY, re.DOTALL) if re.search(r"Embed\.v1|set_vec", block)
]


def test_it_is_short_and_begins_with_what_it_is() -> None:
    assert len(README.splitlines()) <= 150
    marks = ["**Word vectors", "<!-- numbers -->", "f1-and-bytes.svg", "pip install", "```python", "<!-- output -->"]
    marks += ["how-to/spacy.md", "how-to/hugging-face.md", "how-to/own-language.md", "--text", "not good at"]
    marks += ["make quickstart", "## License"]
    places = [README.index(mark) for mark in marks]
    assert places == sorted(places)


def test_its_figures_are_those_of_the_kept_results_and_of_what_ships() -> None:
    """`python recipes/readme.py` writes them anew."""
    found = readme.read_entries(RECIPES)
    blocks = {"numbers": readme.numbers(found), "ships": readme.table(found)}
    blocks["output"] = readme.example_output(ROOT / "README.md")
    for name, text in blocks.items():
        assert f"<!-- {name} -->\n{text}\n<!-- /{name} -->" in README


def test_its_figures_show_every_system_and_low_data() -> None:
    """On a log axis what ships, its rivals and the published models; beside it less training data."""
    drawn = (RECIPES / readme.PLOT).read_text("utf-8")
    names = {one["name"] for one in readme.read_entries(RECIPES)} - set(readme.KNOWN["not_drawn"])
    assert {"no vectors", "fastText", "compress-fasttext", "floret", "afro11", "afro11-context", "XLM-R-base"} <= names
    assert not [name for name in names if f">{name}</text>" not in drawn] and "(log scale)" in drawn
    shares = (RECIPES / "embeddings" / "low-data.svg").read_text("utf-8")
    assert "embeddings/low-data.svg" in README and ">no vectors</text>" in shares and "afro11, which ships" in shares


@pytest.mark.parametrize("block", CONFIG, ids=range(len(CONFIG)))
def test_blocks_for_ones_own_config_train_two_steps(block: str, tmp_path: Path) -> None:
    """Laid over a pipeline that ships, each trains and loads again."""
    import spacy
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train
    from thinc.api import Config

    from distillemb_plugins.spacy_plugin import build_config

    assert len(CONFIG) == 2
    conll = tmp_path / "train.txt"
    conll.write_text("Juma B-PER\nanaishi O\nNairobi B-LOC\n\n" * 4, "utf-8")
    sections = re.findall(r"^\[(.*?)\]", block, re.MULTILINE)
    parents = {".".join(name.split(".")[:n]) for name in sections for n in range(1, name.count(".") + 1)}
    parsed = Config().from_str("".join(f"[{name}]\n" for name in sorted(parents)) + block, interpolate=False)
    config = build_config("ner", overrides=parsed)
    paths = {"train": str(conll), "dev": str(conll)}
    config = config.merge({"paths": paths, "training": {"max_steps": 2, "eval_frequency": 1}})
    train(init_nlp(config.interpolate()), tmp_path, use_gpu=-1)
    doc = spacy.load(tmp_path / "model-best")("Juma anaishi Nairobi")
    assert len(doc) == 3


def test_a_stock_config_takes_the_block_and_the_reader(tmp_path: Path) -> None:
    """`spacy init config` reads .spacy files: given CoNLL it ends as the page says, until its readers change."""
    from spacy.cli.init_config import init_config
    from spacy.training.initialize import init_nlp
    from thinc.api import Config

    conll = tmp_path / "train.txt"
    conll.write_text("Juma B-PER\nanaishi O\nNairobi B-LOC\n\n" * 4, "utf-8")
    [block] = [one for one in CONFIG if "Embed.v1" in one]
    embed = Config().from_str(
        "[components]\n[components.tok2vec]\n[components.tok2vec.model]\n" + block, interpolate=False
    )
    stock = init_config(lang="xx", pipeline=["ner"], optimize="efficiency").merge(embed)
    stock = stock.merge({"paths": {"train": str(conll), "dev": str(conll)}})
    with pytest.warns(UserWarning, match="W090"), pytest.raises(AssertionError, match="E923"):
        init_nlp(stock.interpolate())
    readers = {
        part: {"@readers": "distillemb.ConllCorpus.v1", "path": f"${{paths.{part}}}", "task": "ner"}
        for part in ("train", "dev")
    }
    config = Config({**stock, "corpora": readers})
    assert init_nlp(config.interpolate()).get_pipe("ner").labels == ("LOC", "PER")


def test_links_and_targets_exist() -> None:
    links = re.findall(r"\]\(((?!http)[^)#]+)", README) + re.findall(r'src="([^"]+)"', README)
    assert len(links) > 10
    for link in links:
        assert (ROOT / link).exists(), link
    targets = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert f"\n{target}:" in targets
