from pathlib import Path

import numpy as np
import pytest

from cadenza_remix.audio import read, resample, rms
from cadenza_remix.errors import AudioError
from tests.conftest import SAMPLE_RATE, music, write_wav

SIGNAL = music(2, seconds=1.0)["vocals"]


def test_channels_come_first_and_samples_are_kept(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", SIGNAL, subtype="FLOAT")
    signal = read(tmp_path / "a.wav", sample_rate=SAMPLE_RATE)
    assert signal.dtype == np.float32
    np.testing.assert_array_equal(signal, SIGNAL)


def test_a_wav_that_says_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", SIGNAL)
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[:30])
    with pytest.raises(AudioError, match=r"a\.wav"):
        read(tmp_path / "a.wav", sample_rate=SAMPLE_RATE)


def test_a_tone_survives_resampling_and_one_above_the_new_band_does_not() -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    kept, lost = np.sin(2 * np.pi * 1000 * time), np.sin(2 * np.pi * 17500 * time)
    resampled = resample(np.stack([kept, lost]), SAMPLE_RATE, 32000)
    middle = resampled[:, 3200:-3200]
    assert resampled.shape == (2, 32000)
    assert rms(middle[0]) == pytest.approx(np.sqrt(0.5), rel=1e-4)
    assert rms(middle[1]) < 1e-5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_resampling_keeps_the_precision(dtype: type) -> None:
    assert resample(SIGNAL.astype(dtype), SAMPLE_RATE, 32000).dtype == dtype


def test_the_same_rate_changes_nothing() -> None:
    assert resample(SIGNAL, SAMPLE_RATE, SAMPLE_RATE) is SIGNAL
