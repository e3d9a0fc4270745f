"""Reading the encoder that a configuration names."""

from __future__ import annotations

from ..errors import DistillEmbError
from ..persistence import EncoderFiles, read_encoder


def read_pretrained(pretrained: str | None, where: str) -> EncoderFiles:
    """Read the encoder that `pretrained` names.

    Args:
        pretrained: Encoder directory, bundled name or hub id.
        where: The block of the configuration, for the message of an error.

    Raises:
        DistillEmbError: It is not set or cannot be read.
    """
    if pretrained is None:
        raise DistillEmbError(
            f"{where}: pretrained is not set: give an encoder directory, a bundled name or a hub id, "
            "e.g. --paths.encoder DIR."
        )
    try:
        return read_encoder(pretrained)
    except DistillEmbError as error:
        raise DistillEmbError(f'{where}: pretrained = "{pretrained}" cannot be used. {error}') from error
