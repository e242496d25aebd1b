"""A detector of tokens on a trained network of words, scanned as a worker does."""

import torch

from gate.records.evidence import Measured
from gate.records.policy import Policy, Rule
from gate.records.run import Run
from gate.spaces.subject import Samples, Subject
from gate.worker.loading.fingerprint import fingerprint
from gate.worker.loop import Scanned, Scope, scan
from tests.words.tasks import sentences


def subject_of(found, count=120, *, labels=True, rows=None):
    """Return a subject with sentences that the network was not trained on."""
    rows = rows or sentences(count, found.num_classes, seed=99)
    texts, numbers = tuple(text for text, _ in rows), torch.tensor([label for _, label in rows])
    samples = Samples(found.tokens(texts), numbers if labels else None, "words", texts)
    return Subject(artifact=None, space="tokens", classifier=found, samples=samples)


def scanned(subject, *names, run=None, **options):
    """Return what a scan of these detectors leaves."""
    stated = {name: {key.replace("_", "-"): value for key, value in options.items()} for name in names}
    policy = Policy(version=1, detectors={name: Rule(options=stated[name]) for name in names})
    own = subject.classifier
    scope = Scope(runs=lambda _: True, absence="", classes=own.num_classes, fingerprint=lambda: fingerprint(own))
    return scan(subject, policy, run or Run(seed=0), scope, Scanned())


def measured(subject, name, **options):
    """Return the values of a detector by metric and place, and its notes likewise."""
    outcome = scanned(subject, name, **options).outcomes[name]
    assert isinstance(outcome, Measured), outcome
    values = {(one.metric, str(one.location)): one.value for one in outcome.measurements}
    notes = {(one.metric, str(one.location)): one.note for one in outcome.measurements}
    return values, notes
