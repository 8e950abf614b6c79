"""Bring dry music to the hearing-aid microphones: the mixture and every stem, for every song and head."""

from cadenza_remix.config import Run, command
from cadenza_remix.parallel import import_early, run_all


def prepare(run: Run) -> bool:
    """Make every song that the scene list names; true if none failed."""
    import_early("cadenza_remix.jobs.preparation", workers=run.settings.executor.workers)
    # Deferred, so that --help and --cfg answer at once.
    from tqdm import tqdm

    from cadenza_remix.datasets.challenge import list_music, read_dry_songs
    from cadenza_remix.jobs.preparation import Preparation
    from cadenza_remix.jobs.run import report_failures

    settings, path = run.settings, run.settings.path
    if run.is_demo:
        from cadenza_remix import demo

        demo.write_inputs(path)
    songs = read_dry_songs(
        scenes_file=path.scenes_file,
        gains_file=path.gains_file,
        tracks_file=path.given("music_file"),
        heads_file=path.head_loudspeaker_positions_file,
        music_dir=path.given("music_dir"),
        sample_rate=settings.sample_rate,
    )
    work = Preparation(path.hrtf_dir, path.output_music_dir, settings.sample_rate, settings.overwrite)
    done = run_all(work, songs, workers=settings.executor.workers)
    results = list(tqdm(done, desc="prepare", total=len(songs), unit="song", disable=None))
    failures = [{"song": song.name, "cause": cause} for song, cause in results if isinstance(cause, str)]
    list_music(path.output_music_file, songs)
    made = sum(result is True for _, result in results)
    print(
        f"prepare: {made} songs made, {len(songs) - made - len(failures)} there already, "
        f"{len(failures)} failed; the music at the microphones is in {path.output_music_dir}"
    )
    return report_failures(path.exp_folder, "prepare", failures)


main = command("prepare", "Bring dry music to the hearing-aid microphones.", prepare)

if __name__ == "__main__":
    main()
