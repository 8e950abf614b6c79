"""What the settings are called and what type they have; conf/config.yaml says what they do."""

from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from operator import attrgetter
from pathlib import Path
from typing import Any

from cadenza_remix.errors import ConfigError

REQUEUED_WITHIN_S = 240.0  # longer than `lock.STALE_AFTER_S`
RATES_HZ = (8000, 384000)  # as in `audio`, which is too heavy to be imported here
RANGES = {
    "sample_rate": RATES_HZ,
    "remix_sample_rate": RATES_HZ,
    "HAAQI_sample_rate": (8000, 192000),  # as in `metrics.rates`
    "nalr.nfir": (2, 1000),  # the filters are designed on a grid of 1024
    "executor.workers": (0, 1000),
    "executor.threads": (1, 1000),
}

RENAMED_KEYS = {
    "separator.model": "separator=NAME, such as separator=hdemucs or separator=openunmix",
    "separator.device": "device=NAME, such as device=cpu or device=cuda:0",
    "apply_compressor": "amplifier=nalr_compressor",
    "compressor": "amplifier=nalr_compressor: its threshold, attenuation, attack_ms, release_ms, "
    "rms_window_s",
    "soft_clip": "limiter=tanh for true, limiter=hard_clip for false",
    "nalr.sample_rate": "sample_rate",
    "evaluate.batch": "shard.index, and merge at the end",
    "evaluate.batch_size": "shard.count, and merge at the end",
    "path.scene_file": "path.scenes_file",
    "path.head_positions_file": "path.head_loudspeaker_positions_file",
    "path.tracklist_file": "nothing, as the tracks are those of the scene list",
    "scene.number_scenes_per_song": "prepare.scenes_per_song",
    "scene_listener.number_listeners_per_scene": "prepare.listeners_per_scene",
}


@dataclass
class PathSettings:
    """Where everything lies; relative paths start where the user stands."""

    root: Path | None
    metadata_dir: Path
    hrtf_dir: Path
    gains_file: Path
    head_loudspeaker_positions_file: Path
    listeners_file: Path
    scenes_file: Path
    scene_listeners_file: Path
    music_dir: Path | None
    music_file: Path | None
    output_music_dir: Path
    output_music_file: Path
    exp_folder: Path

    def inputs(self) -> list[Path]:
        """The metadata files that say what is to be done."""
        files = (self.scenes_file, self.scene_listeners_file, self.gains_file, self.listeners_file)
        return [*files, self.given("music_file")]

    def given(self, key: str) -> Path:
        """A path that `complete` has filled in."""
        value = getattr(self, key)
        assert isinstance(value, Path)
        return value


class Loudness(Enum):
    """What the signals at the microphones are levelled by."""

    each = "each"
    shared = "shared"


@dataclass
class PrepareSettings:
    """How music at the microphones is made."""

    loudness: Loudness
    scenes_per_song: int | None
    listeners_per_scene: int | None


@dataclass
class NalrSettings:
    """The hearing-aid prescription."""

    nfir: int


@dataclass
class EvaluateSettings:
    """How scores are computed."""

    small_test: bool
    set_random_seed: bool

    @property
    def every_nth(self) -> int:
        """Which pairs are used: every one, or every 15th as in the reference recipe's small test."""
        return 15 if self.small_test else 1


class Fitted(Enum):
    """What is learnt from true stems."""

    scales = "scales"
    mixer = "mixer"
    shares = "shares"


@dataclass
class FitSettings:
    """What is learnt from true stems, and of whose."""

    what: Fitted
    members: list[str] | None


@dataclass
class PackSettings:
    """How a submission is packed."""

    file: Path


@dataclass
class ShardSettings:
    """Which of several tasks of a cluster this is."""

    index: int
    count: int

    def check(self) -> None:
        """Refuse what is no part of a whole.

        Raises:
            ConfigError: if there is no such task.
        """
        if self.count < 1:
            raise ConfigError(f"shard.count={self.count}; expected 1 or more: say how many tasks there are.")
        if not 0 <= self.index < self.count:
            raise ConfigError(
                f"shard.index={self.index} of shard.count={self.count}; expected 0 to {self.count - 1}: "
                "correct either, as sbatch --array=0-3 goes with shard.count=4."
            )

    @property
    def wait_s(self) -> float:
        """How long to wait for who does the same: a killed task seems alive to other machines for a while."""
        return REQUEUED_WITHIN_S if self.count > 1 else 0

    @property
    def suffix(self) -> str:
        """What the names of this task's tables end in, the same as in the reference recipe's batches."""
        return f"_{self.index + 1}-{self.count}" if self.count > 1 else ""


@dataclass
class ExecutorSettings:
    """Who does the jobs."""

    workers: int | None
    threads: int
    timeout_s: float | None

    def check(self) -> None:
        """Refuse a limit of time that nobody could keep.

        Raises:
            ConfigError: if it is none, or there is no process that could be stopped.
        """
        if self.timeout_s is not None and (self.workers == 0 or self.timeout_s <= 0):
            raise ConfigError(
                f"executor.timeout_s={self.timeout_s:g} must be more than 0, and needs a process that can be "
                "stopped: add executor=processes, or leave it out."
            )


@dataclass
class Settings:
    """One schema for all commands."""

    name: str | None
    split: str
    stems: str
    keep_stems: bool
    stem_cache: Path | None
    stem_cache_gb: float
    overwrite: bool
    runs: list[Path] | None
    path: PathSettings
    sample_rate: int
    remix_sample_rate: int
    HAAQI_sample_rate: int
    truncate: bool
    device: str
    prepare: PrepareSettings
    nalr: NalrSettings
    evaluate: EvaluateSettings
    fit: FitSettings
    pack: PackSettings
    shard: ShardSettings
    executor: ExecutorSettings
    head: Any
    amplifier: Any
    limiter: Any
    metric: Any
    correction: dict[str, Any] = field(default_factory=dict)  # by the name of the choice
    separator: Any = None  # chosen by the user or an experiment
    mixture_blend: Any = None  # likewise
    closed_loop: Any = None  # likewise

    def check(self) -> None:
        """Refuse numbers that cannot be.

        Raises:
            ConfigError: naming the key.
        """
        for key, (low, high) in RANGES.items():
            value = attrgetter(key)(self)
            if value is not None and not low <= value <= high:
                raise ConfigError(f"{key} is {value}; give a whole number from {low} to {high}.")
        self.executor.check()
        self.shard.check()


COMPONENTS = tuple(each.name for each in fields(Settings) if each.type is Any)
GROUPS = (*COMPONENTS, "correction", "executor", "experiment")  # all that is chosen by name


def all_keys(schema: type = Settings, prefix: str = "") -> list[str]:
    """The dotted names of all settings."""
    names = []
    for each in fields(schema):
        name = f"{prefix}{each.name}"
        nested = isinstance(each.type, type) and is_dataclass(each.type)
        names += all_keys(each.type, f"{name}.") if nested else [name]  # type: ignore[arg-type]
    return names


def declared_type(key: str) -> Any:
    """The type that a setting has by its dotted name, a dataclass for several; None if there is none."""
    declared: Any = Settings
    for name in key.split("."):
        inner = fields(declared) if is_dataclass(declared) else ()
        declared = next((each.type for each in inner if each.name == name), None)
    return declared


def renamed(key: str) -> str | None:
    """What to say instead of a key of the reference recipe; None if it is not one that changed."""
    for old, new in RENAMED_KEYS.items():
        if key == old or key.startswith(f"{old}."):
            return f"{key} is a key of the reference recipe; say instead: {new}."
    return None
