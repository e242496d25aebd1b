"""The attacks: one file each, found by its presence; every module has one value `ATTACK`."""

import importlib
import pkgutil

from benchmarks.zoo.attack import Attack


def _found() -> dict[str, Attack]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    attacks = [importlib.import_module(f"{__name__}.{name}").ATTACK for name in names]
    return {attack.id: attack for attack in attacks}


ATTACKS: dict[str, Attack] = _found()
