"""Report jobs: run, poll, download. A job's figures are those of the moment it was run."""

from __future__ import annotations

import csv
import gzip
import io
import secrets
import time
from collections import deque
from dataclasses import dataclass, field

from sandbox.gam.network import Network
from sandbox.gam.report_table import compute
from sandbox.gam.soap import Native, fail


@dataclass
class _Job:
    """A job that was run: its finished table, and when it may say so."""

    header: list[str]
    rows: list[list[str]]
    ready_at: float
    polls_left: int
    failed: bool
    keys: list[str] = field(default_factory=list)


class ReportJobs:
    """The report jobs of a running sandbox; they do not outlive its process. Guarded by the network's lock."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._jobs: dict[int, _Job] = {}
        self._downloads: dict[str, tuple[int, bool]] = {}
        self._started: deque[float] = deque()

    def run(self, job: Native) -> Native:
        """Start a job; it is computed at once and reported as ready later.

        Raises:
            ApiFaultError: ReportError for a bad query, QuotaError.REPORT_JOB_LIMIT.
        """
        network = self._network
        query = job.get("reportQuery")
        if query is None:
            fail("RequiredError", "REQUIRED", "reportJob.reportQuery")
        self._check_quota()
        header, rows = compute(network, query)
        failed = network.faults.strikes("report_failed", "runReportJob", write=True) is not None
        job_id = network.tables["ReportJob"].new_id()
        self._jobs[job_id] = _Job(
            header,
            rows,
            time.monotonic() + network.settings.report_seconds,
            network.settings.report_polls,
            failed,
        )
        return {"id": job_id, "reportQuery": query}

    def status(self, job_id: int) -> str:
        """IN_PROGRESS, COMPLETED or FAILED; a FAILED job gives no reason, as the vendor's."""
        job = self._job(job_id)
        if job.polls_left > 0 or time.monotonic() < job.ready_at:
            job.polls_left = max(0, job.polls_left - 1)
            return "IN_PROGRESS"
        return "FAILED" if job.failed else "COMPLETED"

    def download_url(self, job_id: int, options: Native, address: str) -> str:
        """A URL from which the report can be fetched without a token."""
        job = self._job(job_id)
        if job.failed or job.polls_left > 0 or time.monotonic() < job.ready_at:
            fail("ReportError", "INVALID_OPERATION_FOR_REPORT_STATE", "reportJobId", job_id)
        export = options.get("exportFormat", "CSV_DUMP")
        if export != "CSV_DUMP":
            fail("ReportError", "DEFAULT", "reportDownloadOptions.exportFormat", f"this sandbox writes no {export}")
        key = secrets.token_urlsafe(16)
        job.keys.append(key)
        self._downloads[key] = job_id, bool(options.get("useGzipCompression", True))
        return f"{address}/reports/{key}"

    def file(self, key: str) -> bytes | None:
        """The file of a download URL, None for an unknown one. Written outside the lock: the table never changes."""
        found = self._downloads.get(key)
        if found is None:
            return None
        job = self._jobs[found[0]]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(job.header)
        writer.writerows(job.rows)
        content = text.getvalue().encode()
        return gzip.compress(content, compresslevel=1) if found[1] else content

    def _job(self, job_id: int) -> _Job:
        job = self._jobs.get(job_id)
        if job is None:
            fail("ReportError", "REPORT_NOT_FOUND", "reportJobId", job_id)
        return job

    def _check_quota(self) -> None:
        now = time.monotonic()
        while self._started and self._started[0] <= now - 3600:
            self._started.popleft()
        if len(self._started) >= self._network.settings.report_jobs_per_hour:
            fail("QuotaError", "REPORT_JOB_LIMIT", "")
        self._started.append(now)
