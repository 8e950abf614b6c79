"""Feed hostile files to every reader, and see that each is read rightly or refused in one sentence.

Valid files are damaged (bits, blocks, size fields) or get values that nobody should write (wrong types, NaN,
huge numbers, deep nesting, names that leave the folder), and are handed to the function that a command would
read them with. A case is good if it succeeds and what was read passes the reader's check, or if it is refused
by an error of the project's own. It is bad if it ends in a traceback or a warning, takes longer than
30 s or more than 2 GiB, kills the process, changes a file beside its own, or reads nonsense.

    python scripts/fuzz.py --cases 10000 --keep exp/fuzz      # counts by reader; bad cases are kept
    python scripts/fuzz.py --seed 0 --case scenes:17           # one of them again, with its traceback

The counts depend on --seed and --cases only.
"""

import argparse
import json
import logging
import math
import multiprocessing
import os
import pickle
import pickletools
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from copy import deepcopy
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO, StringIO
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import soundfile
import torch
from hydra.core.global_hydra import GlobalHydra
from safetensors.torch import save_file

from cadenza_remix import config, haaqi, ledger, output, results
from cadenza_remix.datasets import metadata, sofa
from cadenza_remix.datasets.challenge import Music, list_music, read_dry_songs, read_music, read_pairs
from cadenza_remix.datasets.heads import HrtfFiles, SofaFiles
from cadenza_remix.demix import convtasnet, demucs, mdxnet, onnx
from cadenza_remix.demix.network import load_state
from cadenza_remix.demix.trivial import EqualSplit
from cadenza_remix.demix.weights import read_tensors
from cadenza_remix.errors import CadenzaError
from cadenza_remix.jobs.lists import write_scene_listeners, write_scenes
from cadenza_remix.jobs.stem_cache import StemCache
from cadenza_remix.settings import all_keys
from cadenza_remix.shards import merge_tables

TIME_LIMIT_S = 30.0  # a case takes some milliseconds, on a busy machine a hundred times that
MEMORY_LIMIT_BYTES = 2 << 30  # beyond what the imports take
LONGEST_MESSAGE = 1010  # characters of a sentence that still can be read
SAMPLE_RATE, SAMPLES = 44100, 4410
SOURCES = ("vocals", "drums", "bass", "other")
HEAD = metadata.HeadPosition("S", "M", -30.0, 30.0)
GOOD = ("read", "refused")


class WrongError(Exception):
    """Something was read that should have been refused."""


def expect(holds: object, what: str) -> None:
    """Object to what a reader returned."""
    if not holds:
        raise WrongError(what)


# --- A folder with one small valid file for every reader ---


def write_folder(root: Path) -> None:
    """A challenge folder, a run, heads, and weights, all tiny."""
    rng = np.random.default_rng(0)
    stems = {name: 0.1 * rng.standard_normal((2, SAMPLES)) for name in SOURCES}
    signals = stems | {"mixture": np.sum(list(stems.values()), axis=0)}
    for folder in ("audio/music/train/Song", "audio/at_mic_music/train/Song-hlp_0001"):
        (root / folder).mkdir(parents=True)
        for name, samples in signals.items():
            soundfile.write(root / folder / f"{name}.wav", samples.T, SAMPLE_RATE)
    for suffix, subtype in {"wav": "FLOAT", "flac": "PCM_24", "aiff": "PCM_16", "ogg": "VORBIS"}.items():
        soundfile.write(root / f"audio/any.{suffix}", signals["mixture"].T, SAMPLE_RATE, subtype=subtype)
    (root / "audio/hrtf").mkdir()
    for name in HEAD.hrtf_files:
        soundfile.write(root / "audio/hrtf" / name, np.eye(235, 2), SAMPLE_RATE, subtype="FLOAT")
    (root / "metadata").mkdir()
    for name, content in _metadata().items():
        (root / "metadata" / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    _write_sofa(root / "head.sofa")
    _write_run(root / "run", signals["mixture"])
    tensors = {"weight": torch.arange(300.0).reshape(3, 100), "bias": torch.ones(3)}
    torch.save(tensors, root / "weights.pt")
    torch.save(tensors, root / "weights.pth", _use_new_zipfile_serialization=False)
    save_file(tensors, root / "weights.safetensors")
    _write_networks(root)
    _write_shards(root / "shards")
    StemCache(root / "cache", 1).separate(EqualSplit(), _mixture(), sample_rate=SAMPLE_RATE)
    for group, content in CHOICES.items():
        (root / "conf" / group).mkdir(parents=True)
        (root / "conf" / group / "mine.yaml").write_text(json.dumps(content), encoding="utf-8")
    (root / "arguments").write_text("\n".join(ARGUMENTS), encoding="utf-8")
    (root / "audiogram").write_text("250:20,500:25,1000:35,4000:60", encoding="utf-8")


MIXER = {"_target_": "cadenza_remix.demix.correction.Mixer", "sources": ["a"], "matrix": [[0.5, 0.25]]}
CHOICES = {
    "limiter": {"_target_": "cadenza_remix.limit.Scale", "most_db": 6.0},
    "correction": {"mine": MIXER},
    "mixture_blend": {"_target_": "cadenza_remix.remix.MixtureBlend", "remix": 1.0, "mixture": 0.15},
}
SOURCES_OF_DEMUCS = ("drums", "bass", "other", "vocals")
DETAIL_COLUMNS = (*results.PAIR_COLUMNS, "status", "clipped_percent", "seconds")
SHARDED = ("scores", "details", "failures", "separation")
ARGUMENTS = (
    "path.root=somewhere",
    "separator=none",
    "correction=[consistency,residual]",
    "correction.residual.ratio=0.3",
    "mixture_blend=added",
    "mixture_blend.mixture=0.2",
    "limiter=multiband",
    "limiter.price=20",
    "fit.what=mixer",
    "fit.members=[spectral,none]",
    "nalr.nfir=220",
    "remix_sample_rate=32000",
    "prepare.loudness=shared",
    "path.exp_folder=exp/${name}",
    "runs=[exp/a,exp/b]",
    "evaluate.small_test=true",
    "experiment=oracle",
    "closed_loop=ascent",
    "name='a, b'",
    "executor.workers=2",
)


def _metadata() -> dict[str, Any]:
    frequencies = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]
    levels = {f"audiogram_levels_{side}": [20, 25, 30.5, 35, 40, 45, 50, 55] for side in "lr"}
    song = {"Track Name": "Song-hlp_0001", "Split": "train", "Path": "train/Song-hlp_0001"}
    scene = {"music": "Song", "gain": "gain_0001", "head_loudspeaker_positions": "hlp_0001"}
    return {
        "gains": {f"gain_000{n}": dict.fromkeys(SOURCES, n) for n in (1, 2, 3)},
        "listeners.train": {
            name: {"name": name, "audiogram_cfs": frequencies, **levels} for name in ("L0001", "L0002")
        },
        "scenes.train": {"scene_10001": scene, "scene_10002": scene | {"gain": "gain_0002"}},
        "scene_listeners.train": {"scene_10001": ["L0001", "L0002"], "scene_10002": ["L0002"]},
        "at_mic_music.train": {"Song-hlp_0001": song},
        "musdb18.train": [{"Track Name": "Song", "Split": "train", "Path": "train/Song"}],
        "head_loudspeaker_positions": {"hlp_0001": vars(HEAD)},
    }


def _write_sofa(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["SOFAConventions"] = np.bytes_("SimpleFreeFieldHRIR")
        file["Data.IR"] = np.tile(np.eye(2, 100), (3, 1, 1))
        file["Data.SamplingRate"] = np.array([float(SAMPLE_RATE)])
        file["Data.Delay"] = np.zeros((1, 2))
        file["SourcePosition"] = np.array([[30.0, 0, 1.5], [330.0, 0, 1.5], [0.0, 0, 1.5]])
        file["SourcePosition"].attrs["Type"] = np.bytes_("spherical")
        file["ReceiverPosition"] = np.array([[0, 0.09, 0], [0, -0.09, 0]])[:, :, None]
        file["ListenerView"] = np.array([[1.0, 0, 0]])
        file["ListenerPosition"] = np.zeros((1, 3))


def _mixture() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((2, 100)).astype(np.float32)


def _write_networks(root: Path) -> None:
    torch.manual_seed(0)
    kwargs = {"sources": list(SOURCES_OF_DEMUCS), "channels": 4, "depth": 2, "segment": Fraction(39, 5)}
    state = demucs.Demucs(**kwargs).state_dict()
    package = {
        "klass": demucs.Demucs,
        "args": (),
        "kwargs": kwargs,
        "state": state,
        "training_args": {"a": [1]},
    }
    torch.save(package, root / "demucs.th")
    header = {"klass": "demucs.demucs.Demucs", "args": "[]"}
    header["kwargs"] = json.dumps(
        kwargs | {"segment": {"_type": "fraction", "numerator": 39, "denominator": 5}}
    )
    save_file(state, root / "demucs.safetensors", header)
    sizes = convtasnet.Sizes(4, 8, 2, 4, kernel=3, blocks=2, stacks=2, sources=2, channels=2)
    torch.save(convtasnet.ConvTasNet(sizes, causal=False).state_dict(), root / "convtasnet.pt")
    shutil.copy(
        Path(__file__).resolve().parent.parent / "tests/references/mdxnet_small.onnx", root / "net.onnx"
    )


def _write_shards(run: Path) -> None:
    """The tables of two tasks, as merge finds them."""
    run.mkdir()
    pairs = [("scene_10001", "L0001"), ("scene_10001", "L0002"), ("scene_10002", "L0002")]
    keys = [(scene, "Song-hlp_0001", listener) for scene, listener in pairs]
    for task, own in enumerate((keys[:1], keys[1:2]), 1):
        tables = {
            results.SCORES: (results.SCORE_COLUMNS, [(*key, 0.25, 0.75, 0.5) for key in own]),
            results.DETAILS: (DETAIL_COLUMNS, [(*key, "ok", 12.5, 0.1) for key in own]),
            results.FAILURES: (results.FAILURE_COLUMNS, [("evaluate", *keys[2], "a sentence")][: task - 1]),
            results.SEPARATION: (results.SEPARATION_COLUMNS, [(keys[0][1], "vocals", 1.5, 2.5, 3.5)]),
        }
        for name, (columns, rows) in tables.items():
            text = "".join(",".join(map(str, row)) + "\n" for row in (columns, *rows))
            results.table_path(run, name, f"_{task}-2").write_text(text, encoding="utf-8")


def _write_run(run: Path, mixture: np.ndarray) -> None:
    run.mkdir()
    pair = ("scene_10001", "Song-hlp_0001", "L0001")
    rows = {
        results.SCORES: (results.SCORE_COLUMNS, [(*pair, 0.25, 0.75, 0.5), (*pair[:2], "NA", 0.5, 0.5, 0.5)]),
        results.DETAILS: (
            DETAIL_COLUMNS,
            [(*pair, "ok", 12.5, 0.1), (*pair[:2], "NA", "silent ear", 0.0, 0.1)],
        ),
        results.FAILURES: (results.FAILURE_COLUMNS, [("enhance", *pair, "a sentence, with a comma")]),
        results.SEPARATION: (
            results.SEPARATION_COLUMNS,
            [(pair[1], s, 1.5, 2.5, 2.0) for s in SOURCES[:3]] + [(pair[1], "other", 0.5, "", "")],
        ),
    }
    for name, (columns, lines) in rows.items():
        text = "\n".join(",".join(f'"{x}"' if "," in str(x) else str(x) for x in row) for row in lines)
        (run / name).write_text(",".join(columns) + "\n" + text + "\n", encoding="utf-8")
    ledger.claim(run, "enhance", {"sample_rate": SAMPLE_RATE, "stems": "true"}, overwrite=False)
    made = output.enhanced_path(run, SimpleNamespace(scene=_named(pair[0]), listener=_named(pair[2])))
    output.write_pcm16(made, mixture, sample_rate=32000, file_format="FLAC")
    record = ledger.Record("an origin", ledger.stamps([made]), {"score": 0.5})
    ledger.Ledger(run / "parts/evaluate").write(pair[1], {"scene_10001 for L0001": record})


def _named(name: str) -> Any:
    return SimpleNamespace(name=name)


# --- Readers: what a command does with a file, and what must hold of the result ---


def read_scene_files(root: Path, _file: Path) -> None:
    """As `enhance` and `evaluate` begin."""
    files = _files(root)
    pairs = read_pairs(files)
    music = read_music(files.music_file, root / "audio/at_mic_music", pairs, SAMPLE_RATE)
    run, stems = root / "run", root / "run/stems"
    places = [output.enhanced_path(run, pair) for pair in pairs]
    for pair, place in zip(pairs, places, strict=True):
        expect(place.parent.resolve() == (run / "enhanced_signals").resolve(), f"{place} left its folder")
        expect((stems / pair.scene.song).resolve().parent == stems.resolve(), "the stems left their folder")
        expect(pair.scene.gains_db, "no gains")
        expect(all(abs(gain) <= 60 for gain in pair.scene.gains_db.values()), "a gain out of range")
        for ear in pair.listener.ears:
            expect(np.isfinite(ear.at((250, 4000))).all(), "an audiogram with a hole")
    expect(len({str(place).casefold() for place in places}) == len(pairs), "two pairs share a file")
    base = (root / "audio/at_mic_music").resolve()
    for song in music.values():
        expect(song.folder.resolve().is_relative_to(base), f"{song.folder} left its folder")


def read_preparation(root: Path, _file: Path) -> None:
    """As `prepare` begins and ends."""
    files = _files(root)
    songs = read_dry_songs(
        scenes_file=files.scenes_file,
        gains_file=files.gains_file,
        tracks_file=files.tracks_file,
        heads_file=files.head_loudspeaker_positions_file,
        music_dir=root / "audio/music",
        sample_rate=SAMPLE_RATE,
    )
    made = (root / "audio/at_mic_music").resolve()
    for song in songs:
        expect((made / song.folder).resolve().parent.parent == made, f"{song.folder} left its folder")
        for file in HrtfFiles(root / "audio/hrtf").files(song.head):
            expect(file.resolve().parent == (root / "audio/hrtf").resolve(), f"{file} left its folder")
            file.is_file()
    list_music(root / "new/music.json", songs)


def draw_lists(root: Path, _file: Path) -> None:
    """As `prepare` draws the scene lists."""
    files = _files(root)
    files.scenes_file, files.scene_listeners_file = root / "new/scenes.json", root / "new/listeners.json"
    write_scenes(files, files.tracks_file, per_song=1)
    write_scene_listeners(files, per_scene=1)


def _files(root: Path) -> Any:
    folder = root / "metadata"
    return SimpleNamespace(
        scenes_file=folder / "scenes.train.json",
        scene_listeners_file=folder / "scene_listeners.train.json",
        gains_file=folder / "gains.json",
        listeners_file=folder / "listeners.train.json",
        music_file=folder / "at_mic_music.train.json",
        tracks_file=folder / "musdb18.train.json",
        head_loudspeaker_positions_file=folder / "head_loudspeaker_positions.json",
    )


def read_music_file(root: Path, file: Path) -> None:
    """As a stem beside its mixture is read."""
    original = soundfile.info(root / "audio/music/train/Song/mixture.wav")
    music = Music(file.parent, SAMPLE_RATE)
    music.check(["vocals", "mixture"])
    stem = music.read("vocals")
    expect(stem.shape == (2, original.frames) and np.isfinite(stem).all(), "another shape")


def read_any_audio(_root: Path, file: Path) -> None:
    """As `cadenza-remix haaqi` reads its two files."""
    from cadenza_remix.audio import read, read_header

    header = read_header(file)
    signal = read(file, sample_rate=header.sample_rate, channels=header.channels)
    expect(signal.shape == (header.channels, header.samples), "another shape")
    expect(np.isfinite(signal).all(), "NaN or infinity")
    expect(np.isfinite(np.square(signal, dtype=np.float64)).all(), "no energy")


def read_enhanced(root: Path, file: Path) -> None:
    """As `evaluate` reads what it scores: as it was written, but for two samples at its end, or not."""
    enhanced = output.read_enhanced(file, duration_s=SAMPLES / 32000, tail_s=0.005)
    whole = soundfile.read(root / "original.flac", dtype="float32")[0].T
    n_samples = enhanced.signal.shape[1]
    expect(np.array_equal(enhanced.signal, whole[:, :n_samples]), "a damaged signal would be scored")


def read_head(root: Path, _file: Path) -> None:
    """A head from WAV files."""
    head = HrtfFiles(root / "audio/hrtf")(HEAD, sample_rate=SAMPLE_RATE)
    expect(head.left_loudspeaker.shape == head.right_loudspeaker.shape, "another length")


def read_sofa(root: Path, _file: Path) -> None:
    """A head from a SOFA file."""
    sofa._nearest.cache_clear()  # it takes files to stay as they are
    head = SofaFiles(str(root / "head.sofa"), 5.0)(HEAD, sample_rate=32000)
    for taps in (head.left_loudspeaker, head.right_loudspeaker):
        expect(taps.shape[0] == 2 and np.isfinite(taps).all(), "no responses")


def read_tables(root: Path, _file: Path) -> None:
    """As `report` reads scores."""
    numbers = results.read_scores(root / "run")[list(results.FINITE)]
    expect(np.isfinite(numbers.to_numpy(float)).all(), "a score that is none")


def read_failures(root: Path, _file: Path) -> None:
    """As every command adds its failures to those of others."""
    results.write_failures(root / "run", "evaluate", [{"song": "Song", "cause": "another"}])


def read_separation(root: Path, _file: Path) -> None:
    """As `report` reads separation scores."""
    results.separation_by_source(root / "run").to_string()


def read_manifest(root: Path, _file: Path) -> None:
    """As a command sees with which settings a folder was begun."""
    ledger.claim(root / "run", "evaluate", {"sample_rate": SAMPLE_RATE}, overwrite=False)
    ledger.claimed(root / "run", "enhance").get("stems", "true")


def read_ledger(root: Path, _file: Path) -> None:
    """As a repeated command sees what is finished."""
    for record in ledger.Ledger(root / "run/parts/evaluate").read("Song-hlp_0001").values():
        record.is_current("another origin")
        record.is_current("an origin")


def read_weights(_root: Path, file: Path) -> None:
    """Weights into a network."""
    network = torch.nn.Linear(100, 3)
    load_state(network, read_tensors(file), file)


def read_demucs(_root: Path, file: Path) -> None:
    """A network that says itself what it is, and what it makes of a second of silence."""
    network = demucs.load_network(file)
    with torch.inference_mode():
        expect(network(torch.zeros(1, 2, 44100)).shape == (1, 4, 2, 44100), "a network of another form")


def read_convtasnet(_root: Path, file: Path) -> None:
    """A network whose sizes are those of its tensors."""
    network = convtasnet.Load(2, causal=False)((file,))
    with torch.inference_mode():
        expect(network(torch.zeros(1, 2, 400)).shape == (1, 2, 2, 400), "a network of another form")


def read_onnx(_root: Path, file: Path) -> None:
    """The weights of an ONNX file, alone and as those of a network that they do not fit."""
    steps = onnx.read_steps(file)
    size = sum(x.nbytes for x in {id(x): x for _, weights in steps for x in weights}.values())
    expect(size <= file.stat().st_size, "more than the file holds")
    with suppress(CadenzaError):
        mdxnet.Load("drums")((file,))


def read_shards(root: Path, file: Path) -> None:
    """As `merge` puts the tables of tasks together; whatever they say, its own are whole."""
    shutil.copytree(file.parent, root / "new/run", dirs_exist_ok=True)
    files = _files(root)
    merge_tables(root / "new/run", read_pairs(files))
    numbers = results.read_scores(root / "new/run")[list(results.FINITE)]
    expect(np.isfinite(numbers.to_numpy(float)).all(), "a score that is none")
    expect(len(numbers) <= 3, "more scores than pairs")


def read_cache(root: Path, _file: Path) -> None:
    """Separated stems that an earlier run kept: those that the separator would give, or none."""
    stems = StemCache(root / "cache", 1).separate(EqualSplit(), _mixture(), sample_rate=SAMPLE_RATE)
    for source, stem in EqualSplit()(_mixture()).items():
        expect(np.array_equal(stems[source], stem), "other stems")


def read_arguments(_root: Path, file: Path) -> None:
    """A command line; a refusal must be one line and exit code 1."""
    run_command(file.read_bytes().decode(errors="surrogateescape").replace("\0", "").split("\n"))


def read_choice(root: Path, file: Path) -> None:
    """A choice of the user's own, in a folder named by --config-dir."""
    GlobalHydra.instance().clear()
    run_command(["separator=none", f"{file.parent.name}=mine", "--config-dir", str(root / "conf")])


def run_command(arguments: list[str]) -> None:
    """Begin `enhance` with arguments, up to the components that need no weights."""
    sys.argv = ["cadenza-remix enhance", *arguments]
    told, code = StringIO(), 0
    with redirect_stderr(told), redirect_stdout(told):
        try:
            config.command("enhance", "Enhance.", build_components)()
        except SystemExit as stop:
            code = 1 if isinstance(stop.code, str) else stop.code or 0
            print(stop.code if isinstance(stop.code, str) else "", file=told)
    expect(code in (0, 1), f"exit code {code}")
    if code:
        lines = [line for line in told.getvalue().splitlines() if line]
        lines = lines[1:] if lines[0].startswith("usage: ") else lines
        expect(lines and "error: " in lines[-1] and len(lines) < 3, f"not one sentence: {lines[:3]}")
        raise CadenzaError(lines[-1])


def build_components(run: config.Run) -> bool:
    """What happens before a limiter's work begins."""
    settings = run.settings
    for name, node in settings.correction.items():
        config.build(node, f"correction.{name}")
    if settings.mixture_blend:
        config.build(settings.mixture_blend, "mixture_blend")
    return bool(config.build(settings.limiter, "limiter"))


def read_audiogram(_root: Path, file: Path) -> None:
    """Thresholds as typed."""
    text = file.read_bytes().decode(errors="surrogateescape")
    levels = haaqi.read_audiogram(text).at((250, 4000))
    expect((np.abs(levels) <= 120).all(), "thresholds out of range")


@dataclass(frozen=True)
class Reader:
    """What is damaged, how, and who reads it."""

    file: str
    read: Callable[[Path, Path], None]
    structured: Callable[[bytes, random.Random], bytes] | None = None


def _scene_readers() -> Iterator[tuple[str, Reader]]:
    for kind in ("gains", "listeners", "scenes", "scene_listeners", "at_mic_music"):
        part = "" if kind == "gains" else ".train"
        yield kind, Reader(f"metadata/{kind}{part}.json", read_scene_files, hostile_json)
    for kind in ("musdb18.train", "head_loudspeaker_positions", "scenes.train", "gains"):
        yield f"prepare:{kind}", Reader(f"metadata/{kind}.json", read_preparation, hostile_json)
    for kind in ("musdb18.train", "listeners.train", "head_loudspeaker_positions"):
        yield f"draw:{kind}", Reader(f"metadata/{kind}.json", draw_lists, hostile_json)


# --- What is done to a file ---

NUMBERS = (0, -1, 1, 7, 1e300, -1e300, 1e-300, 10**400, 2**63, math.nan, math.inf, -math.inf, 999, -0.0)
NAMES = (
    *(
        "",
        ".",
        "..",
        "../x",
        "../../etc/x",
        "/etc/x",
        "a/b",
        "a\\b",
        "C:x",
        "-rf",
        "NA",
        "nan",
        "null",
        "CON",
    ),
    *(
        "a\0b",
        "a\nb",
        "\x1b[31m",
        "x" * 300,
        "é" * 120,
        "\u202egnp",
        "a\u2044b",
        "a．．／b",
        "\ud800",
        " ",
        "~",
    ),
    *("SCENE_10001", "l0001", "Scene_10002", "L0002", "ﬁle", "Vocals", "mixture", "scene_10001_L0001"),
    *('Anna & Co - "Blue", too', "Motörhead – Ça ira", "<b>x</b>", "${name}", "%s", "=1+1", "x" * 100_000),
)
# Operations of a pickle: numbers, doubled and deep tuples, functions, calls, places of the memo.
OPERATIONS = (
    *(pickle.dumps(x, 2)[2:-1] for x in (*NUMBERS, None, True, "", "x" * 300, (), [], {}, {"a": 1}, 2**500)),
    *(
        b"q\0h\0h\0\x86",
        b"\x85",
        b"(",
        b"t",
        b"]",
        b"}",
        b"0",
        b"1",
        b"2",
        b"R",
        b"b",
        b"\x81",
        b"s",
        b"u",
        b"e",
    ),
    *(
        b"cbuiltins\nbytearray\n",
        b"cos\nsystem\n",
        b"ccollections\nCounter\n",
        b"c_codecs\nencode\n",
        b"Q",
        b".",
    ),
    *(b"q\0", b"h\0", b"h\1", b"r\xff\xff\xff\xff", b"j\0\0\1\0", b"K\2\x85K\0\x85", b"\x8a\6\0\0\0\0\0\1"),
)
OTHERS = (None, True, False, [], {}, [[]], [None], {"": None}, "20", b"")


def nested(depth: int, kind: str) -> str:
    """JSON text of that many lists or objects, each in the other."""
    return "[" * depth + "]" * depth if kind == "list" else '{"a":' * depth + "1" + "}" * depth


def hostile_value(rng: random.Random) -> Any:
    """Something that does not belong there."""
    kinds = (NUMBERS, NAMES, OTHERS)
    return deepcopy(rng.choice(rng.choice(kinds)))


def hostile_json(content: bytes, rng: random.Random) -> bytes:
    """The same JSON with one to three things in it that are wrong."""
    tree = json.loads(content)
    marks: list[str] = []
    for _ in range(rng.randint(1, 3)):
        node, key = rng.choice(list(_places(tree)))
        change = rng.randrange(6)
        if change == 0:
            del node[key]
        elif change == 1 and isinstance(node, dict):
            node[str(rng.choice(NAMES))] = node.pop(key)
        elif change == 2 and isinstance(node, dict):
            node[rng.choice(NAMES)] = deepcopy(node[key])
        elif change == 3:
            node[key] = "@NESTED@"
            depth = rng.choice((10, 200, 900, 1100, 30_000))
            marks.append(nested(depth, rng.choice(("list", "object"))))
        else:
            value = hostile_value(rng)
            node[key] = None if isinstance(value, bytes) else value
        if not tree:
            break
    text = json.dumps(tree, ensure_ascii=rng.random() < 0.5)
    for mark in marks:
        text = text.replace('"@NESTED@"', mark, 1)
    if rng.random() < 0.15 and len(text) > 2:  # the first entry once more
        text = text[:-1] + "," + text[1:]
    encoding = rng.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))
    return text.encode(
        encoding,
        errors=rng.choice(("replace", "surrogatepass", "ignore")) if encoding != "latin-1" else "replace",
    )


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], dict | list) and tree[key]:
            yield from _places(tree[key])


def hostile_cells(content: bytes, rng: random.Random) -> bytes:
    """The same table with some cells, columns or rows replaced, left out or doubled."""
    rows = [line.split(",") for line in content.decode().splitlines()]
    for _ in range(rng.randint(1, 3)):
        row = rng.choice(rows)
        cell = rng.randrange(len(row))
        change = rng.randrange(5)
        if change == 0 and len(row) > 1:
            del row[cell]
        elif change == 1:
            row.insert(cell, row[cell])
        elif change == 2:
            rows.append(list(row))
        else:
            row[cell] = str(hostile_value(rng))
    text = "\n".join(",".join(row) for row in rows) + "\n"
    return text.encode(rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16")), errors="replace")


def hostile_pickle(content: bytes, rng: random.Random) -> bytes:
    """The same archive, in the pickle of which some operations are others, left out or repeated."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    name = next(name for name in entries if name.endswith("/data.pkl"))
    pickled = entries[name]
    places = [place for _, _, place in pickletools.genops(pickled)] + [len(pickled)]
    steps = [pickled[begin:end] for begin, end in pairwise(places)]
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(steps))
        change = rng.randrange(5)
        if change == 0:
            del steps[at]
        elif change == 1:
            steps.insert(at, rng.choice(steps))
        elif change == 2:
            steps[at] = rng.choice(steps)
        elif change == 3:
            steps[at] = rng.choice(OPERATIONS)
        else:
            steps.insert(at, rng.choice(OPERATIONS) * rng.choice((1, 2, 50, 100_000)))
    entries[name] = b"".join(steps)
    changed = BytesIO()
    with zipfile.ZipFile(changed, "w") as archive:
        for each, stored in entries.items():
            archive.writestr(each, stored)
    return changed.getvalue()


def hostile_words(content: bytes, rng: random.Random) -> bytes:
    """The same arguments, some with another value, key or prefix."""
    words = rng.sample(content.decode().split("\n"), rng.randint(1, 4))
    keys = [*all_keys(), "hydra.run.dir", "nowhere", ""]
    for _ in range(rng.randint(1, 2)):
        index = rng.randrange(len(words))
        key, _, value = words[index].partition("=")
        change = rng.randrange(4)
        if change == 0:
            key = rng.choice(keys)
        elif change == 1:
            key = rng.choice(("+", "++", "~", "-", "--", "@")) + key
        else:
            value = str(hostile_value(rng))
        words[index] = f"{key}={value}"
    return "\n".join(words).encode(errors="replace")


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The same bytes with one to four faults of a disk, a transfer, or somebody with a hex editor."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        # Half of the faults lie in the first bytes, where the headers are.
        place = rng.randrange(min(len(data), 128) if rng.random() < 0.5 else len(data)) if data else 0
        length = min(rng.choice((1, 2, 4, 16, 256, 4096)), len(data) - place)
        fault = rng.randrange(9)
        if not data:
            break
        if fault == 0:
            data[place] ^= 1 << rng.randrange(8)
        elif fault == 1:
            del data[place:]
        elif fault == 2:
            data[place:place] = rng.randbytes(length)
        elif fault == 3:
            data[place:place] = data[place : place + length]
        elif fault == 4:
            del data[place : place + length]
        elif fault == 5:
            data[place : place + length] = rng.choice((b"\0", b"\xff", b"\x80")) * length
        elif fault == 6:
            data[place : place + length] = rng.randbytes(length)
        elif fault == 7:  # a size field
            size = rng.choice(
                (0, 1, 2**31 - 1, 2**31, 2**32 - 1, len(data), len(data) * 1000, rng.getrandbits(32))
            )
            data[place : place + 4] = size.to_bytes(4, rng.choice(("little", "big")))
        else:
            other = rng.randrange(len(data))
            block = data[other : other + length]
            data[place : place + len(block)] = block
    return bytes(data)


READERS: dict[str, Reader] = {
    **dict(_scene_readers()),
    "stem": Reader("audio/at_mic_music/train/Song-hlp_0001/vocals.wav", read_music_file),
    "wav": Reader("audio/any.wav", read_any_audio),
    "flac": Reader("audio/any.flac", read_any_audio),
    "aiff": Reader("audio/any.aiff", read_any_audio),
    "ogg": Reader("audio/any.ogg", read_any_audio),
    "enhanced": Reader("run/enhanced_signals/scene_10001_L0001_remix.flac", read_enhanced),
    "head": Reader(f"audio/hrtf/{HEAD.hrtf_files[0]}", read_head),
    "sofa": Reader("head.sofa", read_sofa),
    "scores": Reader(f"run/{results.SCORES}", read_tables, hostile_cells),
    "details": Reader(f"run/{results.DETAILS}", read_tables, hostile_cells),
    "failures": Reader(f"run/{results.FAILURES}", read_failures, hostile_cells),
    "separation": Reader(f"run/{results.SEPARATION}", read_separation, hostile_cells),
    "manifest": Reader(f"run/{ledger.MANIFEST}", read_manifest, hostile_json),
    "parts": Reader("run/parts/evaluate", read_ledger, hostile_json),
    "pt": Reader("weights.pt", read_weights, hostile_pickle),
    "pth": Reader("weights.pth", read_weights),
    "safetensors": Reader("weights.safetensors", read_weights),
    "demucs": Reader("demucs.th", read_demucs, hostile_pickle),
    "demucs:safetensors": Reader("demucs.safetensors", read_demucs),
    "convtasnet": Reader("convtasnet.pt", read_convtasnet, hostile_pickle),
    "onnx": Reader("net.onnx", read_onnx),
    **{f"merge:{name}": Reader(f"shards/{name}_2-2.csv", read_shards, hostile_cells) for name in SHARDED},
    "cache": Reader("cache", read_cache),
    **{group: Reader(f"conf/{group}/mine.yaml", read_choice, hostile_json) for group in CHOICES},
    "arguments": Reader("arguments", read_arguments, hostile_words),
    "audiogram": Reader("audiogram", read_audiogram),
}


# --- Doing the cases ---


class Bench:
    """A folder of valid files in which one at a time is replaced, and put back."""

    def __init__(self, root: Path, reader: Reader) -> None:
        """Write the folder."""
        self.root, self.reader = root, reader
        write_folder(root)
        target = root / reader.file
        self.target = next(target.iterdir()) if target.is_dir() else target
        self.valid = self.target.read_bytes()
        (root / "original.flac").write_bytes(self.valid if self.target.suffix == ".flac" else b"")
        self.before = self._files()
        reader.read(root, self.target)  # what is valid must be read
        self._tidy()

    def content(self, rng: random.Random) -> bytes:
        """What the file holds in this case."""
        if self.reader.structured and rng.random() < 0.7:
            return self.reader.structured(self.valid, rng)
        return damaged(self.valid, rng)

    def outcome(self, content: bytes) -> str:
        """What becomes of it, in a word or a few."""
        self.target.write_bytes(content)
        try:
            self.reader.read(self.root, self.target)
            told = "read"
        except CadenzaError as error:
            text = str(error)
            unreadable = not text.isprintable() or len(text) > LONGEST_MESSAGE
            told = f"message of {len(text)} characters: {text[:80]!r}" if unreadable else "refused"
        except WrongError as error:
            told = f"wrong: {error}"
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)
            own = next((f for f in reversed(where) if "cadenza_remix/" in f.filename), where[-1])
            told = f"{type(error).__name__} at {Path(own.filename).name}:{own.lineno}: {str(error)[:80]}"
        strays = self._tidy()
        return f"file left at {strays}" if strays else told

    def _files(self) -> dict[Path, int]:
        files = [path for path in self.root.parent.rglob("*") if path.is_file() and path != self.target]
        return {path: path.stat().st_size for path in files}

    def _tidy(self) -> str:
        """Put everything back; the files that have no business there."""
        self.target.write_bytes(self.valid)
        strays = ""
        for path, size in self._files().items():
            if self.before.get(path) == size:
                continue
            allowed = path.is_relative_to(self.root / "new") or path.parent == self.root / "run"
            if not allowed or path.name.endswith(".part"):
                strays = str(path)
            if path not in self.before:
                path.unlink()
        return strays


def case_rng(seed: int, name: str, case: int) -> random.Random:
    """The random numbers of one case, whatever else is run."""
    return random.Random(f"{seed} {name} {case}")


@contextmanager
def bench(name: str) -> Iterator[Bench]:
    """A bench in a folder that goes afterwards; the process works there."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="fuzz_") as folder:
        root = Path(folder).resolve() / "root"
        root.mkdir()
        os.chdir(root)
        try:
            yield Bench(root, READERS[name])
        finally:
            os.chdir(before)


def work(pipe: Connection, name: str, seed: int, cases: range, root: Path) -> None:
    """Do cases in a process of limited memory, telling each outcome."""
    os.chdir(root)
    logging.disable()
    warnings.simplefilter("error")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_LIMIT_BYTES,) * 2)
    the_bench = Bench(root / "bench", READERS[name])
    for case in cases:
        rng = case_rng(seed, name, case)
        pipe.send(the_bench.outcome(the_bench.content(rng)))


def outcomes(name: str, seed: int, cases: int) -> Iterator[str]:
    """The outcome of each case; one that hangs or kills its process costs nothing but itself."""
    done = 0
    while done < cases:
        with tempfile.TemporaryDirectory(prefix="fuzz_") as folder:
            ours, theirs = multiprocessing.Pipe(duplex=False)
            arguments = (theirs, name, seed, range(done, cases), Path(folder).resolve())
            process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
            process.start()
            theirs.close()
            while done < cases:
                try:
                    told = ours.recv() if ours.poll(TIME_LIMIT_S) else "hang"
                except EOFError:
                    process.join()
                    code = process.exitcode or 0
                    if code > 0:
                        raise RuntimeError(f"{name}: the bench itself failed; see above.") from None
                    told = f"killed by {signal.Signals(-code).name}"
                yield told
                done += 1
                if told == "hang" or told.startswith("killed"):
                    break
            process.kill()
            process.join()


def content_of(name: str, seed: int, case: int) -> bytes:
    """What the file of a case holds."""
    with bench(name) as the_bench:
        return the_bench.content(case_rng(seed, name, case))


def run_all(names: list[str], seed: int, cases: int, keep: Path | None) -> bool:
    """Do the cases, print counts by reader; true if all are good."""
    total: Counter[str] = Counter()
    print(f"{'reader':36}{'cases':>7}{'read':>7}{'refused':>9}{'bad':>6}")
    for index, name in enumerate(names):
        share = cases // len(names) + (index < cases % len(names))
        counts: Counter[str] = Counter()
        for case, told in enumerate(outcomes(name, seed, share)):
            kind = told if told in GOOD else "bad"
            counts[kind] += 1
            if kind == "bad":
                print(f"  {name}:{case}: {told}")
                if keep:
                    keep.mkdir(parents=True, exist_ok=True)
                    suffix = Path(READERS[name].file).suffix
                    (keep / f"{name.replace(':', '_')}_{seed}_{case}{suffix}").write_bytes(
                        content_of(name, seed, case)
                    )
        total += counts
        print(f"{name:36}{share:7}{counts['read']:7}{counts['refused']:9}{counts['bad']:6}", flush=True)
    print(f"{'all':36}{total.total():7}{total['read']:7}{total['refused']:9}{total['bad']:6}")
    return total["bad"] == 0


def main() -> None:
    """Read the arguments; exits with 1 if a case is bad."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=10_000, help="how many, over all readers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", action="append", choices=READERS, help="only this one; may be repeated")
    parser.add_argument("--keep", type=Path, help="folder that bad cases are copied to")
    parser.add_argument("--case", metavar="READER:NUMBER", help="do one case with its traceback")
    options = parser.parse_args()
    if options.case:
        name, number = options.case.rsplit(":", 1)
        with bench(name) as the_bench:
            the_bench.target.write_bytes(the_bench.content(case_rng(options.seed, name, int(number))))
            the_bench.reader.read(the_bench.root, the_bench.target)
        return
    sys.exit(not run_all(options.reader or list(READERS), options.seed, options.cases, options.keep))


if __name__ == "__main__":
    main()
