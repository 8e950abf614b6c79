"""What the settings are called and what type they have; conf/config.yaml says what they do."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from cadenza_remix.errors import ConfigError

REQUEUED_WITHIN_S = 240.0  # longer than `lock.STALE_AFTER_S`


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
