"""When mAP is due, which weights are best, when patience ends: by hand from upstream's rules."""

import math

from darknet_kit.engine.torch.training.selection import Selection


def test_the_first_is_due_after_burn_in_and_the_next_by_epochs() -> None:
    selection = Selection(every=150, burn_in=1000, start=0)
    assert selection.next_at == 1000
    selection.note(1000, 0.1)
    assert selection.next_at == 1150


def test_there_are_a_hundred_iterations_between_two_at_least() -> None:
    selection = Selection(every=7, burn_in=0, start=300)
    assert selection.next_at == 400


def test_of_equal_weights_the_later_are_best() -> None:
    selection = Selection(every=100, burn_in=0, start=0)
    assert [selection.note(n, value) for n, value in enumerate((0.2, 0.5, 0.5, 0.4))] == [
        True,
        True,
        True,
        False,
    ]
    assert selection.best == 0.5


def test_a_loss_is_best_where_it_is_least_and_nan_never_is() -> None:
    selection = Selection(every=100, burn_in=0, start=0, smaller_is_better=True)
    values = (math.nan, 3.0, 2.0, math.nan, 2.5, 1.0)
    assert [selection.note(n, value) for n, value in enumerate(values)] == [
        False,
        True,
        True,
        False,
        False,
        True,
    ]


def test_patience_counts_failures_in_a_row() -> None:
    selection = Selection(every=100, burn_in=0, start=0, patience=2)
    hopeless = []
    for number, value in enumerate((0.3, 0.2, 0.4, 0.4, 0.1)):
        selection.note(number, value)
        hopeless.append(selection.is_hopeless)
    # 0.2 fails once, 0.4 succeeds; the same again and 0.1 are two failures.
    assert hopeless == [False, False, False, False, True]


def test_without_patience_it_never_ends() -> None:
    selection = Selection(every=100, burn_in=0, start=0)
    for number in range(50):
        selection.note(number, 1.0 - number / 100)
    assert not selection.is_hopeless


def test_it_goes_on_from_what_was_kept() -> None:
    first = Selection(every=100, burn_in=0, start=0, patience=2)
    first.note(100, 0.5)
    first.note(200, 0.4)
    second = Selection(every=100, burn_in=0, start=200, patience=2)
    second.restore(first.numbers())
    assert (second.best, second.last, second.next_at) == (0.5, 0.4, 300)
    assert not second.note(300, 0.45)
    assert second.is_hopeless
