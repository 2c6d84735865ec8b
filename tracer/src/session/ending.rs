//! The end of a run: what the records do not tell is read, and the report is made.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tracer_common::{
    ledger::Space,
    record::{Header, SpaceClosed, kind},
};

use super::{AtStart, Outcome, Session, living::Alive};
use crate::{
    capture, cgroup,
    command::reaped::{Reaped, reap},
    event::{EndReason, Ended, Event, Reading},
    failure::Failure,
    host, readings,
    report::schema::Report,
};

/// How long to wait for the kernel to free processes that have exited, for their last fault
/// counts. It does so after a grace period of RCU, some milliseconds; a zombie is never freed.
const WAIT_FOR_FREES: Duration = Duration::from_millis(100);

impl Session {
    pub(super) fn finish(
        mut self,
        reason: EndReason,
        interrupted_by: Option<i32>,
    ) -> Result<Outcome, Failure> {
        let at_ns = host::monotonic_ns();
        let mut status = None;
        if reason == EndReason::TargetEnded
            && let Some((pid, _)) = self.command.take()
        {
            let Reaped {
                status: found,
                reading,
            } = reap(pid).context("the command cannot be waited for")?;
            status = Some(found);
            self.take(Event::Reading(reading));
        }
        self.await_frees();
        self.read_others().context("the ledgers cannot be read")?;
        let mut ended = self
            .ended(at_ns, reason, status)
            .context("the ledgers cannot be read")?;
        // Whether the capture is whole is known only when the end is in it; the report tells.
        let capture = self.capture.take();
        let captured = capture.map_or(Ok(()), |capture| capture.finish(&ended));
        ended
            .doubts
            .extend(captured.as_ref().err().map(capture::failed));
        self.model.apply(Event::Ended(Box::new(ended)));
        let report = Report::of(&self.model).context("nothing was traced")?;
        Ok(Outcome {
            report,
            unfinished: self.command.map(|(pid, _)| pid),
            interrupted_by,
            captured,
        })
    }

    fn await_frees(&mut self) {
        let began = Instant::now();
        loop {
            self.fetch();
            let read = &self.live.rings.counts.read;
            let freed = read[kind::PROCESS_FREED as usize] >= read[kind::PROCESS_EXITED as usize];
            if freed || began.elapsed() >= WAIT_FOR_FREES {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Reads what the records do not tell: ledgers of living spaces and those kept back, and the
    /// target's cgroup.
    fn read_others(&mut self) -> anyhow::Result<()> {
        if self.live.ledgers.target()?.spaces > 0 {
            self.read_living()?;
        }
        for ledger in self.live.ledgers.take_closed()? {
            let header = Header {
                kind: kind::SPACE_CLOSED,
                cpu: 0,
                at_ns: ledger.closed_ns,
            };
            self.take(Event::SpaceClosed(Box::new(SpaceClosed { header, ledger })));
        }
        if self.live.rings.counts.read[kind::VICTIM as usize] > 0 {
            let reading = self.looks.log();
            self.take(Event::Reading(reading));
        }
        if let Some(reading) = self.pss.last() {
            self.take(Event::Reading(reading));
        }
        if let Some(mut followed) = self.followed.take() {
            followed.read();
            if let Some(reading) = followed.reading() {
                self.take(Event::Reading(reading));
            }
        }
        if let Some(AtStart {
            directory,
            file,
            peak_bytes: start_peak_bytes,
            strangers,
        }) = self.cgroup.take()
        {
            let reading = Reading::Cgroup {
                path: directory.display().to_string(),
                file: file.to_owned(),
                peak_bytes: cgroup::number(&directory.join(file)),
                strangers: strangers.max(self.strangers(&directory)),
                start_peak_bytes,
            };
            self.take(Event::Reading(reading));
        }
        Ok(())
    }

    /// Reads the ledgers of what still lives, and what `/proc` says of it: between two readings of
    /// the ledgers, so that a process that moved meanwhile is known to have.
    fn read_living(&mut self) -> anyhow::Result<()> {
        self.live.refresh()?;
        let before = self.live.ledgers.spaces()?;
        let seen: Vec<_> = self
            .living
            .all()
            .filter_map(|alive| Some((alive, readings::proc_memory(alive.pid, self.page_bytes)?)))
            .collect();
        self.live.refresh()?;
        self.fetch();
        let after = self.live.ledgers.spaces()?;
        let page_bytes = self.page_bytes;
        let level = |spaces: &[Space], alive: Alive| {
            let space = spaces.iter().find(|space| space.id == alive.space)?;
            Some(u64::try_from(space.level_rss).ok()? * page_bytes)
        };
        for (alive, memory) in seen {
            if let (Some(ledger_before_bytes), Some(ledger_after_bytes)) =
                (level(&before, alive), level(&after, alive))
            {
                self.take(Event::Reading(Reading::Proc {
                    pid: alive.pid,
                    vm_hwm_bytes: memory.vm_hwm_bytes,
                    vm_rss_bytes: memory.vm_rss_bytes,
                    statm_rss_bytes: memory.statm_rss_bytes,
                    ledger_before_bytes,
                    ledger_after_bytes,
                }));
            }
        }
        for space in after {
            self.take(Event::SpaceAlive(Box::new(space)));
        }
        Ok(())
    }

    fn ended(
        &mut self,
        at_ns: u64,
        reason: EndReason,
        status: Option<i32>,
    ) -> anyhow::Result<Ended> {
        let target = self.live.ledgers.target()?;
        let (stats, lost_by_cpu) = self.live.ledgers.stats()?;
        self.fetch();
        let counts = self.live.rings.counts;
        let own = readings::proc_memory(std::process::id(), self.page_bytes);
        Ok(Ended {
            at_ns,
            target,
            reason,
            command_status: status,
            emitted: stats.emitted,
            lost: stats.lost,
            lost_by_cpu,
            read: counts.read,
            undecoded: counts.undecoded,
            missed_runs: self.live.missed_runs(),
            runs: self.live.runs(),
            fault_latencies: self.live.fault_latencies()?,
            tracer_peak_rss_bytes: own.map(|memory| memory.vm_hwm_bytes),
            tracer_cpu_ns: host::cpu_ns(),
            doubts: std::mem::take(&mut self.doubts),
        })
    }
}
