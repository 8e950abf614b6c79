"""Heads from SOFA files and from the rigid sphere: the right ear, the right side, the right rate."""

import builtins
import logging
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import soxr

from cadenza_remix.datasets.heads import HrtfFiles, SofaFiles, Sphere
from cadenza_remix.datasets.metadata import HeadPosition
from cadenza_remix.datasets.sofa import read_responses
from cadenza_remix.errors import AudioError, ConfigError
from cadenza_remix.sphere import sphere_impulse_responses
from tests.conftest import SAMPLE_RATE, write_wav

AZIMUTHS = (-90.0, -37.5, -30.0, -22.5, 0.0, 30.0, 150.0)  # ours: negative to the left
N_TAPS = 400
HEAD = HeadPosition("S", "M", -30.0, 30.0)


@cache
def sphere(azimuth: float, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    return sphere_impulse_responses(azimuth, sample_rate=sample_rate, n_taps=N_TAPS)


def write_sofa(
    path: Path,
    azimuths: Any = AZIMUTHS,
    *,
    sample_rate: int = SAMPLE_RATE,
    responses: Any = None,
    cartesian: bool = False,
    delay: Any = None,
    right_first: bool = False,
    radius_m: float = 1.5,
    convention: str = "SimpleFreeFieldHRIR",
    without: str | None = None,
    view: tuple[float, float, float] = (1.0, 0.0, 0.0),
    listener_at: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Path:
    """The sphere measured all around, as a laboratory would write it."""
    if responses is None:
        responses = [sphere(azimuth, sample_rate) for azimuth in azimuths]
    responses = np.array(responses)[:, ::-1] if right_first else np.array(responses)
    counter_clockwise = -np.asarray(azimuths, dtype=float) % 360
    positions = np.stack(
        [counter_clockwise, 0 * counter_clockwise, 0 * counter_clockwise + radius_m], axis=-1
    )
    if cartesian:
        radians = np.deg2rad(counter_clockwise)
        positions = radius_m * np.stack([np.cos(radians), np.sin(radians), 0 * radians], axis=-1)
    side = np.array([[0, 0.09, 0], [0, -0.09, 0]])
    tables = {
        "Data.IR": responses,
        "Data.SamplingRate": np.array([float(sample_rate)]),
        "Data.Delay": np.zeros((1, 2)) if delay is None else np.array(delay, dtype=float),
        "SourcePosition": positions,
        "ReceiverPosition": (side[::-1] if right_first else side)[:, :, None],
        "ListenerView": np.array([view]),
        "ListenerPosition": np.array([listener_at]),
    }
    with h5py.File(path, "w") as file:
        file.attrs["SOFAConventions"] = np.bytes_(convention)
        for name, table in tables.items():
            if name != without:
                file[name] = table
        kind, units = ("cartesian", "metre") if cartesian else ("spherical", "degree, degree, metre")
        if "SourcePosition" in file:
            file["SourcePosition"].attrs.update({"Type": np.bytes_(kind), "Units": np.bytes_(units)})
    return path


def read(path: Path, angle: float, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    return read_responses(path, angle, sample_rate=sample_rate, most_off_degrees=5.0)


@pytest.mark.parametrize("angle", [-37.5, -22.5, 30.0])
@pytest.mark.parametrize("written", [{}, {"cartesian": True}, {"right_first": True}])
def test_a_measured_direction_comes_back(tmp_path: Path, angle: float, written: dict[str, Any]) -> None:
    responses = read(write_sofa(tmp_path / "s.sofa", **written), angle)
    expected = sphere(angle)
    np.testing.assert_allclose(responses[:, :N_TAPS], expected, atol=1e-12)
    assert np.abs(responses[:, N_TAPS:]).max() < 1e-12


def test_a_loudspeaker_on_the_left_is_nearer_to_the_left_ear(tmp_path: Path) -> None:
    left, right = (np.abs(row).argmax() for row in read(write_sofa(tmp_path / "s.sofa"), -30.0))
    assert left < right
    head = SofaFiles(str(tmp_path / "s.sofa"), 5.0)(HEAD, sample_rate=SAMPLE_RATE)
    energies = [np.sum(np.square(ears), axis=-1) for ears in (head.left_loudspeaker, head.right_loudspeaker)]
    assert energies[0][0] > energies[0][1]
    assert energies[1][0] < energies[1][1]


@pytest.mark.parametrize("per_measurement", [False, True])
def test_delays_are_built_in(tmp_path: Path, per_measurement: bool) -> None:
    delay = np.tile([7.0, 12.0], (len(AZIMUTHS) if per_measurement else 1, 1))
    if per_measurement:
        delay[AZIMUTHS.index(30.0)] = [3.0, 40.0]
    plain = read(write_sofa(tmp_path / "plain.sofa"), 30.0)
    delayed = read(write_sofa(tmp_path / "delayed.sofa", delay=delay), 30.0)
    for ear, samples in enumerate((3, 40) if per_measurement else (7, 12)):
        np.testing.assert_allclose(delayed[ear, samples : samples + N_TAPS], plain[ear, :N_TAPS], atol=1e-12)
        assert np.abs(delayed[ear, :samples]).max() < 1e-12


def test_half_a_sample_of_delay_moves_the_phase_only(tmp_path: Path) -> None:
    plain = np.fft.rfft(read(write_sofa(tmp_path / "plain.sofa"), 30.0), 2048)
    delayed = np.fft.rfft(read(write_sofa(tmp_path / "d.sofa", delay=[[0.5, 0.5]]), 30.0), 2048)
    band = slice(0, 900)  # of 1024 bins to Nyquist, where the sphere's response has fallen to zero
    expected = plain * np.exp(-1j * np.pi * np.arange(1025) / 2048)
    np.testing.assert_allclose(delayed[:, band], expected[:, band], atol=0.01)


@pytest.mark.parametrize("file_rate", [32000, 48000, 96000])
def test_another_rate_keeps_the_gain_at_every_frequency(tmp_path: Path, file_rate: int) -> None:
    path = write_sofa(tmp_path / "s.sofa", sample_rate=file_rate)
    responses = read(path, -30.0)
    frequencies_hz = np.arange(100, 0.4 * min(file_rate, SAMPLE_RATE), 250)
    expected = sphere(-30.0, file_rate)

    def spectrum(taps: np.ndarray, rate: int) -> np.ndarray:
        time = np.arange(taps.shape[-1]) / rate
        return taps @ np.exp(-2j * np.pi * np.outer(time, frequencies_hz))

    # 0.1 dB: what would ring before time zero is cut.
    np.testing.assert_allclose(spectrum(responses, SAMPLE_RATE), spectrum(expected, file_rate), atol=0.01)


def test_the_nearest_direction_is_taken_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_sofa(tmp_path / "coarse.sofa", (-90.0, -27.0, 0.0))
    with caplog.at_level(logging.WARNING):
        responses = read(path, -30.0)
    np.testing.assert_allclose(responses[:, :N_TAPS], sphere(-27.0), atol=1e-12)
    assert "nothing was measured at -30°; the nearest direction, -27.0° (elevation 0.0°)" in caplog.text
    with pytest.raises(AudioError, match=r"nearest to 60° is .* more than 5° off"):
        read(path, 60.0)


def test_of_several_distances_the_furthest_is_taken(tmp_path: Path) -> None:
    near, far = (sphere(30.0) * gain for gain in (5.0, 1.0))
    path = write_sofa(tmp_path / "s.sofa", [30.0, 30.0], responses=[near, far])
    with h5py.File(path, "a") as file:
        file["SourcePosition"][:, 2] = [0.2, 3.0]
    np.testing.assert_allclose(read(path, 30.0)[:, :N_TAPS], far, atol=1e-12)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"convention": "SimpleFreeFieldHRTF"}, "follows the convention 'SimpleFreeFieldHRTF'"),
        ({"without": "SourcePosition"}, "lacks SourcePosition"),
        ({"responses": np.zeros((len(AZIMUTHS), 1, N_TAPS))}, r"Data.IR is \(7, 1, 400\)"),
        ({"responses": np.zeros((3, 2, N_TAPS))}, "7 source positions for 3 measurements"),
        ({"responses": np.full((len(AZIMUTHS), 2, N_TAPS), np.nan)}, "NaN or infinity"),
        ({"view": (0.0, 1.0, 0.0)}, "does not look along x"),
        ({"listener_at": (0.0, 0.0, 1.2)}, "not at the origin"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, written: dict[str, Any], told: str) -> None:
    with pytest.raises(AudioError, match=told):
        read(write_sofa(tmp_path / "s.sofa", **written), 30.0)


@pytest.mark.parametrize(
    ("table", "value", "told"),
    [
        ("Data.SamplingRate", 0.0, "is 0 Hz; expected 8000 to 384000 Hz"),
        ("Data.SamplingRate", np.nan, "is nan Hz"),
        ("Data.Delay", -1.0, "no negative delay"),
        ("Data.Delay", 1e9, "at most 10 s of either"),
        ("Data.Delay", np.inf, "at most 10 s of either"),
        ("SourcePosition", np.nan, "source positions that are no numbers"),
        ("Data.IR", 1e30, "more than 1000 times full scale"),
    ],
)
def test_numbers_that_cannot_be_are_named(tmp_path: Path, table: str, value: float, told: str) -> None:
    path = write_sofa(tmp_path / "s.sofa")
    with h5py.File(path, "a") as file:
        file[table][...] = value
    with pytest.raises(AudioError, match=told):
        read(path, 30.0)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    content = write_sofa(tmp_path / "s.sofa").read_bytes()
    refused = 0
    for place in range(0, 4000, 250):
        damaged = tmp_path / f"{place}.sofa"
        damaged.write_bytes(content[:place] + b"\xff" * 250 + content[place + 250 :])
        try:
            read(damaged, 30.0)
        except AudioError as error:
            assert str(damaged) in str(error)
            refused += 1
    assert refused > 5


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"none\.sofa is missing"):
        read(tmp_path / "none.sofa", 30.0)
    (tmp_path / "text.sofa").write_text("not HDF5")
    with pytest.raises(AudioError, match=r"text\.sofa is not a readable SOFA file"):
        read(tmp_path / "text.sofa", 30.0)


def test_without_h5py_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, found = write_sofa(tmp_path / "s.sofa"), builtins.__import__

    def without_h5py(name: str, *more: Any, **named: Any) -> Any:
        if name == "h5py":
            raise ImportError(name)
        return found(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without_h5py)
    with pytest.raises(ConfigError, match="run pip install h5py"):
        read(path, 30.0)


def test_a_head_is_looked_up_by_microphone_and_subject(tmp_path: Path) -> None:
    write_sofa(tmp_path / "M-S.sofa")
    heads = SofaFiles(f"{tmp_path}/{{mic}}-{{subject}}.sofa", 5.0)
    assert heads.files(HEAD) == [tmp_path / "M-S.sofa"]
    assert heads(HEAD, sample_rate=SAMPLE_RATE).left_loudspeaker.shape[0] == 2


def test_the_sphere_equals_files_made_from_it(tmp_path: Path) -> None:
    for name, angle in zip(HEAD.hrtf_files, (-30.0, 30.0), strict=True):
        taps = sphere_impulse_responses(angle, sample_rate=SAMPLE_RATE)
        write_wav(tmp_path / name, taps, subtype="FLOAT")
    read_head = HrtfFiles(tmp_path)(HEAD, sample_rate=SAMPLE_RATE)
    made = Sphere(0.0875)(HEAD, sample_rate=SAMPLE_RATE)
    np.testing.assert_allclose(made.left_loudspeaker, read_head.left_loudspeaker, atol=1e-7)
    np.testing.assert_allclose(made.right_loudspeaker, read_head.right_loudspeaker, atol=1e-7)
    assert Sphere(0.0875).files(HEAD) == []


def test_responses_of_different_lengths_are_refused(tmp_path: Path) -> None:
    for name, n_taps in zip(HEAD.hrtf_files, (235, 11), strict=True):
        write_wav(tmp_path / name, np.eye(2, n_taps), subtype="FLOAT")
    with pytest.raises(
        AudioError, match=r"n30\.0\.wav has 235 taps, .*p30\.0\.wav 11; make both equally long"
    ):
        HrtfFiles(tmp_path)(HEAD, sample_rate=SAMPLE_RATE)


@pytest.mark.parametrize("sample_rate", [16000, 48000])
def test_the_sphere_fits_any_rate(sample_rate: int) -> None:
    head = Sphere(0.0875)(HEAD, sample_rate=sample_rate)
    finer = Sphere(0.0875)(HEAD, sample_rate=96000).left_loudspeaker
    again = soxr.resample(finer.T, 96000, sample_rate, quality="VHQ").T * (96000 / sample_rate)
    n_fft, band = 8192, slice(0, int(8192 * 0.35))
    made, expected = (np.abs(np.fft.rfft(taps, n_fft))[:, band] for taps in (head.left_loudspeaker, again))
    np.testing.assert_allclose(made, expected, rtol=0.02)
