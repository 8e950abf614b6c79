"""The embedded demo: makes the inputs that a command lacks."""

from dataclasses import replace

from cadenza_remix.config import Run
from cadenza_remix.datasets.demo import write_demo
from cadenza_remix.errors import CadenzaError
from cadenza_remix.lock import locked
from cadenza_remix.prepare import prepare
from cadenza_remix.settings import PathSettings, Settings, ShardSettings

WAIT_S = 600  # for another process that makes them


def write_inputs(path: PathSettings) -> None:
    """Write the demo's dry music, heads and metadata, unless they are there."""
    tracks_file = path.metadata_dir / "musdb18.train.json"  # written last
    if tracks_file.is_file():
        return
    assert path.root is not None
    with locked(path.root, "demo", wait_s=WAIT_S):
        if not tracks_file.is_file():
            print(f"demo: synthesising songs, a head and listeners in {path.root}")
            write_demo(path.root)


def write_music_at_microphones(settings: Settings) -> None:
    """Bring the demo to the microphones, unless it is there.

    Raises:
        CadenzaError: if that fails.
    """
    path = settings.path
    if path.output_music_file.is_file():
        return
    assert path.root is not None
    dry = replace(
        path, music_dir=path.root / "audio/music", music_file=path.metadata_dir / "musdb18.train.json"
    )
    whole = replace(settings, path=dry, shard=ShardSettings(index=0, count=1))
    with locked(path.output_music_dir, "demo", wait_s=WAIT_S):
        if not path.output_music_file.is_file() and not prepare(Run(whole, is_demo=True)):
            raise CadenzaError(
                "The demo's music could not be brought to the microphones; see the lines above."
            )
