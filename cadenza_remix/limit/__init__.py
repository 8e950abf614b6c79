"""Amplified stereo, already at the output rate, to within full scale.

- `clip` — memoryless: cut off, bend, or scale the whole signal
- `lookahead` — one gain that turns down in time for every peak; may run live
- `perceptual` — cut off with the least audible error
- `multiband` — bands give way where the listener loses least, before the perceptual clip
- `bands`, `audibility` — what these two are made of: a zero-phase filter bank, and what an ear hears of it
- `smoothing` — averages over time
"""

from cadenza_remix.limit.base import Limiter
from cadenza_remix.limit.clip import HardClip, Scale, Tanh
from cadenza_remix.limit.lookahead import LookAhead
from cadenza_remix.limit.multiband import Multiband
from cadenza_remix.limit.perceptual import PerceptualClip

__all__ = ["HardClip", "Limiter", "LookAhead", "Multiband", "PerceptualClip", "Scale", "Tanh"]
