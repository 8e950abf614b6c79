"""Score one pair of audio files with HAAQI."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cadenza_remix import __version__
from cadenza_remix.errors import CadenzaError, ConfigError, MetadataError

if TYPE_CHECKING:
    from cadenza_remix.listener import Audiogram

STANDARD_FREQUENCIES_HZ = (250, 500, 1000, 2000, 3000, 4000, 6000, 8000)
SEEDS = 2**32  # that there are


def main() -> None:
    """Read the command line, print a line of scores per channel; exits with 1 and a sentence if it cannot."""
    options = parser().parse_args()
    try:
        score(options)
    except CadenzaError as error:
        sys.exit(f"error: {error}")


def parser() -> argparse.ArgumentParser:
    """What the command understands."""
    parse = argparse.ArgumentParser(
        prog="cadenza-remix haaqi",
        description="HAAQI (0 to 1) of processed music against its reference, for each channel.",
        epilog="The reference must already be amplified for the ear, as the processed signal is.",
    )
    parse.add_argument("--version", action="version", version=f"cadenza-remix {__version__}")
    parse.add_argument("reference", type=Path, help="what the listener should hear: WAV or FLAC")
    parse.add_argument("processed", type=Path, help="what the listener hears: same rate and channels")
    parse.add_argument(
        "--audiogram",
        required=True,
        metavar="LEVELS",
        help="thresholds in dB HL at 250,500,1000,2000,3000,4000,6000,8000 Hz, such as "
        "20,25,35,45,50,60,65,70; or FREQUENCY:LEVEL pairs, such as 250:20,1000:35,4000:60",
    )
    parse.add_argument(
        "--level",
        type=float,
        default=100.0,
        metavar="DB_SPL",
        help="sound pressure level that an RMS of 1 (full scale) stands for; default 100, the challenge's "
        "calibration of enhanced signals (evaluate takes 65 minus the level in dB of the unamplified remix)",
    )
    parse.add_argument("--seed", type=int, default=0, help="of the noise at the threshold; default 0")
    return parse


def score(options: argparse.Namespace) -> None:
    """Print the scores.

    Raises:
        CadenzaError: if a file or the audiogram cannot be used.
    """
    # Deferred, so that --help answers at once.
    import numpy as np

    from cadenza_remix.audio import read, read_header
    from cadenza_remix.metrics.haaqi import haaqi

    audiogram = read_audiogram(options.audiogram)
    if not 0 <= options.seed < SEEDS:
        raise ConfigError(f"--seed is {options.seed}; give a whole number from 0 to {SEEDS - 1}.")
    header = read_header(options.reference)
    reference, processed = (
        read(path, sample_rate=header.sample_rate, channels=header.channels)
        for path in (options.reference, options.processed)
    )
    rng = np.random.RandomState(options.seed)
    for channel, (ideal, heard) in enumerate(zip(reference, processed, strict=True), 1):
        result = haaqi(
            ideal,
            heard,
            audiogram,
            sample_rate=header.sample_rate,
            level_of_rms_1_db_spl=options.level,
            rng=rng,
        )
        parts = ", ".join(
            f"{name} {value:.4f}" for name, value in result._asdict().items() if name != "score"
        )
        print(f"channel {channel}: HAAQI {result.score:.6f} ({parts})")


def read_audiogram(text: str) -> "Audiogram":
    """Thresholds as typed.

    Raises:
        MetadataError: if the text is no list of numbers or of pairs, or makes no audiogram.
    """
    from cadenza_remix.listener import Audiogram

    entries = text.split(",")
    try:
        if ":" in text:
            pairs = [tuple(float(number) for number in entry.split(":")) for entry in entries]
            frequencies_hz, levels_db_hl = (tuple(column) for column in zip(*pairs, strict=True))
            return Audiogram(frequencies_hz, levels_db_hl)
        levels_db_hl = tuple(float(entry) for entry in entries)
    except ValueError:
        raise MetadataError(
            f"The audiogram {text!r} cannot be read; give thresholds such as 20,25,35,45,50,60,65,70, "
            "or pairs such as 250:20,1000:35,4000:60."
        ) from None
    return Audiogram(tuple(map(float, STANDARD_FREQUENCIES_HZ)), levels_db_hl)


if __name__ == "__main__":
    main()
