"""`python -m simulation`: run seeds, replay one, walk the whole space of single faults, or set the mutants loose.

The last line is one JSON object: seeds, schedules_per_s, simulated_days, duplicates, lost, violations, mutants,
mutants_caught, median_seeds_to_catch. After random seeds every mutant is run once more on the seed on record that caught it;
`--mutants` searches all of them anew. Exit status 1 when a promise was broken, a mutant survived, a census missed a duplicate
or a schedule with broken timing ended early; 2 for arguments that mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from cli.demo.signals import stopping_on_signals
from simulation import campaign, upheaval
from simulation.campaign import Figures
from simulation.catching import Catch, catch_all, catch_all_again, named, record
from simulation.mutants import ALL_MUTANTS
from simulation.schedule import Report, generate, run, schedule_from
from simulation.shrinking import shrink


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more; nothing would be run")
    return number


def _mutant(name: str) -> str:
    try:
        return named(name).name
    except KeyError:
        known = ", ".join(sorted(mutant.name for mutant in ALL_MUTANTS))
        raise argparse.ArgumentTypeError(f"there is no broken engine {name!r}; there are: {known}") from None


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulation", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=_positive, default=None, help="how many schedules (2000; 0 with other suites)")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=_positive, default=max(1, (os.cpu_count() or 2) - 1), help="processes")
    parser.add_argument("--backwards", action="store_true", help="the seeds from the last to the first")
    parser.add_argument("--hashes", action="store_true", help="tell the hash of each seed's event log in the last line")
    parser.add_argument(
        "--json", action="store_true", help="only the last line on standard output, all else on standard error"
    )
    parser.add_argument("--mutants", action="store_true", help="set every broken engine loose until it is caught")
    parser.add_argument(
        "--mutant",
        action="append",
        default=[],
        type=_mutant,
        help="only this one; may be repeated; with --replay: under it",
    )
    parser.add_argument("--record", action="store_true", help="with --mutants: keep the seeds that caught them")
    parser.add_argument("--engine-only", action="store_true", help="after random seeds no broken engines: they count 0")
    parser.add_argument("--most", type=_positive, default=500, help="seeds that a mutant may survive")
    parser.add_argument(
        "--upheavals",
        action="store_true",
        help="the seeds with counts, comparisons, backups and restores in between, and without the broken engines; also --replay",
    )
    parser.add_argument("--exhaustive", action="store_true", help="every single fault at every point of a short story")
    parser.add_argument(
        "--pairs",
        action="store_true",
        help="with --exhaustive: the single faults, then each with every fate of the first call of the next settling and push",
    )
    parser.add_argument("--every", type=_positive, default=1, help="with --exhaustive: only each n-th of them")
    parser.add_argument(
        "--timing", type=_positive, default=0, metavar="N", help="N schedules whose vendors break their timing"
    )
    parser.add_argument(
        "--replay", metavar="SEED", help="run one seed, or one schedule from a file of JSON, with its log"
    )
    parser.add_argument(
        "--shrink", action="store_true", help="with --replay: find the shortest schedule that fails alike"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; returns the exit status."""
    asked = _arguments(arguments)
    if asked.replay is not None:
        with ExitStack() as stack:
            for name in asked.mutant:
                stack.enter_context(named(name).at_work())
            return _replay(asked.replay, shrinking=asked.shrink, upheavals=asked.upheavals)
    other = asked.mutants or asked.mutant or asked.exhaustive or asked.timing
    seeds = asked.seeds if asked.seeds is not None else 0 if other else 2000

    def say(text: str) -> None:
        print(text, flush=True, file=sys.stderr if asked.json else sys.stdout)

    figures = Figures()
    if seeds:
        figures = campaign.run_seeds(
            asked.start,
            seeds,
            asked.jobs,
            lambda report, so_far: _tell(say, report, so_far, asked.upheavals),
            backwards=asked.backwards,
            upheavals=asked.upheavals,
        )
    answer = figures.as_dict()
    failed = bool(figures.failures)
    if asked.exhaustive:
        walked = campaign.run_exhaustive(asked.jobs, asked.every, pairs=asked.pairs)
        say(f"exhaustive: {walked.seeds} schedules")
        for number, violations in walked.failures.items():
            say(f"the {number}th of them: {violations[0]}")
        answer["exhaustive"] = walked.as_dict()
        for name in ("duplicates", "lost", "violations"):
            answer[name] += answer["exhaustive"][name]
        failed = failed or bool(walked.failures)
    if asked.hashes:
        answer["hashes"] = dict(sorted(figures.hashes.items()))
    caught: list[Catch] = []
    if asked.mutants or asked.mutant:
        chosen = [mutant for mutant in ALL_MUTANTS if not asked.mutant or mutant.name in asked.mutant]
        for catch in catch_all(chosen, asked.start, asked.most, asked.jobs):
            caught.append(catch)
            say(str(catch))
        if asked.record:
            record(caught)
    elif seeds and not asked.engine_only and not asked.upheavals:
        for catch in catch_all_again(ALL_MUTANTS, asked.most, asked.jobs):
            caught.append(catch)
            if catch.invariant is None:
                say(str(catch))
    if asked.timing:
        answer["timing"] = campaign.run_timing(asked.start, asked.timing, asked.jobs)
        for number, sentence in answer["timing"]["ended_early"].items():
            say(f"timing: schedule {number} ended early: {sentence}")
        failed = failed or bool(answer["timing"]["undetected"] or answer["timing"]["ended_early"])
    found = [catch.seeds for catch in caught if catch.invariant is not None]
    answer["mutants"] = len(caught)
    answer["mutants_caught"] = len(found)
    answer["median_seeds_to_catch"] = statistics.median(found) if found else None
    _details(say, figures)
    print(json.dumps(answer))
    return 1 if failed or len(found) < len(caught) else 0


def _tell(say: Callable[[str], None], report: Report, figures: Figures, upheavals: bool) -> None:
    if report.violations:
        more = " --upheavals" if upheavals else ""
        say(f"seed {report.seed}: {report.violations[0]}")
        say(f"  replay it with: python -m simulation --replay {report.seed}{more}   (shortest form: --shrink)")
    if figures.seeds % 100 == 0:
        say(f"{figures.seeds} schedules, {len(figures.failures)} failed")


def _details(say: Callable[[str], None], figures: Figures) -> None:
    for title, counted in (("faults by kind", figures.faults), ("how verbs ended", figures.endings)):
        if counted:
            say(f"{title}: {', '.join(f'{name} {count}' for name, count in Counter(counted).most_common())}")


def _replay(what: str, *, shrinking: bool, upheavals: bool) -> int:
    if what.isdigit():
        schedule = upheaval.schedule(int(what)) if upheavals else generate(int(what))
    else:
        with open(what, encoding="utf-8") as file:
            schedule = schedule_from(file.read())
    with campaign.server() as postgres, campaign.arena(postgres) as arena:
        report = run(arena, schedule, keep_log=not shrinking)
        if shrinking and report.violations:
            schedule, _ = shrink(arena, schedule, report)
            report = run(arena, schedule, keep_log=True)
            print(f"terms: {schedule.terms}")
            for step in schedule.steps:
                print(f"  {step}")
        print("\n".join(report.lines))
        if shrinking and report.violations:
            print(f"as a file for --replay: {schedule.to_json()}")
    for violation in report.violations:
        print(violation)
    print(json.dumps({"seed": report.seed, "log_hash": report.log_hash, "violations": len(report.violations)}))
    return 1 if report.violations else 0


if __name__ == "__main__":
    with stopping_on_signals():
        sys.exit(main())
