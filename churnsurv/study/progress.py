"""A bar for work in stages: shown on a terminal only, gone when the work is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

__all__ = ["stages"]


@contextmanager
def stages(names: Sequence[str], *, progress: bool) -> Iterator[Callable[[], None]]:
    """Give a function that is called at the start of each stage.

    Parameters
    ----------
    names : sequence of str
        The stages, in order.
    progress : bool
        False: no bar, nowhere.

    Examples
    --------
    >>> with stages(["read", "write"], progress=False) as stage:
    ...     stage()
    ...     stage()
    """
    from tqdm import tqdm

    left = iter(names)
    with tqdm(total=len(names), unit="stage", disable=None if progress else True, leave=False) as bar:
        started = False

        def stage() -> None:
            nonlocal started
            bar.update(int(started))
            started = True
            bar.set_description(next(left))

        yield stage
