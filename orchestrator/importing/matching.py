"""Which file a row means: by its path, by an end of it that fits one file alone, with or without suffix."""

from collections import defaultdict
from collections.abc import Iterable

_PATH_MAX = 4096


class Matcher:
    """The paths of a folder's files, with `/`, each found by what rows call it.

    A row's path fits a file where one is the end of the other, part by part: `train/1.jpg` is never `test/1.jpg`. What
    two different paths fit belongs to neither, for which is meant nobody knows.
    """

    def __init__(self, names: Iterable[str], what: str, given: Iterable[str]) -> None:
        """Take all files, what they are (image, document), and everything that rows call them."""
        self._what = what
        self._names: dict[str, None] = {}
        self._ends: dict[str, list[str]] = defaultdict(list)
        self._whole: dict[str, list[str]] = defaultdict(list)
        for name in names:
            self._names[name] = None
            stem = name[: -len(suffix)] if (suffix := _suffix(name)) else name
            for spelled in dict.fromkeys((name, stem)):
                self._whole[spelled].append(name)
                for end in _ends(spelled):
                    self._ends[end].append(name)
        self._claims: dict[str, set[str]] = defaultdict(set)
        for call in dict.fromkeys(map(_plain, given)):
            found = self._match(call)
            if len(found) == 1:
                self._claims[found[0]].add(call)

    def find(self, given: str) -> str:
        """Return the file that is meant; raise ValueError, a sentence, where it is none or not clear."""
        found = self._match(_plain(given))
        if len(found) != 1:
            several = f"several {self._what}s are called so; write its path"
            raise ValueError(several if found else f"there is no such {self._what}")
        if others := self._claims[found[0]] - {_plain(given)}:
            raise ValueError(f"the truth calls {found[0]} {min(others)} too; call it by one path everywhere")
        return found[0]

    def unused(self) -> list[str]:
        """Return the files that nothing calls."""
        return [name for name in self._names if name not in self._claims]

    def _match(self, given: str) -> list[str]:
        if given in self._names:
            return [given]
        if len(given) > _PATH_MAX:
            return []
        if found := self._ends.get(given):
            return found
        return next((self._whole[end] for end in _ends(given) if end in self._whole), [])


def _plain(given: str) -> str:
    plain = given.replace("\\", "/").removeprefix("file://")
    return "/".join(part for part in plain.split("/") if part not in ("", "."))


def _ends(name: str) -> Iterable[str]:
    """Yield the ends of a path, part by part, the longest first."""
    parts = name.split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))


def _suffix(name: str) -> str:
    base = name.rpartition("/")[2]
    return base[base.rindex(".") :] if "." in base[1:] else ""
