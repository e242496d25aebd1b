"""A worker process: read the job, enter the jail, do the work, save the result."""

import hashlib
import sys
from pathlib import Path

from gate.jail import IsolationError, JailSpec, enter, gpu_devices, interpreter_paths, source_roots
from gate.records.job import JAIL_REFUSED, JOB_CHANGED, JOB_FILE, ScanJob
from gate.records.record import read_bounded

MAX_RESULT_BYTES = 256 << 20
OPEN_FILES = 256


def main() -> int:
    """Run the job in the scratch directory of the first argument; the exit code carries no verdict.

    The second argument is the sha256 of the job, which contains policy and bank.
    """
    scratch = Path(sys.argv[1]).resolve()
    raw = read_bounded(scratch / JOB_FILE)
    if (found := hashlib.sha256(raw).hexdigest()) != sys.argv[2]:
        print(f"the job changed before it was read: written sha256:{sys.argv[2]}, read sha256:{found}", file=sys.stderr)
        return JOB_CHANGED
    job = ScanJob.from_json(raw, what=JOB_FILE)
    try:
        isolation = enter(_spec(job, scratch), least=job.least_isolation)
    except IsolationError as error:
        print(error, file=sys.stderr)
        return JAIL_REFUSED
    # Imported only now: the jail binds the calling thread, and torch starts others.
    from gate.worker import roles

    roles.run(job, scratch, isolation=str(isolation))
    return 0


def _spec(job: ScanJob, scratch: Path) -> JailSpec:
    return JailSpec(
        readable=(*interpreter_paths(), *job.reads),
        listable=source_roots(),
        writable=(scratch,),
        devices=gpu_devices() if job.may_use_gpu else (),
        # Processor time over all threads: a generous bound behind the parent's wall-clock deadline.
        cpu_seconds=int(job.deadline_seconds * 256) + 60,
        file_size_bytes=MAX_RESULT_BYTES
        + (2 * job.manifest.size_bytes if job.role in ("converter", "writer", "repairer", "trainer") else 0)
        + (Path(job.left_path).stat().st_size if job.left_path else 0),
        address_space_bytes=job.memory_bytes if job.device == "cpu" or not gpu_devices() else None,
        open_files=OPEN_FILES,
    )


if __name__ == "__main__":
    sys.exit(main())
