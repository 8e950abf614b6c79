"""Hybrid Demucs with the weights of the challenge's baseline.

The network is `demucs.hdemucs.HDemucs`; the weights are those that torchaudio publishes as
`HDEMUCS_HIGH_MUSDB`, brought to the names of the former. Checked against torchaudio 2.11 and pyclarity 0.9.0.

References:
    Défossez (2021), "Hybrid spectrogram and waveform source separation", Proc. ISMIR MDX workshop.
"""

from pathlib import Path
from typing import Any

from demucs.hdemucs import HDemucs
from torch import nn

from cadenza_remix.demix.network import NetworkSeparator, load_state
from cadenza_remix.demix.weights import Published, find_weights, read_tensors

PUBLISHED = Published(
    "hdemucs",
    "https://download.pytorch.org/torchaudio/models/hdemucs_high_musdbhq_only.pt",
    library_cache="torchaudio/models",
)
SOURCES = ("drums", "bass", "other", "vocals")
RENAMED = {
    "freq_encoder": "encoder",
    "freq_decoder": "decoder",
    "time_encoder": "tencoder",
    "time_decoder": "tdecoder",
}


def hdemucs(weights: str | None, *, allow_download: bool, **how: Any) -> NetworkSeparator:
    """The separator, its weights found.

    Args:
        weights: where they are, as `find_weights` understands it.
        allow_download: fetch them if they are nowhere.
        how: the fields of `NetworkSeparator` that are the user's choice.

    Raises:
        WeightsError: if the weights are not there.
        ConfigError: if the device is not.
    """
    found = find_weights([PUBLISHED], given=weights, allow_download=allow_download)
    return NetworkSeparator(load, found, SOURCES, standardised=True, **how)


def load(paths: tuple[Path, ...]) -> nn.Module:
    """The network of torchaudio's `hdemucs_high` with the weights of one file.

    Raises:
        WeightsError: if they are not this network's.
    """
    (path,) = paths
    network: nn.Module = HDemucs(
        sources=list(SOURCES),
        channels=48,
        depth=6,
        nfft=4096,
        norm_starts=4,
        norm_groups=4,
        dconv_mode=1,
        dconv_lstm=4,
        dconv_attn=4,
        time_stride=2,
        cac=True,
        hybrid=True,
    )
    load_state(network, {_renamed(name): tensor for name, tensor in read_tensors(path).items()}, path)
    return network


def _renamed(name: str) -> str:
    """A tensor's name in the demucs package; names that are so already stay."""
    first, _, rest = name.partition(".")
    return f"{RENAMED.get(first, first)}.{rest}"
