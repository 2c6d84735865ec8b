//! The report of a run without privileges: what looks at `/proc` found, in the shape of every
//! report, with all that cannot be known left out and said. Pure.
//!
//! What can be stated. A look at one process is a level that it had, but for what the kernel holds
//! back; its `VmHWM` and the `ru_maxrss` of the command are levels that one process had, which
//! nobody needs to have looked at. So the peak is at least the highest of these. A sum over
//! several processes is no such bound: they are read one after the other. Above, only the kernel's
//! marks can tell, and only if there was one process with one thread: if nothing was started on
//! the whole machine while the command ran.

mod certainty;

use tracer_common::ledger::Split;

use super::{
    schema::{
        Budget, Check, ClassPoint, ClassTimeline, CountedOnce, Exit, Histograms, Host, Overhead,
        ProcessRow, Report, RowPeak, SCHEMA, TargetPeak, TargetSection, Timeline, Tool, Verdict,
    },
    scope::slack_pages,
};
use crate::{
    event::{EndReason, TargetAsked},
    model::timeline::Point,
    sampler::watcher::{Watched, Watcher},
};

/// Name of the doubt that every such report has.
pub const DOUBT: &str = "sampled";

/// What memtrace's own process may touch on its way from being read to its exec, bytes: paths, the
/// user database. More than it does.
const HOLDER_GROWS: u64 = 4 << 20;

/// All that is known of such a run.
pub struct Run {
    /// Who made it.
    pub tool: Tool,
    /// Where.
    pub host: Host,
    /// The command.
    pub argv: Vec<String>,
    /// Its PID.
    pub pid: u32,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// `CLOCK_MONOTONIC` at the start and at the end, nanoseconds.
    pub times_ns: (u64, u64),
    /// How the command ended, and why the looking did.
    pub exit: Option<Exit>,
    /// See `exit`.
    pub ended_by: EndReason,
    /// What was seen.
    pub watcher: Watcher,
    /// How often it was to look, nanoseconds.
    pub every_ns: u64,
    /// How much the peak may be, bytes.
    pub max_peak_bytes: Option<u64>,
    /// `ru_maxrss` of the command as `wait4` gives it, bytes; `None` if it was not reaped.
    pub max_rss_bytes: Option<u64>,
    /// What memtrace's own process held that became the command, bytes: `ru_maxrss` has it too.
    pub holder_bytes: u64,
    /// Processes and threads that the machine started meanwhile; `None` if it does not tell.
    pub forks: Option<u64>,
    /// The memory cgroup: its file, how many others are in it, its mark before and after.
    pub cgroup: Option<(String, u32, Option<u64>, Option<u64>)>,
    /// What memtrace itself took: peak and CPU time.
    pub own: (Option<u64>, u64),
}

/// What the figures come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    /// The peak as far as it is known.
    told: i64,
    least: i64,
    most: Option<i64>,
}

/// From the highest sum of one look, the highest figure of any one process, and whether there can
/// have been only one, all in bytes.
fn bounds(sum: i64, one: i64, is_one: bool, slack: i64) -> Bounds {
    let told = sum.max(one);
    // With one process every sum is a figure of it.
    let sure = if is_one { told } else { one };
    Bounds {
        told,
        least: (sure - slack).max(0),
        most: is_one.then_some(told + slack),
    }
}

impl Run {
    fn since(&self, ns: u64) -> u64 {
        ns.saturating_sub(self.times_ns.0)
    }

    fn bytes(&self, pages: i64) -> i64 {
        pages.saturating_mul(self.host.page_bytes.cast_signed())
    }

    fn slack(&self) -> i64 {
        self.bytes(slack_pages(self.host.cpus))
    }

    /// `ru_maxrss` of the command, if it cannot be what memtrace's own process held before.
    fn own_mark(&self) -> Option<i64> {
        let bytes = self.max_rss_bytes?.cast_signed();
        let before = self.holder_bytes.saturating_add(HOLDER_GROWS).cast_signed();
        (bytes > before + self.slack()).then_some(bytes)
    }

    fn bounds(&self) -> Option<Bounds> {
        let watcher = &self.watcher;
        let sum = watcher
            .highest
            .map(|(level, _)| self.bytes(level.split.rss()));
        let marks = watcher.processes.values().flat_map(|process| {
            [
                process.mark_bytes.cast_signed(),
                self.bytes(process.highest.split.rss()),
            ]
        });
        let one = marks.chain(self.own_mark()).max();
        // Only a mark read after the end is sure to be of all the time.
        let is_one = self.forks == Some(0) && self.max_rss_bytes.is_some();
        let all_marks = match is_one {
            true => one.max(self.max_rss_bytes.map(u64::cast_signed)),
            false => one,
        };
        let found = bounds(sum.unwrap_or(0), one.or(sum)?, is_one, self.slack());
        Some(Bounds {
            most: found
                .most
                .zip(all_marks)
                .map(|(most, mark)| most.max(mark + self.slack())),
            ..found
        })
    }

    /// The report.
    pub fn report(self) -> Report {
        let bounds = self.bounds();
        let peak = bounds.map(|bounds| self.peak(bounds));
        let certainty = self.certainty(bounds);
        let budget = self.max_peak_bytes;
        let points = self.watcher.history.points();
        let processes = self.watcher.processes.iter();
        let processes: Vec<_> = processes.map(|(pid, of)| self.row(*pid, of)).collect();
        Report {
            schema: SCHEMA,
            target: TargetSection {
                asked: TargetAsked::Command {
                    argv: self.argv.clone(),
                    pid: self.pid,
                    follow: true,
                },
                cgroup: None,
                container: None,
                processes_seen: processes.len() as u64,
                spaces_seen: processes.len() as u64,
                processes_alive: u64::from(self.exit.is_none()),
                end_rss_bytes: None,
            },
            started_at: self.started_at.clone(),
            duration_ns: self.since(self.times_ns.1),
            ended_by: Some(self.ended_by),
            exit: self.exit,
            budget: budget.map(|bytes| Budget::of(bytes, peak.as_ref(), &certainty)),
            certainty,
            timeline: Timeline {
                unit: ["ns", "bytes"],
                points: points
                    .iter()
                    .map(|point| (self.since(point.at_ns), self.bytes(point.pages.rss())))
                    .collect(),
            },
            timeline_by_class: self.by_class(&points),
            checks: peak
                .iter()
                .flat_map(|peak| self.checks(peak.rss_bytes))
                .collect(),
            peak,
            counted_once: CountedOnce {
                was_asked: false,
                bytes: None,
                error_bound_bytes: None,
                reading: None,
                why: "Samples of /proc tell no sum of PSS.".to_owned(),
            },
            refusals: None,
            processes,
            folded: Vec::new(),
            phases: Vec::new(),
            phase_summary: Vec::new(),
            calls: None,
            calls_not_kept: 0,
            histograms: Histograms {
                rss_time_at_level: None,
                mmap_bytes: None,
                munmap_bytes: None,
                brk_bytes: None,
                fault_ns: None,
                process_lifetime: None,
                process_peak: None,
            },
            cgroup: None,
            oom: Vec::new(),
            count_checks: Vec::new(),
            overhead: Overhead {
                hook_runs: None,
                bpf_ns: None,
                tracer_peak_rss_bytes: self.own.0,
                tracer_cpu_ns: Some(self.own.1),
            },
            tool: self.tool,
            host: self.host,
        }
    }

    fn peak(&self, bounds: Bounds) -> TargetPeak {
        // Where a mark is higher than any look, nobody saw when that was, or what it was made of.
        let seen = self
            .watcher
            .highest
            .filter(|(level, _)| self.bytes(level.split.rss()) == bounds.told);
        let class = |of: fn(&Split) -> i64| seen.map(|(level, _)| self.bytes(of(&level.split)));
        TargetPeak {
            rss_bytes: bounds.told,
            at_ns: seen.map(|(level, _)| self.since(level.at_ns)),
            anon_bytes: class(|split| split.anon),
            file_bytes: class(|split| split.file),
            shmem_bytes: class(|split| split.shmem),
            swap_bytes: class(|split| split.swap),
            pagetable_bytes: None,
            hugetlb_bytes: None,
            processes: seen.map(|(_, count)| count),
            spaces: None,
            phase: None,
        }
    }

    fn row(&self, pid: u32, of: &Watched) -> ProcessRow {
        let split = of.highest.split;
        let seen = self.bytes(split.rss());
        let is_seen = seen >= of.mark_bytes.cast_signed();
        let class = |pages: i64| is_seen.then_some(self.bytes(pages));
        let points = of.history.points();
        ProcessRow {
            pid: Some(pid),
            pid_inside: None,
            image: 0,
            space: None,
            shares_space_with: None,
            parent_pid: of.parent,
            comm: of.comm.clone(),
            argv: of.argv.clone(),
            argv_cut: false,
            start_ns: Some(self.since(of.first_ns)),
            end_ns: Some(self.since(of.last_ns)),
            exit: self.exit.filter(|_| pid == self.pid),
            start_rss_bytes: None,
            end_rss_bytes: None,
            peak: Some(RowPeak {
                rss_bytes: seen.max(of.mark_bytes.cast_signed()),
                at_ns: is_seen.then(|| self.since(of.highest.at_ns)),
                anon_bytes: class(split.anon),
                file_bytes: class(split.file),
                shmem_bytes: class(split.shmem),
                swap_bytes: class(split.swap),
                pagetable_bytes: None,
                hugetlb_bytes: None,
            }),
            peak_vm_bytes: None,
            vm: None,
            syscalls: None,
            faults: None,
            time_at_level: None,
            timeline: self.by_class(&points),
            checks: Vec::new(),
        }
    }

    fn by_class(&self, points: &[Point<Split>]) -> ClassTimeline {
        let points = points.iter().map(|point| ClassPoint {
            at_ns: self.since(point.at_ns),
            anon_bytes: self.bytes(point.pages.anon),
            file_bytes: self.bytes(point.pages.file),
            shmem_bytes: self.bytes(point.pages.shmem),
            swap_bytes: self.bytes(point.pages.swap),
        });
        ClassTimeline {
            unit: ClassTimeline::UNIT,
            points: points.collect(),
        }
    }

    fn checks(&self, peak: i64) -> Vec<Check> {
        let check = |against: String, bytes: u64, verdict, why: String| Check {
            against: against.into(),
            bytes: Some(bytes),
            diff_bytes: Some(bytes.cast_signed() - peak),
            verdict,
            why: why.into(),
        };
        let waited = self.max_rss_bytes.map(|bytes| {
            let is_near = peak - bytes.cast_signed() <= self.slack();
            let (verdict, why) = match bytes.cast_signed().cmp(&peak) {
                std::cmp::Ordering::Equal => (Verdict::Equal, "The same to the byte."),
                std::cmp::Ordering::Less if is_near => (
                    Verdict::KernelLow,
                    "The kernel leaves out what was counted but not yet handed in.",
                ),
                std::cmp::Ordering::Less => (
                    Verdict::CoversLess,
                    "It is the largest single process's, never a sum.",
                ),
                std::cmp::Ordering::Greater => (
                    Verdict::Inherited,
                    "It may be what memtrace's own process held before it became the command.",
                ),
            };
            check(
                "ru_maxrss (wait4)".to_owned(),
                bytes,
                verdict,
                why.to_owned(),
            )
        });
        let cgroup = self
            .cgroup
            .as_ref()
            .map(|(file, strangers, before, after)| {
                super::checks::shared_cgroup(file, *after, *strangers, *before, peak)
            });
        waited.into_iter().chain(cgroup).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_processes_have_no_bound_above_and_no_sum_below() {
        let several = bounds(1_000, 700, false, 50);
        let expected = Bounds {
            told: 1_000,
            least: 650,
            most: None,
        };
        assert_eq!(several, expected);
        // The mark of one may be more than any look found.
        assert_eq!(bounds(100, 700, false, 50).told, 700);
    }

    #[test]
    fn one_process_is_bounded_by_its_mark() {
        let one = bounds(100, 700, true, 50);
        let expected = Bounds {
            told: 700,
            least: 650,
            most: Some(750),
        };
        assert_eq!(one, expected);
    }
}
