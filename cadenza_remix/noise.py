"""numpy's legacy normal deviates, drawn by many threads in one exact order.

`np.random.RandomState.standard_normal` is a Mersenne Twister (Matsumoto & Nishimura 1998) with Marsaglia's
polar method. Its draws depend on all draws before them, so `fork` runs through a long stream once without
taking a logarithm and notes the generator's state where each part begins; the parts are then drawn
independently of each other by `fill_normal`, at any pace. Checked against numpy: same uniforms bit for bit,
normals to 2 units in the last place.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cadenza_remix.compiled import compiled
from cadenza_remix.elementary import natural_log

STATE_WORDS = 624
SHIFT_WORDS = 397
ATTEMPT_WORDS = 4  # two uniforms of 53 bits
BLOCK_PAIRS = STATE_WORDS // ATTEMPT_WORDS

UPPER = np.uint32(0x80000000)
LOWER = np.uint32(0x7FFFFFFF)
TWIST = np.uint32(0x9908B0DF)
TEMPER_B = np.uint32(0x9D2C5680)
TEMPER_C = np.uint32(0xEFC60000)
ONE, FIVE, SIX, SEVEN, ELEVEN, FIFTEEN, EIGHTEEN = (np.uint32(n) for n in (1, 5, 6, 7, 11, 15, 18))


class NormalStream(NamedTuple):
    """A generator on its way; `fill_normal` moves it on in place.

    Attributes:
        words: (624,) uint32, the Mersenne Twister's state.
        position: (2,) int64: words used of the state, and 1 if a normal is in hand from the last pair.
        spare: (1,), that normal.
    """

    words: npt.NDArray[np.uint32]
    position: npt.NDArray[np.int64]
    spare: npt.NDArray[np.float64]

    def copy(self) -> "NormalStream":
        """A second stream that will give the same numbers."""
        return NormalStream(self.words.copy(), self.position.copy(), self.spare.copy())


def stream_of(rng: np.random.RandomState) -> NormalStream:
    """The stream that `rng` would give, as a copy.

    Raises:
        TypeError: if `rng` runs on another bit generator than the Mersenne Twister.
    """
    state = rng.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise TypeError(
            f"The noise's generator is {state['bit_generator']}; give np.random.RandomState(seed)."
        )
    return NormalStream(
        np.array(state["state"]["key"], np.uint32),
        np.array([state["state"]["pos"], state["has_gauss"]], np.int64),
        np.array([state["gauss"]], np.float64),
    )


def hand_back(rng: np.random.RandomState, stream: NormalStream) -> None:
    """Let `rng` go on where `stream` is."""
    used, has_spare = (int(n) for n in stream.position)
    rng.set_state(("MT19937", stream.words, used, has_spare, float(stream.spare[0])))


def fork(stream: NormalStream, count: int, parts: int) -> list[NormalStream]:
    """Streams that start at normal 0, count, 2 × count, …; `stream` itself moves on behind the last."""
    starts = []
    for _ in range(parts):
        starts.append(stream.copy())
        skip_normal(stream, count)
    return starts


@compiled
def twist(words: npt.NDArray[np.uint32]) -> None:
    """Replace the state by its next 624 words."""
    rest = STATE_WORDS - SHIFT_WORDS
    for i in range(rest):
        y = (words[i] & UPPER) | (words[i + 1] & LOWER)
        words[i] = words[i + SHIFT_WORDS] ^ (y >> ONE) ^ ((y & ONE) * TWIST)
    for i in range(rest, STATE_WORDS - 1):
        y = (words[i] & UPPER) | (words[i + 1] & LOWER)
        words[i] = words[i - rest] ^ (y >> ONE) ^ ((y & ONE) * TWIST)
    y = (words[STATE_WORDS - 1] & UPPER) | (words[0] & LOWER)
    words[STATE_WORDS - 1] = words[SHIFT_WORDS - 1] ^ (y >> ONE) ^ ((y & ONE) * TWIST)


@compiled
def temper(y: np.uint32) -> np.uint32:
    """A word of output from a word of state."""
    y = np.uint32(y ^ np.uint32(y >> ELEVEN))
    y = np.uint32(y ^ np.uint32(np.uint32(y << SEVEN) & TEMPER_B))
    y = np.uint32(y ^ np.uint32(np.uint32(y << FIFTEEN) & TEMPER_C))
    return np.uint32(y ^ np.uint32(y >> EIGHTEEN))


@compiled
def symmetric_uniform(first: np.uint32, second: np.uint32) -> float:
    """A number from -1 to 1 made of two words."""
    high, low = np.float64(np.int32(first >> FIVE)), np.float64(np.int32(second >> SIX))
    return 2.0 * ((high * 67108864.0 + low) / 9007199254740992.0) - 1.0


@compiled
def next_word(stream: NormalStream) -> np.uint32:
    """One word of output, where words are counted singly."""
    if stream.position[0] == STATE_WORDS:
        twist(stream.words)
        stream.position[0] = 0
    word = stream.words[stream.position[0]]
    stream.position[0] += 1
    return temper(word)


@compiled
def straddling_attempt(stream: NormalStream) -> tuple[float, float, float]:
    """A point (x, y) in the square and its squared radius, from words of two states."""
    first, second = next_word(stream), next_word(stream)
    x = symmetric_uniform(first, second)
    first, second = next_word(stream), next_word(stream)
    y = symmetric_uniform(first, second)
    return x, y, x * x + y * y


@compiled
def attempts(stream: NormalStream, scratch: npt.NDArray[np.float64], tempered: npt.NDArray[np.uint32]) -> int:
    """Make what attempts the words in hand allow, as rows x, y and squared radius; use no words up."""
    words = stream.words[stream.position[0] :]
    n = len(words) // ATTEMPT_WORDS
    for i in range(len(words)):
        tempered[i] = temper(words[i])
    for i in range(n):
        x = symmetric_uniform(tempered[4 * i], tempered[4 * i + 1])
        y = symmetric_uniform(tempered[4 * i + 2], tempered[4 * i + 3])
        scratch[0, i] = x
        scratch[1, i] = y
        scratch[2, i] = x * x + y * y
    return n


@compiled
def accepted(radius: float) -> bool:
    """Whether a point lies within the circle, but not at its centre."""
    return (radius < 1.0) & (radius != 0.0)


@compiled
def collect_pairs(stream: NormalStream, count: int, pairs: npt.NDArray[np.float64]) -> None:
    """The next `count` accepted points as columns x, y and squared radius of `pairs`."""
    scratch = np.empty((3, BLOCK_PAIRS))
    tempered = np.empty(STATE_WORDS, np.uint32)
    found = 0
    while found < count:
        if stream.position[0] > STATE_WORDS - ATTEMPT_WORDS:
            x, y, radius = straddling_attempt(stream)
            pairs[0, found], pairs[1, found], pairs[2, found] = x, y, radius
            found += accepted(radius)
            continue
        n = attempts(stream, scratch, tempered)
        used = 0
        while used < n and found < count:  # what is not accepted is overwritten by the next
            pairs[0, found] = scratch[0, used]
            pairs[1, found] = scratch[1, used]
            pairs[2, found] = scratch[2, used]
            found += accepted(scratch[2, used])
            used += 1
        stream.position[0] += ATTEMPT_WORDS * used


@compiled
def skip_pairs(stream: NormalStream, count: int) -> None:
    """Move the stream on by `count` accepted points."""
    scratch = np.empty((3, BLOCK_PAIRS))
    tempered = np.empty(STATE_WORDS, np.uint32)
    found = 0
    while found < count:
        if stream.position[0] > STATE_WORDS - ATTEMPT_WORDS:
            found += accepted(straddling_attempt(stream)[2])
            continue
        n = attempts(stream, scratch, tempered)
        inside = 0
        for i in range(n):
            inside += accepted(scratch[2, i])
        used = n
        if found + inside >= count:  # the last point wanted is among these: stop right behind it
            inside, used = 0, 0
            while found + inside < count:
                inside += accepted(scratch[2, used])
                used += 1
        found += inside
        stream.position[0] += ATTEMPT_WORDS * used


@compiled
def fill_normal(
    stream: NormalStream, out: npt.NDArray[np.float64], count: int, pairs: npt.NDArray[np.float64]
) -> None:
    """Write the next `count` normals to the start of `out`.

    Args:
        stream: moved on.
        out: at least `count` samples.
        count: how many.
        pairs: (3, at least count / 2 + 1), scratch.
    """
    filled = 0
    if count > 0 and stream.position[1] == 1:
        out[0] = stream.spare[0]
        stream.position[1] = 0
        stream.spare[0] = 0.0
        filled = 1
    n = (count - filled + 1) // 2
    collect_pairs(stream, n, pairs)
    for i in range(n):
        radius = pairs[2, i]
        pairs[2, i] = np.sqrt(-2.0 * natural_log(radius) / radius)
    whole = (count - filled) // 2
    for i in range(whole):
        out[filled + 2 * i] = pairs[2, i] * pairs[1, i]
        out[filled + 2 * i + 1] = pairs[2, i] * pairs[0, i]
    if n > whole:
        out[count - 1] = pairs[2, whole] * pairs[1, whole]
        stream.spare[0] = pairs[2, whole] * pairs[0, whole]
        stream.position[1] = 1


@compiled
def skip_normal(stream: NormalStream, count: int) -> None:
    """Move the stream on by `count` normals."""
    if count <= 0:
        return
    if stream.position[1] == 1:
        stream.position[1] = 0
        stream.spare[0] = 0.0
        count -= 1
    skip_pairs(stream, count // 2)
    if count % 2:
        fill_normal(stream, np.empty(1), 1, np.empty((3, 2)))
