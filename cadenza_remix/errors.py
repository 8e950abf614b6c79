"""What can go wrong, said in one sentence: the value, what was expected, and the remedy."""


class CadenzaError(Exception):
    """Any failure that the user can act on; its text needs no traceback."""


class ConfigError(CadenzaError):
    """A setting is missing, misspelt or contradicts another one."""


class MetadataError(CadenzaError):
    """A metadata file is missing, broken or names something that is not there."""


class AudioError(CadenzaError):
    """A signal or an audio file cannot be used as it is."""


class OutputError(CadenzaError):
    """A result cannot be written."""


class DiskError(OutputError):
    """Nothing can be written any more: the disk is full or read-only; no other job would succeed."""


class WeightsError(CadenzaError):
    """A network's weights are missing, or are not what they should be."""
