//! The run as a Perfetto trace: for each process a track with a slice for every program that it
//! ran and a counter for each class of memory; the same counters for the whole target. Phases are
//! slices on tracks of their own, below those.

mod phases;
mod wire;

use std::{collections::BTreeMap, io};

use self::wire::Message;
use crate::{
    report::schema::{ClassPoint, PhaseScope, ProcessRow, Report},
    units::Bytes,
};

/// Numbers of the fields in perfetto's `trace_packet.proto` and what that includes.
mod field {
    pub(super) const PACKET: u32 = 1;
    pub(super) mod packet {
        pub(in super::super) const TIMESTAMP: u32 = 8;
        pub(in super::super) const SEQUENCE: u32 = 10;
        pub(in super::super) const EVENT: u32 = 11;
        pub(in super::super) const SEQUENCE_FLAGS: u32 = 13;
        pub(in super::super) const TRACK: u32 = 60;
    }
    pub(super) mod track {
        pub(in super::super) const UUID: u32 = 1;
        pub(in super::super) const NAME: u32 = 2;
        pub(in super::super) const PROCESS: u32 = 3;
        pub(in super::super) const THREAD: u32 = 4;
        pub(in super::super) const PARENT: u32 = 5;
        pub(in super::super) const COUNTER: u32 = 8;
    }
    pub(super) mod process {
        pub(in super::super) const PID: u32 = 1;
        pub(in super::super) const COMMAND_LINE: u32 = 2;
        pub(in super::super) const NAME: u32 = 6;
    }
    pub(super) mod thread {
        pub(in super::super) const PID: u32 = 1;
        pub(in super::super) const TID: u32 = 2;
    }
    pub(super) mod counter {
        pub(in super::super) const UNIT: u32 = 3;
    }
    pub(super) mod event {
        pub(in super::super) const ANNOTATION: u32 = 4;
        pub(in super::super) const KIND: u32 = 9;
        pub(in super::super) const TRACK: u32 = 11;
        pub(in super::super) const CATEGORY: u32 = 22;
        pub(in super::super) const NAME: u32 = 23;
        pub(in super::super) const COUNTER_VALUE: u32 = 30;
    }
    pub(super) mod annotation {
        pub(in super::super) const INT: u32 = 4;
        pub(in super::super) const TEXT: u32 = 6;
        pub(in super::super) const NAME: u32 = 10;
    }
}

const SEQUENCE: u64 = 1;
const STATE_CLEARED: u64 = 1;
const UNIT_BYTES: u64 = 3;
const SLICE_BEGIN: u64 = 1;
const SLICE_END: u64 = 2;
const INSTANT: u64 = 3;
const COUNTER: u64 = 4;

/// Tracks of the target; those of processes follow, [`TRACKS_EACH`] numbers for each.
const TARGET: u64 = 1;
const TARGET_RSS: u64 = 2;
const TRACKS_EACH: u64 = 16;

/// A counter and what it shows.
type Class = (&'static str, fn(&ClassPoint) -> i64);

/// Counters below a process. Perfetto knows these names from Android.
const CLASSES: [Class; 5] = [
    ("mem.rss", |point| point.rss_bytes()),
    ("mem.rss.anon", |point| point.anon_bytes),
    ("mem.rss.file", |point| point.file_bytes),
    ("mem.rss.shmem", |point| point.shmem_bytes),
    ("mem.swap", |point| point.swap_bytes),
];

/// Writes the trace. Its clock starts with the tracing.
pub fn write(report: &Report, out: &mut impl io::Write) -> io::Result<()> {
    let mut trace = Trace { out };
    trace.begin()?;
    target(report, &mut trace)?;
    let mut processes: BTreeMap<Option<u32>, Vec<&ProcessRow>> = BTreeMap::new();
    for row in &report.processes {
        processes.entry(row.pid).or_default().push(row);
    }
    // Of a process that the report does not list there may still be phases.
    for phase in &report.phases {
        if phase.scope != PhaseScope::Target {
            processes.entry(phase.pid).or_default();
        }
    }
    let mut tracks: BTreeMap<Option<u32>, u64> = BTreeMap::new();
    for ((pid, rows), number) in processes.into_iter().zip(1..) {
        let uuid = number * TRACKS_EACH;
        process(report, pid, &rows, uuid, &mut trace)?;
        tracks.insert(pid, uuid);
    }
    phases::write(report, &tracks, &mut trace)
}

fn target<W: io::Write>(report: &Report, trace: &mut Trace<'_, W>) -> io::Result<()> {
    let mut track = Message::default();
    track.number(field::track::UUID, TARGET);
    track.text(field::track::NAME, "target of memtrace");
    trace.track(&track)?;
    trace.counter_track(TARGET_RSS, TARGET, "mem.rss of the target")?;
    for (at_ns, bytes) in &report.timeline.points {
        trace.count(TARGET_RSS, *at_ns, *bytes)?;
    }
    let points = &report.timeline_by_class.points;
    for ((name, class), number) in CLASSES.into_iter().zip(TARGET_RSS..).skip(1) {
        trace.counter_track(number, TARGET, &format!("{name} of the target"))?;
        trace.level(number, points, class)?;
    }
    if let Some((peak, at_ns)) = report.peak.as_ref().and_then(|p| Some((p, p.at_ns?))) {
        let mut event = trace.event(INSTANT, TARGET);
        event.text(
            field::event::NAME,
            &format!("peak {}", Bytes(peak.rss_bytes)),
        );
        trace.tell(at_ns, &event)?;
    }
    Ok(())
}

fn process<W: io::Write>(
    report: &Report,
    pid: Option<u32>,
    rows: &[&ProcessRow],
    uuid: u64,
    trace: &mut Trace<'_, W>,
) -> io::Result<()> {
    let last = rows.last().copied();
    let name = last.map_or("?", |row| row.comm.as_str());
    let mut track = Message::default();
    track.number(field::track::UUID, uuid);
    match pid {
        Some(pid) => {
            let mut process = Message::default();
            process.number(field::process::PID, pid.into());
            for part in last.into_iter().flat_map(|row| &row.argv) {
                process.text(field::process::COMMAND_LINE, part);
            }
            process.text(field::process::NAME, name);
            track.message(field::track::PROCESS, &process);
        }
        None => track.text(field::track::NAME, "processes of unknown PID"),
    }
    trace.track(&track)?;
    for row in rows {
        slice(report, row, uuid, trace)?;
    }
    for ((name, class), number) in CLASSES.into_iter().zip(uuid + 1..) {
        let is_empty = |row: &&ProcessRow| row.timeline.points.iter().all(|p| class(p) == 0);
        if rows.iter().all(is_empty) {
            continue;
        }
        trace.counter_track(number, uuid, name)?;
        // The space that an exec left is torn down while the new one is in use: its end is not
        // the process's level any more.
        for (i, row) in rows.iter().enumerate() {
            let until_ns = rows.get(i + 1).and_then(|next| next.start_ns);
            let points = &row.timeline.points;
            let end = until_ns.map_or(points.len(), |until_ns| {
                points.partition_point(|point| point.at_ns < until_ns)
            });
            trace.level(number, &points[..end], class)?;
        }
    }
    Ok(())
}

/// A program's part of its process's life.
fn slice<W: io::Write>(
    report: &Report,
    row: &ProcessRow,
    track: u64,
    trace: &mut Trace<'_, W>,
) -> io::Result<()> {
    let start_ns = row.start_ns.unwrap_or(0);
    let end_ns = row.end_ns.unwrap_or(report.duration_ns).max(start_ns);
    let mut event = trace.event(SLICE_BEGIN, track);
    event.text(field::event::NAME, &row.comm);
    annotate(&mut event, "command", |annotation| {
        annotation.text(field::annotation::TEXT, &row.argv.join(" "));
    });
    if let Some(peak) = row.peak {
        annotate(&mut event, "peak_rss_bytes", |annotation| {
            annotation.number(field::annotation::INT, peak.rss_bytes.cast_unsigned());
        });
    }
    trace.tell(start_ns, &event)?;
    let event = trace.event(SLICE_END, track);
    trace.tell(end_ns, &event)
}

/// Adds a figure that is shown with the event.
fn annotate(event: &mut Message, name: &str, value: impl FnOnce(&mut Message)) {
    let mut annotation = Message::default();
    annotation.text(field::annotation::NAME, name);
    value(&mut annotation);
    event.message(field::event::ANNOTATION, &annotation);
}

/// Writes packets.
struct Trace<'a, W> {
    out: &'a mut W,
}

impl<W: io::Write> Trace<'_, W> {
    fn packet(&mut self, fill: impl FnOnce(&mut Message)) -> io::Result<()> {
        let mut packet = Message::default();
        packet.number(field::packet::SEQUENCE, SEQUENCE);
        fill(&mut packet);
        let mut trace = Message::default();
        trace.message(field::PACKET, &packet);
        self.out.write_all(trace.bytes())
    }

    fn begin(&mut self) -> io::Result<()> {
        self.packet(|packet| packet.number(field::packet::SEQUENCE_FLAGS, STATE_CLEARED))
    }

    fn track(&mut self, track: &Message) -> io::Result<()> {
        self.packet(|packet| packet.message(field::packet::TRACK, track))
    }

    fn counter_track(&mut self, uuid: u64, parent: u64, name: &str) -> io::Result<()> {
        let mut counter = Message::default();
        counter.number(field::counter::UNIT, UNIT_BYTES);
        let mut track = Message::default();
        track.number(field::track::UUID, uuid);
        track.number(field::track::PARENT, parent);
        track.text(field::track::NAME, name);
        track.message(field::track::COUNTER, &counter);
        self.track(&track)
    }

    fn event(&self, kind: u64, track: u64) -> Message {
        let mut event = Message::default();
        event.number(field::event::KIND, kind);
        event.number(field::event::TRACK, track);
        event.text(field::event::CATEGORY, "memory");
        event
    }

    fn tell(&mut self, at_ns: u64, event: &Message) -> io::Result<()> {
        self.packet(|packet| {
            packet.number(field::packet::TIMESTAMP, at_ns);
            packet.message(field::packet::EVENT, event);
        })
    }

    fn count(&mut self, track: u64, at_ns: u64, bytes: i64) -> io::Result<()> {
        let mut event = Message::default();
        event.number(field::event::KIND, COUNTER);
        event.number(field::event::TRACK, track);
        event.number(field::event::COUNTER_VALUE, bytes.cast_unsigned());
        self.tell(at_ns, &event)
    }

    /// A class over time; points at which it did not move are left out.
    fn level(
        &mut self,
        track: u64,
        points: &[ClassPoint],
        class: fn(&ClassPoint) -> i64,
    ) -> io::Result<()> {
        let mut before = None;
        for point in points {
            let bytes = class(point);
            if before.replace(bytes) != Some(bytes) {
                self.count(track, point.at_ns, bytes)?;
            }
        }
        Ok(())
    }
}
