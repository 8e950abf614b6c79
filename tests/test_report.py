"""The report as a reader gets it: whole, escaped, and in a real browser."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from cadenza_remix.__main__ import main
from tests import browser
from tests.conftest import write_challenge

HOSTILE = ['Rock & "Roll" <b>', "<img src=x onerror=document.title='broken'>"]
CAUSE = "</script><script>document.title='broken'</script>"
SYSTEM = "a_system_whose_name_is_longer_than_a_phone_is_wide_or_two"
RUNS = {"a": ("separator=none",), SYSTEM: ("separator=spectral", "keep_stems=true"), "c": ("stems=true",)}
VOID = {"meta", "link", "br", "img", "input", "wbr"}
needs_browser = pytest.mark.skipif(
    browser.PROGRAM is None, reason=f"none of {', '.join(browser.PROGRAMS)} is installed"
)


def call(*arguments: str) -> tuple[str | int | None, str]:
    """Run a command in this process; its exit code, or its error, and what it printed."""
    sys.argv = ["cadenza-remix", *arguments, "executor=serial"]
    with redirect_stdout(StringIO()) as printed:
        try:
            main()
        except SystemExit as stop:
            return stop.code, printed.getvalue()
    return 0, printed.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Three runs on songs with unfriendly titles; the first of the report lacks a pair."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", [])
        root = f"path.root={write_challenge(folder / 'data', HOSTILE)}"
        for name, choice in RUNS.items():
            assert call("enhance", root, f"name={name}", *choice)[0] == 0
        (folder / f"exp/{SYSTEM}/enhanced_signals/scene_10003_L0002_remix.flac").unlink()
        runs = f"runs=[exp/{SYSTEM},exp/a,exp/c]"
        assert call("evaluate", root, runs)[0] == 1
        failures = pd.read_csv(folder / f"exp/{SYSTEM}/failures.csv").assign(cause=CAUSE)
        failures.to_csv(folder / f"exp/{SYSTEM}/failures.csv", index=False)
        code, told = call("report", root, runs)
        assert code == 1
        (folder / "told.txt").write_text(told, encoding="utf-8")
        yield folder


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return (folder / f"exp/{SYSTEM}/report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    with browser.browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


class Reader(HTMLParser):
    """Every element must be closed; text is collected by the elements it is in."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"line {self.getpos()}"


@pytest.fixture(scope="module")
def elements(html: str) -> list[tuple[str, dict[str, str | None]]]:
    reader = Reader()
    reader.feed(html)
    assert not reader.open
    return reader.elements


def test_names_come_as_text_and_nothing_is_loaded(
    html: str, elements: list[tuple[str, dict[str, str | None]]]
) -> None:
    for unfriendly in (*HOSTILE, CAUSE):
        assert unfriendly not in html
    assert [tag for tag, _ in elements].count("script") == 1
    loaded = [more[key] for _, more in elements for key in ("src", "href") if key in more]
    assert all(re.match(r"data:|#", str(address)) for address in loaded)
    assert "url(" not in html
    assert "@import" not in html
    assert len({more["id"] for _, more in elements if "id" in more}) == html.count(' id="')


def test_what_is_seen_has_words_for_those_who_do_not_see(
    elements: list[tuple[str, dict[str, str | None]]],
) -> None:
    assert all(more.get("alt") for tag, more in elements if tag == "img")
    for tag, more in elements:
        if tag == "svg" and "width" in more and "x" not in more:
            assert more.get("aria-hidden") == "true" or more.get("aria-label")


def test_the_same_numbers_are_everywhere(folder: Path, html: str) -> None:
    told = (folder / "told.txt").read_text(encoding="utf-8")
    (difference, _) = pd.read_csv(folder / f"exp/{SYSTEM}/differences.csv").itertuples()
    assert (difference.run, difference.other, difference.pairs, difference.songs) == (SYSTEM, "a", 5, 2)
    for run_name in RUNS:
        scores = pd.read_csv(folder / "exp" / run_name / "scores.csv")
        everything = pd.read_csv(folder / "exp" / run_name / "summary.csv").iloc[0]
        assert everything["score"] == pytest.approx(scores["score"].mean())
        assert f"{everything['score']:.3f}" in html
        assert f"{everything['score']:.4f}" in told
    assert f"{difference.difference:+.3f}".replace("-", "−") in html
    assert f"{difference.difference:.4f}" in told
    assert "missing: scene_10003 for L0002" in told
    assert told.splitlines()[-1].startswith(f"report: open exp/{SYSTEM}/report.html (")


def test_separation_stands_beside_haaqi(folder: Path, html: str) -> None:
    table = pd.read_csv(folder / f"exp/{SYSTEM}/separation.csv").groupby("source", sort=False)
    section = html.split('<h2 id="separation">')[1].split("</section>")[0]
    of_system, of_floor, of_ceiling = section.split("HAAQI ")[1:]
    rows = re.findall(r'<th scope="row">(\S+)</th>(.*)</tr>', of_system)
    found = {
        name: [float(n) for n in re.findall(r">([\d.−]+)<", row.replace("−", "-"))] for name, row in rows
    }
    assert list(found) == ["uSDR", "SI-SDR", "cSDR"]
    of_songs = {"uSDR": table["sdr"].mean(), "SI-SDR": table["si_sdr"].mean(), "cSDR": table["csdr"].median()}
    for name, expected in of_songs.items():
        assert found[name] == pytest.approx([*expected, expected.mean()], abs=0.051)
    assert "kept no stems" in of_floor
    assert "the true stems" in of_ceiling
    told = (folder / "told.txt").read_text(encoding="utf-8").split("\n\n")
    assert [block.split(":")[0] for block in told[:3]] == [SYSTEM, "a", "c"]
    assert re.search(r"source +uSDR +SI-SDR +cSDR", told[0])
    assert f"{of_songs['uSDR']['bass']:.2f} dB" in told[0]


@pytest.mark.parametrize(
    ("score", "told"),
    [
        (0.0, "scores 0.000 .*, less than doing nothing ({floor}); perfect separation scores {ceiling}"),
        (1.0, "scores 1.000 .*, more than perfect separation ({ceiling}); doing nothing scores {floor}"),
    ],
)
def test_a_run_outside_of_floor_and_ceiling_has_gone_no_part_of_the_way(
    folder: Path, score: float, told: str
) -> None:
    run = folder / "exp/outside"
    shutil.copytree(folder / "exp" / SYSTEM, run, dirs_exist_ok=True)
    scores = pd.read_csv(run / "scores.csv").assign(left_score=score, right_score=score, score=score)
    scores.to_csv(run / "scores.csv", index=False)
    runs = ("runs=[exp/outside,exp/a,exp/c]", "path.music_file=nowhere.json")
    assert call("report", f"path.root={folder / 'data'}", *runs)[0] == 1  # it lacks a pair
    html = re.sub(r"<[^>]+>", "", (run / "report.html").read_text(encoding="utf-8"))
    limits = {
        name: f"{pd.read_csv(folder / f'exp/{limit}/scores.csv')['score'].mean():.3f}"
        for name, limit in {"floor": "a", "ceiling": "c"}.items()
    }
    assert re.search(re.escape(told.format(**limits)).replace(r"\.\*", ".*"), html)
    assert "of the way" not in html


def test_runs_with_the_same_scores_are_equal_not_undecided(folder: Path) -> None:
    shutil.copytree(folder / "exp/a", folder / "exp/again", dirs_exist_ok=True)
    runs = ("runs=[exp/again,exp/a,exp/c]", "path.music_file=nowhere.json")
    code, told = call("report", f"path.root={folder / 'data'}", *runs)
    assert code == 0
    html = (folder / "exp/again/report.html").read_text(encoding="utf-8")
    verdicts = re.findall(r'data-name="so it is" class="text">([^<]*)<', html)
    assert len(verdicts) == 2
    assert verdicts[0] == "equal"
    assert verdicts[1] != "equal"
    assert "<b>0.000</b>" in html
    assert "+0.000" not in html
    assert "pairs_equal" in told


def test_pairs_in_the_rows_of_two_severities_are_told(folder: Path) -> None:
    alike = (folder / "told.txt").read_text(encoding="utf-8")
    assert "severity is an ear's" not in alike
    listeners = json.loads((folder / "data/metadata/listeners.train.json").read_text(encoding="utf-8"))
    listeners["L0001"]["audiogram_levels_r"] = [90] * 8
    (folder / "one_sided.json").write_text(json.dumps(listeners), encoding="utf-8")
    shutil.copytree(folder / "exp/a", folder / "exp/one_sided")
    more = (f"path.listeners_file={folder / 'one_sided.json'}", "path.music_file=nowhere.json")
    code, told = call("report", f"path.root={folder / 'data'}", "name=one_sided", *more)
    assert code == 0
    summary = pd.read_csv(folder / "exp/one_sided/summary.csv").set_index(["group", "name"])
    assert list(summary.loc["severity", "pairs"]) == [3, 3, 3]  # of 6
    assert list(summary.loc["severity", "ears"]) == [3, 6, 3]
    assert "severity is an ear's: 3 pairs are in two of its rows" in told


def test_settings_stand_as_they_are_typed(html: str) -> None:
    (row,) = re.findall(r'<th scope="row">keep_<wbr>stems</th>(.*?)</tr>', html.split("<details>")[-2])
    assert re.findall(r">([^<]+)<", row) == ["true", "false", "false"]


def test_a_report_of_one_run_leaves_no_difference_behind(folder: Path) -> None:
    assert (folder / f"exp/{SYSTEM}/differences.csv").is_file()
    html = (folder / f"exp/{SYSTEM}/report.html").read_text(encoding="utf-8")
    try:
        assert call("report", f"path.root={folder / 'data'}", f"name={SYSTEM}")[0] == 1
        assert not (folder / f"exp/{SYSTEM}/differences.csv").exists()
        assert "Differences" not in (folder / f"exp/{SYSTEM}/report.html").read_text(encoding="utf-8")
    finally:
        (folder / f"exp/{SYSTEM}/report.html").write_text(html, encoding="utf-8")


def test_scores_can_be_reported_where_the_music_is_not(folder: Path) -> None:
    root = f"path.root={folder / 'data'}"
    elsewhere = ("path.exp_folder=exp/elsewhere", "path.music_file=nowhere.json")
    assert call("report", root, "runs=[exp/a]", *elsewhere)[0] == 0
    html = (folder / "exp/elsewhere/report.html").read_text(encoding="utf-8")
    assert html.count("Nothing to listen to: nowhere.json is missing") == 6
    assert "<audio" not in html


def test_scores_of_the_reference_recipe_are_shown_without_details(folder: Path) -> None:
    run = folder / "exp/theirs"
    run.mkdir()
    (run / "scores_1-1.csv").write_bytes((folder / "exp/a/scores.csv").read_bytes())
    for command in ("merge", "report"):
        assert call(command, f"path.root={folder / 'data'}", "name=theirs")[0] == 0
    html = (run / "report.html").read_text(encoding="utf-8")
    assert "scored, but" not in html
    assert "nan" not in re.sub(r"base64,[^\"]*", "", html).lower().replace("resonan", "")


def test_nothing_scored_is_one_sentence(folder: Path) -> None:
    header = (folder / "exp/a/scores.csv").read_text().splitlines()[0]
    (folder / "exp/none").mkdir(parents=True)
    (folder / "exp/none/scores.csv").write_text(f"{header}\n")
    (folder / "exp/none/details.csv").write_text("scene,song,listener\n")
    told, _ = call("report", f"path.root={folder / 'data'}", "name=none")
    assert "exp/none/scores.csv holds no scores; mend what exp/none/failures.csv lists" in str(told)


@needs_browser
@pytest.mark.parametrize(
    ("width", "scheme", "phone"), [(1200, "light", False), (1200, "dark", False), (375, "light", True)]
)
def test_a_browser_shows_it_without_complaint_network_or_overflow(
    folder: Path, page: browser.Page, width: int, scheme: str, phone: bool
) -> None:
    page.open(folder / f"exp/{SYSTEM}/report.html", width=width, height=800, scheme=scheme, phone=phone)
    assert page.run("document.documentElement.scrollWidth") == width
    beyond = "[...document.querySelectorAll('body *')].filter(e => !e.closest('.wide, svg') && "
    beyond += (
        "getComputedStyle(e).position !== 'absolute' && e.getBoundingClientRect().right > innerWidth + 1)"
    )
    assert page.run(f"{beyond}.map(e => e.outerHTML.slice(0, 80))") == []
    titles = page.run("[...document.querySelectorAll('h4')].map(e => e.textContent)")
    assert {title for title in HOSTILE for told in titles if title in told} == set(HOSTILE)
    assert page.run("document.title") == f"{SYSTEM} – cadenza_remix report"
    paper = page.run("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    assert page.run("document.querySelectorAll('.player.ready').length") == 5
    torn = "[...document.querySelectorAll('#settings ~ .wide th[scope=row]')].flatMap(e => [...e.childNodes])"
    torn += ".filter(e => e.nodeType === 3 && new Set([...range(e)].map(r => r.top)).size > 1)"
    of = "const range = e => { const r = new Range(); r.selectNode(e); return r.getClientRects() }; "
    assert page.run(f"{of}{torn}.map(e => e.textContent)") == []
    complaints = page.named("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
    assert complaints == []
    requests = [event["request"]["url"] for event in page.named("Network.requestWillBeSent")]
    assert [url for url in requests if not url.startswith("data:")] == [
        (folder / f"exp/{SYSTEM}/report.html").as_uri()
    ]


@needs_browser
def test_a_player_plays_all_signals_from_one_playhead(folder: Path, page: browser.Page) -> None:
    page.open(folder / f"exp/{SYSTEM}/report.html", width=1200, height=800)
    signals = "[...document.querySelector('.player').querySelectorAll('.signal')]"
    assert page.run(f"{signals}.map(e => e.querySelector('b').textContent)") == [
        *("enhanced", "reference", "mixture")
    ]
    wait = "new Promise(done => setTimeout(done, 400))"
    play = f"document.querySelector('.player button').click(); await {wait}"
    time = "document.querySelector('.player output').textContent"
    first = page.run(f"(async () => {{ {play}; return parseFloat({time}) }})()")
    assert page.run("document.querySelectorAll('.playing').length") == 1
    page.run(f"{signals}[2].click()")
    later = page.run(f"(async () => {{ await {wait}; return parseFloat({time}) }})()")
    assert 0 <= first < later < 3
    assert page.run(f"{signals}[2].querySelector('input').checked")
    # Another one begins, this one stops; a second click pauses it.
    second = "document.querySelectorAll('.player button')[1]"
    assert (
        page.run(f"(async () => {{ {second}.click(); await {wait}; return {second}.textContent }})()")
        == "Pause"
    )
    assert page.run("document.querySelector('.player button').textContent") == "Play"
    assert page.run(f"{second}.click(); document.querySelectorAll('.playing').length") == 0
    assert (
        page.run("[...document.querySelectorAll('output[role=alert]')].map(e => e.textContent).join('')")
        == ""
    )


@needs_browser
def test_paper_gets_everything_but_the_buttons(folder: Path, page: browser.Page) -> None:
    page.open(folder / f"exp/{SYSTEM}/report.html", width=700, height=900, scheme="dark")
    page("Emulation.setEmulatedMedia", media="print")
    hidden = "[...document.querySelectorAll('.transport, audio, nav')].every(e => !e.getClientRects().length)"
    assert page.run(hidden)
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.run("document.documentElement.scrollWidth") == 700
    page("Emulation.setEmulatedMedia", media="")
