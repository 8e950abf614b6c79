import math

import numpy as np
import pytest

from cadenza_remix.errors import MetadataError
from cadenza_remix.listener import Audiogram


def test_thresholds_are_interpolated_over_log_frequency_and_held_beyond_the_ends() -> None:
    audiogram = Audiogram((250.0, 1000.0, 4000.0), (10.0, 20.0, 60.0))
    np.testing.assert_allclose(audiogram.at((125, 500, 2000, 8000)), [10, 15, 40, 60])


@pytest.mark.parametrize(
    ("frequencies", "levels", "told"),
    [
        ((), (), "0 frequencies"),
        ((250.0, 500.0), (10.0,), "2 frequencies and 1 thresholds"),
        ((500.0, 250.0), (10.0, 10.0), "ascending"),
        ((250.0, 250.0), (10.0, 10.0), "ascending"),
        ((0.0, 250.0), (10.0, 10.0), "ascending"),
        ((250.0, math.inf), (10.0, 10.0), "ascending"),
        ((250.0, 500.0), (10.0, math.nan), "500 Hz is nan"),
        ((250.0, 500.0), (130.0, 10.0), "250 Hz is 130"),
        ((250.0, 500.0), (-30.0, 10.0), "250 Hz is -30"),
    ],
)
def test_what_is_not_an_audiogram_is_refused(
    frequencies: tuple[float, ...], levels: tuple[float, ...], told: str
) -> None:
    with pytest.raises(MetadataError, match=told):
        Audiogram(frequencies, levels)
