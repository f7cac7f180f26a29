"""What every source of readings is, and sources that are files of the kernel."""

from __future__ import annotations

import time
from collections.abc import Sequence

from workers.agent.readings import Channel, Reading
from workers.agent.sysfs import Number, reason
from workers.agent.trouble import Trouble


class Source:
    """Finds its channels, and reads them; never raises for what a sensor does, and never makes up a value."""

    name = ""

    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble
        self.channels: tuple[Channel, ...] = ()

    def look(self) -> None:
        """Find the channels there are now; called again later if there are none."""
        raise NotImplementedError

    def read(self) -> list[Reading]:
        """A reading of each channel that could be read; sets ``channels`` anew where they changed."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of whatever is open."""

    def hints(self) -> Sequence[str]:
        """For --check: what was found and is not read, and what would help."""
        return ()


class Files(Source):
    """A source whose channels are files with a number each."""

    scale_uj = 1  # a counter's unit [µJ]
    per_mw = 1_000  # how much of a gauge's unit is one mW

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble)
        self._files: list[tuple[Number, Channel]] = []

    def take(self, found: Sequence[tuple[Number, Channel]]) -> None:
        """Keep those files that can be read, of each channel the first."""
        self.close()
        self._files, known = [], set()
        for file, channel in found:
            key = self._key(channel)
            if channel.name in known:
                continue
            try:
                file.text()
            except OSError as error:
                self.trouble.begin(key, self.hint(file, error))
                continue
            self.trouble.end(key)
            known.add(channel.name)
            self._files.append((file, channel))
        self.channels = tuple(channel for _, channel in self._files)

    def read(self) -> list[Reading]:
        out = []
        for file, channel in self._files:
            try:
                t_ms, value = self.one(file, channel)
            except OSError as error:
                self.trouble.begin(self._key(channel), self.hint(file, error))
                continue
            self.trouble.end(self._key(channel))
            out.append(Reading(t_ms, channel.column, value))
        return out

    def one(self, file: Number, channel: Channel) -> tuple[int, int]:
        """Time and value of one file; OSError for what is no reading."""
        t_ms = time.time_ns() // 1_000_000
        number = file.read()
        return t_ms, number * self.scale_uj if channel.counter else number // self.per_mw

    def hint(self, file: Number, error: OSError) -> str:
        """What is wrong with a file, and the cure where there is one."""
        return f"{file.path}: {reason(error)}"

    def close(self) -> None:
        for file, _ in self._files:
            file.close()

    def _key(self, channel: Channel) -> str:
        return f"{self.name} {channel.name}"
