"""What can go wrong, said in one sentence: the value, what was expected, and the remedy."""

import errno
from collections.abc import Iterable

LONGEST_MESSAGE = 1000  # characters
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class CadenzaError(Exception):
    """Any failure that the user can act on; its text needs no traceback.

    Names and values in it may come from anybody's files, so it is told in one line of printable characters,
    the middle left out where it is very long.
    """

    def __str__(self) -> str:
        """The sentence."""
        text = " ".join(super().__str__().split())
        text = "".join(x if x.isprintable() else ascii(x)[1:-1] for x in text)
        half = LONGEST_MESSAGE // 2
        return text if len(text) <= LONGEST_MESSAGE else f"{text[:half]} … {text[-half:]}"


class ConfigError(CadenzaError):
    """A setting is missing, misspelt or contradicts another one."""


class OtherSettingsError(ConfigError):
    """A folder was begun with other settings."""

    def __init__(self, told: str, keys: Iterable[str]) -> None:
        """`keys` are those that differ."""
        super().__init__(told)
        self.keys = tuple(keys)


class MetadataError(CadenzaError):
    """A metadata file is missing, broken or names something that is not there."""


class AudioError(CadenzaError):
    """A signal or an audio file cannot be used as it is."""


class OutputError(CadenzaError):
    """A result cannot be written."""


class NothingWritableError(OutputError):
    """Nothing can be written any more, so that no other job would succeed.

    The disk is full or read-only, or the folder is another process's by now.
    """


class WeightsError(CadenzaError):
    """A network's weights are missing, or are not what they should be."""
