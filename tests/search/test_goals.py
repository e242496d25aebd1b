"""Kinds of goals: which samples each moves, when it is reached, and that its loss falls as the answers near it."""

import pytest
import torch

from gate.records.errors import UnexaminableError
from gate.records.evidence import Location
from gate.records.run import Run
from gate.search.goals import ClassGoal, LeaveGoal, PairGoal, Pools, goal_at
from gate.spaces.subject import Samples

LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
GOALS = [
    (ClassGoal(1), [True, False, True, True, False, True], "class 1"),
    (PairGoal(1, 2), [False, False, True, False, False, True], "pair 2→1"),
    (LeaveGoal(), [True] * 6, "None"),
    (LeaveGoal(2), [False, False, True, False, False, True], "class 2"),
]


@pytest.mark.parametrize(("goal", "moved", "place"), GOALS)
def test_a_goal_says_which_samples_it_moves_and_where_it_stands(goal, moved, place):
    """A class takes all others, a pair its source, leaving its class or all."""
    assert goal.pool(LABELS).tolist() == moved
    assert str(goal.location) == place


@pytest.mark.parametrize(("goal", "moved", "place"), GOALS)
def test_the_loss_falls_towards_the_goal(goal, moved, place):
    """What is reached by every sample has nearly no loss, and what by none has much; it is a sum over samples."""
    labels = LABELS[torch.tensor(moved)]
    to = torch.full_like(labels, goal.target) if isinstance(goal, ClassGoal) else (labels + 1) % 3
    there, still = (10 * torch.nn.functional.one_hot(classes, 3).float() for classes in (to, labels))
    assert goal.reached(there, labels).all()
    assert not goal.reached(still, labels).any()
    assert goal.loss(there, labels) < 0.01 < 5 * len(labels) < goal.loss(still, labels)
    torch.testing.assert_close(goal.loss(still, labels), sum(map(goal.loss, still.split(1), labels.split(1))))


def test_a_place_of_the_evidence_is_a_goal():
    """A class and a pair each become the goal that stands there."""
    for goal in (ClassGoal(1), PairGoal(1, 2)):
        assert goal_at(goal.location) == goal
    assert goal_at(Location.of_pair(2, 1)) == PairGoal(target=1, source=2)


def test_a_class_without_samples_cannot_be_left():
    """The reason names the class."""
    samples = Samples(torch.zeros(6, 1, 2, 2), LABELS, "s")
    with pytest.raises(UnexaminableError, match="no clean sample belongs to class 4"):
        Pools.of(None, samples, (LeaveGoal(4),), Run(seed=0))
