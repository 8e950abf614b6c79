"""Fitting the limiter to the music by what the listener's ear makes of the result.

`base` says what a closed loop is; `ascent` is the one there is.
"""
