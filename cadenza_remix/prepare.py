"""Bring dry music to the hearing-aid microphones: the mixture and every stem, for every song and head."""

from cadenza_remix.config import Run, build, command
from cadenza_remix.errors import MetadataError
from cadenza_remix.parallel import import_early, run_all
from cadenza_remix.settings import Loudness, Settings


def prepare(run: Run) -> bool:
    """Make every song that the scene list names; true if none failed."""
    import_early("cadenza_remix.jobs.preparation", workers=run.settings.executor.workers)
    # Deferred, so that --help and --cfg answer at once.
    from tqdm import tqdm

    from cadenza_remix.datasets.challenge import list_music, read_dry_songs
    from cadenza_remix.jobs.lists import write_scene_listeners, write_scenes
    from cadenza_remix.jobs.preparation import Preparation
    from cadenza_remix.jobs.run import report_failures
    from cadenza_remix.lock import locked
    from cadenza_remix.output import check_space, remove_leftovers
    from cadenza_remix.shards import take_share

    settings, path, shard = run.settings, run.settings.path, run.settings.shard
    if run.is_demo:
        from cadenza_remix import demo

        demo.write_inputs(path)
    heads, tracks_file = build(settings.head, "head"), path.given("music_file")
    refuse_without_dry_music(settings)
    if settings.prepare.scenes_per_song is not None:
        write_scenes(path, tracks_file, per_song=settings.prepare.scenes_per_song)
    if settings.prepare.listeners_per_scene is not None:
        write_scene_listeners(path, per_scene=settings.prepare.listeners_per_scene)
    listed = read_dry_songs(
        scenes_file=path.scenes_file,
        gains_file=path.gains_file,
        tracks_file=tracks_file,
        heads_file=path.head_loudspeaker_positions_file,
        music_dir=path.given("music_dir"),
        sample_rate=settings.sample_rate,
    )
    songs = take_share(listed, [1] * len(listed), index=shard.index, count=shard.count)
    work = Preparation(
        heads=heads,
        music_dir=path.output_music_dir,
        sample_rate=settings.sample_rate,
        shared_loudness=settings.prepare.loudness is Loudness.shared,
    )
    executor = settings.executor
    with locked(path.output_music_dir, f"prepare{shard.suffix}", wait_s=shard.wait_s):
        remove_leftovers(path.output_music_dir)
        remove_leftovers(path.output_music_file.parent)
        check_space(path.output_music_dir, sum(work.bytes_to_write(song) for song in songs))
        if settings.overwrite:
            work.ledger.forget(song.name for song in songs)
        done = run_all(work, songs, workers=executor.workers, timeout_s=executor.timeout_s)
        results = list(tqdm(done, desc="prepare", total=len(songs), unit="song", disable=None))
        failures = [{"song": song.name, "cause": cause} for song, cause in results if isinstance(cause, str)]
        with locked(path.output_music_dir, "list", wait_s=60):  # what other tasks have made is in it, too
            list_music(path.output_music_file, [song for song in listed if work.is_made(song)])
        made = sum(result is True for _, result in results)
        print(
            f"prepare: {made} songs made, {len(songs) - made - len(failures)} there already, "
            f"{len(failures)} failed; the music at the microphones is in {path.output_music_dir}"
        )
        return report_failures(path.exp_folder, "prepare", failures, shard.suffix)


def refuse_without_dry_music(settings: Settings) -> None:
    """Say that there is nothing to prepare where the challenge ships only music at the microphones.

    Raises:
        MetadataError: if `valid` or `test` is asked for and the dry music is not there.
    """
    from cadenza_remix.datasets.metadata import read_tracks

    split, tracks_file = settings.split, settings.path.given("music_file")
    music_dir = settings.path.given("music_dir")
    if split == "train":
        return
    missing = [place for place in (tracks_file, music_dir) if not place.exists()]
    if not missing:
        folders = [music_dir / track.folder for track in read_tracks(tracks_file).values()]
        missing = [] if any(folder.is_dir() for folder in folders) else folders
    if missing:
        shown = " and ".join(map(str, missing[:2])) + (", …" if len(missing) > 2 else "")
        raise MetadataError(
            f"There is no dry music for split={split} ({shown} missing); the challenge ships "
            "that music at the microphones, so leave prepare out."
        )


main = command("prepare", "Bring dry music to the hearing-aid microphones.", prepare)

if __name__ == "__main__":
    main()
