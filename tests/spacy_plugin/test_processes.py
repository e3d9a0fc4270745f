"""``nlp.pipe(n_process=2)`` after the parent has run torch with two threads, under fork and spawn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import spacy

from distillemb_plugins.spacy_plugin import set_vectors

from .conftest import WIDTH, embed_config, examples_for, ner_config, train

# Static vectors, a fine-tuned encoder and a torch context encoder in one pipeline. The parent predicts and trains
# first (a warm-up with two torch threads): that is what used to hang forked children.
SCRIPT = """
import multiprocessing, sys
import numpy as np

def main(path, method):
    multiprocessing.set_start_method(method)
    import spacy, torch
    from spacy.training import Example
    torch.set_num_threads(2)
    nlp = spacy.load(path)
    big = torch.ones(400, 400); big @ big
    example = Example.from_dict(nlp.make_doc("Rafiki soma"), {"entities": [(0, 6, "PER")]})
    if method == "fork":  # after an update spaCy's own listeners cannot be pickled for spawn
        nlp.update([example] * 4, sgd=nlp.resume_training())
    texts = [f"Rafiki neno{n} mjini" for n in range(40)]
    alone = [doc.tensor for doc in nlp.pipe(texts)]
    vectors = [nlp(text).vector for text in texts]
    docs = list(nlp.pipe(texts, n_process=2, batch_size=10))
    assert all(np.allclose(a, d.tensor, atol=1e-5) for a, d in zip(alone, docs))
    assert all(np.allclose(v, d.vector, atol=1e-5) for v, d in zip(vectors, docs))
    print("finished", len(docs))

if __name__ == "__main__":
    main(*sys.argv[1:])
"""


@pytest.fixture(scope="module")
def pipeline(tiny_encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    nlp = set_vectors(spacy.blank("xx"), tiny_encoder_dir)
    model = {
        "@architectures": "spacy.Tok2Vec.v2",
        "embed": embed_config(tiny_encoder_dir),
        "encode": {"@architectures": "distillemb.BiLSTMEncoder.v1", "width": WIDTH},
    }
    nlp.add_pipe("tok2vec", config={"model": model})
    listen = {"@architectures": "spacy.Tok2VecListener.v1", "width": WIDTH}
    nlp.add_pipe("ner", config=ner_config(listen))
    optimizer = nlp.initialize(lambda: examples_for(nlp))
    train(nlp, optimizer, steps=1)
    path = tmp_path_factory.mktemp("processes") / "pipeline"
    nlp.to_disk(path)
    return path


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_two_processes_finish_with_equal_results(pipeline: Path, tmp_path: Path, method: str) -> None:
    if sys.platform == "win32" and method == "fork":
        pytest.skip("there is no fork on Windows")
    script = tmp_path / "run.py"
    script.write_text(SCRIPT, "utf-8")
    done = subprocess.run(
        [sys.executable, str(script), str(pipeline), method], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.stdout.strip() == "finished 40", done.stderr
