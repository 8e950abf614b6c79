"""Logarithm and exponential for compiled loops, written so that the compiler can vectorise them.

Without branches or calls, four or more values are worked on at once, several times faster than the C
library's functions. Both are within 1 unit in the last place of the true value (checked against numpy in
`test_elementary`).

The logarithm is Ng's minimax fit (Sun Microsystems 1993, fdlibm's `e_log.c`), the exponential a plain series:
a division would cost more than the terms it saves.
"""

import math

import numpy as np

from cadenza_remix.compiled import compiled

LN2_HIGH = 6.93147180369123816490e-01  # ln 2 in two parts, the first with trailing zeros
LN2_LOW = 1.90821492927058770002e-10
LOG2_OF_E = 1.44269504088896338700
MANTISSA_BITS = np.uint64(52)
EXPONENT_BIAS = np.uint64(1023)
BITS_OF_ONE = np.uint64(0x3FF0000000000000)
BITS_OF_ROOT_HALF = np.uint64(0x3FE6A09E667F3BCD)
BITS_OF_2_POW_52 = np.uint64(0x4330000000000000)  # or-ing a small integer to these bits makes 2^52 + integer
TWO_POW_52_AND_BIAS = 2.0**52 + 1023
C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13 = (1 / math.factorial(n) for n in range(2, 14))
ROUNDER = 1.5 * 2.0**52  # adding it leaves the nearest integer in the low bits


@compiled
def natural_log(x: float) -> float:
    """Natural logarithm of a normal positive number; any other gives nonsense."""
    bits = np.float64(x).view(np.uint64)
    biased = (bits + (BITS_OF_ONE - BITS_OF_ROOT_HALF)) >> MANTISSA_BITS
    fraction = np.uint64(bits - (biased << MANTISSA_BITS) + (EXPONENT_BIAS << MANTISSA_BITS))
    mantissa = fraction.view(np.float64)  # from sqrt(1/2) to sqrt(2)
    exponent = np.uint64(biased | BITS_OF_2_POW_52).view(np.float64) - TWO_POW_52_AND_BIAS
    f = mantissa - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
    odd = z * (
        6.666666666666735130e-01
        + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    half_square = 0.5 * f * f
    correction = s * (half_square + (odd + even)) + exponent * LN2_LOW
    return exponent * LN2_HIGH - ((half_square - correction) - f)


@compiled
def exponential(x: float) -> float:
    """Exponential for |x| below 700; beyond, nonsense."""
    shifted = x * LOG2_OF_E + ROUNDER
    power = shifted - ROUNDER
    r = (x - power * LN2_HIGH) - power * LN2_LOW
    z = r * r
    w = z * z
    low = (C2 + r * C3) + z * (C4 + r * C5)  # in parts, so that no operation waits long for another
    middle = (C6 + r * C7) + z * (C8 + r * C9)
    high = (C10 + r * C11) + z * (C12 + r * C13)
    y = 1.0 + (r + z * (low + w * (middle + w * high)))
    scaled = np.uint64(np.float64(y).view(np.uint64) + (np.float64(shifted).view(np.uint64) << MANTISSA_BITS))
    return scaled.view(np.float64)
