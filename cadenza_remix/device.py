"""What a device for networks may be called; whether it is there, only PyTorch knows."""

import re

from cadenza_remix.errors import ConfigError

DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?|mps")


def check_device_name(device: str) -> None:
    """Refuse a misspelt device.

    Raises:
        ConfigError: with what could be said instead.
    """
    if not DEVICE.fullmatch(device):
        raise ConfigError(f"device={device} is not known; say auto, cpu, cuda, cuda:0 (a number) or mps.")
