"""The Demucs family: one network or a bag of them, through the `demucs` package.

A published file says itself which network it holds: its class and the arguments of its constructor lie beside
the tensors. Both forms are read, the pickled `.th` and the newer `.safetensors`, without running anything
that stands in them. Checked against `demucs.api` 4.1.0.

References:
    Défossez, Usunier, Bottou & Bach (2019), "Music source separation in the waveform domain",
    arXiv:1911.13254.
    Défossez (2021), "Hybrid spectrogram and waveform source separation", Proc. ISMIR MDX workshop.
    Rouard, Massa & Défossez (2023), "Hybrid transformers for music source separation", Proc. ICASSP.
"""

import inspect
import json
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from cadenza_remix.demix.network import NetworkSeparator, make_of_its_size
from cadenza_remix.demix.pickled import read_pickle
from cadenza_remix.demix.weights import Published, are_whole_tensors, find_weights
from cadenza_remix.errors import ConfigError, WeightsError

SOURCES = ("drums", "bass", "other", "vocals")
NETWORKS = {f"{network.__module__}.{network.__name__}": network for network in (Demucs, HDemucs, HTDemucs)}
CHANNELS, SAMPLE_RATE = 2, 44100
# How large may be what the tensors do not limit; published networks have 44 s, 4096, 0 and 0.
MOST = {"segment": 100, "nfft": 16384, "wiener_iters": 10, "end_iters": 10}
LAYERS = ("depth", "dconv_depth", "lstm_layers", "t_layers")  # arguments that say how many
# In which of these a damaged or strange file shows depends on where it is so.
DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
)


def demucs(
    weights: str | None,
    *,
    files: Sequence[str],
    blend: Sequence[Sequence[float]],
    allow_download: bool,
    **how: Any,
) -> NetworkSeparator:
    """A bag of networks as a separator, its weights found.

    Args:
        weights: where they are, as `find_weights` understands it; the part of a file is its signature.
        files: the URLs of one or more networks; a file's name begins with its signature and a dash.
        blend: for each file the weights of its drums, bass, other and vocals in the average.
        allow_download: fetch them if they are nowhere.
        how: the fields of `NetworkSeparator` that are the user's choice.

    Raises:
        WeightsError: if the weights are not there.
        ConfigError: if the device is not, or the blend does not fit the files.
    """
    if len(blend) != len(files) or not all(sum(column) > 0 for column in zip(*blend, strict=True)):
        raise ConfigError(
            f"blend={[list(row) for row in blend]} should have a row for each of {len(files)} files, and in "
            "each column something above 0; correct it."
        )
    published = [Published(url.rsplit("/", 1)[1].split("-")[0], url, "checkpoints") for url in files]
    found = find_weights(published, given=weights, allow_download=allow_download)
    shares = tuple(tuple(row) for row in blend)
    return NetworkSeparator(load, found, SOURCES, standardised=True, blend=shares, **how)


def load(paths: tuple[Path, ...]) -> nn.ModuleList:
    """The networks of a bag; see `load_network`."""
    return nn.ModuleList(load_network(path) for path in paths)


def load_network(path: Path) -> nn.Module:
    """One network of the family, as its file describes it.

    Raises:
        WeightsError: if the file cannot be read without running what is in it, or is of another family.
    """
    name, args, kwargs, tensors = (
        _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    )
    try:
        network_class = NETWORKS[name]
        signature = inspect.signature(network_class)
        # Those that later versions dropped are left out.
        kwargs = {key: x for key, x in kwargs.items() if key in signature.parameters}
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        stated = bound.arguments
        if not _is_plain(list(stated.values())):
            raise TypeError("arguments that are no plain values")
        for key, most in (MOST | dict.fromkeys(LAYERS, len(tensors))).items():
            if stated.get(key, 0) > most:
                raise ValueError(f"{key}={stated[key]} where {most} is much")
        use = (*stated["sources"], stated["audio_channels"], stated["samplerate"])
        if use == (*SOURCES, CHANNELS, SAMPLE_RATE):
            return make_of_its_size(partial(network_class, *args, **kwargs), tensors, path)
    except DAMAGE as error:
        raise WeightsError(f"{path} describes no network of demucs ({error!r}); fetch it again.") from error
    raise WeightsError(
        f"{path} is for the sources, channels and sample rate {use}; expected {SOURCES}, {CHANNELS} and "
        f"{SAMPLE_RATE}: choose another file."
    )


Package = tuple[str, Sequence[Any], dict[str, Any], dict[str, Tensor]]


def _read_pickle(path: Path) -> Package:
    """Name of the class, arguments, keyword arguments and tensors of a `.th` file."""
    try:
        package = read_pickle(path, _admitted)
        name, args, kwargs, tensors = (package[key] for key in ("klass", "args", "kwargs", "state"))
        if not (isinstance(name, str) and isinstance(args, list | tuple)):
            raise TypeError
        if not are_whole_tensors(tensors, path):
            raise ValueError("quantized weights, or less than they say")
        return name, args, kwargs, tensors
    except UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors and plain values, or is damaged; fetch it again, or, if you "
            f"trust it, convert it: python -c \"import torch; p = torch.load('{path}', weights_only=False); "
            "torch.save({k: p[k] for k in ('klass', 'args', 'kwargs', 'state')}, 'converted.th')\"."
        ) from error
    except Exception as error:  # a damaged file raises whatever its bytes happen to say
        raise WeightsError(
            f"{path} is no network of demucs ({type(error).__name__}); fetch it again."
        ) from error


def _admitted(name: str) -> Any:
    """What a file may name: its class, which stays a name, and fractions, such as a segment's seconds."""
    if name in NETWORKS:
        return name
    if name == "fractions.Fraction":
        return _fraction
    raise UnpicklingError(name)


def _read_safetensors(path: Path) -> Package:
    """The same of a `.safetensors` file, which has all but the tensors as JSON in its header."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata()
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        args, kwargs = (json.loads(header[key], object_hook=_unpacked) for key in ("args", "kwargs"))
        return header["klass"], args, kwargs, tensors
    except DAMAGE as error:
        raise WeightsError(
            f"{path} is no network of demucs ({type(error).__name__}); fetch it again."
        ) from error


def _is_plain(x: object) -> bool:
    """Whether it holds numbers and texts only, so that it is soon gone through and told."""
    if isinstance(x, list | tuple):
        return all(map(_is_plain, x))
    if isinstance(x, dict):
        return all(map(_is_plain, x.values()))
    return x is None or isinstance(x, str | int | float | Fraction)


def _unpacked(value: dict[str, Any]) -> Any:
    """Fractions, such as the seconds of a segment, are written as objects."""
    if value.get("_type") == "fraction":
        return _fraction(value["numerator"], value["denominator"])
    return value


def _fraction(*parts: int | str) -> Fraction:
    """A fraction of whole numbers: two, or a text as 39/5. Python's own also works out 1e999999999."""
    return Fraction(*(int(part) for text in parts for part in str(text).split("/")))
