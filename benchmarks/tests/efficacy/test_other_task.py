from benchmarks.efficacy.other_task import Compared, report

LEVEL = 0.05


def row(number, *, backdoored=False, p=0.5, alike=True, bank="zoo fashion"):
    """Return a model of digits beside a bank."""
    return Compared(f"m{number}", "digits", backdoored, bank, 1 / p, p, alike)


def test_rates_are_of_each_bank_and_of_the_models_that_are_like_its_own():
    """Clean and backdoored models are counted apart; those unlike the bank's are left out of the last two columns."""
    rows = [row(0, p=0.05), row(1, p=0.04, alike=False), row(2), row(3, backdoored=True, p=0.01)]
    head, _, _, line, every = report([*rows, row(0, bank="zoo colour")], LEVEL).splitlines()
    assert head.startswith("| bank | models of | clean flagged |")
    assert line.startswith("| zoo fashion | digits | 2 of 3, 67% [9%, 99%] | 1 of 1, 100%")
    assert line.endswith("| 1 | 1 of 2 | 1 of 1 |")
    assert every == "| all | all | 2 of 4 | 1 of 1 | – | 1 of 3 | 1 of 1 |"


def test_a_bank_beside_which_no_backdoored_model_stood_has_no_curve():
    """An area needs both kinds."""
    assert report([row(0)], LEVEL).splitlines()[2].endswith("| – | – | 0 of 1 | – |")
