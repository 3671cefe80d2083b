"""The names by which a checkpoint knows an answer that is offered to it."""

from collections.abc import Callable, Sequence

from geochat.prompts.phrases import _kinds, _place, _without_determiners, canonical, normalise


def aliases_of(choice: str, known: Sequence[str]) -> tuple[str, ...]:
    """The names in `known` that an offered answer stands for; none where nothing does.

    Tried in this order: the same words; the same noun by plural or synonym; the same kind of place, of which there may
    be several ("residential" stands for "dense residential" and "sparse residential").
    """
    noun = _without_determiners(choice)
    tests: tuple[Callable[[str], bool], ...] = (
        lambda name: normalise(name) == normalise(choice),
        lambda name: canonical(name) == canonical(noun),
        lambda name: _place(name) == _place(noun),
        lambda name: bool(_kinds(_place(name)) & _kinds(_place(noun))),
    )
    found = (tuple(name for name in known if fits(name)) for fits in tests)
    return next((names for names in found if names), ())
