"""Several separators as one: each stem is a weighted sum of theirs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cadenza_remix.demix.base import Separator, Stems
from cadenza_remix.errors import ConfigError


@dataclass(frozen=True)
class Ensemble:
    """Sums what its members separate, with shares for each stem.

    Attributes:
        members: the separators by name; all at one sample rate and with as many channels.
        shares: stem → member → by what its stem is multiplied before the sum; a member without a share in a
            stem need not have it. They usually sum to 1, and are taken as they are.

    Raises:
        ConfigError: if the members differ, or a share names what is not there.
    """

    members: Mapping[str, Separator]
    shares: Mapping[str, Mapping[str, float]]

    def __post_init__(self) -> None:
        """Check that members and shares fit."""
        if not self.members or not self.shares:
            raise ConfigError("An ensemble should have members and shares; name at least one of each.")
        forms = {name: (member.sample_rate, member.channels) for name, member in self.members.items()}
        if len(set(forms.values())) > 1:
            told = ", ".join(f"{name} {channels} at {rate} Hz" for name, (rate, channels) in forms.items())
            raise ConfigError(
                f"The members take different channels and sample rates ({told}); leave one out."
            )
        for stem, shares in self.shares.items():
            able = [name for name, member in self.members.items() if stem in member.sources]
            unable = sorted(set(shares) - set(able))
            if unable or not shares:
                raise ConfigError(
                    f"The shares of {stem} name {', '.join(unable) or 'no member'}; "
                    f"those that separate it are {', '.join(able) or 'none'}."
                )

    @property
    def sample_rate(self) -> int:
        """Hz, in and out."""
        return next(iter(self.members.values())).sample_rate

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the stems."""
        return tuple(self.shares)

    @property
    def channels(self) -> int:
        """How many it takes."""
        return next(iter(self.members.values())).channels

    @property
    def causal(self) -> bool:
        """Whether all members are."""
        return all(member.causal for member in self.members.values())

    @property
    def allowed_by_rules(self) -> bool:
        """Whether the challenge admits what every member learnt from."""
        return all(member.allowed_by_rules for member in self.members.values())

    @property
    def training_data(self) -> str:
        """What the members learnt from."""
        return self._of_all("training_data")

    @property
    def licence(self) -> str:
        """What is known of the terms that the members' weights are given under."""
        return self._of_all("licence")

    @property
    def source_url(self) -> str:
        """Where the members' weights come from."""
        return self._of_all("source_url")

    def _of_all(self, attribute: str) -> str:
        """What the members say, each thing once; those that learnt nothing may say nothing."""
        said = [
            str(getattr(member, attribute)) for member in self.members.values() if hasattr(member, attribute)
        ]
        return "; ".join(dict.fromkeys(said)) or "none"

    def __call__(self, mixture: npt.NDArray[np.float32]) -> Stems:
        """Separate a `(channels, samples)` mixture at `sample_rate` into stems of the same shape."""
        stems = {source: np.zeros(mixture.shape, np.float32) for source in self.sources}
        for name, member in self.members.items():
            estimates: dict[str, Any] = member(mixture)
            for source, shares in self.shares.items():
                if name in shares:
                    stems[source] += np.float32(shares[name]) * estimates[source]
        return stems
