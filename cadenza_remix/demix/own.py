"""A network of the user's own as a separator, with all that the published ones have."""

import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from cadenza_remix.demix.network import NetworkSeparator, load_state
from cadenza_remix.demix.weights import Published, find_weights, read_tensors
from cadenza_remix.errors import ConfigError


def own(
    weights: str, *, network: str, sources: Sequence[str], allow_download: bool, **how: Any
) -> NetworkSeparator:
    """The separator.

    Args:
        weights: the file of its tensors, or a folder that holds it as `weights*`.
        network: the class, such as `my_network.MyNetwork`; made without arguments, it maps (batch, channels,
            samples) to (batch, sources, channels, samples).
        sources: names of the stems, in the order that it gives them.
        allow_download: changes nothing, as there is nothing to fetch.
        how: the fields of `NetworkSeparator` that are the user's choice.

    Raises:
        ConfigError: if there is no such class, or the device is not there.
        WeightsError: if the file cannot be read.
    """
    load = Load(network)
    load.network_class()
    mine = Published("weights", "your file of weights")
    found = find_weights([mine], given=weights, allow_download=allow_download)
    return NetworkSeparator(load, found, tuple(sources), **how)


@dataclass(frozen=True)
class Load:
    """Makes a network of a class that is known by name, so that it can travel to other processes."""

    network: str

    def __call__(self, paths: tuple[Path, ...]) -> nn.Module:
        """The network with the weights of one file.

        Raises:
            WeightsError: if they are not this network's.
        """
        (path,) = paths
        network: nn.Module = self.network_class()()
        load_state(network, read_tensors(path), path)
        return network

    def network_class(self) -> Any:
        """The class.

        Raises:
            ConfigError: if it cannot be imported.
        """
        try:
            return pkgutil.resolve_name(self.network)
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigError(
                f"separator.network={self.network} cannot be imported ({error}); "
                "say module.Class, and stand in the folder that holds the module."
            ) from error
