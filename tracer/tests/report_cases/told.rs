//! What the session adds to the records of a made-up run: beginning, readings and end.

use memtrace::{
    event::{Begun, EndReason, Ended, Event, Hook, Reading},
    latency::FaultLatency,
    model::Model,
    report::schema::Report,
};

use crate::run::{PAGE, Run, START};

impl Run {
    /// Another instrument speaks.
    pub(crate) fn read(&mut self, reading: Reading) -> &mut Self {
        self.events.push(Event::Reading(reading));
        self
    }

    /// `wait4` of the command.
    pub(crate) fn wait4(&mut self, pages: u64, minor_faults: u64) -> &mut Self {
        let max_rss_bytes = pages * PAGE.unsigned_abs();
        self.read(Reading::Wait4 {
            pid: 4242,
            max_rss_bytes,
            minor_faults,
            major_faults: 0,
        })
    }

    /// The beginning, as the session tells it.
    pub(crate) fn begun(&self) -> Begun {
        Begun {
            tells_syscalls: false,
            counts_once: true,
            max_peak_bytes: None,
            fault_latency: FaultLatency::NotAsked,
            functions: Vec::new(),
            tool_version: "0.1.0".into(),
            bpf_sha256: "00".repeat(32),
            kernel: "6.18.0".into(),
            arch: "x86_64".into(),
            cpus: 2,
            page_bytes: PAGE.unsigned_abs(),
            cgroup: "v2".into(),
            target: self.asked.clone(),
            started_at: "2025-11-22T13:40:00Z".into(),
            start_ns: START,
            quantum_bytes: (self.quantum * PAGE).unsigned_abs(),
            quantum_grows: true,
            hooks: vec![Hook {
                subject: "rss".into(),
                via: "tp_btf/rss_stat".into(),
            }],
            doubts: Vec::new(),
        }
    }

    /// The end, as the session tells it.
    pub(crate) fn ended(&self, reason: EndReason, command_status: Option<i32>) -> Ended {
        let mut read = self.emitted;
        for (read, lost) in read.iter_mut().zip(self.lost) {
            *read -= lost;
        }
        Ended {
            at_ns: self.now,
            target: self.target,
            reason,
            command_status,
            emitted: read,
            lost: self.lost,
            runs: None,
            lost_by_cpu: vec![self.lost.iter().sum(), 0],
            read,
            undecoded: 0,
            fault_latencies: None,
            missed_runs: Some(std::collections::BTreeMap::new()),
            tracer_peak_rss_bytes: Some(31 << 20),
            tracer_cpu_ns: 20_000_000,
            doubts: Vec::new(),
        }
    }

    /// All events in order, with beginning and end around them and what is still alive told.
    pub(crate) fn events(&self, ended: Ended) -> Vec<Event> {
        let alive = self
            .spaces
            .values()
            .map(|space| Event::SpaceAlive(Box::new(*space)));
        let mut events = vec![Event::Begun(Box::new(self.begun()))];
        events.extend(self.events.iter().cloned());
        events.extend(alive);
        events.push(Event::Ended(Box::new(ended)));
        events
    }

    /// The report when all has ended.
    pub(crate) fn report(&self, command_status: i32) -> Report {
        report(self.events(self.ended(EndReason::TargetEnded, Some(command_status))))
    }
}

/// The report of events.
pub(crate) fn report(events: impl IntoIterator<Item = Event>) -> Report {
    let mut model = Model::new();
    for event in events {
        model.apply(event);
    }
    Report::of(&model).expect("it has a beginning")
}
