"""`python -m sandbox gam`: the sandbox as a process of its own."""

from __future__ import annotations

from dataclasses import replace

from sandbox.gam.contract import known_versions
from sandbox.gam.service import create_app
from sandbox.gam.settings import Settings
from sandbox.serving import process_arguments, run_process


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM; the exit code."""
    default = Settings()
    parser = process_arguments("gam")
    parser.add_argument("--version", default=default.version, choices=known_versions(), help="API version to serve")
    parser.add_argument("--network-code", default=default.network_code)
    parser.add_argument("--time-zone", default=default.time_zone, help="IANA zone of the network")
    parser.add_argument(
        "--secondary-currencies",
        default=",".join(default.secondary_currencies),
        help="currencies besides USD that lines may be priced in, comma-separated",
    )
    parser.add_argument("--report-polls", type=int, default=default.report_polls, help="polls until a report is ready")
    parser.add_argument("--report-jobs-per-hour", type=int, default=default.report_jobs_per_hour)
    parser.add_argument("--token-seconds", type=int, default=default.token_seconds)
    parser.add_argument("--daily-impressions", type=int, default=default.daily_impressions)
    given = parser.parse_args(arguments)
    settings = replace(
        default,
        version=given.version,
        network_code=given.network_code,
        time_zone=given.time_zone,
        secondary_currencies=tuple(filter(None, given.secondary_currencies.split(","))),
        report_polls=given.report_polls,
        report_jobs_per_hour=given.report_jobs_per_hour,
        token_seconds=given.token_seconds,
        daily_impressions=given.daily_impressions,
    )
    return run_process(create_app(settings, clock=given.clock, state_file=given.state), port=given.port)
