"""Rebalance music for hearing-aid listeners, and score the result.

The tree follows the data, in this order:

1. `hrtf` — loudspeaker stems and a head → stems and mixture at the hearing-aid microphones
2. `demix` — mixture → stems
3. `remix` — stems and gains in dB → stereo at the mixture's loudness
4. `amplify` — stereo and a listener → amplified stereo
5. `limit` — amplified stereo → within full scale
6. `output` — quantise to FLAC; read it back and validate it
7. `metrics` — enhanced, reference and listener → scores

`pipeline` calls these stages in order, and `closed_loop` fits the fifth to the music by what the seventh
says; `prepare`, `enhance`, `evaluate` and `report` are the commands around it. Arrays are
`(channels, samples)`; stems are a dict from source name to such an array.
"""

__version__ = "0.1.0"
