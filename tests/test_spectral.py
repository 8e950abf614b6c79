from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy.signal import butter, sosfilt

from cadenza_remix.demix import spectral
from cadenza_remix.demix.base import SOURCES
from cadenza_remix.demix.spectral import Spectral
from cadenza_remix.errors import AudioError
from cadenza_remix.sphere import sphere_impulse_responses

RATE = 44100
CONFIG = Path(__file__).parents[1] / "conf/separator/spectral.yaml"


def separator(**changes):
    fields = OmegaConf.to_container(OmegaConf.load(CONFIG))
    assert fields.pop("_target_") == "cadenza_remix.demix.spectral.Spectral"
    return Spectral(**fields | {"confidence": 1.0} | changes)


def seconds(duration):
    return np.arange(int(duration * RATE)) / RATE


def noise(duration, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, (2, int(duration * RATE))).astype(np.float32)


def at_ears(left, right, degrees=30.0):
    """Loudspeaker signals at the ears of a sphere."""
    responses = [sphere_impulse_responses(side * degrees, sample_rate=RATE) for side in (-1, 1)]
    ears = [
        sum(np.convolve(x, h[ear]) for x, h in zip((left, right), responses, strict=True)) for ear in (0, 1)
    ]
    return np.stack(ears).astype(np.float32)[:, : len(left)]


def voice(duration=1.5, vibrato_cents=60.0):
    """Harmonics of 300 Hz, 5.5 vibrato cycles a second."""
    time = seconds(duration)
    depth = vibrato_cents / 1200 * np.log(2)
    phase = 2 * np.pi * 300 * (time - depth / (2 * np.pi * 5.5) * np.cos(2 * np.pi * 5.5 * time))
    return sum(np.sin(k * phase) / k for k in range(1, 9)) * 0.1


def shares(stems):
    """Each stem's part of the energy, away from the ends."""
    energy = {name: float((stem[:, 4410:-4410] ** 2).sum()) for name, stem in stems.items()}
    return {name: value / sum(energy.values()) for name, value in energy.items()}


def test_the_stems_sum_to_the_mixture():
    mixture = noise(1.0)
    for confidence in (1.0, 0.6):
        stems = separator(confidence=confidence)(mixture)
        assert tuple(stems) == SOURCES
        assert all(stem.dtype == np.float32 and stem.shape == mixture.shape for stem in stems.values())
        np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-6)


def test_no_confidence_is_a_quarter_each():
    mixture = noise(1.0)
    for stem in separator(confidence=0.0)(mixture).values():
        np.testing.assert_allclose(stem, mixture / 4, atol=1e-6)


def test_masks_are_never_negative_so_no_stem_outweighs_the_mixture():
    mixture = noise(1.0)
    energy = [float((stem**2).sum()) for stem in separator()(mixture).values()]
    assert sum(energy) < float((mixture**2).sum())


def test_clicks_are_drums():
    clicks = np.zeros(RATE)
    clicks[RATE // 4 :: RATE // 2] = 1.0
    assert shares(separator()(at_ears(clicks, clicks)))["drums"] > 0.6


def test_a_low_note_is_bass():
    note = 0.3 * np.sin(2 * np.pi * 70 * seconds(1.0))
    assert shares(separator()(at_ears(note, note)))["bass"] > 0.9


def test_cymbals_are_drums():
    filters = butter(4, (8000, 12000), "bandpass", fs=RATE, output="sos")
    cymbals = sosfilt(filters, noise(1.0)[0])
    assert shares(separator()(at_ears(cymbals, cymbals)))["drums"] > 0.6


@pytest.mark.parametrize("degrees", [22.5, 37.5])
def test_a_voice_in_the_center_is_vocals_and_one_at_the_side_is_other(degrees):
    silence = np.zeros_like(voice())
    middle = shares(separator()(at_ears(voice(), voice(), degrees)))
    aside = shares(separator()(at_ears(voice(), silence, degrees)))
    out_of_phase = shares(separator()(at_ears(voice(), -voice(), degrees)))
    assert middle["vocals"] > 1.2 * middle["other"]
    assert middle["vocals"] > 1.5 * aside["vocals"]
    assert out_of_phase["other"] > 5 * out_of_phase["vocals"]


def test_a_steady_note_is_less_of_a_voice_than_one_with_vibrato():
    steady = shares(separator()(at_ears(voice(vibrato_cents=0), voice(vibrato_cents=0))))
    moving = shares(separator()(at_ears(voice(), voice())))
    assert moving["vocals"] > 1.2 * steady["vocals"]


def test_blocks_give_what_one_piece_gives():
    clicks = noise(2.0) * (np.arange(2 * RATE) % 11025 < 300)
    mixture = at_ears(voice(2.0), voice(2.0)) + noise(2.0, seed=1) / 10 + clicks
    whole = separator(block_s=20.0)(mixture)
    for source, stem in separator(block_s=1.0)(mixture).items():
        np.testing.assert_allclose(stem, whole[source], atol=1e-6)


def test_memory_does_not_grow_with_duration(monkeypatch):
    lengths = []
    transform = spectral.transform

    def recorded(signal, window, hop):
        lengths.append(signal.shape[1])
        return transform(signal, window, hop)

    monkeypatch.setattr(spectral, "transform", recorded)
    monkeypatch.setattr(spectral, "CONTEXT", 4096)
    separator(block_s=0.2)(noise(1.0))
    assert max(lengths) <= 0.2 * RATE + 2 * spectral.CONTEXT


@pytest.mark.parametrize("n_samples", [0, 1, 100, 4095, 4096, 20000])
def test_any_length_comes_back_as_long(n_samples):
    mixture = noise(1.0)[:, :n_samples]
    stems = separator()(mixture)
    assert all(stem.shape == mixture.shape for stem in stems.values())
    np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-6)


def test_silence_stays_silence():
    for stem in separator()(np.zeros((2, RATE), np.float32)).values():
        np.testing.assert_array_equal(stem, 0)


def test_the_same_twice_and_the_input_untouched():
    mixture = noise(1.0)
    before = mixture.copy()
    first, second = separator()(mixture), separator()(mixture)
    np.testing.assert_array_equal(mixture, before)
    for source in SOURCES:
        np.testing.assert_array_equal(first[source], second[source])


@pytest.mark.parametrize("shape", [(1, 1000), (1000, 2), (3, 1000), (1000,)])
def test_other_than_two_ears_is_refused(shape):
    with pytest.raises(AudioError, match=r"has shape \(.*give \(2, samples\)"):
        separator()(np.zeros(shape, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(value):
    mixture = noise(0.1)
    mixture[1, 7] = value
    with pytest.raises(AudioError, match="1 sample"):
        separator()(mixture)
