"""What is fitted to true stems: shares of an ensemble, scales, a mixer."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.optimize import nnls

from cadenza_remix.demix.base import Stems
from cadenza_remix.demix.correction import mixed
from cadenza_remix.demix.fitting import (
    BLOCK,
    Fit,
    FitMixer,
    FitScales,
    FitShares,
    energies,
    gram,
    unconstrained,
)
from cadenza_remix.jobs.fitting import found, scores
from cadenza_remix.metrics.sdr import sdr_db
from tests.conftest import SOURCES, Commands, music, write_wav

Songs = list[tuple[list[Stems], np.ndarray, Stems]]


def songs(members: int, count: int = 3) -> Songs:
    """Of each: what members separate, with leakage and noise; the mixture; the true stems."""
    rng = np.random.default_rng(1)
    made = []
    for seed in range(count):
        true = music(seed, seconds=0.4)
        mixture = np.sum(list(true.values()), axis=0)
        leaky = [
            {
                name: (rng.uniform(0.4, 1) * stem + rng.uniform(0, 0.4) * mixture).astype(np.float32)
                + 0.01 * rng.standard_normal(stem.shape, np.float32)
                for name, stem in true.items()
            }
            for _ in range(members)
        ]
        made.append((leaky, mixture, true))
    return made


def grams_of(fit: Fit, of: Songs) -> list[dict[str, np.ndarray]]:
    return [
        {source: gram(fit.signals(source, members, mixture, true[source])) for source in SOURCES}
        for members, mixture, true in of
    ]


def shares_of(members: int) -> FitShares:
    return FitShares({source: [f"m{number}" for number in range(members)] for source in SOURCES})


def test_shares_are_those_of_the_whole_signals() -> None:
    """SciPy's solution for all samples of all songs at once."""
    of, fit = songs(3), shares_of(3)
    weights = found(fit, SOURCES, grams_of(fit, of))
    for source in SOURCES:
        heard = np.concatenate(
            [np.stack([each[source].ravel() for each in members], 1) for members, _, _ in of]
        )
        true = np.concatenate([stems[source].ravel() for _, _, stems in of])
        expected, _ = nnls(heard.astype(np.float64), true.astype(np.float64))
        np.testing.assert_allclose(weights[source][0], expected, rtol=1e-9, atol=1e-12)
        assert (weights[source] >= 0).all()
    assert min(each.min() for each in weights.values()) == 0  # the limit mattered


def test_a_mixer_is_that_of_the_whole_signals() -> None:
    of, fit = songs(1), FitMixer(SOURCES)
    weights = found(fit, SOURCES, grams_of(fit, of))
    heard = np.hstack([np.concatenate([*members[0].values(), mixture]) for members, mixture, _ in of])
    for source in SOURCES:
        true = np.hstack([stems[source] for _, _, stems in of])
        expected = np.linalg.lstsq(heard.T.astype(np.float64), true.T.astype(np.float64), rcond=None)[0].T
        np.testing.assert_allclose(weights[source], expected, rtol=1e-6, atol=1e-8)


def test_scales_are_the_projections_and_never_turn_a_stem_round() -> None:
    of, fit = songs(1), FitScales()
    for members, _, _ in of:
        members[0]["bass"] *= -1
    weights = found(fit, SOURCES, grams_of(fit, of))
    estimate, true = (
        np.hstack([each["vocals"].ravel() for each in side]).astype(np.float64)
        for side in ([members[0] for members, _, _ in of], [stems for _, _, stems in of])
    )
    np.testing.assert_allclose(weights["vocals"], [[estimate @ true / (estimate @ estimate)]], rtol=1e-9)
    assert weights["bass"] == 0


def test_a_known_mixture_is_found_again() -> None:
    of, fit = songs(3), shares_of(3)
    known = {"vocals": (0.2, 0.5, 0.3), "drums": (1.0, 0, 0), "bass": (0, 0.4, 0.9), "other": (0.1, 0.1, 0.1)}
    for members, _, true in of:
        for name in true:
            true[name] = np.sum(
                [np.float32(w) * each[name] for w, each in zip(known[name], members, strict=True)], axis=0
            )
    grams = grams_of(fit, of)
    weights = found(fit, SOURCES, grams)
    for name, expected in known.items():
        np.testing.assert_allclose(weights[name][0], expected, atol=1e-6)
    assert min(each["fitted"] for each in scores(fit, weights, grams).values()) > 60  # of float32, 1e-7 added


def test_a_mixer_that_made_the_stems_is_undone() -> None:
    of, fit = songs(1), FitMixer(SOURCES)
    rng = np.random.default_rng(2)
    mixer = np.hstack([np.eye(8), np.zeros((8, 2))]) + rng.uniform(-0.2, 0.2, (8, 10))
    made: Songs = [(members, mixture, mixed(mixer, members[0], mixture)) for members, mixture, _ in of]
    weights = found(fit, SOURCES, grams_of(fit, made))
    np.testing.assert_allclose(np.vstack([weights[name] for name in SOURCES]), mixer, atol=1e-9)
    matrix = fit.choice(weights)["matrix"]
    np.testing.assert_allclose(matrix, mixer, atol=1e-9)


def test_stems_that_sum_to_the_mixture_have_the_smallest_mixer() -> None:
    """There are many; rounding of the samples must not choose one with huge numbers."""
    of, fit = songs(1), FitMixer(SOURCES)
    for members, mixture, _ in of:
        members[0]["other"] = mixture - np.sum([members[0][name] for name in SOURCES[:3]], axis=0)
        for name, stem in members[0].items():
            members[0][name] = np.round(stem * 32768) / 32768  # as from a file
    weights = found(fit, SOURCES, grams_of(fit, of))
    assert max(np.abs(each).max() for each in weights.values()) < 2


def test_a_silent_estimate_counts_for_nothing() -> None:
    of, fit = songs(2), shares_of(2)
    without = found(FitScales(), SOURCES, grams_of(FitScales(), [(m[1:], x, t) for m, x, t in of]))
    for members, _, _ in of:
        members[0]["drums"][:] = 0
    drums = found(fit, SOURCES, grams_of(fit, of))["drums"][0]
    np.testing.assert_allclose(drums, [0, without["drums"][0, 0]], rtol=1e-12)


@pytest.mark.parametrize(
    "fit", [shares_of(2), FitScales(), FitMixer(SOURCES)], ids=lambda fit: type(fit).__name__
)
def test_scores_are_those_of_the_signals(fit: Fit) -> None:
    """Before and after as `sdr_db` finds them on samples; a song left out as if it had never been there."""
    of = songs(2 if isinstance(fit, FitShares) else 1)
    grams = grams_of(fit, of)
    weights = found(fit, SOURCES, grams)
    table = scores(fit, weights, grams)
    alone = [found(fit, SOURCES, [*grams[:n], *grams[n + 1 :]]) for n in range(3)]
    for number, source in enumerate(SOURCES):

        def made(song: int, by: np.ndarray, source: str = source) -> np.ndarray:
            members, mixture, _ = of[song]
            if isinstance(fit, FitMixer):
                return by @ np.concatenate([*members[0].values(), mixture])
            return sum(w * each[source] for w, each in zip(by[0], members, strict=True))  # type: ignore[return-value]

        def mean(by: list[np.ndarray], source: str = source) -> float:
            return float(np.mean([sdr_db(of[n][2][source], made(n, by[n], source)) for n in range(3)]))

        before = (
            np.eye(10)[2 * number :][:2]
            if isinstance(fit, FitMixer)
            else np.eye(weights[source].shape[1])[:1]
        )
        member = "m0" if isinstance(fit, FitShares) else "before"
        assert table[source][member] == pytest.approx(mean([before] * 3), abs=1e-4)
        assert table[source]["fitted"] == pytest.approx(mean([weights[source]] * 3), abs=1e-4)
        assert table[source]["left out"] == pytest.approx(mean([each[source] for each in alone]), abs=1e-4)


def test_the_fit_is_compared_with_the_best_member_chosen_as_fairly() -> None:
    """On all songs for `before`, on the other ones where a song is left out."""

    def song(*sdrs_db: float) -> dict[str, np.ndarray]:
        stem = music(0)["vocals"]
        heard = [(stem * (1 - 10 ** (-db / 20))).astype(np.float32) for db in sdrs_db]
        return {"vocals": gram([*heard, stem])}

    fit = FitShares({"vocals": ["a", "b"]})
    told = scores(fit, found(fit, ["vocals"], songs := [song(20, 8), song(5, 10)]), songs)["vocals"]
    assert told["a"] == told["before"] == pytest.approx((20 + 5) / 2, abs=1e-3)
    assert told["b"] == pytest.approx((8 + 10) / 2, abs=1e-3)
    # Where the first song is left out, b is better; where the second, a.
    assert told["left out, before"] == pytest.approx((8 + 5) / 2, abs=1e-3)


def test_a_song_is_left_out_only_where_others_have_its_stem() -> None:
    fit, of = FitScales(), songs(1, count=2)
    (members, _, true), _ = of
    members[0]["drums"][:] = true["drums"][:] = 0
    table = scores(fit, found(fit, SOURCES, grams := grams_of(fit, of)), grams)
    assert table["drums"]["left out"] == table["drums"]["left out, before"] == 0  # nothing, found as such
    alone = scores(fit, found(fit, ["vocals"], grams[:1]), grams[:1])["vocals"]
    assert np.isnan([alone["left out"], alone["left out, before"]]).all()


def test_blocks_do_not_show() -> None:
    signals = np.random.default_rng(0).standard_normal((3, 2, BLOCK + 5)).astype(np.float32)
    whole = signals.reshape(3, -1).astype(np.float64)
    np.testing.assert_allclose(gram(list(signals)), whole @ whole.T, rtol=1e-12)


def test_nothing_is_learnt_of_silence() -> None:
    assert np.isnan(unconstrained(np.diag([1.0, 1.0, 0.0]), 1)).all()
    assert np.isnan(energies(np.eye(2), np.array([[np.nan]]))[1])


MEMBER = """
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Leaky:
    part: str
    sources: tuple = ("vocals", "drums", "bass", "other")
    sample_rate: int = 44100
    channels: int = 2
    causal: bool = False
    training_data: str = "none"
    allowed_by_rules: bool = True

    def __call__(self, mixture):
        with Path("separated").open("a") as file:
            print(self.part, file=file)
        low = np.cumsum(mixture, axis=1, dtype=np.float32) * np.float32(0.01)
        return {source: low if self.part == "low" else mixture - low for source in self.sources}
"""
AT = ("--config-dir", "my_conf")
MINE = ("fit.what=shares", "fit.members=[low,high]", *AT)


@pytest.fixture
def my_conf(challenge: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two separators of one's own, `low` and `high`, which note down when they are used."""
    monkeypatch.syspath_prepend(challenge.parent)
    (challenge.parent / "leaky_members.py").write_text(MEMBER)
    conf = challenge.parent / "my_conf"
    (conf / "separator").mkdir(parents=True)
    for part in ("low", "high"):
        (conf / f"separator/{part}.yaml").write_text(f"_target_: leaky_members.Leaky\npart: {part}\n")
    return conf


def separation(folder: Path) -> "pd.Series[float]":
    return pd.read_csv(folder / "separation.csv").groupby("source")["sdr"].mean()


def told_scores(told: str) -> dict[str, list[float]]:
    """The numbers of each row of the printed table."""
    rows = re.findall(r"^(\w+) +((?:-?[\d.]+ *)+)$", told, re.M)
    return {name: [float(number) for number in numbers.split()] for name, numbers in rows}


def test_the_next_command_runs_and_reaches_what_was_told(commands: Commands, my_conf: Path) -> None:
    """`evaluate` finds the uSDR that `fit` told, of an ensemble and of a mixer after it."""
    told = told_scores(commands("fit", more=MINE))
    use = ("separator=low_high", "keep_stems=true", "limiter=hard_clip")
    commands("enhance", "evaluate", more=(*use, *AT))
    reached = separation(Path("exp/low_high"))
    for source in SOURCES:
        low, high, best, fitted, _, _, *alone = told[source]
        assert low >= 0
        assert high >= 0
        assert best == max(alone)
        assert reached[source] == pytest.approx(fitted, abs=0.006)
        assert fitted >= best - 0.006
    again = commands("fit", more=(use[0], "fit.what=mixer", "correction=[consistency]", *AT))
    corrected = ("correction=[consistency,low_high_consistency_mixer]", "name=mixed")
    assert corrected[0] in again
    commands("enhance", "evaluate", more=(*use, *corrected, *AT))
    reached = separation(Path("exp/mixed"))
    for source in SOURCES:
        assert reached[source] == pytest.approx(told_scores(again)[source][1], abs=0.006)
    assert reached.mean() > told["mean"][1] + 0.5
    for line in (my_conf / "separator/low_high.yaml", my_conf / "correction/low_high_consistency_mixer.yaml"):
        assert line.read_text().startswith("# Made by cadenza-remix fit from 2 songs of train, uSDR ")


def test_the_best_member_is_one_for_each_stem(commands: Commands, my_conf: Path) -> None:
    """Though one separates only what it is good at."""
    (my_conf / "separator/few.yaml").write_text("_target_: leaky_members.Leaky\npart: low\nsources: [bass]\n")
    told = commands("fit", more=("fit.what=shares", "fit.members=[high,few]", *AT))
    rows = told_scores(told)
    shares = {"bass": 2}  # how many there are before the decibels
    before = np.mean([rows[source][shares.get(source, 1)] for source in SOURCES])
    assert rows["mean"][0] == pytest.approx(before, abs=0.006)
    assert f"dB against {rows['mean'][0]:.2f} dB of the best member for each stem" in told


def test_stems_made_elsewhere_have_scales(commands: Commands, challenge: Path) -> None:
    for folder in (challenge / "audio/at_mic_music/train").iterdir():
        for path in folder.glob("[!m]*.wav"):
            samples, rate = soundfile.read(path)
            write_wav(challenge.parent / "theirs" / folder.name / path.name, 0.5 * samples.T, rate, "FLOAT")
    told = told_scores(commands("fit", more=("stems=theirs", "fit.what=scales")))
    for source in SOURCES:
        assert told[source][:2] == pytest.approx([2, 20 * np.log10(2)], abs=0.006)
    assert Path("exp/conf/correction/stems_theirs_scales.yaml").is_file()


def test_nothing_is_written_beside_a_folder_that_was_named(commands: Commands) -> None:
    told = commands("fit", more=("stems=true", "path.exp_folder=results"))
    assert "results/conf/correction/stems_true_scales.yaml" in told
    assert not Path("conf").exists()


def test_the_next_command_has_the_settings_of_the_corrections_before(commands: Commands) -> None:
    told = commands("fit", more=("stems=true", "correction=[residual]", "correction.residual.ratio=0.25"))
    (following,) = re.findall(r"^Next: cadenza-remix enhance (.*)$", told, re.M)
    assert "correction.residual.ratio=0.25" in following
    assert "correction=[residual,stems_true_residual_scales]" in following


def test_stems_of_another_length_are_refused(commands: Commands, challenge: Path) -> None:
    shutil.copytree(challenge / "audio/at_mic_music/train", challenge.parent / "theirs")
    for path in challenge.parent.glob("theirs/*/*.wav"):
        write_wav(path, soundfile.read(path)[0].T[:, :-1])
    told = commands("fit", expect=1, more=("stems=theirs",))
    assert "the stems have 132299 samples, the mixture 132300; make them from this mixture." in told


def test_what_is_finished_is_not_separated_again(commands: Commands, my_conf: Path) -> None:
    """A song that failed is told and done later; the others are in the records."""
    whole = commands("fit", more=MINE)
    shutil.rmtree("exp")
    song = next(
        path for path in Path("cadenza_data/audio/at_mic_music/train").iterdir() if "Plain" in path.name
    )
    song.rename("aside")
    Path("separated").unlink()
    told = commands("fit", more=MINE, expect=1)
    assert "from 1 song of train" in (my_conf / "separator/low_high.yaml").read_text()
    assert "failed: Plain-hlp_0001: The folder" in told
    assert "What it does on other songs takes two at least to tell" in told
    assert "left out, before" not in told
    assert "no better" not in told
    Path("aside").rename(song)
    assert commands("fit", more=MINE) == whole
    assert Path("separated").read_text().split() == ["low", "high"] * 2
    assert not Path("exp/low_high/failures.csv").exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("fit.what=shares", "fit.members=[spectral,nowhere]"), "fit.members names nowhere; choose among"),
        (("fit.what=shares", "fit.members=[none]"), "fit.members=[none]; expected two or more different"),
        (("fit.what=shares",), "fit.members=[]; expected two or more different"),
        (("fit.what=shares", "fit.members=[none,none]"), "expected two or more different"),
        (
            ("fit.what=shares", "fit.members=[none,spectral]", "stems=true", "correction=[residual]"),
            "leave out stems= and correction=",
        ),
        (("fit.what=shares", "fit.members=[none,slow]", "--config-dir", "my_conf"), "slow 2 at 8000 Hz"),
        (("separator=none", "name=residual"), "correction=residual is there already and was not made by fit"),
        (
            ("fit.what=shares", "fit.members=[low,high]", "name=low", "--config-dir", "my_conf"),
            "there already",
        ),
        (("separator=none", "name=a.b"), "as correction=a.b is to be typed"),
        (("separator=none", "name=2024"), "as correction=2024 is to be typed"),
        (("separator=none", "name=yes"), "as correction=yes is to be typed"),
        (("fit.what=scales",), "No separator is chosen"),
        (("separator=none", "shard.count=2"), "shard.count=2; fit learns from all songs together"),
        (("separator=none", "fit.what=gain"), "gain"),
    ],
)
def test_what_cannot_be_fitted_is_told(
    commands: Commands, my_conf: Path, more: tuple[str, ...], told: str
) -> None:
    slow = (my_conf / "separator/low.yaml").read_text() + "sample_rate: 8000\n"
    (my_conf / "separator/slow.yaml").write_text(slow)
    assert told in commands("fit", more=more, expect=1)


def test_silence_and_missing_stems_are_told(commands: Commands, challenge: Path) -> None:
    folders = list((challenge / "audio/at_mic_music/train").iterdir())
    for folder in folders:
        write_wav(folder / "bass.wav", np.zeros((2, 3 * 44100)))
    assert "bass is silent in all songs" in commands("fit", expect=1)
    for folder in folders:
        (folder / "bass.wav").unlink()
    told = commands("fit", expect=1)
    assert "bass.wav is missing; it should be an audio file" in told
    assert not Path("exp/conf").exists()
